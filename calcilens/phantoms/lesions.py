"""Lesions that are lumps: nodules, clumps, points and shells.

What each pattern looks like: docs/clinical-basis.md. Densities are g/cm3 of hydroxyapatite;
0.1 is about 170 HU at 120 kVp. A box always holds what the pattern is told by: of a nodule with
mineral in its middle, the nodule.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from calcilens.phantoms import places
from calcilens.phantoms.forms import (
    Nodule,
    fitting,
    log_uniform,
    mass_around,
    nodule,
    placed,
    shape,
    within,
)
from calcilens.phantoms.places import Place
from calcilens.phantoms.scene import Lesion
from calcilens.phantoms.segment import Rng, Segment
from calcilens.phantoms.solids import Float, Solids, joined, solids

_BITE_MM = 2.0
"""A lesion that reaches this deep into bone destroys it, if it is one that does."""


def with_mass(rng: Rng, lesion: Lesion, place: Place, radii: Float) -> Lesion:
    """Return a lesion with an ill-defined mass around it, which the box holds or not."""
    around = mass_around(rng, place.point, place.axes, radii)
    box = joined([around, lesion.parts]).box() if rng.random() < 0.35 else lesion.box
    return replace(lesion, parts=joined([around, lesion.parts]), box=box, mass=True)


def _wide(rng: Rng, segment: Segment, size: float) -> Place:
    """Return a place with room, turned at random."""
    found = places.anywhere(rng, segment, size / 2)
    return Place(found.point, places.turned(rng), found.room_mm)


def diffuse(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Draw a lump that is mineral throughout."""
    place = _wide(rng, segment, size)
    size = fitting(place, size)
    radii = shape(rng, size / 2)
    density = log_uniform(rng, 0.12, 0.85)
    lobes = placed(place, within(rng, int(rng.integers(0, 5)), 0.1, 0.5) * radii)
    parts = [solids(place.point, radii, density, tissue="tumour", axes=place.axes, edge=0.2)]
    if len(lobes):
        parts.append(solids(lobes, radii * 0.6, density, tissue="tumour", axes=place.axes))
    solid = joined(parts)
    return Lesion(
        ("diffuse",), "diffuse", solid, solid.box(),
        rough_mm=size * rng.uniform(0, 0.05), grain=rng.uniform(0.03, 0.18),
    )  # fmt: skip


def central(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Draw a dense nidus in the middle of a nodule; at times it fades outwards: a concern."""
    host = nodule(rng, segment, size)
    fading = host.size_mm > 15 and rng.random() < 0.3
    density = log_uniform(rng, 0.25, 0.9)
    share = rng.uniform(0.25, 0.5)
    middle = placed(host.place, within(rng, 1, 0, 0.08) * host.radii)
    steps = np.linspace(0.95, share, 6) if fading else np.array([share])
    fade = np.linspace(0.08, 1, 6) ** 1.5 if fading else np.ones(1)
    nidus = solids(
        np.repeat(middle, len(steps), 0), steps[:, None] * host.radii, density * fade,
        axes=host.place.axes, edge=0.35 if fading else 0.25,
    )  # fmt: skip
    return Lesion(
        ("central",), "central", host.with_mineral(nidus), host.body.box(), reversed_zones=fading,
        mass=fading, rough_mm=host.size_mm * 0.02, grain=0.1,
    )  # fmt: skip


def eccentric(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Draw mineral off centre inside a soft-tissue lesion."""
    host, erosion = _maligned(rng, segment, nodule(rng, segment, size, lobes=3))
    side = within(rng, 1, 0.55, 0.8)
    count = int(rng.integers(1, 4))
    at = placed(host.place, (side + within(rng, count, 0, 0.16)) * host.radii)
    radius = host.size_mm / 2 * rng.uniform(0.1, 0.22, (count, 1))
    nidus = solids(
        at, np.maximum(radius, 0.7) * np.exp(rng.normal(0, 0.25, (count, 3))),
        log_uniform(rng, 0.2, 0.8), edge=0.25,
    )  # fmt: skip
    return Lesion(
        ("eccentric",), "eccentric", host.with_mineral(nidus), host.body.box(), mass=True,
        erosion=erosion, rough_mm=host.size_mm * 0.03,
    )  # fmt: skip


def _maligned(rng: Rng, segment: Segment, host: Nodule) -> tuple[Nodule, bool]:
    """Return a nodule, at times moved against a bone that it destroys, and whether it does."""
    if segment.lungs or rng.random() > 0.2:
        return host, False
    place = places.on_bone(rng, segment, 0.3 * host.size_mm)
    moved = host.body.posed(np.eye(3), place.point - host.place.point)
    place = replace(host.place, point=place.point)
    return Nodule(place, host.radii, moved), bites(segment, moved)


def bites(segment: Segment, parts: Solids) -> bool:
    """Return whether soft tissue or mineral reaches well into a bone."""
    depth = [
        r.min() - segment.bone_clearance(c) for c, r in zip(parts.centre, parts.radii, strict=True)
    ]
    return bool(max(depth) > _BITE_MM)


def laminated(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Draw concentric shells."""
    place = _wide(rng, segment, size)
    size = fitting(place, size, 9.0)
    radii = shape(rng, size / 2, 0.15)
    shells = int(np.clip(round(rng.uniform(2, 2 + size / 12)), 2, 5))
    density, lucent = log_uniform(rng, 0.3, 0.9), rng.uniform(0.0, 0.05)
    edges = np.linspace(1, 0.12, 2 * shells) + rng.normal(0, 0.01, 2 * shells)
    value = np.where(np.arange(2 * shells) % 2, lucent, density * rng.uniform(0.8, 1.1, 2 * shells))
    solid = solids(
        np.tile(place.point, (2 * shells, 1)), edges[:, None] * radii, value,
        tissue="tumour", axes=place.axes, edge=0.05,
    )  # fmt: skip
    return Lesion(
        ("laminated",), "laminated", solid, solid.box(), rough_mm=size * 0.015, grain=0.08
    )


def popcorn(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Draw coarse rounded clumps that run together in a lobulated body."""
    host = nodule(rng, segment, size, lobes=int(rng.integers(2, 6)))
    seeds = within(rng, int(rng.integers(2, 5)), 0.0, 0.5)
    count = int(rng.integers(9, 22))
    near = seeds[rng.integers(len(seeds), size=count)] + within(rng, count, 0.0, 0.4)
    clump = host.size_mm / 2 * rng.uniform(0.13, 0.26, (count, 1))
    dense = solids(
        placed(host.place, near * host.radii), clump * np.exp(rng.normal(0, 0.15, (count, 3))),
        log_uniform(rng, 0.25, 0.8) * rng.uniform(0.7, 1.2, count),
        axes=places.turned(rng), edge=0.3,
    )  # fmt: skip
    box = host.body.box() if rng.random() < 0.5 else dense.box()
    lesion = Lesion(
        ("popcorn",), "popcorn", host.with_mineral(dense), box, rough_mm=host.size_mm * 0.03
    )
    if segment.lungs or rng.random() > 0.15:
        return lesion
    return with_mass(rng, lesion, host.place, host.radii)


def stippled(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Draw many fine points in a mass."""
    near = places.in_lung if segment.lungs else places.in_muscle
    found = near(rng, segment, size / 2)
    size = fitting(found, size, 10.0)
    place = Place(found.point, places.turned(rng), found.room_mm)
    radii = shape(rng, size / 2, 0.2)
    body = solids(place.point, radii * 1.08, 0, tissue="tumour", axes=place.axes, edge=0.15)
    host, erosion = _maligned(rng, segment, Nodule(place, radii, body))
    count = int(np.clip(rng.uniform(2.0, 5.0) * size, 30, 150))
    at = placed(host.place, within(rng, count, 0, 0.92) * radii)
    point_mm = rng.uniform(0.4, 0.8) * (1 + size / 100)
    points = solids(
        at, point_mm * np.exp(rng.normal(0, 0.25, (count, 1))), rng.uniform(0.5, 1.2, count),
        edge=0.5,
    )  # fmt: skip
    mass = erosion or rng.random() < 0.8
    solid = host.with_mineral(points) if mass else points
    return Lesion(
        ("stippled",), "stippled", solid, points.box(), mass=mass, erosion=erosion, grain=0.0
    )


def peripheral_zonal(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Draw a mature rim around a lucent or fatty centre, in or beside muscle."""
    place = places.in_muscle(rng, segment, size / 2)
    size = fitting(place, size)
    radii = shape(rng, size / 2, 0.3)
    axes = places.frame(place.axes[0], places.turned(rng)[0])
    place = replace(place, axes=axes)
    mature = rng.random()
    rim = rng.uniform(0.10, 0.24) * radii.min() + 0.4
    density = 0.18 + 0.7 * mature * rng.uniform(0.5, 1)
    core = "marrow" if mature > 0.6 else ("oedema" if mature < 0.3 else "fat")
    inner = np.maximum(radii - rim, 0.3 * radii)
    edge = 0.5 - 0.35 * mature
    parts = [
        solids(place.point, radii, density, tissue="fascia", axes=axes, edge=edge),
        solids(place.point, inner, 0.10 * mature, tissue=core, axes=axes, edge=0.15),
    ]
    if mature < 0.75:  # a young rim has gaps
        gaps = placed(place, within(rng, int(rng.integers(1, 4)), 0.95, 1.0) * radii)
        parts.append(solids(gaps, radii * 0.3, 0.02, tissue="oedema", axes=axes, edge=0.4))
    if rng.random() < 0.5:
        parts.append(_trabeculae(rng, place, inner, density))
    solid = joined(parts)
    lesion = Lesion(
        ("peripheral_zonal",), "peripheral_zonal", solid, solid.box(), rough_mm=size * 0.04,
        grain=0.25,
    )  # fmt: skip
    swollen = mature < 0.4 and rng.random() < 0.5
    return with_mass(rng, lesion, place, radii) if swollen else lesion


def _trabeculae(rng: Rng, place: Place, inner: Float, density: float) -> Solids:
    """Return thin plates of bone inside a rim."""
    count = int(rng.integers(4, 12))
    at = placed(place, within(rng, count, 0.2, 0.8) * inner)
    flat = inner.min() * np.array([0.5, 0.08, 0.3])
    return solids(at, flat, density * 0.5, axes=places.turned(rng))


def lobulated(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Draw a multilobulated, cystic mass beside a joint, its mineral settled in layers."""
    place = places.by_joint(rng, segment, size / 2)
    spread = shape(rng, size / 2, 0.3)
    count = int(rng.integers(9, 20))
    lobe = size / 2 * rng.uniform(0.22, 0.42, count)
    at = placed(place, within(rng, count, 0, 0.72) * spread)
    density = log_uniform(rng, 0.2, 0.75)
    layered = rng.random() < 0.45
    lobes = [
        _lobe(rng, point, radius, density, layered=layered)
        for point, radius in zip(at, lobe, strict=True)
    ]
    solid = joined([part for parts in lobes for part in parts])
    return Lesion(("lobulated",), "lobulated", solid, solid.box(), rough_mm=size * 0.02, grain=0.25)


def _lobe(rng: Rng, point: Float, radius: float, density: float, *, layered: bool) -> list[Solids]:
    """Return one lobe: solid, or a cyst with thin milk of calcium, or with a level of it."""
    radii = radius * np.exp(rng.normal(0, 0.12, 3))
    wall = solids(point, radii, density * rng.uniform(0.8, 1.1), tissue="fascia", edge=0.12)
    if rng.random() > 0.6:
        return [wall]
    inside = radii - max(0.5, 0.1 * radius)
    fill = density * rng.uniform(0.05, 0.35) * (0.3 if layered else 1.0)
    cyst = solids(point, inside, fill, tissue="fluid", edge=0.1)
    if not layered:
        return [wall, cyst]
    sediment = density * rng.uniform(0.7, 1.2)
    level = radius * rng.uniform(-0.3, 0.4)
    return [wall, cyst, solids(point, inside, sediment, tissue="fluid", edge=0.05, level=level)]


def rings_and_arcs(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Draw chondroid matrix: rings, arcs and dots around lobules of cartilage."""
    near = places.by_joint if segment.joint else places.in_muscle
    found = near(rng, segment, size / 2)
    size = fitting(found, size)
    place = Place(found.point, places.turned(rng), found.room_mm)
    radii = shape(rng, size / 2, 0.2)
    body = solids(place.point, radii * 1.12, 0, tissue="cartilage", axes=place.axes)
    host, erosion = _maligned(rng, segment, Nodule(place, radii, body))
    mass = erosion or rng.random() < 0.7
    count = int(np.clip(rng.uniform(0.4, 0.9) * size, 6, 36))
    lobule = np.clip(size * rng.uniform(0.06, 0.12), 1.5, 5.0)
    at = placed(host.place, within(rng, count, 0, 0.85) * radii)
    density, rim = log_uniform(rng, 0.3, 0.9), rng.uniform(0.16, 0.28)
    matrix = joined([ring for point in at for ring in _ring(rng, point, lobule, density, rim)])
    solid = host.with_mineral(matrix) if mass else matrix
    box = solid.box() if mass and rng.random() < 0.3 else matrix.box()
    return Lesion(
        ("rings_and_arcs",), "rings_and_arcs", solid, box, mass=mass, erosion=erosion,
        rough_mm=size * 0.01, grain=0.1,
    )  # fmt: skip


def _ring(rng: Rng, point: Float, radius: float, density: float, rim: float) -> list[Solids]:
    """Return a shell around a lobule of cartilage, or an arc: a shell of which a part is gone."""
    r = radius * np.exp(rng.normal(0, 0.25, 3))
    inside = r * (1 - rim)
    parts = [
        solids(point, r, density * rng.uniform(0.7, 1.2), tissue="cartilage", edge=0.12),
        solids(point, inside, 0.02, tissue="cartilage", edge=0.12),
    ]
    if rng.random() < 0.55:
        side = within(rng, 1, 0.99, 1.0) * r
        parts.append(solids(point + side, r * rng.uniform(0.6, 0.95), 0.0, edge=0.2))
    return parts


def cloud_like(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Draw a homogeneous cloud with a soft border in a tendon near its end."""
    place = places.in_tendon(rng, segment)
    long = size / 2
    radii = np.array([long, long * rng.uniform(0.3, 0.55), long * rng.uniform(0.45, 0.85)])
    count = int(rng.integers(2, 6))
    at = placed(place, within(rng, count, 0, 0.6) * radii * 0.8)
    density = log_uniform(rng, 0.12, 0.5)
    puffs = solids(
        at, radii * rng.uniform(0.45, 0.7, (count, 1)), density, axes=place.axes, tissue="tendon",
        edge=rng.uniform(0.5, 0.9),
    )  # fmt: skip
    main = solids(place.point, radii * 0.85, density, axes=place.axes, tissue="tendon", edge=0.7)
    solid = joined([puffs, main])
    return Lesion(
        ("cloud_like",), "cloud_like", solid, solid.box(), rough_mm=size * 0.04, grain=0.05
    )
