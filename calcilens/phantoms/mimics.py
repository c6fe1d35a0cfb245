"""What is not a calcification but may be taken for one; truth: `absent`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from calcilens.phantoms import places
from calcilens.phantoms.forms import fitting, placed, shape, within
from calcilens.phantoms.places import Place
from calcilens.phantoms.scene import Lesion
from calcilens.phantoms.segment import Rng, Segment
from calcilens.phantoms.solids import Float, Solids, joined, solids


def _absent(kind: str, parts: Solids, *, mass: bool = False, box: Float | None = None) -> Lesion:
    where = parts.box() if box is None else box
    return Lesion((), kind, parts, where, mass=mass, rough_mm=0.2, grain=0.0)


def _bony(point: Float, radii: Float, axes: Float, cortex_mm: float) -> Solids:
    """Return a piece of bone: a shell of cortex around trabecular bone."""
    outer = solids(point, radii, 0, tissue="cortex", axes=axes, edge=0.08)
    inner = solids(
        point, np.maximum(radii - cortex_mm, 0.3), 0, tissue="trabecular", axes=axes, edge=0.05
    )
    return joined([outer, inner])


def bone_fragment(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Draw an angular piece of bone beside a bone, in a haematoma."""
    size = min(size, 25.0)
    radii = size / 2 * np.array([1.0, rng.uniform(0.35, 0.7), rng.uniform(0.5, 0.9)])
    place = places.on_bone(rng, segment, float(radii[1]) + rng.uniform(0.8, 5.0))
    turned = replace(place, axes=places.turned(rng))
    whole = _bony(turned.point, radii, turned.axes, float(np.clip(0.12 * size, 0.6, 1.4)))
    # Balls of blood cut its sides off, so that corners are left and cortex is broken.
    ball = 0.6 * size
    sides = within(rng, 5, 0.999, 1.0) * (rng.uniform(0.35, 0.8, (5, 1)) * radii + ball)
    blood = solids(placed(turned, sides), ball, 0, tissue="oedema", edge=0.02)
    return _absent("bone_fragment", joined([whole, blood]), box=whole.box())


def sesamoid(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Draw a smooth small bone in or near a tendon."""
    place = places.in_tendon(rng, segment)
    radii = shape(rng, min(size, 22.0) / 2, 0.25)
    parts = _bony(place.point, radii, place.axes, float(np.clip(0.14 * radii.min(), 0.6, 1.5)))
    return _absent("sesamoid", parts)


def contrast_vessel(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Draw a vessel full of contrast medium."""
    tube, z = places.on_vessel(rng, segment, size, vein=rng.random() < 0.3)
    z = float(np.clip(z, -40, 40))
    heights = np.arange(z - size / 2, z + size / 2 + 0.1, 1.0)
    middle, radius = tube.at(heights)
    centre = np.column_stack([heights, middle])
    across = np.maximum(radius.mean(1), 1.2)
    radii = np.stack([np.full(len(heights), 1.4), across, across], 1)
    return _absent("contrast_vessel", solids(centre, radii, 0, tissue="contrast_blood", edge=0.1))


def metal(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Draw a clip, pellet, screw or wire."""
    place = places.in_muscle(rng, segment, 6)
    tissue = str(rng.choice(["steel", "titanium"]))
    long = min(size, 45.0) / 2
    kind = rng.integers(3)
    if kind == 0:
        radii = np.full(3, min(long, 4.0))
    elif kind == 1:
        radii = np.array([long, rng.uniform(0.4, 1.0), rng.uniform(0.4, 1.0)])
    else:
        radii = np.array([long, 2.0, 2.0]) * rng.uniform(0.8, 1.4, 3)
    return _absent(
        "metal", solids(place.point, radii, 0, tissue=tissue, axes=places.turned(rng), edge=0.05)
    )


def foreign_body(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Draw a splinter of glass, wood or plastic under the skin."""
    place = places.under_skin(rng, segment, 4)
    tissue = str(rng.choice(["glass", "glass", "wood", "plastic"]))
    long = min(size, 25.0) / 2
    radii = long * np.array([1.0, rng.uniform(0.12, 0.35), rng.uniform(0.15, 0.6)])
    main = solids(place.point, radii, 0, tissue=tissue, axes=places.turned(rng), edge=0.03)
    return _absent("foreign_body", main)


def plain_mass(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Draw a soft-tissue mass without mineral: of concern, but no calcification."""
    place = places.anywhere(rng, segment, size / 2)
    size = max(fitting(place, size), 8.0)
    radii, axes = shape(rng, size / 2), places.turned(rng)
    lobes = placed(Place(place.point, axes, 0), within(rng, 4, 0.2, 0.6) * radii)
    parts = joined(
        [
            solids(place.point, radii, 0, tissue="tumour", axes=axes),
            solids(lobes, radii * 0.6, 0, tissue="tumour", axes=axes),
        ]
    )
    return _absent("plain_mass", parts, mass=size > 15)


def nothing(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Draw a box around nothing in particular."""
    place = places.anywhere(rng, segment, size / 2)
    half = shape(rng, size / 2)
    empty = solids(place.point, half, 0)
    return _absent("nothing", empty)


def bone_edge(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Draw a box on the edge of a bone, as a search may propose it."""
    half = shape(rng, min(size, 30.0) / 2)
    return _absent("bone_edge", solids(places.on_bone(rng, segment, 0.0).point, half, 0))


def enthesophyte(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Draw a spur that grows out of a bone."""
    root = places.on_bone(rng, segment, 0.0)
    long = min(size, 20.0)
    lean = root.axes[1] + np.array([rng.normal(0, 0.4), 0, 0])
    axes = places.frame(lean, root.axes[0])
    bend = axes[1] * rng.normal(0, 0.12) + axes[2] * rng.normal(0, 0.12)
    broad = long * rng.uniform(0.2, 0.34)
    t = np.linspace(0, 1, 6)[:, None]
    path = root.point + long * (t * axes[0] + t**2 * bend)
    wide = broad * (1.0 - 0.75 * t) * np.array([1.0, 1.0, 1.3]) + np.array([0.12 * long, 0, 0])
    cortex = solids(path, wide, 0, tissue="cortex", axes=axes, edge=0.05)
    inside = solids(path, np.maximum(wide - 1.0, 0.2), 0, tissue="trabecular", axes=axes, edge=0.05)
    return _absent("enthesophyte", joined([cortex, inside]), box=cortex.box())


def streak(rng: Rng, segment: Segment, size: float) -> Lesion:
    """Draw a box beside metal, where streaks run."""
    place = places.in_muscle(rng, segment, 8)
    rod = solids(place.point, [18.0, 3.0, 3.0], 0, tissue="steel", axes=np.eye(3), edge=0.05)
    angle = rng.uniform(0, 2 * np.pi)
    away = rng.uniform(7, 15)
    middle = place.point + away * np.array([0.0, np.sin(angle), np.cos(angle)])
    half = shape(rng, min(size, 18.0) / 2)
    return _absent("streak", rod, box=np.stack([middle - half, middle + half]))
