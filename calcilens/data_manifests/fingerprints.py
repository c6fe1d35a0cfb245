"""Find pictures that are copies of each other though their files differ.

Two steps. A fingerprint is the middle band of spatial frequencies on a coarse grid: a new file
format, another bit depth, a JPEG copy or a shift by a pixel hardly changes it, so that the
cosine of two fingerprints finds candidates at the cost of one matrix product. Each candidate is
then aligned pixel by pixel and judged by the normalised cross-correlation of its fine texture,
which two different patients do not share however alike their anatomy is.

The grids and thresholds were measured on lung crops of 721 patients; docs/manifests.md has the
figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from scipy import ndimage

from calcilens.data_manifests.pixels import load_stack
from calcilens.data_manifests.schema import Manifest, box_of
from calcilens.imaging.patches import PatchSpec, extract

Floats = NDArray[np.float32]
SIDE = 128
"""Height and width of a view, pixels."""
SPEC = PatchSpec(planes=5, size=SIDE)
CELL = 4
"""Pixels along each side that one cell of the coarse grid averages."""
COARSE_BAND = (0.6, 2.0)
"""Standard deviations of the two Gaussians whose difference is kept, cells."""
FINE_BAND = (0.7, 3.0)
"""The same for the fine texture, pixels."""
CLIP = 3.0
"""Fine texture is cut at this many median absolute deviations: one bright lesion on noise
must not decide."""
CANDIDATE_COSINE = 0.8
SAME_CORRELATION = 0.65
MAX_SHIFT = 2
"""Largest shift that is looked for, pixels along each axis."""
_ROWS_AT_ONCE = 2048


@dataclass(frozen=True)
class Match:
    """Two pictures that are the same.

    Args:
        correlation: Normalised cross-correlation of the fine texture after alignment.
        shift: (y, x) by which the second picture is moved, view pixels.
    """

    correlation: float
    shift: tuple[int, int]


def views(manifest: Manifest, row: Mapping[str, Any]) -> list[Floats]:
    """Return what a network may see of a row: each plane of its patch, and the whole plane.

    Returns:
        Pictures of (SIDE, SIDE). The whole plane is there where it is larger than the patch.
    """
    stack = load_stack(manifest, row)
    shape = (stack.shape[0], stack.shape[1], stack.shape[2])
    location = SPEC.locate(box_of(row), shape)
    patch = extract(stack, location)
    first = {plane: index for index, plane in reversed(list(enumerate(location.planes)))}
    pictures = [patch[index] for _, index in sorted(first.items())]
    if max(stack.shape[1:]) > location.size:
        pictures.append(stack[location.planes[SPEC.planes // 2]])
    return [_resized(picture.astype(np.float32)) for picture in pictures]


def fingerprint(pictures: NDArray[np.float32]) -> Floats:
    """Return unit vectors (N, cells) of pictures (N, SIDE, SIDE); zeros for an even picture."""
    n, cells = len(pictures), SIDE // CELL
    coarse = pictures.reshape(n, cells, CELL, cells, CELL).mean(axis=(2, 4))
    return _unit(_band(coarse, COARSE_BAND).reshape(n, -1))


def candidates(prints: Floats) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield indices (i, j), i < j, of fingerprints alike enough to be looked at closely."""
    for start in range(0, len(prints), _ROWS_AT_ONCE):
        block = prints[start : start + _ROWS_AT_ONCE]
        i, j = np.nonzero(block @ prints[start:].T >= CANDIDATE_COSINE)
        keep = i < j
        yield i[keep] + start, j[keep] + start


def match(a: Floats, b: Floats) -> Match | None:
    """Align two pictures (SIDE, SIDE) by whole pixels; None where they are not the same."""
    r = MAX_SHIFT
    inner = _texture(a)[r:-r, r:-r].ravel()
    windows = np.lib.stride_tricks.sliding_window_view(_texture(b), (SIDE - 2 * r, SIDE - 2 * r))
    moved = windows.reshape((2 * r + 1) ** 2, -1)
    scores = _unit(moved) @ _unit(inner[None])[0]
    best = int(scores.argmax())
    if scores[best] < SAME_CORRELATION:
        return None
    y, x = divmod(best, 2 * r + 1)
    return Match(round(float(scores[best]), 3), (y - r, x - r))


def _texture(picture: Floats) -> Floats:
    fine: Floats = _band(picture[None], FINE_BAND)[0]
    limit = CLIP * np.median(np.abs(fine))
    return fine.clip(-limit, limit) if limit > 0 else fine


def _band(pictures: Floats, band: tuple[float, float]) -> Floats:
    narrow, wide = (ndimage.gaussian_filter(pictures, (0, s, s), mode="nearest") for s in band)
    difference: Floats = narrow - wide
    return difference


def _unit(rows: Floats) -> Floats:
    """Centre rows and scale them to length 1; a row without contrast becomes zeros."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    unit: Floats = np.divide(centred, length, out=np.zeros_like(centred), where=length > 1e-6)
    return unit


def _resized(picture: Floats) -> Floats:
    if picture.shape == (SIDE, SIDE):
        return picture
    small = Picture.fromarray(picture).resize((SIDE, SIDE), Picture.Resampling.BOX)
    return np.asarray(small, np.float32)
