"""A lesion's mask and saliency map as NIfTI, in the grid of its image."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray

from calcilens.imaging.images import Image, Radiograph
from calcilens.imaging.measure import lesion_mask
from calcilens.inference.lesions import Lesion, SaliencyMap
from calcilens.inference.predictor import stack_of

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_mask(lesion: Lesion, path: Path) -> None:
    """Write the mask as (X, Y, Z) uint8 with its place; pixels only where there is none."""
    stack = np.zeros(stack_of(lesion.image).shape, np.uint8)
    part = tuple(slice(a, b) for a, b in lesion.candidate.box.T)
    stack[part] = lesion_mask(lesion.image, lesion.candidate)[0]
    _write(stack, _affine(lesion.image), lesion.image, path)


def write_saliency(image: Image, found: SaliencyMap, path: Path) -> None:
    """Write the part of the grid that a map covers, as (X, Y, Z) uint8: 255 is the highest.

    All planes that the model saw hold the same map.
    """
    y, x = stack_of(image).shape[1:]
    start = np.maximum(found.location.origin, 0)
    stop = np.minimum(np.add(found.location.origin, found.location.size), (y, x))
    (y0, x0), (y1, x1) = start - found.location.origin, stop - found.location.origin
    values = np.rint(np.clip(found.values[y0:y1, x0:x1], 0, 1) * 255).astype(np.uint8)
    planes = sorted(set(found.location.planes))
    affine = _affine(image)
    affine[:, 3] = affine @ [start[1], start[0], planes[0], 1]
    _write(np.stack([values] * len(planes)), affine, image, path)


def _write(stack: NDArray[np.uint8], affine: NDArray[np.float64], image: Image, path: Path) -> None:
    picture = nibabel.Nifti1Image(stack.transpose(2, 1, 0), affine)
    picture.header.set_xyzt_units("mm" if _is_metric(image) else "unknown")
    nibabel.save(picture, path)


def _is_metric(image: Image) -> bool:
    return not isinstance(image, Radiograph) or image.spacing_mm is not None


def _affine(image: Image) -> NDArray[np.float64]:
    """Return the map from (x, y, z) indices to RAS, mm; a radiograph lies at the origin."""
    if isinstance(image, Radiograph):
        y, x = image.spacing_mm or (1.0, 1.0)
        return _LPS_TO_RAS @ np.diag([x, y, 1.0, 1.0])
    return _LPS_TO_RAS @ image.affine.matrix[:, [2, 1, 0, 3]]
