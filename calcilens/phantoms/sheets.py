"""Lesions that are lines, plates and tubes."""

from __future__ import annotations

import numpy as np

from calcilens.phantoms import places
from calcilens.phantoms.forms import log_uniform, placed, within
from calcilens.phantoms.scene import Lesion
from calcilens.phantoms.segment import Rng, Segment
from calcilens.phantoms.solids import Float, Solids, joined, solids


def plates(
    rng: Rng,
    points: Float,
    normals: Float,
    along: Float,
    *,
    wide: Float,
    thin: Float,
    density: float,
) -> Solids:
    """Return thin discs (N) lying on a surface given by points and normals (N, 3)."""
    axes = np.stack([places.frame(n, a) for n, a in zip(normals, along, strict=True)])
    n = len(points)
    radii = np.stack([thin, wide * rng.uniform(0.8, 1.4, n), wide], 1)
    return solids(points, radii, density * rng.uniform(0.6, 1.2, n), axes=axes, edge=0.35)


def sheet_like(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Plates along the fascia, between muscles or under the skin."""
    kind = rng.random()
    if kind < 0.5:
        surface = segment.fascia
    elif kind < 0.8:
        surface = segment.muscles[rng.integers(len(segment.muscles))]
    else:
        surface = segment.skin.grown(-rng.uniform(2.5, 5.0), "fat", "fat")
    z0, angle0 = rng.uniform(-40, 40), rng.uniform(0, 2 * np.pi)
    reach = max(float(surface.at(z0)[1].mean()), 8.0)
    wide = min(size / 2 / reach, np.pi * 0.9)
    tall = size / 2 * rng.uniform(0.5, 1.0)
    layers = int(rng.choice([1, 1, 1, 2]))
    count = int(np.clip(size * rng.uniform(0.5, 1.1), 10, 70))
    points, normals = [], []
    for _ in range(count):
        z, angle = z0 + rng.uniform(-1, 1) * tall, angle0 + rng.uniform(-1, 1) * wide
        point, normal = surface.surface(z, angle)
        points.append(point - normal * rng.integers(0, layers) * 5.0 + normal * rng.normal(0, 0.3))
        normals.append(normal)
    up = np.tile([1.0, 0, 0], (count, 1))
    disc = np.clip(size * rng.uniform(0.05, 0.12, count), 2.0, 8.0)
    solid = plates(
        rng, np.array(points), np.array(normals), up, wide=disc,
        thin=rng.uniform(0.5, 1.5, count), density=log_uniform(rng, 0.2, 0.8),
    )  # fmt: skip
    return Lesion(("sheet_like",), "sheet_like", solid, solid.box(), rough_mm=0.6, grain=0.25)


def plaque_like(rng: Rng, segment: Segment, size: float) -> Lesion:
    """A fusiform mass in a muscle with plates at its edge and a liquefied centre."""
    place = places.in_muscle(rng, segment, size * 0.18)
    radii = size / 2 * np.array([1.0, rng.uniform(0.28, 0.45), rng.uniform(0.3, 0.5)])
    body = solids(place.point, radii, 0, tissue="oedema", axes=place.axes, edge=0.1)
    liquid = solids(place.point, radii * 0.82, 0, tissue="fluid", axes=place.axes, edge=0.2)
    count = int(np.clip(size * rng.uniform(0.4, 0.9), 12, 60))
    towards = within(rng, count, 0.999, 1.0)
    towards = towards[np.argsort(towards[:, 1])][: int(count * rng.uniform(0.6, 1.0))]
    points = placed(place, towards * radii * 0.94)
    normals = (towards / radii) @ place.axes
    disc = np.clip(size * rng.uniform(0.05, 0.11, len(points)), 2.0, 8.0)
    edge = plates(
        rng, points, normals, np.tile(place.axes[0], (len(points), 1)), wide=disc,
        thin=rng.uniform(0.7, 1.8, len(points)), density=log_uniform(rng, 0.25, 0.8),
    )  # fmt: skip
    box = joined([body, edge]).box()
    return Lesion(
        ("plaque_like",),
        "plaque_like",
        joined([body, liquid, edge]),
        box,
        rough_mm=size * 0.01,
        grain=0.2,
    )


def vascular_tram_track(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Mineral in the wall of an artery: two parallel lines from the side, a ring across."""
    tube, z0 = places.on_vessel(rng, segment, vein=False)
    z0 = float(np.clip(z0, -40, 40))
    heights = np.arange(z0 - size / 2, z0 + size / 2, 1.2)
    patch = np.sin(heights / rng.uniform(3, 9) + rng.uniform(0, 6)) + rng.normal(
        0, 0.3, len(heights)
    )
    dense = heights[patch > rng.uniform(-1.0, -0.2)]
    heights = dense if len(dense) > 4 else heights
    wall = rng.uniform(0.5, 1.1)
    density = log_uniform(rng, 0.3, 0.95)
    outer, inner, gaps = [], [], []
    blood = tube.tissue
    turn = rng.uniform(0, 2 * np.pi)
    for z in heights:
        point, direction = places.path_at(tube, float(z))
        radius = max(float(tube.at(float(z))[1].mean()), 1.2)
        axes = places.frame(direction, np.array([0.0, 1, 0]))
        outer.append((point, np.array([1.3, radius + wall / 2, radius + wall / 2]), axes))
        inner.append((point, np.array([1.9, radius - wall / 2, radius - wall / 2]), axes))
        if rng.random() < 0.5:
            angle = turn + rng.normal(0, 0.9)
            side = axes[1] * np.cos(angle) + axes[2] * np.sin(angle)
            gaps.append((point + side * radius, np.array([1.4, 0.9, 0.9]) * radius * 0.6, axes))
    parts = [
        _many(outer, density * rng.uniform(0.7, 1.2, len(outer)), None),
        _many(gaps, 0.0, None) if gaps else None,
        _many(inner, 0.0, blood),
    ]
    solid = joined([p for p in parts if p is not None])
    return Lesion(
        ("vascular_tram_track",),
        "vascular_tram_track",
        solid,
        solid.box(),
        rough_mm=0.2,
        grain=0.25,
    )


def _many(
    items: list[tuple[Float, Float, Float]], density: Float | float, tissue: str | None
) -> Solids:
    centre, radii, axes = (np.array(values) for values in zip(*items, strict=True))
    return solids(centre, radii, density, tissue=tissue, axes=axes, edge=0.2)


def crescentic(rng: Rng, segment: Segment, size: float) -> Lesion:
    """A crescent or serpiginous line in the soft tissue."""
    near = places.under_skin if rng.random() < 0.4 else places.in_muscle
    place = near(rng, segment, 6.0)
    t = np.linspace(0, 1, int(np.clip(size * 1.6, 24, 110)))
    if rng.random() < 0.5:  # an arc
        sweep = rng.uniform(1.5, 4.2)
        radius = size / 2 / max(np.sin(min(sweep, np.pi) / 2), 0.3)
        flat = (
            np.stack([np.sin((t - 0.5) * sweep), np.cos((t - 0.5) * sweep) - 1, 0 * t], 1) * radius
        )
    else:  # a coil or a wavy line
        waves, swing = rng.uniform(1.0, 3.5), rng.uniform(0.10, 0.28)
        flat = size * np.stack(
            [
                t - 0.5,
                swing * np.sin(2 * np.pi * waves * t),
                0.5 * swing * np.cos(2 * np.pi * waves * t),
            ],
            1,
        )
    flat += np.cumsum(rng.normal(0, 0.06, flat.shape), 0)
    # Across the limb, along it, or anyhow: the worm lies as it likes.
    kind = rng.random()
    turn = (
        np.eye(3)[[2, 1, 0]]
        if kind < 0.45
        else np.eye(3)[[0, 2, 1]]
        if kind < 0.8
        else places.turned(rng)
    )
    points = placed(place, (flat - flat.mean(0)) @ turn)
    thick = rng.uniform(0.5, 1.4) * (1 + 0.4 * np.sin(np.pi * t))[:, None]
    broken = np.sin(t * rng.uniform(6, 30) + rng.uniform(0, 6)) > rng.uniform(-1.4, -0.4)
    broken[:3] = True
    solid = solids(points[broken], thick[broken], log_uniform(rng, 0.25, 0.9), edge=0.3)
    return Lesion(("crescentic",), "crescentic", solid, solid.box(), rough_mm=0.2, grain=0.2)


def linear_chondral(rng: Rng, segment: Segment, size: float) -> Lesion:
    """A thin line parallel to a joint surface, in its cartilage."""
    bone = segment.bones[rng.integers(len(segment.bones))]
    upper = bone.z.mean() > 0
    end = bone.z[0] if upper else bone.z[-1]
    side = 1 if upper else -1
    flat = rng.random() < 0.35
    away, thin = rng.uniform(1.2, 2.4), rng.uniform(0.35, 0.7)
    centre, radius = bone.at(end + 12 * side)
    reach = float(radius.mean())
    half = min(size / 2 / reach, 1.6)
    angles = rng.uniform(0, 2 * np.pi) + np.arange(-half, half, 0.9 / reach)
    angles = angles[
        np.sin(np.arange(len(angles)) * rng.uniform(0.05, 0.3)) > rng.uniform(-1.3, -0.6)
    ]
    points, normals = [], []
    if flat:  # over the bone's end: a line when seen from the side
        for share in np.arange(rng.uniform(0.6, 0.8), 0.97, 1.2 / reach):
            ring = centre[0] + share * reach * np.stack([np.sin(angles), np.cos(angles)], 1)
            points += [np.array([end - side * away, *p]) for p in ring]
            normals += [np.array([1.0, 0.0, 0.0])] * len(ring)
    else:  # along the bone's side: a line in an axial plane
        for z in end + side * np.arange(rng.uniform(3, 5), rng.uniform(6, 14), 1.0):
            for angle in angles:
                point, normal = bone.surface(float(z), float(angle))
                points.append(point + normal * away)
                normals.append(normal)
    count = len(points)
    solid = plates(
        rng, np.array(points), np.array(normals), np.tile([0.2, 0.7, 0.7], (count, 1)),
        wide=np.full(count, rng.uniform(0.9, 1.3)), thin=np.full(count, thin),
        density=log_uniform(rng, 0.3, 0.8),
    )  # fmt: skip
    return Lesion(
        ("linear_chondral",), "linear_chondral", solid, solid.box(), rough_mm=0.15, grain=0.2
    )
