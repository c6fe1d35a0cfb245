"""Joints: two bones that flare towards each other, cartilage and fluid between, tendons over."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from calcilens.phantoms.segment import KNOTS, Parts, Rng, Shaft, Z, reach_of
from calcilens.phantoms.small_bones import add_small_bones
from calcilens.phantoms.tubes import CORNERS, THETA, Float, Tube, ellipse


def joint(rng: Rng, parts: Parts, fascia: Tube, bone: Shaft, limb_mm: float, *, site: str) -> None:
    """Add two bones that flare towards a joint, cartilage between them, tendons over it."""
    wide = min(bone.radius_mm * rng.uniform(1.9, 2.5), 0.5 * limb_mm)
    gap = rng.uniform(3.0, 6.0)
    middle = bone.path[KNOTS // 2]
    turn = rng.uniform(0, np.pi)
    notch = rng.uniform(0.0, 0.22)
    shape = ellipse(0.85, 1.15, turn)[0] * (1 + notch * np.cos(2 * (THETA - turn - 1.2)))
    fluid = Tube(
        "cartilage", np.array([-gap, gap]) * 0.9, np.tile(middle, (2, 1)),
        np.tile(0.97 * wide * shape, (2, 1)), "fat",
    )  # fmt: skip
    capsule = Tube(
        "fluid", np.array([-18.0, 0.0, 18.0]), np.tile(middle, (3, 1)),
        np.outer([0.8, 1.08, 0.8], wide * shape), "fat",
    )  # fmt: skip
    parts.add(capsule)
    ends = []
    for side in (1, -1):
        cap = rng.uniform(9, 16) if side > 0 else rng.uniform(5, 9)
        away = side * np.array([gap / 2, cap])
        ends.append(_end(rng, bone, shape, away, wide * rng.uniform(0.95, 1.05)))
    parts.add(fluid)
    _tendons(rng, parts, fascia, middle, wide * shape.max())
    for outer in ends:
        _add_end(parts, outer, bone.radius_mm * 0.33)
    add_small_bones(rng, parts, fascia, site, middle, turn=turn, wide=wide)


def _add_end(parts: Parts, outer: Tube, shaft_cortex_mm: float) -> None:
    """Add a bone's end with thin cortex, trabecular bone and marrow in it."""
    away = np.abs(outer.z)
    cortex = np.interp(away, [0, 25, 70], [1.1, 1.4, shaft_cortex_mm])
    parts.add(outer, "bones")
    # The plate of bone over the end is as thick as the wall beside it.
    inside = replace(
        outer.grown(-cortex[:, None], "marrow", "cortex"), z=outer.z + 1.2 * np.sign(outer.z)
    )
    parts.add(inside)
    near = away < 65
    # It thins out towards the shaft.
    left = np.sqrt(np.clip((65 - away[near]) / 30, 0, 1))
    radius = (inside.radius[near] - 0.2) * left[:, None]
    parts.add(Tube("trabecular", inside.z[near], inside.centre[near], radius, "cortex"))


def _end(rng: Rng, bone: Shaft, shape: Float, reach_mm: Float, wide: float) -> Tube:
    """Return one bone of a joint.

    Args:
        rng: Draws how it flares.
        bone: Its shaft.
        shape: (CORNERS,) outline of its end, about 1.
        reach_mm: (2,) height where it begins, and of its rounded cap; negative below the joint.
        wide: Radius of its end, mm.
    """
    side = int(np.sign(reach_mm[0]))
    gap_mm, cap_mm = np.abs(reach_mm)
    shaft = bone.radius_mm
    away = np.concatenate([np.linspace(0.02, 1, 9) ** 2 * cap_mm, np.linspace(cap_mm + 4, 148, 18)])
    # A dome above the joint, a plate with rounded corners below it.
    power = 2.0 if side > 0 else 2.8
    into = np.clip((cap_mm - away) / cap_mm, 0, 1)
    rounding = (1 - into**power) ** (1 / power)
    flare = rng.uniform(28, 45)
    radius = shaft + (wide - shaft) * np.exp(-((np.maximum(away - 14, 0) / flare) ** 2))
    blend = np.exp(-((away / 60) ** 2))[:, None]
    outline = (shape * blend + 1 - blend) * (radius * np.maximum(rounding, 0.05))[:, None]
    z = side * (gap_mm + away)
    order = np.argsort(z)
    path = np.stack([np.interp(z, Z, bone.path[:, i]) for i in (0, 1)], 1)
    return Tube("cortex", z[order], path[order], outline[order], "muscle")


def _tendons(rng: Rng, parts: Parts, fascia: Tube, middle: Float, wide: float) -> None:
    """Add two to four tendons that run over the joint and end on bone."""
    z = np.linspace(-70, 70, 9)
    for _ in range(rng.integers(2, 5)):
        angle = rng.uniform(0, 2 * np.pi)
        room = reach_of(fascia, KNOTS // 2, middle)[int(angle / (2 * np.pi) * CORNERS)]
        away = min(wide * 1.08 + rng.uniform(2, 6), room - 4.0)
        path = away + 0.25 * wide * (z / 70) ** 2 * rng.uniform(-1, 0.2)
        centre = middle + path[:, None] * np.array([np.sin(angle), np.cos(angle)])
        thick, broad = rng.uniform(1.8, 4.5), rng.uniform(4, 9)
        radius = ellipse(np.full(9, broad), np.full(9, thick), angle)
        parts.add(Tube("tendon", z, centre, radius, "fat"), "tendons")
