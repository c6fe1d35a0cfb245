"""Patches: what a network sees of an image, the same in training and in the clinic.

One specification says how a lesion's box becomes a patch, a location says where that patch
lies, and `extract` and `paste` are exact counterparts. Pixels are never resampled here: the
network does its own zooming, so that a saliency map can be put back pixel for pixel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calcilens.errors import UsageError, compose

Intensity = Literal["plane_minmax", "hu_window", "hu_and_relative", "percentile"]
MARGIN = 1.75
"""A patch is at least this many times as wide as its lesion, so that context is in view."""
HU_RANGE = (-1000.0, 2000.0)
SOFT_RANGE = (-200.0, 600.0)
"""Fat to faint mineral: where the wide range has too few steps."""
HU_LIMITS = (-1000.0, 3000.0)
"""What metal or padding beyond these would do to a plane's own range, they must not."""
PERCENTILES = (0.5, 99.5)
"""A marker or a dead pixel must not decide how bright a radiograph is."""


@dataclass(frozen=True)
class PatchLocation:
    """Where a patch lies in its image.

    Args:
        planes: Plane indices, one a patch plane; neighbours beyond the lesion repeat its
            outermost plane, so an index may occur more than once.
        origin: (y, x) of patch pixel (0, 0) in the image; may be negative.
        size: Height and width of the patch, pixels.
    """

    planes: tuple[int, ...]
    origin: tuple[int, int]
    size: int

    def box_in_patch(self, box: ArrayLike) -> NDArray[np.float32]:
        """Return the in-plane part of a (2, 3) voxel box as (y0, x0, y1, x1) patch pixels."""
        b = np.asarray(box, np.float32)[:, 1:] - np.asarray(self.origin, np.float32)
        return b.reshape(4)


@dataclass(frozen=True)
class PatchSpec:
    """How patches are cut and scaled.

    Args:
        planes: Number of neighbouring planes, odd; 1 for radiographs.
        size: Smallest height and width, pixels of the image's own grid.
        intensity: ``plane_minmax``: every plane scaled to 0..1 by its own range (as the
            public LIDC-IDRI-slices set is). ``hu_window``: -1000..2000 HU to 0..1.
            ``hu_and_relative``: three groups of planes: each by its own range, -200..600 HU
            and -1000..2000 HU; the last two all 0 where HU are not known.
            ``percentile``: every plane by its own 0.5 and 99.5 percentiles.
    """

    planes: int = 5
    size: int = 128
    intensity: Intensity = "plane_minmax"

    def __post_init__(self) -> None:
        if self.planes < 1 or self.planes % 2 == 0 or self.size < 8:
            raise UsageError(compose("an odd number of planes and a size of at least 8", f"{self}"))

    @property
    def channels(self) -> int:
        """Number of planes that a network gets of a patch."""
        return self.planes * (3 if self.intensity == "hu_and_relative" else 1)

    def locate(
        self, box: ArrayLike, shape: tuple[int, int, int], key_plane: int | None = None
    ) -> PatchLocation:
        """Place a patch around a lesion.

        Args:
            box: (2, 3) half-open voxel box, start and stop in (z, y, x).
            shape: Shape (Z, Y, X) of the image.
            key_plane: Plane in the middle of the patch; by default the box's own middle.

        Raises:
            UsageError: The box is empty or does not touch the image.
        """
        b = np.asarray(box, np.int64)
        lo, hi = np.maximum(b[0], 0), np.minimum(b[1], shape)
        if b.shape != (2, 3) or (lo >= hi).any():
            raise UsageError(compose(f"a box that meets the image {shape}", f"{b.tolist()}"))
        key = int((lo[0] + hi[0] - 1) // 2) if key_plane is None else key_plane
        steps = np.arange(self.planes) - self.planes // 2
        planes = tuple(int(p) for p in np.clip(key + steps, lo[0], hi[0] - 1))
        side = int(max(self.size, np.ceil(MARGIN * (b[1] - b[0])[1:].max() / 2) * 2))
        origin = tuple(_place(b[0, a], b[1, a], side, shape[a]) for a in (1, 2))
        return PatchLocation(planes, (origin[0], origin[1]), side)

    def scale(self, patch: NDArray[np.generic], calibrated: bool = True) -> NDArray[np.float32]:
        """Scale a patch to what a network sees.

        Args:
            patch: (P, S, S) HU or stored values.
            calibrated: Whether the values are HU; only ``hu_and_relative`` asks.

        Returns:
            (channels, S, S) float32 in 0..1.
        """
        p = patch.astype(np.float32)
        if self.intensity == "hu_window":
            return _between(p, *HU_RANGE)
        if self.intensity == "percentile":
            ends = np.percentile(p, PERCENTILES, axis=(1, 2), keepdims=True).astype(np.float32)
            return _between(p, *ends)
        if self.intensity == "plane_minmax":
            return _by_own_range(p)
        if not calibrated:
            return np.concatenate([_by_own_range(p), np.zeros((2 * len(p), *p.shape[1:]), "f4")])
        relative = _by_own_range(np.clip(p, *HU_LIMITS))
        return np.concatenate([relative, _between(p, *SOFT_RANGE), _between(p, *HU_RANGE)])


def _by_own_range(p: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale planes (P, S, S) by their smallest and largest value; a flat plane becomes 0."""
    return _between(p, p.min(axis=(1, 2), keepdims=True), p.max(axis=(1, 2), keepdims=True))


def _between(
    p: NDArray[np.float32], low: float | NDArray[np.float32], high: float | NDArray[np.float32]
) -> NDArray[np.float32]:
    """Scale planes (P, S, S) from low..high to 0..1 and clip; where both are one, 0."""
    span = np.asarray(high - low, np.float32)
    scaled = np.zeros_like(p)
    np.divide(p - low, span, out=scaled, where=span > 0)
    return np.clip(scaled, 0, 1)


def _place(start: int, stop: int, side: int, length: int) -> int:
    """Centre a window of `side` on [start, stop), moved into the image when it fits there."""
    first = int(start + stop - side) // 2
    return int(np.clip(first, 0, length - side)) if side <= length else first


def extract(array: NDArray[np.generic], location: PatchLocation) -> NDArray[np.generic]:
    """Cut a patch (P, S, S) out of an image (Z, Y, X); outside it, the edge repeats."""
    (y, x), s = location.origin, location.size
    rows = np.clip(np.arange(y, y + s), 0, array.shape[1] - 1)
    cols = np.clip(np.arange(x, x + s), 0, array.shape[2] - 1)
    patch: NDArray[np.generic] = array[np.ix_(np.asarray(location.planes), rows, cols)]
    return patch


def paste(target: NDArray[np.generic], patch: NDArray[np.generic], location: PatchLocation) -> None:
    """Write a patch (P, S, S) back into an image (Z, Y, X) in place; what lay outside is left.

    Where a plane occurs more than once, its occurrence nearest to the middle counts.
    """
    (y, x), s = location.origin, location.size
    y0, x0 = max(y, 0), max(x, 0)
    y1, x1 = min(y + s, target.shape[1]), min(x + s, target.shape[2])
    middle = len(location.planes) // 2
    for i in sorted(range(len(location.planes)), key=lambda i: -abs(i - middle)):
        target[location.planes[i], y0:y1, x0:x1] = patch[i, y0 - y : y1 - y, x0 - x : x1 - x]


@dataclass(frozen=True, eq=False)
class Patch:
    """A lesion as a network takes it.

    Args:
        pixels: (channels, S, S) float32 in 0..1; from `cut_stored`, (P, S, S) as stored.
        box: (4,) float32: the lesion's box (y0, x0, y1, x1), patch pixels.
        extent_mm: (3,) float32: size of the box along (z, y, x), mm; NaN where not calibrated.
        location: Where the patch lies in the image.
    """

    pixels: NDArray[np.generic]
    box: NDArray[np.float32]
    extent_mm: NDArray[np.float32]
    location: PatchLocation


def cut(
    array: NDArray[np.generic],
    box: ArrayLike,
    spacing_mm: ArrayLike,
    spec: PatchSpec,
    *,
    key_plane: int | None = None,
    calibrated: bool = True,
) -> Patch:
    """Cut and scale the patch of one lesion.

    Args:
        array: (Z, Y, X) image: HU, stored values or grey levels.
        box: (2, 3) half-open voxel box.
        spacing_mm: (z, y, x) mm; NaN where not calibrated.
        spec: How to cut.
        key_plane: Plane in the middle; by default the box's own middle.
        calibrated: Whether the values are HU.

    Raises:
        UsageError: The box is empty or does not touch the image.
    """
    stored = cut_stored(array, box, spacing_mm, spec, key_plane=key_plane)
    return replace(stored, pixels=spec.scale(stored.pixels, calibrated))


def cut_stored(
    array: NDArray[np.generic],
    box: ArrayLike,
    spacing_mm: ArrayLike,
    spec: PatchSpec,
    *,
    key_plane: int | None = None,
) -> Patch:
    """Cut the patch of one lesion as `cut` does, and leave its pixels (P, S, S) as stored."""
    z, y, x = array.shape
    location = spec.locate(box, (z, y, x), key_plane)
    b = np.asarray(box, np.float32)
    extent_mm = (b[1] - b[0]) * np.asarray(spacing_mm, np.float32)
    stored = extract(array, location)
    return Patch(stored, location.box_in_patch(b), extent_mm.astype(np.float32), location)
