"""Lesions as outlines in the pixels of a plane."""

from __future__ import annotations

import numpy as np
from contourpy import contour_generator
from numpy.typing import NDArray

from calcilens.inference.lesions import Lesion

Outline = NDArray[np.float64]
_LONGEST = 4000
"""Points of an outline: a value of 16-bit length holds 8191 (PS3.5 7.1.2)."""


def planes_of(lesion: Lesion) -> list[int]:
    """Return the planes that a lesion lies on, the one that shows it best first."""
    start, stop = (int(v) for v in lesion.candidate.box[:, 0])
    mask, first = lesion.candidate.mask, lesion.key_plane
    there = [z for z in range(start, stop) if mask is None or mask[z - start].any()]
    return sorted(there, key=lambda z: z != first)


def outline(lesion: Lesion, plane: int) -> Outline:
    """Return a closed line (N, 2) of (column, row) around a lesion in a plane.

    It runs along the lesion where that is in one piece, else along a box around its pieces.
    Coordinates are those of PS3.3 C.18.6.1.2: the upper left corner of the image is (0, 0).
    """
    (z, y, x), stop = lesion.candidate.box
    mask = lesion.candidate.mask
    flat = np.ones(stop[1:] - [y, x], bool) if mask is None else mask[plane - z]
    lines = contour_generator(z=np.pad(flat, 1).astype(float)).lines(0.5)
    # Contours run between centres of pixels, which lie half a pixel from the corners.
    line = np.asarray(lines[0]) - 0.5 if len(lines) == 1 and mask is not None else _box(flat)
    if len(line) > _LONGEST:
        line = _box(flat)
    return np.asarray(line + np.array([x, y]), np.float64)


def _box(flat: NDArray[np.bool_]) -> Outline:
    rows, columns = np.flatnonzero(flat.any(1)), np.flatnonzero(flat.any(0))
    y0, y1, x0, x1 = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]], np.float64)
