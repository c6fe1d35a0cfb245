"""Segments on planes that lean, as a tilted gantry makes them: no box, but an even grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from calcilens.imaging.geometry import Affine

_NEAR_MM = 0.1
"""How far a plane may lie from its place in the grid, as in the images' own stacks."""


def leaning_grid(seg: Dataset, numbers: Sequence[int]) -> tuple[NDArray[np.bool_], Affine] | None:
    """Return the mask (Z, Y, X) of some segments, and its grid; None where planes are uneven."""
    found = _places(seg)
    if found is None:
        return None
    places, affine = found
    mask = np.zeros((int(places.max()) + 1, seg.Rows, seg.Columns), bool)
    pixels = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
    for frame, place, plane in zip(
        seg.PerFrameFunctionalGroupsSequence, places, pixels, strict=True
    ):
        if frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber in numbers:
            mask[place] |= plane > 0
    return mask, affine


def _places(seg: Dataset) -> tuple[NDArray[np.int64], Affine] | None:
    """Return which plane of an even grid each frame lies on, and the grid's map."""
    shared = seg.SharedFunctionalGroupsSequence[0]
    if "PlaneOrientationSequence" not in shared or "PixelMeasuresSequence" not in shared:
        return None
    orientation = [float(v) for v in shared.PlaneOrientationSequence[0].ImageOrientationPatient]
    spacing = [float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing]
    frames = seg.PerFrameFunctionalGroupsSequence
    at = np.array([f.PlanePositionSequence[0].ImagePositionPatient for f in frames], float)
    along = at @ np.cross(orientation[:3], orientation[3:])
    order = np.argsort(along, kind="stable")
    steps = np.diff(along[order])
    apart = np.flatnonzero(steps > _NEAR_MM)
    if not len(apart):
        return None
    nearest = apart[steps[apart].argmin()]
    step = at[order[nearest + 1]] - at[order[nearest]]
    first = at[order[0]]
    places = np.rint((along - along.min()) / steps[nearest]).astype(np.int64)
    off = np.linalg.norm(at - (first + places[:, None] * step), axis=1)
    if off.max() > _NEAR_MM:
        return None
    return places, Affine.from_dicom(first.tolist(), orientation, spacing, step)
