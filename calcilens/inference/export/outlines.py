"""Outlines of lesions in the pixels of one plane."""

from __future__ import annotations

import contourpy
import numpy as np
from numpy.typing import NDArray

from calcilens.inference.lesions import Lesion

Points = NDArray[np.float64]
_MOST = 8000


def outlines(lesion: Lesion) -> list[Points]:
    """Return the outlines of a lesion in its key plane; that of its box where it has no mask.

    Returns:
        Points (N, 2) as (x, y) of closed lines; a very long one comes in parts. The corner of the
        image is (0, 0) and the middle of its first pixel (0.5, 0.5), as in DICOM PS3.3 C.10.5.1.
    """
    mask, box = lesion.candidate.mask, lesion.candidate.box
    if mask is None:
        (y0, x0), (y1, x1) = box[:, 1:].astype(float)
        return [np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]])]
    padded = np.pad(mask[lesion.key_plane - box[0, 0]], 1).astype(float)
    found = [np.asarray(line) for line in contourpy.contour_generator(z=padded).lines(0.5)]
    # Index 1 of the padded mask is the first pixel of the box, whose middle lies at one half.
    return [part + box[0, :0:-1] - 0.5 for line in found for part in _parts(line)]


def _parts(line: Points) -> list[Points]:
    """Cut a line where it has more points than one value of 16-bit length holds (PS3.5 7.1.2)."""
    return [line[start : start + _MOST + 1] for start in range(0, len(line) - 1, _MOST)]
