"""Outlines of lesions in the pixels of one plane."""

from __future__ import annotations

import contourpy
import numpy as np
from numpy.typing import NDArray

from calcilens.inference.lesions import Lesion

Points = NDArray[np.float64]


def outlines(lesion: Lesion) -> list[Points]:
    """Return the closed outlines of a lesion in its key plane; of its box where it has no mask.

    Returns:
        Points (N, 2) as (x, y), the last of each being its first. The corner of the image is
        (0, 0) and the middle of its first pixel (0.5, 0.5), as in DICOM PS3.3 C.10.5.1.
    """
    mask, box = lesion.candidate.mask, lesion.candidate.box
    if mask is None:
        (y0, x0), (y1, x1) = box[:, 1:].astype(float)
        return [np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]])]
    padded = np.pad(mask[lesion.key_plane - box[0, 0]], 1).astype(float)
    found = contourpy.contour_generator(z=padded).lines(0.5)
    # Index 1 of the padded mask is the first pixel of the box, whose middle lies at one half.
    return [line + box[0, :0:-1] - 0.5 for line in found]
