"""Lesions of many small pieces: stones in veins, nodules in fat, grains in muscle."""

from __future__ import annotations

import numpy as np

from calcilens.phantoms import places
from calcilens.phantoms.forms import log_uniform
from calcilens.phantoms.scene import Lesion
from calcilens.phantoms.segment import Rng, Segment
from calcilens.phantoms.solids import joined, solids


def phlebolith(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Small round stones with lucent centres along veins; `size` is that of the largest."""
    tube, z = places.on_vessel(rng, segment, vein=True)
    count = int(rng.choice([1, 1, 2, 3, 4, 6]))
    heights = z + rng.uniform(-1, 1, count) * min(9 * count, 45)
    heights[0] = z
    at = np.array([places.path_at(tube, float(h))[0] for h in heights])
    at[1:, 1:] += rng.normal(0, 5, (count - 1, 2))
    radius = size / 2 * np.concatenate([[1.0], rng.uniform(0.5, 1, count - 1)])
    density = log_uniform(rng, 0.25, 0.8)
    parts = []
    for point, r in zip(at, radius, strict=True):
        parts.append(
            solids(point, r * np.exp(rng.normal(0, 0.05, 3)), density, tissue="blood", edge=0.1)
        )
        if rng.random() < 0.85:
            parts.append(
                solids(point, r * rng.uniform(0.3, 0.55), density * rng.uniform(0, 0.25), edge=0.2)
            )
    if rng.random() < 0.4:  # a venous malformation around them
        around = solids(
            at + rng.normal(0, 2, at.shape),
            radius[:, None] * rng.uniform(1.8, 3),
            0,
            tissue="blood",
        )
        parts.insert(0, around)
    dense = joined([p for p in parts if p.density.max() > 0])
    return Lesion(("phlebolith",), "phlebolith", joined(parts), dense.box(), rough_mm=0, grain=0.06)


def nodular_subcutaneous(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Many small nodules in the fat under the skin."""
    place = places.under_skin(rng, segment, 4.0)
    count = int(np.clip(rng.uniform(0.15, 0.5) * size, 4, 40))
    spread = np.array([0.5, 0.0, 0.5]) * size
    parts = []
    middle = np.arctan2(*(place.point - segment.skin.surface(place.point[0], 0)[0] * 0)[1:])
    wide = size / 2 / max(float(segment.skin.radius.mean()), 20)
    for _ in range(count):
        z = place.point[0] + rng.uniform(-1, 1) * spread[0]
        angle = middle + rng.uniform(-1, 1) * wide
        outer, _ = segment.skin.surface(z, angle)
        inner, _ = segment.fascia.surface(z, angle)
        thick = float(np.linalg.norm(outer - inner))
        radius = min(log_uniform(rng, 0.9, 3.8), 0.42 * thick)
        share = rng.uniform(radius, max(thick - radius, radius + 0.1)) / thick
        point = outer * (1 - share) + inner * share
        density = log_uniform(rng, 0.2, 0.8)
        parts.append(
            solids(point, radius * np.exp(rng.normal(0, 0.2, 3)), density, tissue="oedema")
        )
        if rng.random() < 0.25:
            parts.append(solids(point, radius * 0.5, density * 0.2, tissue="fat"))
    solid = joined(parts)
    return Lesion(
        ("nodular_subcutaneous",),
        "nodular_subcutaneous",
        solid,
        solid.box(),
        rough_mm=0.2,
        grain=0.1,
    )


def rice_grain(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Many small ellipsoids along the fibres of muscles."""
    count = int(np.clip(rng.uniform(0.12, 0.4) * size, 3, 30))
    first = places.in_muscle(rng, segment, 10)
    parts = []
    for i in range(count):
        near = first if i == 0 else places.in_muscle(rng, segment, 4)
        point = first.point + np.clip(near.point - first.point, -size / 2, size / 2)
        if segment.bone_clearance(point) < 2:
            continue
        tilt = rng.normal(0, 0.15, 3)
        axes = places.frame(near.axes[0] + tilt, near.axes[1])
        long = rng.uniform(2.5, 5.0)
        radii = np.array([long, long * rng.uniform(0.2, 0.36), long * rng.uniform(0.2, 0.36)])
        parts.append(solids(point, radii, log_uniform(rng, 0.25, 0.8), axes=axes, edge=0.25))
    if not parts:
        parts = [solids(first.point, [3.5, 1.0, 1.0], 0.5, axes=first.axes)]
    solid = joined(parts)
    return Lesion(("rice_grain",), "rice_grain", solid, solid.box(), rough_mm=0.1, grain=0.05)
