"""Outlines of lesions in the pixels of one plane.

Points are (x, y); the corner of the image is (0, 0) and the middle of its first pixel (0.5, 0.5),
as in DICOM PS3.3 C.10.5.1 and C.18.6.1.2.
"""

from __future__ import annotations

import contourpy
import numpy as np
from numpy.typing import NDArray

from calcilens.inference.lesions import Lesion

Points = NDArray[np.float64]
_MOST = 8000
"""Points of an outline: a value of 16-bit length holds 8191 pairs (PS3.5 7.1.2)."""


def planes_of(lesion: Lesion) -> list[int]:
    """Return the planes that a lesion lies on, the one that shows it best first."""
    start, stop = (int(v) for v in lesion.candidate.box[:, 0])
    mask, first = lesion.candidate.mask, lesion.key_plane
    there = [z for z in range(start, stop) if mask is None or mask[z - start].any()]
    return sorted(there, key=lambda z: z != first)


def outlines(lesion: Lesion, plane: int) -> list[Points]:
    """Return the closed lines (N, 2) around the pieces of a lesion; around its box without a mask.

    A very long line comes in parts.
    """
    flat = _flat(lesion, plane)
    if lesion.candidate.mask is None:
        return [_box(flat) + _corner(lesion)]
    return [part + _corner(lesion) for line in _lines(flat) for part in _parts(line)]


def outline(lesion: Lesion, plane: int) -> Points:
    """Return one closed line (N, 2): along a lesion of one piece, else a box around its pieces."""
    found = outlines(lesion, plane)
    return found[0] if len(found) == 1 else _box(_flat(lesion, plane)) + _corner(lesion)


def around(flat: NDArray[np.bool_]) -> Points:
    """Return one closed line (N, 2) in the pixels of a mask (Y, X): a box around several pieces."""
    found = [part for line in _lines(flat) for part in _parts(line)]
    return found[0] if len(found) == 1 else _box(flat)


def _lines(flat: NDArray[np.bool_]) -> list[Points]:
    padded = np.pad(flat, 1).astype(float)
    found = contourpy.contour_generator(z=padded).lines(0.5)
    # Index 1 of the padded mask is the first pixel of the box, whose middle lies at one half.
    return [np.asarray(line) - 0.5 for line in found]


def _corner(lesion: Lesion) -> Points:
    return np.asarray(lesion.candidate.box[0, :0:-1], np.float64)


def _flat(lesion: Lesion, plane: int) -> NDArray[np.bool_]:
    (z, y, x), stop = lesion.candidate.box
    mask = lesion.candidate.mask
    return np.ones(stop[1:] - [y, x], bool) if mask is None else mask[plane - z]


def _box(flat: NDArray[np.bool_]) -> Points:
    rows, columns = np.flatnonzero(flat.any(1)), np.flatnonzero(flat.any(0))
    y0, y1, x0, x1 = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]], np.float64)


def _parts(line: Points) -> list[Points]:
    """Cut a line that has too many points."""
    return [line[start : start + _MOST + 1] for start in range(0, len(line) - 1, _MOST)]
