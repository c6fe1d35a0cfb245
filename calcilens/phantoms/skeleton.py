"""Bones of the trunk: spine, sacrum, wings of the ilium, heads of the femur, ribs.

Most are short tubes, so that they end, follow one another and slope as bones of a trunk do: in
radiographs, where all of them lie over each other, they would otherwise be stripes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import PchipInterpolator

from calcilens.phantoms.segment import HALF_LENGTH_MM, KNOTS, Parts, Rng, Z, straight
from calcilens.phantoms.tubes import THETA, Float, Tube, ellipse


@dataclass(frozen=True)
class Spine:
    """What a part of the spine looks like.

    Args:
        size_mm: Range of half the width of a vertebra.
        height: Range of the distance from vertebra to vertebra, in halves of the width.
        disc: Share of that distance which is disc.
    """

    size_mm: tuple[float, float]
    height: tuple[float, float]
    disc: float


LUMBAR = Spine((20, 26), (1.5, 1.75), 0.25)
THORACIC = Spine((14, 18), (1.45, 1.7), 0.17)
_PLATE_MM = 0.9
_CAP_MM = 9.0
_REACH_MM = 60.0
"""Lesions lie within this height of the middle."""
_ARCH = (  # y, x, half axes along y and x, first and last height: of the half width, the body's
    (0.95, 0.62, 0.26, 0.20, -0.05, 0.75),  # pedicle
    (1.22, 1.15, 0.16, 0.55, 0.05, 0.55),  # transverse process
    (1.36, 0.45, 0.15, 0.38, -0.75, 0.35),  # lamina
)
_SPINOUS = (1.85, 0.0, 0.48, 0.13, -0.85, 0.10)


def capsule(z: ArrayLike, centre: Float, radius_y: ArrayLike, radius_x: ArrayLike) -> Tube:
    """Return a bone with rounded ends: knots z (K,), path (K, 2), half axes along y and x."""
    heights = np.asarray(z, float)
    away = np.minimum(heights - heights[0], heights[-1] - heights)
    cap = min(_CAP_MM, (heights[-1] - heights[0]) / 3)
    rounded = np.sqrt(np.clip(1 - np.clip(1 - away / cap, 0, 1) ** 2, 0.01, 1))
    shape = ellipse(radius_y * rounded, radius_x * rounded)
    return Tube("cortex", heights, np.broadcast_to(centre, (len(heights), 2)), shape, "muscle")


def add_bone(parts: Parts, outer: Tube, cortex_mm: float, *names: str) -> None:
    """Add a bone and the spongy bone in it, its ends closed by a plate.

    Args:
        parts: Where it is added.
        outer: Its outline.
        cortex_mm: Thickness of its cortex.
        names: Fields of `Segment` that hold it: "bones" where lesions may be placed by it.
    """
    in_reach = outer.z[0] < _REACH_MM and outer.z[-1] > -_REACH_MM
    parts.add(outer, *(names if in_reach else ()))
    middle, half = (outer.z[-1] + outer.z[0]) / 2, (outer.z[-1] - outer.z[0]) / 2
    z = middle + (outer.z - middle) * max(1 - cortex_mm / half, 0.1)
    inner = outer.grown(-cortex_mm, "trabecular", "cortex")
    parts.add(Tube("trabecular", z, inner.centre, inner.radius, "cortex"))


def add_spine(
    rng: Rng, parts: Parts, kind: Spine, back_mm: float, *, lowest_mm: float = -HALF_LENGTH_MM
) -> None:
    """Add back muscles and a column of vertebrae with discs between.

    Args:
        rng: Draws it.
        parts: Where it is added.
        kind: Part of the spine.
        back_mm: Where the muscles of the back end, y.
        lowest_mm: Where the lowest disc ends.
    """
    size = rng.uniform(*kind.size_mm)
    y = back_mm - size * rng.uniform(2.3, 2.8)
    for side in (-1, 1):
        shape = ellipse(np.full(KNOTS, size), np.full(KNOTS, 1.2 * size))
        path = straight(y + 1.7 * size, side * 1.45 * size)
        parts.add(Tube("muscle", Z, path, shape, "fat"), "muscles")
    reach = np.array([max(lowest_mm, -HALF_LENGTH_MM), HALF_LENGTH_MM])
    column = np.full(2, size)
    at = np.tile([y, 0.0], (2, 1))
    parts.add(Tube("cartilage", reach, at, ellipse(0.76 * column, 0.95 * column), "fat"))
    behind = at + np.array([1.1 * size, 0.0])
    parts.add(Tube("fluid", reach, behind, ellipse(0.26 * column, 0.4 * column), "fat"))
    period = size * rng.uniform(*kind.height)
    half = period * (1 - kind.disc) / 2
    first = lowest_mm + period * kind.disc + half
    for z in np.arange(first - period * rng.uniform(0, 1) * (lowest_mm < -140), 165, period):
        _vertebra(rng, parts, np.array([z, y, 0.0]), size, half)


def _vertebra(rng: Rng, parts: Parts, middle: Float, size: float, half: float) -> None:
    """Add one vertebra: its body, waisted, and the parts of its arch."""
    z, y, x = middle
    heights = z + half * np.array([-1.0, -0.93, -0.6, 0.0, 0.6, 0.93, 1.0])
    waist = size * np.array([0.94, 1.0, 0.94, 0.87, 0.94, 1.0, 0.94])
    shape = ellipse(0.8 * waist, waist)
    body = Tube("cortex", heights, np.tile([y, x], (7, 1)), shape, "cartilage")
    add_bone(parts, body, _PLATE_MM * rng.uniform(0.7, 1.2), "bones")
    arch = [(row, side) for row in _ARCH for side in (-1, 1)]
    for (dy, dx, tall, wide, low, high), side in [*arch, (_SPINOUS, 1)]:
        reach = z + half * np.linspace(low, high, 7)
        at = np.array([y + dy * size, x + side * dx * size])
        add_bone(parts, capsule(reach, at, tall * size, wide * size), 0.8)


def add_sacrum(rng: Rng, parts: Parts, back_mm: float, top_mm: float) -> None:
    """Add the sacrum: a wedge that curves back, with holes for its nerves."""
    long, wide = rng.uniform(85, 105), rng.uniform(42, 52)
    t = np.array([0, 0.01, 0.03, 0.07, 0.13, 0.25, 0.4, 0.55, 0.7, 0.85, 0.97, 1])
    path = np.stack([back_mm - 48 + 22 * np.sin(2.2 * t), 0 * t], 1)
    corners = np.interp(t, [0, 0.03, 0.13], [0.5, 0.72, 1])
    width, depth = wide * (1 - 0.72 * t) * corners, 15 * (1 - 0.5 * t)
    z = top_mm - long * t
    shape = ellipse(depth, width)
    add_bone(parts, Tube("cortex", z[::-1], path[::-1], shape[::-1], "fat"), 1.1, "bones")
    for share, side in product((0.16, 0.36, 0.56, 0.76), (-1, 1)):
        at = np.array([np.interp(share, t, path[:, 0]), side * wide * (0.48 - 0.35 * share)])
        reach = top_mm - long * share + np.linspace(-5, 5, 7)
        hole = capsule(reach, at, 10 * (1 - 0.5 * share), 4.5)
        parts.add(Tube("fat", hole.z, hole.centre, hole.radius, "trabecular"))


def add_hip_bone(rng: Rng, parts: Parts, side: int, half_mm: float, back_mm: float) -> None:
    """Add the wing of the ilium, from its crest to the socket, and the femur's head below it."""
    crest, socket = rng.uniform(65, 95), -64.0
    t = 0.5 - 0.5 * np.cos(np.linspace(0, np.pi, 17))
    z = socket + (crest - socket) * t
    x = side * (0.50 - 0.10 * np.sin(np.pi * np.minimum(t * 1.1, 1)) + 0.08 * t) * half_mm
    y = (0.08 + 0.2 * np.sin(np.pi * t)) * back_mm
    ends = np.sqrt(
        np.clip(1 - np.maximum((0.1 - t) / 0.1, (t - 0.82) / 0.18).clip(0) ** 2, 0.01, 1)
    )
    long = np.interp(t, [0, 0.2, 0.55, 0.8, 1], [24, 28, 42, 50, 46]) * rng.uniform(0.9, 1.1)
    thick = np.interp(t, [0, 0.1, 0.3, 0.6, 1], [18, 17, 10, 5.5, 8]) * rng.uniform(0.85, 1.1)
    turn = side * np.interp(t, [0, 0.4, 1], [0.1, 0.75, 0.55]) * rng.uniform(0.8, 1.2)
    shape = ellipse(long * ends, thick * ends, turn)
    wing = Tube("cortex", z, np.stack([y, x], 1), shape, "muscle")
    add_bone(parts, wing, rng.uniform(1.2, 2.0), "bones")
    at = np.array([y[0], x[0] + side * 4])
    _femur(parts, at, side, rng.uniform(22, 26), socket - rng.uniform(3, 5))


def _femur(parts: Parts, head: Float, side: int, size: float, top_mm: float) -> None:
    """Add the upper end of a femur: shaft and neck, then its round head, at (y, x)."""
    middle = top_mm - size
    t = np.linspace(0, 1, 21)
    z = -HALF_LENGTH_MM - 20 + (middle + 12 + HALF_LENGTH_MM + 20) * t
    off = PchipInterpolator([0, 0.3, 0.6, 0.8, 0.95, 1], [46, 46, 42, 33, 30, 40])(t)
    wide = PchipInterpolator([0, 0.3, 0.6, 0.8, 0.95, 1], [15, 16, 23, 28, 16, 2])(t)
    path = np.stack([np.full(21, head[0]), head[1] + side * off], 1)
    add_bone(parts, Tube("cortex", z, path, ellipse(np.minimum(wide, 16), wide), "muscle"), 2.0)
    t = np.sin(np.linspace(-1.52, 1.52, 15))
    ball = ellipse(size * np.sqrt(1 - t**2), size * np.sqrt(1 - t**2))
    add_bone(parts, Tube("cortex", middle + size * t, np.tile(head, (15, 1)), ball, "muscle"), 1.0)


def add_ribs(rng: Rng, parts: Parts, wall: Tube) -> None:
    """Add pairs of ribs: from the spine they slope down and around the wall to the front."""
    period, slope = rng.uniform(24, 32), rng.uniform(0.017, 0.024)
    thick, tall = rng.uniform(3.0, 4.0), rng.uniform(5.0, 6.5)
    for top in np.arange(-HALF_LENGTH_MM + rng.uniform(0, period), 250, period):
        for side in (-1, 1):
            _rib(parts, wall, top, side, np.array([slope, thick, tall]) * rng.uniform(0.95, 1.05))


def _rib(parts: Parts, wall: Tube, top: float, side: int, look: Float) -> None:
    """Add a rib that begins beside the spine at a height; `look`: slope, thickness, height."""
    slope, thick, tall = look
    z = np.linspace(top - 1.95 / slope, top, 19)
    kept = (z > -HALF_LENGTH_MM) & (z < HALF_LENGTH_MM)
    if kept.sum() < 3:
        return
    z = z[kept]
    back = 1.30 - slope * (top - z)  # direction: a quarter turn is the back, 0 the side
    angle = np.where(side > 0, back, np.pi - back)
    centre, radius = wall.at(z)
    reach = np.array([
        np.interp(a, THETA, row, period=2 * np.pi) for a, row in zip(angle, radius, strict=True)
    ]) + 4.0  # fmt: skip
    path = centre + reach[:, None] * np.stack([np.sin(angle), np.cos(angle)], 1)
    # A plane cuts what runs around it as a long oval.
    long = np.clip(tall * slope * reach, tall, 24)
    ends = np.sqrt(np.clip(1 - np.linspace(-1, 1, len(z)) ** 12, 0.05, 1))
    shape = ellipse(long * ends, np.full(len(z), thick) * ends, angle)
    add_bone(parts, Tube("cortex", z, path, shape, "muscle"), 0.9, "bones")
