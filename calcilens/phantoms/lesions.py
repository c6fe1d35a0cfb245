"""Lesions that are lumps: nodules, clumps, points and shells.

What each pattern looks like: docs/clinical-basis.md. Densities are g/cm3 of hydroxyapatite;
0.1 is about 170 HU at 120 kVp.
"""

from __future__ import annotations

import numpy as np

from calcilens.phantoms import places
from calcilens.phantoms.forms import (
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


def _lump(
    rng: Rng,
    key: str,
    place: Place,
    parts: list[Solids],
    radii: Float,
    *,
    mass: bool,
    **more: object,
) -> Lesion:
    """Make a lesion of parts around a place, with a mass where it has one."""
    solid = joined(parts)
    box = solid.box()
    if mass:
        solid = joined([mass_around(rng, place.point, place.axes, radii), solid])
        box = _either_box(rng, solid.box(), box)
    return Lesion((key,), key, solid, box, mass=mass, **more)  # type: ignore[arg-type]


def _either_box(rng: Rng, whole: Float, mineral: Float) -> Float:
    """Return what a reader boxes: mostly the mineral, at times the whole mass."""
    return whole if rng.random() < 0.35 else mineral


def diffuse(rng: Rng, segment: Segment, size: float) -> Lesion:
    """A lump that is mineral throughout."""
    place = places.anywhere(rng, segment, size / 2)
    size = fitting(place, size)
    radii = shape(rng, size / 2)
    axes = places.turned(rng)
    density = log_uniform(rng, 0.12, 0.85)
    lobes = placed(
        Place(place.point, axes, 0), within(rng, int(rng.integers(0, 5)), 0.1, 0.5) * radii
    )
    parts = [solids(place.point, radii, density, tissue="tumour", axes=axes, edge=0.2)]
    if len(lobes):
        parts.append(solids(lobes, radii * 0.6, density, tissue="tumour", axes=axes))
    return _lump(
        rng, "diffuse", place, parts, radii, mass=size > 12 and rng.random() < 0.15,
        rough_mm=size * rng.uniform(0, 0.05), grain=rng.uniform(0.03, 0.18),
    )  # fmt: skip


def central(rng: Rng, segment: Segment, size: float) -> Lesion:
    """A dense nidus in the middle of a nodule; at times fading outwards, which is concerning."""
    place, radii, axes, body = nodule(rng, segment, size)
    size = 2 * float(radii.max())
    fading = size > 15 and rng.random() < 0.3
    density = log_uniform(rng, 0.25, 0.9)
    share = rng.uniform(0.22, 0.45)
    parts = [body]
    if fading:
        steps = np.linspace(0.95, share, 6)
        for step, fade in zip(steps, np.linspace(0.08, 1, 6) ** 1.5, strict=True):
            parts.append(solids(place.point, radii * step, density * fade, axes=axes, edge=0.35))
    else:
        off = placed(Place(place.point, axes, 0), within(rng, 1, 0, 0.08) * radii)
        parts.append(solids(off, radii * share, density, axes=axes, edge=0.25))
    solid = joined(parts)
    nidus = parts[-1].box()
    box = solid.box() if fading or rng.random() < 0.65 else nidus
    return Lesion(
        ("central",), "central", solid, box, reversed_zones=fading,
        mass=fading, rough_mm=size * 0.02, grain=0.1,
    )  # fmt: skip


def eccentric(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Mineral off centre inside a soft-tissue lesion."""
    place, radii, axes, body = nodule(rng, segment, size)
    size = 2 * float(radii.max())
    lobes = placed(Place(place.point, axes, 0), within(rng, 3, 0.3, 0.6) * radii)
    soft = [body, solids(lobes, radii * 0.65, 0, tissue="tumour", axes=axes)]
    side = within(rng, 1, 0.55, 0.8)
    count = int(rng.integers(1, 4))
    at = placed(Place(place.point, axes, 0), (side + within(rng, count, 0, 0.16)) * radii)
    nidus = solids(
        at, size / 2 * rng.uniform(0.1, 0.22, (count, 1)) * np.exp(rng.normal(0, 0.25, (count, 3))),
        log_uniform(rng, 0.15, 0.8), edge=0.25,
    )  # fmt: skip
    solid = joined([*soft, nidus])
    box = solid.box() if rng.random() < 0.7 else nidus.box()
    return Lesion(("eccentric",), "eccentric", solid, box, mass=True, rough_mm=size * 0.03)


def laminated(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Concentric shells."""
    place = places.anywhere(rng, segment, size / 2)
    size = fitting(place, size)
    radii, axes = shape(rng, size / 2, 0.15), places.turned(rng)
    shells = int(np.clip(round(rng.uniform(2, 2 + size / 8)), 2, 6))
    density, lucent = log_uniform(rng, 0.25, 0.9), rng.uniform(0.0, 0.05)
    edges = np.sort(np.linspace(1, 0.12, 2 * shells) + rng.normal(0, 0.015, 2 * shells))[::-1]
    parts = []
    for i, edge in enumerate(edges):
        dense = i % 2 == 0
        value = density * rng.uniform(0.75, 1.1) if dense else lucent
        parts.append(
            solids(place.point, radii * edge, value, tissue="tumour", axes=axes, edge=0.05)
        )
    return _lump(
        rng, "laminated", place, parts, radii, mass=False, rough_mm=size * 0.02, grain=0.08
    )


def popcorn(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Coarse rounded clumps in a lobulated body."""
    place, radii, axes, body = nodule(rng, segment, size)
    size = 2 * float(radii.max())
    count = int(rng.integers(5, 15))
    at = placed(Place(place.point, axes, 0), within(rng, count, 0.0, 0.75) * radii)
    clump = size / 2 * rng.uniform(0.16, 0.34, (count, 1)) * np.exp(rng.normal(0, 0.15, (count, 3)))
    dense = solids(
        at, clump, log_uniform(rng, 0.2, 0.8) * rng.uniform(0.7, 1.2, count),
        axes=places.turned(rng), edge=0.3,
    )  # fmt: skip
    box = body.box() if rng.random() < 0.5 else dense.box()
    return Lesion(("popcorn",), "popcorn", joined([body, dense]), box, rough_mm=size * 0.035)


def stippled(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Many fine points in a mass."""
    place = (
        places.in_muscle(rng, segment, size / 2)
        if not segment.lungs
        else places.in_lung(rng, segment, size / 2)
    )
    size = fitting(place, size)
    radii, axes = shape(rng, size / 2, 0.2), places.turned(rng)
    count = int(np.clip(rng.uniform(0.8, 2.5) * size, 12, 110))
    at = placed(Place(place.point, axes, 0), within(rng, count, 0, 0.92) * radii)
    point_mm = rng.uniform(0.35, 0.75) * (1 + size / 120)
    points = solids(
        at,
        point_mm * np.exp(rng.normal(0, 0.25, (count, 1))),
        rng.uniform(0.4, 1.1, count),
        edge=0.5,
    )
    mass = rng.random() < 0.8
    soft = (
        [solids(place.point, radii * 1.08, 0, tissue="tumour", axes=axes, edge=0.15)]
        if mass
        else []
    )
    return Lesion(
        ("stippled",), "stippled", joined([*soft, points]), points.box(), mass=mass, rough_mm=0
    )


def peripheral_zonal(rng: Rng, segment: Segment, size: float) -> Lesion:
    """A mature rim around a lucent or fatty centre, in or beside muscle."""
    place = places.in_muscle(rng, segment, size / 2)
    size = fitting(place, size)
    radii = shape(rng, size / 2, 0.3)
    axes = places.frame(place.axes[0], places.turned(rng)[0])
    mature = rng.random()
    rim = rng.uniform(0.10, 0.24) * radii.min() + 0.4
    density = 0.18 + 0.7 * mature * rng.uniform(0.5, 1)
    core = "marrow" if mature > 0.6 else ("oedema" if mature < 0.3 else "fat")
    inner = np.maximum(radii - rim, 0.3 * radii)
    parts = [
        solids(place.point, radii, density, tissue="fascia", axes=axes, edge=0.5 - 0.35 * mature)
    ]
    parts.append(solids(place.point, inner, 0.10 * mature, tissue=core, axes=axes, edge=0.15))
    if mature < 0.75:  # a young rim has gaps
        gaps = placed(
            Place(place.point, axes, 0), within(rng, int(rng.integers(1, 4)), 0.95, 1.0) * radii
        )
        parts.append(solids(gaps, radii * 0.3, 0.02, tissue="oedema", axes=axes, edge=0.4))
    if rng.random() < 0.5:  # trabeculae inside
        count = int(rng.integers(4, 12))
        at = placed(Place(place.point, axes, 0), within(rng, count, 0.2, 0.8) * inner)
        parts.append(
            solids(
                at, inner.min() * np.array([0.5, 0.08, 0.3]), density * 0.5, axes=places.turned(rng)
            )
        )
    swollen = mature < 0.4 and rng.random() < 0.5
    return _lump(
        rng, "peripheral_zonal", place, parts, radii, mass=swollen, rough_mm=size * 0.04, grain=0.25
    )


def lobulated(rng: Rng, segment: Segment, size: float) -> Lesion:
    """A multilobulated, cystic mass beside a joint, its mineral settled in layers."""
    place = places.by_joint(rng, segment, size / 2)
    spread = shape(rng, size / 2, 0.3)
    count = int(rng.integers(6, 18))
    lobe = size / 2 * rng.uniform(0.22, 0.42, count)
    at = placed(place, within(rng, count, 0, 0.72) * spread)
    density = log_uniform(rng, 0.2, 0.75)
    layered = rng.random() < 0.45
    parts = []
    for point, radius in zip(at, lobe, strict=True):
        radii = radius * np.exp(rng.normal(0, 0.12, 3))
        cystic = rng.random() < 0.6
        parts.append(
            solids(point, radii, density * rng.uniform(0.8, 1.1), tissue="fascia", edge=0.12)
        )
        if cystic:
            fill = density * rng.uniform(0.05, 0.35)
            parts.append(
                solids(point, radii - max(0.5, 0.1 * radius), fill, tissue="fluid", edge=0.1)
            )
            if layered:
                level = radius * rng.uniform(-0.3, 0.4)
                settled = density * rng.uniform(0.7, 1.2)
                parts.append(
                    solids(
                        point,
                        radii - max(0.5, 0.1 * radius),
                        settled,
                        tissue="fluid",
                        edge=0.05,
                        level=level,
                    )
                )
    solid = joined(parts)
    return Lesion(("lobulated",), "lobulated", solid, solid.box(), rough_mm=size * 0.02, grain=0.25)


def rings_and_arcs(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Chondroid matrix: rings, arcs and dots around lobules of cartilage."""
    near = places.by_joint if segment.joint else places.in_muscle
    place = near(rng, segment, size / 2)
    size = fitting(place, size)
    radii, axes = shape(rng, size / 2, 0.2), places.turned(rng)
    count = int(np.clip(rng.uniform(0.35, 0.8) * size, 5, 32))
    lobule = np.clip(size * rng.uniform(0.07, 0.13), 1.4, 6.0)
    at = placed(Place(place.point, axes, 0), within(rng, count, 0, 0.85) * radii)
    mass = rng.random() < 0.7
    parts = [solids(place.point, radii * 1.12, 0, tissue="cartilage", axes=axes)] if mass else []
    density, rim = log_uniform(rng, 0.3, 0.9), rng.uniform(0.16, 0.28)
    first = len(parts)
    for point in at:
        r = lobule * np.exp(rng.normal(0, 0.25, 3))
        parts.append(
            solids(point, r, density * rng.uniform(0.7, 1.2), tissue="cartilage", edge=0.12)
        )
        inside = r * (1 - rim)
        parts.append(solids(point, inside, 0.02, tissue="cartilage", edge=0.12))
        if rng.random() < 0.55:  # an arc: part of the ring is missing
            side = within(rng, 1, 0.99, 1.0) * r
            parts.append(solids(point + side, r * rng.uniform(0.6, 0.95), 0.0, edge=0.2))
    solid = joined(parts)
    erosion = segment.joint and rng.random() < 0.2
    box = joined(parts[first:]).box() if rng.random() < 0.7 else solid.box()
    return Lesion(
        ("rings_and_arcs",), "rings_and_arcs", solid, box, mass=mass, erosion=erosion,
        rough_mm=size * 0.01, grain=0.1,
    )  # fmt: skip


def cloud_like(rng: Rng, segment: Segment, size: float) -> Lesion:
    """A homogeneous cloud with a soft border in a tendon near its end."""
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
