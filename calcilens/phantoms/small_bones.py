"""Bones beside a joint's two main ones: kneecap, fibula, head of the radius, tip of the elbow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calcilens.phantoms.segment import KNOTS, Parts, Rng, reach_of
from calcilens.phantoms.skeleton import add_bone, capsule
from calcilens.phantoms.tubes import CORNERS, Float, Tube, ellipse


@dataclass(frozen=True)
class SmallBone:
    """Where a bone lies, in half widths of the joint from its middle, and how large it is.

    Args:
        z_mm: First and last height.
        ahead, beside: To the front and to the side.
        thick, broad: Half axes away from the joint and across.
    """

    z_mm: tuple[float, float]
    ahead: float
    beside: float
    thick: float
    broad: float


SMALL_BONES: dict[str, tuple[SmallBone, ...]] = {
    "knee": (
        SmallBone((6, 46), 1.25, 0.0, 0.26, 0.55),
        SmallBone((-149, -16), -0.65, 1.15, 0.21, 0.23),
    ),
    "ankle": (SmallBone((-20, 149), -0.15, 1.42, 0.20, 0.26),),
    "elbow": (
        SmallBone((-149, -5), 0.3, 1.55, 0.34, 0.34),
        SmallBone((-8, 24), -1.2, 0.0, 0.26, 0.42),
    ),
}


def add_small_bones(
    rng: Rng, parts: Parts, fascia: Tube, site: str, middle: Float, *, turn: float, wide: float
) -> None:
    """Add the small bones of a joint that have room under the fascia.

    Args:
        rng: Draws the side and sizes.
        parts: Where they are added.
        fascia: What they lie in.
        site: The joint.
        middle: (2,) its middle (y, x), mm.
        turn: Direction of its broad axis, radians.
        wide: Half its width, mm.
    """
    side = rng.choice([-1.0, 1.0])
    room = reach_of(fascia, KNOTS // 2, middle)
    for bone in SMALL_BONES.get(site, ()):
        angle = turn + np.arctan2(-bone.ahead, side * bone.beside)
        away = np.hypot(bone.ahead, bone.beside) * wide * rng.uniform(0.97, 1.06)
        thick, broad = wide * rng.uniform(0.9, 1.1, 2) * (bone.thick, bone.broad)
        if away + thick + 1.5 > room[round(angle / (2 * np.pi) * CORNERS) % CORNERS]:
            continue
        low, high = bone.z_mm
        z = (low + high) / 2 + (high - low) / 2 * np.sin(np.linspace(-1.57, 1.57, 25))
        centre = middle + away * np.array([np.sin(angle), np.cos(angle)])
        upright = capsule(z, centre, 1.0, 1.0)
        shape = ellipse(broad, thick, angle) * upright.radius
        add_bone(parts, Tube("cortex", z, upright.centre, shape, "muscle"), 1.3, "bones")
