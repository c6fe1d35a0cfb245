"""What the files of an image say of patient, study and equipment: for objects made from it.

This is the only place where a patient's name is held. It goes into DICOM objects of the same
patient and nowhere else: never into a report, a log, an error or a file name.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset

from calcilens.imaging.decode import quiet
from calcilens.imaging.headers import Header
from calcilens.imaging.images import Image, Volume

_LARGEST = 64 * 1024
"""Longest value that is kept, bytes: no object of ours copies bulk data."""
_FRAMES = ("NumberOfFrames", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")


@dataclass(frozen=True, eq=False, repr=False)
class Source:
    """The header of the first file of an image.

    Args:
        header: All its data elements but pixels, bulk data and private ones.
    """

    header: Dataset


def read_source(header: Header) -> Source | None:
    """Read the whole header of a file; None where that fails: no object can be made from it."""
    try:
        with quiet():
            tags = dcmread(header.path, stop_before_pixels=True, force=True)
            tags.remove_private_tags()
            long = [e.tag for e in tags if isinstance(e.value, bytes) and len(e.value) > _LARGEST]
            for tag in long:
                del tags[tag]
    except Exception:  # pydicom raises anything on broken values
        return None
    return Source(tags)


def plane_headers(
    image: Image, source: Source, planes: Iterable[int] | None = None
) -> list[Dataset]:
    """Return the header of every plane of an image: UIDs and place are those that were read.

    Args:
        image: The image.
        source: Of its first plane.
        planes: Which; all by default.
    """
    count = len(image.planes)
    return [_plane(image, source, z) for z in (range(count) if planes is None else planes)]


def _plane(image: Image, source: Source, number: int) -> Dataset:
    plane = image.planes[number]
    out = copy(source.header)
    out.SOPInstanceUID = plane.sop_uid
    if not isinstance(image, Volume):
        return out
    for keyword in _FRAMES:
        out.pop(keyword, None)
    matrix = image.affine.matrix[:3, :3]
    _, y, x = image.spacing_mm
    rows = matrix[:, 2] / x
    columns = matrix[:, 1] / y
    out.ImagePositionPatient = decimal(image.affine.to_mm((number, 0, 0)))
    out.ImageOrientationPatient = decimal([*rows, *columns])
    out.PixelSpacing = decimal([y, x])
    return out


def decimal(values: Iterable[float]) -> list[str]:
    """Write numbers as DICOM decimal strings, 16 characters at most (PS3.5 6.2)."""
    return [np.format_float_positional(v, precision=10, trim="-")[:16] for v in values]
