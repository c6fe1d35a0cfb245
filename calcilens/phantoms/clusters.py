"""Lesions of many small pieces: stones in veins, nodules in fat, grains in muscle."""

from __future__ import annotations

import numpy as np

from calcilens.phantoms import places
from calcilens.phantoms.forms import log_uniform
from calcilens.phantoms.scene import Lesion
from calcilens.phantoms.segment import Rng, Segment
from calcilens.phantoms.solids import Float, Solids, joined, solids


def phlebolith(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Draw small round stones with lucent centres along veins; `size` is that of the largest."""
    tube, z = places.on_vessel(rng, segment, 0.0, vein=True)
    count = int(rng.choice([1, 1, 2, 3, 4, 6]))
    heights = z + rng.uniform(-1, 1, count) * min(9 * count, 45)
    heights[0] = z
    at = np.array([places.path_at(tube, float(h))[0] for h in heights])
    at[1:, 1:] += rng.normal(0, 5, (count - 1, 2))
    radius = size / 2 * np.concatenate([[1.0], rng.uniform(0.5, 1, count - 1)])
    kept = [0, *(i for i in range(1, count) if _is_soft(segment, at[i], float(radius[i])))]
    at, radius = at[kept], radius[kept]
    density = log_uniform(rng, 0.25, 0.8)
    dense = joined([s for p, r in zip(at, radius, strict=True) for s in _stone(rng, p, r, density)])
    solid = dense
    if rng.random() < 0.4:  # a venous malformation around them
        wide = radius[:, None] * rng.uniform(1.8, 3)
        solid = joined([solids(at + rng.normal(0, 2, at.shape), wide, 0, tissue="blood"), dense])
    return Lesion(("phlebolith",), "phlebolith", solid, dense.box(), rough_mm=0, grain=0.06)


def _stone(rng: Rng, point: Float, radius: float, density: float) -> list[Solids]:
    """Return a smooth round stone, mostly with a lucent centre."""
    radii = radius * np.exp(rng.normal(0, 0.05, 3))
    parts = [solids(point, radii, density, tissue="blood", edge=0.1)]
    if rng.random() < 0.85:
        lucent = density * rng.uniform(0, 0.25)
        parts.append(solids(point, radius * rng.uniform(0.3, 0.55), lucent, edge=0.2))
    return parts


def _is_soft(segment: Segment, point: Float, radius: float) -> bool:
    """Return whether a ball lies under the skin and outside bone."""
    return segment.skin.depth(point) > radius + 2 and segment.bone_clearance(point) > radius


def nodular_subcutaneous(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Draw many small nodules in the fat under the skin."""
    place = places.under_skin(rng, segment, 4.0)
    count = int(np.clip(rng.uniform(0.25, 0.7) * size, 8, 60))
    middle = np.arctan2(*(place.point[1:] - segment.skin.at(place.point[0])[0][0]))
    wide = size / 2 / max(float(segment.skin.radius.mean()), 20)
    tall = 0.4 * size
    parts = []
    for _ in range(count):
        z = place.point[0] + rng.uniform(-1, 1) * tall
        point, room = _in_fat(rng, segment, z, float(middle + rng.uniform(-1, 1) * wide))
        radius = min(log_uniform(rng, 0.9, 3.8), room)
        density = log_uniform(rng, 0.2, 0.8)
        radii = radius * np.exp(rng.normal(0, 0.2, 3))
        parts.append(solids(point, radii, density, tissue="oedema"))
        if rng.random() < 0.25:
            parts.append(solids(point, radius * 0.5, density * 0.2, tissue="fat"))
    solid, key = joined(parts), "nodular_subcutaneous"
    return Lesion((key,), key, solid, solid.box(), rough_mm=0.2, grain=0.1)


def _in_fat(rng: Rng, segment: Segment, z: float, angle: float) -> tuple[Float, float]:
    """Return a point between skin and fascia in a direction, and the radius that fits there."""
    outer, _ = segment.skin.surface(z, angle)
    inner, _ = segment.fascia.surface(z, angle)
    share = rng.uniform(0.3, 0.75)
    thick = float(np.linalg.norm(outer - inner))
    return outer * (1 - share) + inner * share, max(thick * min(share, 1 - share), 0.6)


def rice_grain(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Draw many small ellipsoids along the fibres of muscles."""
    count = int(np.clip(rng.uniform(0.25, 0.6) * size, 7, 45))
    first = places.in_muscle(rng, segment, 10)
    reach = size * np.array([0.3, 0.5, 0.5])
    parts = []
    for i in range(count):
        near = first if i == 0 else places.in_muscle(rng, segment, 4)
        point = first.point + np.clip(near.point - first.point, -reach, reach)
        if i and (segment.bone_clearance(point) < 2 or segment.fascia.depth(point) < 1):
            continue
        axes = places.frame(near.axes[0] + rng.normal(0, 0.15, 3), near.axes[1])
        long = rng.uniform(2.5, 5.0)
        radii = np.array([long, long * rng.uniform(0.2, 0.36), long * rng.uniform(0.2, 0.36)])
        parts.append(solids(point, radii, log_uniform(rng, 0.25, 0.8), axes=axes, edge=0.25))
    solid = joined(parts)
    return Lesion(("rice_grain",), "rice_grain", solid, solid.box(), rough_mm=0.1, grain=0.05)
