"""Bones drawn elsewhere: a NIfTI, or the bones among the segments of a DICOM SEG."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pydicom
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from scipy.ndimage import affine_transform

from calcilens.errors import RoiError, compose
from calcilens.imaging.geometry import Affine
from calcilens.imaging.images import Image, Volume
from calcilens.inference.roi.reading import standard
from calcilens.inference.roi.region import names_of
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

    A SEG fits the CT of its frame of reference. A NIfTI names no frame: it fits the CT of its own
    grid or, where there is only one CT, that one.

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
    bones = {v.series_uid: _on_bone(region, v) for v in near}
    return Fit(bones, tuple(v.series_uid for v in volumes if v.series_uid not in bones))


def _is_meant(region: GridRegion, volume: Volume, volumes: Sequence[Volume]) -> bool:
    if region.uids:
        return bool(region.uids & names_of(volume))
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
    """Read a NIfTI, whose axes are (x, y, z) and RAS; what is not 0 is bone."""
    try:
        picture = nibabel.load(path)
        values = np.asarray(picture.dataobj)
        matrix = _RAS_TO_LPS @ np.asarray(picture.affine)[:, [2, 1, 0, 3]]
    except (ImageFileError, OSError, EOFError, ValueError) as error:
        raise RoiError(compose("a whole NIfTI", type(error).__name__, where=where)) from error
    if values.ndim != 3 or not (values != 0).any():
        found = f"shape {values.shape}" if values.ndim != 3 else "only 0"
        raise RoiError(compose("a NIfTI of three axes with bone other than 0", found, where=where))
    mask = np.ascontiguousarray((values != 0).transpose(2, 1, 0))
    return GridRegion(where, frozenset(), mask, Affine(matrix))


def _read_seg(path: Path, where: str) -> GridRegion:
    """Read the bones of a SEG: the segments so named or, where there is one segment, that."""
    dataset = pydicom.dcmread(path)
    if dataset.get("Modality") != "SEG" or "FrameOfReferenceUID" not in dataset:
        found = f"modality {dataset.get('Modality')}"
        raise RoiError(compose("a SEG with a frame of reference", found, where=where))
    segments = list(dataset.SegmentSequence)
    bones = segments if len(segments) == 1 else [s for s in segments if _BONES.search(_name(s))]
    if not bones:
        expected = "segments whose label or type names a bone"
        raise RoiError(compose(expected, f"{len(segments)} others", where=where))
    region = read_grid(where, dataset, [int(s.SegmentNumber) for s in bones])
    return GridRegion(
        where, frozenset({str(dataset.FrameOfReferenceUID)}), region.mask, region.affine
    )


def _name(segment: Dataset) -> str:
    kinds = segment.get("SegmentedPropertyTypeCodeSequence", [])
    names = [str(segment.get("SegmentLabel", "")), *(str(k.CodeMeaning) for k in kinds)]
    return " ".join(names).replace("_", " ")
