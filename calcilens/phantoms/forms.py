"""Building blocks of lesions: half axes, points, nodules and the masses around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from calcilens.phantoms import places
from calcilens.phantoms.places import Place
from calcilens.phantoms.segment import Rng, Segment
from calcilens.phantoms.solids import Float, Solids, joined, solids

View = Literal["axial", "frontal"]
"""Where an image looks along: z in CT, y in a radiograph."""


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


@dataclass(frozen=True, eq=False)
class Nodule:
    """A well-defined soft-tissue nodule, for mineral to be put into.

    Args:
        place: Where, with the nodule's own directions.
        radii: (3,) half axes, mm.
        body: Its soft tissue.
        rim: Fat around it, where it lies in muscle: what makes it seen at all there.
    """

    place: Place
    radii: Float
    body: Solids
    rim: tuple[Solids, ...] = ()

    @property
    def size_mm(self) -> float:
        """Longest diameter."""
        return 2 * float(self.radii.max())

    def with_mineral(self, *mineral: Solids) -> Solids:
        """Return the nodule with mineral painted into it."""
        return joined([*self.rim, self.body, *mineral])


def nodule(rng: Rng, segment: Segment, size: float, *, lobes: int = 0) -> Nodule:
    """Draw a nodule in lung, fat or muscle.

    Args:
        rng: Draws it.
        segment: The body.
        size: Its longest diameter, mm, where there is room.
        lobes: Bulges of its outline.
    """
    found = places.anywhere(rng, segment, size / 2)
    radii = shape(rng, fitting(found, size) / 2, 0.18)
    place = Place(found.point, places.turned(rng), found.room_mm)
    deep = not segment.lungs and segment.fascia.depth(place.point) > 0
    tissue = str(rng.choice(["tumour", "oedema", "fluid"])) if deep else "tumour"
    at = placed(place, within(rng, lobes, 0.3, 0.6) * radii)
    body = _lobed(place, radii, at, tissue, 0.0)
    if not deep:
        return Nodule(place, radii, body)
    rim_mm = rng.uniform(0.5, 1.2) + 0.015 * size * rng.random()
    return Nodule(place, radii, body, (_lobed(place, radii, at, "fat", rim_mm),))


def _lobed(place: Place, radii: Float, lobes: Float, tissue: str, more_mm: float) -> Solids:
    """Return an ellipsoid with smaller ones (N, 3) on it."""
    main = solids(place.point, radii + more_mm, 0, tissue=tissue, axes=place.axes, edge=0.1)
    if not len(lobes):
        return main
    bulges = solids(lobes, radii * 0.65 + more_mm, 0, tissue=tissue, axes=place.axes, edge=0.1)
    return joined([main, bulges])
