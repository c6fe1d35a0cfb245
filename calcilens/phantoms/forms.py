"""Building blocks of lesions: half axes, points, nodules and the masses around them."""

from __future__ import annotations

import numpy as np

from calcilens.phantoms import places
from calcilens.phantoms.places import Place
from calcilens.phantoms.segment import Rng, Segment
from calcilens.phantoms.solids import Float, Solids, joined, solids


def log_uniform(rng: Rng, low: float, high: float) -> float:
    """Draw from a range whose every factor of two is as likely."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def shape(rng: Rng, radius: float, uneven: float = 0.25) -> Float:
    """Return half axes (3,) around a radius, the longest equal to it."""
    axes = np.exp(-np.abs(rng.normal(0, uneven, 3)))
    return np.asarray(radius * axes / axes.max())


def within(rng: Rng, count: int, least: float = 0.0, most: float = 1.0) -> Float:
    """Return points (N, 3) spread evenly in a shell of the unit ball."""
    towards = rng.normal(size=(count, 3))
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    return np.asarray(towards * rng.uniform(least**3, most**3, (count, 1)) ** (1 / 3))


def placed(place: Place, offsets: Float) -> Float:
    """Return points (N, 3) given along the place's own axes."""
    return np.asarray(place.point + offsets @ place.axes)


def mass_around(rng: Rng, point: Float, axes: Float, radii: Float) -> Solids:
    """Return an ill-defined soft-tissue mass that reaches beyond a lesion."""
    grown = radii * rng.uniform(1.35, 2.0) + rng.uniform(3, 9)
    lobes = placed(Place(point, axes, 0), within(rng, 4, 0.2, 0.7) * grown)
    main = solids(point, grown, 0, tissue="tumour", axes=axes, edge=0.3)
    return joined([main, solids(lobes, grown * 0.6, 0, tissue="tumour", axes=axes, edge=0.3)])


def fitting(place: Place, size: float, least: float = 4.0) -> float:
    """Return a size that a place has room for: a large lesion may touch bone, not hold it."""
    return float(min(size, max(2.3 * place.room_mm, least)))


def host(segment: Segment, place: Place) -> str:
    """Return the soft tissue that a nodule is made of at a place."""
    return "tumour" if segment.lungs or segment.fascia.depth(place.point) > 0 else "oedema"


def nodule(rng: Rng, segment: Segment, size: float) -> tuple[Place, Float, Float, Solids]:
    """Return place, half axes, directions and the soft body of a well-defined nodule."""
    place = places.anywhere(rng, segment, size / 2)
    size = fitting(place, size)
    radii, axes = shape(rng, size / 2, 0.18), places.turned(rng)
    tissue = host(segment, place)
    return place, radii, axes, solids(place.point, radii, 0, tissue=tissue, axes=axes, edge=0.1)
