"""Lesions in an RTSTRUCT: each region of interest becomes one lesion with its mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from calcilens.errors import RoiError, compose
from calcilens.imaging.images import Image, Radiograph
from calcilens.inference.roi.region import Box, shape_of
from calcilens.inference.roi.segmentation import cropped

_OFF_PLANE = 0.25
"""How far, in planes, the points of one contour may lie apart."""


@dataclass(frozen=True, eq=False)
class ContourRegion:
    """Closed planar contours.

    Args:
        contours: Each (n, 3) LPS points, mm (PS3.3 C.8.8.6).
    """

    where: str
    uids: frozenset[str]
    contours: tuple[NDArray[np.float64], ...]

    def on(self, image: Image) -> tuple[Box, NDArray[np.bool_]]:
        """Fill the contours on the planes of the image; one inside another is a hole."""
        if isinstance(image, Radiograph):
            raise RoiError(compose("contours of a CT", "a radiograph of that frame of reference"))
        shape = shape_of(image)
        mask = np.zeros(shape, bool)
        for contour in self.contours:
            voxels = image.affine.to_voxel(contour)
            if np.ptp(voxels[:, 0]) > _OFF_PLANE:
                raise RoiError(compose("contours in the planes of the image", "oblique ones"))
            plane = round(float(voxels[:, 0].mean()))
            if 0 <= plane < shape[0]:
                mask[plane] ^= _filled(voxels[:, 1:], shape[1:])
        return cropped(mask, np.zeros(3, np.int64))


def _filled(points: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the pixels (Y, X) whose centres lie inside a polygon of (y, x) points."""
    from matplotlib.path import Path as Polygon

    filled = np.zeros(shape, bool)
    lo = np.maximum(np.floor(points.min(0)), 0).astype(int)
    hi = np.minimum(np.ceil(points.max(0)) + 1, shape).astype(int)
    if (lo >= hi).any():
        return filled
    y, x = np.mgrid[lo[0] : hi[0], lo[1] : hi[1]]
    inside = Polygon(points).contains_points(np.stack([y.ravel(), x.ravel()], 1))
    filled[lo[0] : hi[0], lo[1] : hi[1]] = inside.reshape(y.shape)
    return filled


def read_rtstruct(path: Path, dataset: Dataset) -> list[tuple[str, Callable[[], ContourRegion]]]:
    """List the regions of an RTSTRUCT, each with the function that reads it."""
    frames = {
        int(item.ROINumber): str(item.ReferencedFrameOfReferenceUID)
        for item in dataset.get("StructureSetROISequence", [])
        if "ReferencedFrameOfReferenceUID" in item
    }
    items = [(int(i.ReferencedROINumber), i) for i in dataset.get("ROIContourSequence", [])]
    return [
        (f"{path.name} region {n}", partial(_region, f"{path.name} region {n}", i, frames.get(n)))
        for n, i in items
    ]


def _region(where: str, item: Dataset, frame: str | None) -> ContourRegion:
    contours = tuple(
        np.asarray(c.ContourData, np.float64).reshape(-1, 3)
        for c in item.get("ContourSequence", [])
        if c.get("ContourGeometricType") == "CLOSED_PLANAR" and len(c.ContourData) >= 9
    )
    if frame is None or not contours:
        raise RoiError(
            compose("a frame of reference" if frame is None else "closed planar contours", "none")
        )
    return ContourRegion(where, frozenset({frame}), contours)
