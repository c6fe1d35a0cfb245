"""Limbs: skin, fat, fascia, muscles, long bones and vessels, drawn at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calcilens.phantoms.joints import joint
from calcilens.phantoms.segment import (
    HALF_LENGTH_MM,
    KNOTS,
    Parts,
    Rng,
    Segment,
    Shaft,
    Z,
    curved,
    reach_of,
    shell,
    straight,
    veins,
)
from calcilens.phantoms.tubes import CORNERS, THETA, Float, Tube, ellipse, uneven


@dataclass(frozen=True)
class Bone:
    """A long bone: where it lies (as a share of the limb's radius) and how thick it is, mm."""

    place: tuple[float, float]
    radius_mm: float
    angular: float = 0.05


@dataclass(frozen=True)
class Limb:
    """What a kind of limb looks like.

    Args:
        radius_mm: Range of its radius.
        fat_mm: Range of the thickness of the fat under the skin.
        bones: Its long bones.
        muscles: Range of the number of muscles in a cross-section.
        joint: Whether it is cut through a joint.
    """

    radius_mm: tuple[float, float]
    fat_mm: tuple[float, float]
    bones: tuple[Bone, ...]
    muscles: tuple[int, int] = (6, 12)
    joint: bool = False


LIMBS: dict[str, Limb] = {
    "calf": Limb((42, 68), (2, 18), (Bone((-0.25, -0.3), 13, 0.12), Bone((0.1, 0.5), 6.5))),
    "thigh": Limb((60, 105), (4, 35), (Bone((0.0, 0.05), 15),), (8, 14)),
    "forearm": Limb((28, 46), (2, 12), (Bone((0.0, -0.38), 7.5), Bone((0.1, 0.38), 7))),
    "upper arm": Limb((36, 62), (3, 22), (Bone((0.0, 0.0), 11.5),), (4, 8)),
    "knee": Limb((50, 72), (3, 20), (Bone((-0.1, 0.0), 16),), (3, 6), joint=True),
    "elbow": Limb((34, 50), (2, 12), (Bone((0.05, 0.0), 12),), (3, 6), joint=True),
    "ankle": Limb((32, 44), (2, 8), (Bone((-0.1, 0.0), 13),), (3, 5), joint=True),
    "shoulder": Limb((60, 85), (4, 25), (Bone((0.0, 0.05), 13),), (5, 9), joint=True),
    "hip": Limb((75, 115), (6, 45), (Bone((0.0, 0.1), 16),), (6, 10), joint=True),
}


def limb_segment(rng: Rng, site: str, limb: Limb) -> Segment:
    """Draw a segment of a limb."""
    parts = Parts()
    radius = rng.uniform(*limb.radius_mm)
    taper = 1 + rng.uniform(-0.15, 0.35) * Z / HALF_LENGTH_MM / 2
    aspect = rng.uniform(0.85, 1.15)
    base = ellipse(radius * taper * aspect, radius * taper / aspect)
    skin = Tube("skin", Z, straight(0, 0), base * uneven(rng, KNOTS, 0.05), "air")
    fascia = shell(rng, parts, skin, rng.uniform(*limb.fat_mm))
    bones = [_drawn(rng, bone, radius) for bone in limb.bones]
    _muscles(rng, parts, fascia, int(rng.integers(*limb.muscles)))
    _vessels(rng, parts, fascia, bones[0])
    if limb.joint:
        joint(rng, parts, fascia, bones[0], radius, site=site)
    else:
        for bone in bones:
            _shaft(rng, parts, bone)
    veins(rng, parts, skin, fascia)
    return parts.segment(site, skin, fascia, joint=limb.joint)


def _drawn(rng: Rng, bone: Bone, radius: float) -> Shaft:
    """Draw where a bone runs and how thick it is."""
    y, x = np.array(bone.place) * radius * rng.uniform(0.85, 1.15, 2)
    return Shaft(curved(rng, y, x, 2.0), bone.radius_mm * rng.uniform(0.8, 1.2), bone.angular)


def _muscles(rng: Rng, parts: Parts, fascia: Tube, count: int) -> None:
    """Fill the fascia with muscles: cells of a power diagram, fat between them."""
    middle = fascia.radius.mean(1)
    turn, gap = rng.uniform(0, 2 * np.pi), rng.uniform(0.4, 1.6) + max(0.0, rng.normal(0, 0.8))
    order = np.arange(count) + 0.5
    angle = turn + order * 2.39996 + rng.normal(0, 0.15, count)
    share = np.sqrt(order / count) * 0.92
    twist = rng.normal(0, 0.2, count)
    t = Z / HALF_LENGTH_MM
    seeds = np.stack(
        [
            fascia.centre[:, :1] + middle[:, None] * share * np.sin(angle + twist * t[:, None]),
            fascia.centre[:, 1:] + middle[:, None] * share * np.cos(angle + twist * t[:, None]),
        ],
        -1,
    )
    some = np.arange(0, KNOTS, 5)  # a muscle changes slowly: five cross-sections tell its shape
    for i in range(count):
        cell = _rounded(np.stack([_cell(seeds[k], i, fascia, int(k)) for k in some]))
        cell = cell * uneven(rng, len(some), 0.02) - gap * rng.uniform(0.1, 1.7)
        radius = np.maximum(cell - _frayed(rng, len(some)), 0.0)
        parts.add(Tube("muscle", Z[some], seeds[some, i], radius, "fat"), "muscles")


def _frayed(rng: Rng, knots: int) -> Float:
    """Return how far (K, CORNERS) a muscle's outline lies inside a smooth one, mm.

    Bundles make it wavy, and at times fat cuts a cleft into it.
    """
    coarse = rng.normal(0, 1, CORNERS)
    wave = rng.uniform(0, 0.9) * np.abs(coarse + np.roll(coarse, 1)) / 2
    away = np.abs(np.arange(CORNERS) - rng.integers(CORNERS))
    cleft = rng.uniform(2, 9) * np.exp(-((np.minimum(away, CORNERS - away) / 1.2) ** 2))
    both = wave + cleft * (rng.random() < 0.4)
    return np.asarray(both * rng.uniform(0.6, 1.4, (knots, 1)))


def _cell(seeds: Float, index: int, fascia: Tube, knot: int) -> Float:
    """Return (CORNERS,): reach of the seed's cell, up to its neighbours and to the fascia."""
    off = np.delete(seeds, index, 0) - seeds[index]
    distance, towards = np.hypot(*off.T), np.arctan2(off[:, 0], off[:, 1])
    cosine = np.cos(THETA[None] - towards[:, None])
    with np.errstate(divide="ignore"):
        reach = np.where(cosine > 0.02, distance[:, None] / 2 / np.maximum(cosine, 0.02), np.inf)
    wall = reach_of(fascia, knot, seeds[index])
    return np.asarray(np.minimum(reach.min(0, initial=np.inf), wall))


def _rounded(cell: Float) -> Float:
    """Return cells (K, CORNERS) with their corners rounded off."""
    near = np.stack([np.roll(1 / np.maximum(cell, 0.5), step, 1) for step in range(-4, 5)])
    return np.asarray(1 / np.average(near, 0, weights=[1, 2, 3, 4, 4, 4, 3, 2, 1]))


def _shaft(rng: Rng, parts: Parts, bone: Shaft) -> None:
    """Add the shaft of a long bone: a tube of cortex around marrow."""
    corner = 1 + bone.angular * np.cos(3 * (THETA - rng.uniform(0, 2 * np.pi)))
    radius = bone.radius_mm * corner * uneven(rng, KNOTS, 0.06)
    outer = Tube("cortex", Z, bone.path, radius, "muscle")
    cortex_mm = bone.radius_mm * rng.uniform(0.22, 0.42)
    parts.add(outer, "bones")
    parts.add(outer.grown(-cortex_mm * uneven(rng, KNOTS, 0.08), "marrow", "cortex"))


def _vessels(rng: Rng, parts: Parts, fascia: Tube, bone: Shaft) -> None:
    """Add bundles of an artery and veins in their fat, around a bone."""
    blood = "contrast_blood" if rng.random() < 0.2 else "blood"
    middle = bone.path[KNOTS // 2]
    room = reach_of(fascia, KNOTS // 2, middle)
    for _ in range(rng.integers(1, 4)):
        angle = rng.uniform(0, 2 * np.pi)
        size = rng.uniform(1.4, 3.6)
        away = bone.radius_mm * 2.3 + rng.uniform(0, 0.25) * fascia.radius.mean()
        away = min(away, room[int(angle / (2 * np.pi) * CORNERS)] - 3.5 * size - 3)
        y, x = middle + away * np.array([np.sin(angle), np.cos(angle)])
        _bundle(rng, parts, curved(rng, y, x, 4.0), size, blood)


def _bundle(rng: Rng, parts: Parts, path: Float, size: float, blood: str) -> None:
    """Add an artery of a radius in mm, one or two veins beside it, and the fat around them."""
    broad, turn = rng.uniform(1.2, 2.4) * size + 1, rng.uniform(0, np.pi)
    sheath = ellipse(np.full(KNOTS, broad * 0.7), np.full(KNOTS, broad), np.full(KNOTS, turn))
    parts.add(Tube("fat", Z, path, sheath * uneven(rng, KNOTS, 0.15), "muscle"))
    side = np.array([np.sin(turn), np.cos(turn)])
    for i in range(rng.integers(2, 4)):
        shift = (0.0, 1.9, -1.8)[i] * size * side + rng.normal(0, 0.3, 2)
        radius = np.full(KNOTS, size * (1 if i == 0 else rng.uniform(0.6, 1.1)))
        flat = rng.uniform(0.7, 1.2) if i else 1.0
        tube = Tube("blood" if i else blood, Z, path + shift, ellipse(radius, radius * flat), "fat")
        parts.add(tube, "veins" if i else "vessels")
