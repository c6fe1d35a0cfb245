"""Lesions in a DICOM SEG: each segment becomes one lesion with its mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import highdicom
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from calcilens.errors import RoiError, compose
from calcilens.imaging.geometry import Affine
from calcilens.imaging.images import Image, Radiograph
from calcilens.inference.roi.leaning import leaning_grid
from calcilens.inference.roi.region import Box, shape_of


@dataclass(frozen=True, eq=False)
class GridRegion:
    """A mask in patient space.

    Args:
        mask: (Z, Y, X) of the SEG's own grid.
        affine: Of that grid.
    """

    where: str
    uids: frozenset[str]
    mask: NDArray[np.bool_]
    affine: Affine

    def on(self, image: Image) -> tuple[Box, NDArray[np.bool_]]:
        """Sample the mask at the voxel centres of the image."""
        if isinstance(image, Radiograph):
            raise RoiError(compose("a SEG of a CT", "a radiograph of the same frame of reference"))
        inside = np.argwhere(self.mask)
        bounds = self.affine.box_mm(np.stack([inside.min(0), inside.max(0) + 1]))
        corners = np.stack(np.meshgrid(*bounds.T, indexing="ij"), -1).reshape(-1, 3)
        voxels = image.affine.to_voxel(corners)
        lo = np.maximum(np.floor(voxels.min(0)), 0).astype(int)
        hi = np.minimum(np.ceil(voxels.max(0)) + 1, shape_of(image)).astype(int)
        if (lo >= hi).any():
            raise RoiError(compose("a segment inside the image", "none of it"))
        axes = [np.arange(a, b) for a, b in zip(lo, hi, strict=True)]
        points = image.affine.to_mm(np.stack(np.meshgrid(*axes, indexing="ij"), -1))
        return cropped(self._at(points), lo)

    def _at(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        index = np.rint(self.affine.to_voxel(points)).astype(int)
        valid = np.asarray(((index >= 0) & (index < self.mask.shape)).all(-1))
        safe = np.where(valid[..., None], index, 0)
        return np.asarray(self.mask[tuple(np.moveaxis(safe, -1, 0))] & valid, bool)


@dataclass(frozen=True, eq=False)
class PlaneRegion:
    """A mask (Y, X) drawn on one instance without geometry, such as a radiograph."""

    where: str
    uids: frozenset[str]
    mask: NDArray[np.bool_]

    def on(self, image: Image) -> tuple[Box, NDArray[np.bool_]]:
        """Return the mask's own box and pixels; the grid must be the image's."""
        if self.mask.shape != shape_of(image)[1:]:
            raise RoiError(compose(f"a mask of {shape_of(image)[1:]}", f"{self.mask.shape}"))
        plane = [p.sop_uid in self.uids for p in image.planes].index(True)
        return cropped(self.mask[None], np.array([plane, 0, 0]))


def cropped(mask: NDArray[np.bool_], offset: NDArray[np.int64]) -> tuple[Box, NDArray[np.bool_]]:
    """Cut a mask to what is set; `offset` is where its voxel (0, 0, 0) lies in the image."""
    inside = np.argwhere(mask)
    if not len(inside):
        raise RoiError(compose("a region with at least one voxel in the image", "none"))
    lo, hi = inside.min(0), inside.max(0) + 1
    part = tuple(slice(a, b) for a, b in zip(lo, hi, strict=True))
    return np.stack([lo, hi]) + offset, mask[part]


def read_seg(
    path: Path, dataset: Dataset
) -> list[tuple[str, Callable[[], GridRegion | PlaneRegion]]]:
    """List the segments of a SEG, each with the function that reads it."""
    seg = highdicom.seg.Segmentation.from_dataset(dataset, copy=False)
    in_space = "FrameOfReferenceUID" in dataset and _has_grid(seg)
    entries: list[tuple[str, Callable[[], GridRegion | PlaneRegion]]] = []
    for number in (int(n) for n in seg.segment_numbers):
        where = f"{path.name} segment {number}"
        if in_space:
            entries.append((where, partial(_grid, where, seg, [number])))
        else:
            uids = sorted({str(u[2]) for u in seg.get_source_image_uids()})
            entries += [(where, partial(_plane, where, seg, number, uid)) for uid in uids]
    return entries


def read_grid(where: str, dataset: Dataset, numbers: Sequence[int]) -> GridRegion:
    """Read some segments of a SEG as one region.

    Raises:
        RoiError: The SEG is no volume in space, or the segments are empty.
    """
    seg = highdicom.seg.Segmentation.from_dataset(dataset, copy=False)
    if not _has_grid(seg):
        raise RoiError(compose("a SEG of evenly spaced planes", "another"))
    return _grid(where, seg, numbers)


def _has_grid(seg: highdicom.seg.Segmentation) -> bool:
    return seg.get_volume_geometry() is not None or leaning_grid(seg, ()) is not None


def _grid(where: str, seg: highdicom.seg.Segmentation, numbers: Sequence[int]) -> GridRegion:
    """Return segments as one mask; where they overlap does not matter for that."""
    leaning = None if seg.get_volume_geometry() is not None else leaning_grid(seg, numbers)
    if leaning is None:
        volume = seg.get_volume(
            segment_numbers=list(numbers), combine_segments=True, skip_overlap_checks=True
        )
        leaning = np.asarray(volume.array) > 0, Affine(np.asarray(volume.affine))
    mask, affine = leaning
    if not mask.any():
        raise RoiError(compose("a segment with at least one voxel", "none"))
    items = seg.get("ReferencedSeriesSequence", [])
    series = frozenset(str(i.SeriesInstanceUID) for i in items if "SeriesInstanceUID" in i)
    uids = series or frozenset({str(seg.FrameOfReferenceUID)})
    return GridRegion(where, uids, mask, affine)


def _plane(where: str, seg: highdicom.seg.Segmentation, number: int, uid: str) -> PlaneRegion:
    pixels = seg.get_pixels_by_source_instance(
        source_sop_instance_uids=[uid],
        segment_numbers=[number],
        combine_segments=True,
        ignore_spatial_locations=True,
        assert_missing_frames_are_empty=True,
    )
    return PlaneRegion(where, frozenset({uid}), np.asarray(pixels)[0] > 0)
