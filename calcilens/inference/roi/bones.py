"""Bones drawn elsewhere: a NIfTI, or the bones among the segments of a DICOM SEG."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
from nibabel.imageglobals import LoggingOutputSuppressor
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from scipy.ndimage import affine_transform

from calcilens.errors import RoiError, compose
from calcilens.imaging.geometry import Affine
from calcilens.imaging.headers import modality_of
from calcilens.imaging.images import Image, Volume
from calcilens.inference.roi.reading import standard
from calcilens.inference.roi.segmentation import GridRegion, read_grid

_NIFTI = (".nii", ".nii.gz")
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_BONES = re.compile(
    r"bone|vertebra|spine|\brib|sternum|scapula|clavic|humerus|radius|ulna|carpal|phalan|hip\b|"
    r"pelvis|ilium|sacrum|coccyx|femur|patella|tibia|fibula|talus|calcaneus|tarsal|skull|mandible",
    re.IGNORECASE,
)
_LEAST_HU = 80.0
"""Bone with its marrow has a higher median, in osteoporosis too; soft tissue has a lower one."""
_SAME_MM = 0.05
_MOST_VOXELS = 2**30
"""Twice those of a whole body in planes of 512 x 512; a header may claim any number."""
_LEAST_MM3 = 1e-6
_FIX = "write the mask again, in the grid of its CT"


@dataclass(frozen=True)
class Fit:
    """Which CT a file of bones fits.

    Args:
        bones: (Z, Y, X) masks by series UID.
        others: Series UIDs of the CT that it does not fit.
    """

    bones: dict[str, NDArray[np.bool_]]
    others: tuple[str, ...]


def read_bones(path: Path) -> GridRegion:
    """Read a mask of bones.

    Raises:
        RoiError: There is no such file, or it holds no bones.
    """
    where = f"--bone-mask {path.name}"
    if not path.is_file():
        raise RoiError(compose("a NIfTI or DICOM SEG of bones", "no file", where=where))
    if path.name.lower().endswith(_NIFTI):
        return _read_nifti(path, where)
    try:
        with standard(where):
            return _read_seg(path, where)
    except InvalidDicomError as error:
        raise RoiError(compose("a NIfTI or DICOM SEG", "another file", where=where)) from error


def fit_bones(region: GridRegion, images: Sequence[Image]) -> Fit:
    """Put bones into the grid of each CT that they fit.

    A SEG fits the CT of its frame of reference that it lies on, above all those that it refers to.
    A NIfTI names no frame: it fits the CT of its own grid or, where there is only one CT, that one.

    Raises:
        RoiError: They fit none.
    """
    volumes = [i for i in images if isinstance(i, Volume)]
    near = [v for v in volumes if _is_meant(region, v, volumes)]
    if not near:
        expected = "a CT of the mask's frame of reference" if region.uids else "one CT of its grid"
        found = f"none among {len(volumes)} CT series"
        fix = None if region.uids else "give one study, or resample the mask to its CT"
        raise RoiError(compose(expected, found, where=region.where, fix=fix))
    bones: dict[str, NDArray[np.bool_]] = {}
    misfits = []
    for volume in sorted(near, key=lambda v: v.series_uid not in region.uids):
        try:
            bones[volume.series_uid] = _on_bone(region, volume)
        except RoiError as error:
            misfits.append(error)
    if not bones:
        raise misfits[0]  # of the series that it refers to
    return Fit(bones, tuple(v.series_uid for v in volumes if v.series_uid not in bones))


def _is_meant(region: GridRegion, volume: Volume, volumes: Sequence[Volume]) -> bool:
    if region.uids:
        return volume.frame_of_reference_uid in region.uids
    return len(volumes) == 1 or _same_grid(region, volume)


def _on_bone(region: GridRegion, volume: Volume) -> NDArray[np.bool_]:
    """Return the mask in the grid of a CT, and make sure that it lies on bone there."""
    mask = region.mask if _same_grid(region, volume) else _resampled(region, volume)
    if not mask.any():
        raise RoiError(compose("bones inside the CT", "none of them", where=region.where))
    median = float(np.median(volume.hu[mask]))
    if median < _LEAST_HU:
        expected = f"a mask of bones, of at least {_LEAST_HU:.0f} HU in the middle"
        fix = "look whether the mask is of this CT, and of bones alone"
        raise RoiError(compose(expected, f"{median:.0f} HU", where=region.where, fix=fix))
    return mask


def _same_grid(region: GridRegion, volume: Volume) -> bool:
    """Say whether a mask has the voxels of a CT: its corners lie at the same places."""
    if region.mask.shape != volume.hu.shape:
        return False
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(volume.hu.shape) - 1)
    apart = region.affine.to_mm(corners) - volume.affine.to_mm(corners)
    return bool(np.abs(apart).max() <= _SAME_MM)


def _resampled(region: GridRegion, volume: Volume) -> NDArray[np.bool_]:
    """Return the nearest voxel of the mask at every voxel of a CT; beyond the mask is no bone."""
    step = np.linalg.inv(region.affine.matrix) @ volume.affine.matrix
    mask = region.mask.view(np.uint8)
    shape = volume.hu.shape
    there = affine_transform(mask, step[:3, :3], step[:3, 3], shape, order=0, output=np.uint8)
    return np.asarray(there > 0)


def _read_nifti(path: Path, where: str) -> GridRegion:
    """Read a NIfTI, whose axes are (x, y, z) and RAS; what is neither 0 nor NaN is bone."""
    try:
        values, matrix = _nifti_values(path)
    except Exception as error:  # nibabel raises anything on broken files
        found = type(error).__name__
        raise RoiError(compose("a whole NIfTI", found, where=where, fix=_FIX)) from error
    fault = _fault(values, matrix)
    if fault is not None:
        expected, found = fault
        raise RoiError(compose(expected, found, where=where, fix=_FIX))
    mask = np.ascontiguousarray(_filled(values).transpose(2, 1, 0))
    return GridRegion(where, frozenset(), mask, Affine(matrix))


def _nifti_values(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return the voxels (X, Y, Z), left unread where the header claims too many, and the affine."""
    with LoggingOutputSuppressor():  # what is wrong is said once, by us
        picture = nibabel.load(path)
    size = prod(picture.shape)
    values = np.asarray(picture.dataobj) if size <= _MOST_VOXELS else np.empty(0)
    return values, _RAS_TO_LPS @ np.asarray(picture.affine, np.float64)[:, [2, 1, 0, 3]]


def _fault(values: NDArray[Any], matrix: NDArray[np.float64]) -> tuple[str, str] | None:
    """Return what was expected of a NIfTI and what was found, or None where all is well."""
    if not values.ndim or not values.size:
        return f"1 to {_MOST_VOXELS} voxels", "another number"
    if values.dtype.kind not in "biuf":
        return "a NIfTI of plain numbers", f"voxels of type {values.dtype.kind}"
    if values.ndim != 3:
        return "a NIfTI of three axes", f"shape {values.shape}"
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < _LEAST_MM3:
        return "an affine with three directions", "one that is flat or no number"
    if not _filled(values).any():
        return "a NIfTI with bone other than 0", "only 0"
    return None


def _filled(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Say where a mask is set; NaN is how some programs write nothing."""
    return np.asarray((values != 0) & ~np.isnan(values))


def _read_seg(path: Path, where: str) -> GridRegion:
    """Read the bones of a SEG: the segments so named or, where there is one segment, that."""
    dataset = pydicom.dcmread(path)
    if dataset.get("Modality") != "SEG" or "FrameOfReferenceUID" not in dataset:
        found = f"modality {modality_of(dataset) or '(another)'}"
        raise RoiError(compose("a SEG with a frame of reference", found, where=where))
    segments = list(dataset.SegmentSequence)
    bones = segments if len(segments) == 1 else [s for s in segments if _BONES.search(_name(s))]
    if not bones:
        expected = "segments whose label or type names a bone"
        raise RoiError(compose(expected, f"{len(segments)} others", where=where))
    try:
        region = read_grid(where, dataset, [int(s.SegmentNumber) for s in bones])
    except RoiError as error:
        raise RoiError(f"{where}: {error}") from error
    uids = region.uids | {str(dataset.FrameOfReferenceUID)}
    return GridRegion(where, uids, region.mask, region.affine)


def _name(segment: Dataset) -> str:
    kinds = segment.get("SegmentedPropertyTypeCodeSequence", [])
    names = [str(segment.get("SegmentLabel", "")), *(str(k.CodeMeaning) for k in kinds)]
    return " ".join(names).replace("_", " ")
