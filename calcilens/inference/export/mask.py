"""A lesion's mask as NIfTI, in the grid of its image."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray

from calcilens.imaging.images import Image, Radiograph
from calcilens.imaging.measure import lesion_mask
from calcilens.inference.lesions import Lesion
from calcilens.inference.predictor import stack_of

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_mask(lesion: Lesion, path: Path) -> None:
    """Write the mask as (X, Y, Z) uint8 with its place; pixels only where there is none."""
    stack = np.zeros(stack_of(lesion.image).shape, np.uint8)
    part = tuple(slice(a, b) for a, b in lesion.candidate.box.T)
    stack[part] = lesion_mask(lesion.image, lesion.candidate)[0]
    picture = nibabel.Nifti1Image(stack.transpose(2, 1, 0), _affine(lesion.image))
    picture.header.set_xyzt_units("mm" if _is_metric(lesion.image) else "unknown")
    nibabel.save(picture, path)


def _is_metric(image: Image) -> bool:
    return not isinstance(image, Radiograph) or image.spacing_mm is not None


def _affine(image: Image) -> NDArray[np.float64]:
    """Return the map from (x, y, z) indices to RAS, mm; a radiograph lies at the origin."""
    if isinstance(image, Radiograph):
        y, x = image.spacing_mm or (1.0, 1.0)
        return _LPS_TO_RAS @ np.diag([x, y, 1.0, 1.0])
    return _LPS_TO_RAS @ image.affine.matrix[:, [2, 1, 0, 3]]
