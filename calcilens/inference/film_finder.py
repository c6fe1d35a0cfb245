"""Candidates of a radiograph: where a finder sees calcification, outlined by local contrast."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter, label

from calcilens.imaging.candidates import Candidate, candidate
from calcilens.imaging.images import Radiograph
from calcilens.imaging.records import Skipped
from calcilens.models.film_search import Eye, Place, look

NOT_SEARCHED = (
    "radiographs are searched by a finder, and none was given; give boxes with --roi, or a finder "
    "with --finder NAME or FILE.safetensors"
)
_ALL_EQUAL = "all pixels have the same value: there is nothing to search"
_NOT_NUMBERS = "some pixels are not numbers: the film was not searched"
_AROUND_PX = 12
"""Width of the ring around a place that its brightness is compared with."""
_SHARE = 0.35
"""A pixel belongs to the lesion where it stands out by this share of what the brightest do."""
_BRIGHT = 95
_LEAST_KEPT = 0.05
_SMOOTH_PX, _SPECK = 2.0, 0.1
"""Blur that takes pixel noise off an outline, and the share of the largest piece below which a
piece is noise too."""
OUTLINE_SD = 0.32
"""Of the logarithm of an outline's largest length over the true one; `docs/find-radiograph.md`."""
_ENDS, _DARK, _LEAST_RISE = (1, 99), 0.12, 0.01
"""Ends of a film's range of brightness; the share of it that is air, or not exposed, where no
lesion is; and how much the brightest of a place must stand out for anyone to see it."""


class Finder(Eye, Protocol):
    """What inference needs of a loaded finder."""

    @property
    def name(self) -> str:
        """Its name."""


@dataclass(frozen=True)
class Searched:
    """What a search gave.

    Args:
        candidates: The likeliest first.
        skipped: Why the film was not searched, or empty.
    """

    candidates: tuple[Candidate, ...] = ()
    skipped: tuple[Skipped, ...] = ()


def search_film(image: Radiograph, finder: Finder | None) -> Searched:
    """Search a radiograph for calcification.

    Args:
        image: With or without calibrated spacing, which is not used.
        finder: What looks; None for none.
    """
    if finder is None:
        return _refused(image, NOT_SEARCHED)
    if not np.isfinite(image.pixels).all():
        return _refused(image, _NOT_NUMBERS)
    if image.pixels.min() == image.pixels.max():
        return _refused(image, _ALL_EQUAL)
    low, high = np.percentile(image.pixels, _ENDS)
    dark, least = float(low + _DARK * (high - low)), float(_LEAST_RISE * (high - low))
    places = [p for p in look(finder, image.pixels) if _visible(image.pixels, p, dark, least)]
    return Searched(tuple(_candidate(image, place, finder) for place in places))


def _refused(image: Radiograph, why: str) -> Searched:
    return Searched(skipped=(Skipped(image.series_uid, why),))


def _candidate(image: Radiograph, place: Place, finder: Finder) -> Candidate:
    mask = outlined(image.pixels, place)
    inside = np.argwhere(mask)
    low, high = inside.min(0), inside.max(0) + 1
    box = [[0, *(place.box[0] + low)], [1, *(place.box[0] + high)]]
    why = (
        f"{finder.name} sees calcification: score {place.score:.2f}; "
        f"places from {finder.threshold:.2f} up are reported"
    )
    found = candidate(image, box, mask[None, low[0] : high[0], low[1] : high[1]], why)
    return replace(found, outline_sd=OUTLINE_SD)


def _visible(pixels: NDArray[np.float32], place: Place, dark: float, least: float) -> bool:
    ground = ground_of(pixels, place)
    return ground > dark and _bright(_smooth(pixels, place.box), place) >= ground + least


def _bright(inside: NDArray[np.float32], place: Place) -> float:
    """Return how bright the brightest of a place is, of the pixels in its box."""
    return float(np.percentile(inside[place.mask], _BRIGHT))


def outlined(pixels: NDArray[np.float32], place: Place) -> NDArray[np.bool_]:
    """Return the pieces of a place, in its box, that stand out from what lies around it.

    A heat map is coarse; brightness, where it stands out at all, draws the line more finely.

    Args:
        pixels: (Y, X) of the film, bright is dense.
        place: Where the finder saw something.
    """
    inside = _smooth(pixels, place.box)
    ground = ground_of(pixels, place)
    bright = _bright(inside, place)
    kept = place.mask & (inside >= ground + _SHARE * (bright - ground))
    if bright <= ground or kept.sum() < _LEAST_KEPT * place.mask.sum():
        return place.mask
    pieces, _ = label(kept, np.ones((3, 3)))
    sizes = np.bincount(pieces.ravel())
    large = sizes >= _SPECK * sizes[1:].max()
    large[0] = False
    return np.asarray(large[pieces])


def _smooth(pixels: NDArray[np.float32], box: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the pixels in a box without noise, blurred with those around it."""
    reach = int(4 * _SMOOTH_PX)
    low = np.maximum(box[0] - reach, 0)
    window = pixels[tuple(slice(a, b + reach) for a, b in zip(low, box[1], strict=True))]
    smooth = gaussian_filter(window, _SMOOTH_PX)
    return smooth[tuple(slice(a, b) for a, b in zip(*(box - low), strict=True))]


def ground_of(pixels: NDArray[np.float32], place: Place) -> float:
    """Return the median brightness around a place; of the place where nothing is around it."""
    low = np.maximum(place.box[0] - _AROUND_PX, 0)
    high = np.minimum(place.box[1] + _AROUND_PX, pixels.shape)
    room = np.stack([place.box[0] - low, high - place.box[1]], 1)
    near = pixels[low[0] : high[0], low[1] : high[1]]
    mask = np.pad(place.mask, [(int(a), int(b)) for a, b in room])
    ring = near[binary_dilation(mask, iterations=_AROUND_PX) & ~mask]
    return float(np.median(ring if len(ring) else near))
