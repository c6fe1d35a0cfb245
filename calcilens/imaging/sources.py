"""What the files of an image say of patient, study and equipment: for objects made from it.

This is the only place where a patient's name is held. It goes into DICOM objects of the same
patient and nowhere else: never into a report, a log, an error or a file name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from pydicom import config, dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import DA, DT, TM, validate_value

from calcilens.imaging.decode import quiet
from calcilens.imaging.headers import Header
from calcilens.imaging.images import Image, Volume

_LARGEST = 64 * 1024
"""Longest value that is kept, bytes: no object of ours copies bulk data."""
_NEEDED = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
    "StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber",
)  # fmt: skip
"""Of patient and study: every object has these, perhaps empty (type 2 in PS3.3 C.7.1 and C.7.2)."""
_SEXES = ("", "F", "M", "O")
"""Enumerated values of PatientSex (PS3.3 C.7.1.1)."""
_FORMATTED = ("AS", "DA", "DT", "TM")
_CALENDAR: dict[str, Callable[[str], object]] = {"DA": DA, "DT": DT, "TM": TM}
"""What knows that there is no 30 February."""
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
            tags.decode()
            tags.SpecificCharacterSet = "ISO_IR 192"  # UTF-8: holds whatever the source's sets do
            _blank_invalid(tags)
            for keyword in set(_NEEDED) - set(tags.dir()):
                setattr(tags, keyword, None)
    except Exception:  # pydicom raises anything on broken values
        return None
    return Source(tags)


def _blank_invalid(tags: Dataset) -> None:
    """Empty dates, times, ages and sexes that are none: anonymisers write hashes there."""
    for element in tags:
        if element.VR in _FORMATTED and not is_valid(element):
            element.value = None
    if str(tags.get("PatientSex") or "") not in _SEXES:
        tags.PatientSex = None


def is_valid(element: DataElement) -> bool:
    """Tell whether an element's value fits its representation (PS3.5 6.2)."""
    values = element.value if element.VM > 1 else [element.value]
    exists = _CALENDAR.get(element.VR, str)
    try:
        for value in values:
            validate_value(element.VR, str(value or ""), config.RAISE)
            exists(str(value or ""))
    except ValueError:
        return False
    return True


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
    out = Dataset()
    out.update(source.header)
    # A new element each: those of the header are shared by all planes.
    out.add_new("SOPInstanceUID", "UI", image.planes[number].sop_uid)
    if not isinstance(image, Volume):
        return out
    for keyword in _FRAMES:
        out.pop(keyword, None)
    _, y, x = image.spacing_mm
    columns, rows = image.affine.matrix[:3, 1] / y, image.affine.matrix[:3, 2] / x
    out.add_new("ImagePositionPatient", "DS", decimal(image.affine.to_mm((number, 0, 0))))
    out.add_new("ImageOrientationPatient", "DS", decimal([*rows, *columns]))
    out.add_new("PixelSpacing", "DS", decimal([y, x]))
    return out


def decimal(values: Iterable[float]) -> list[str]:
    """Write numbers as DICOM decimal strings, 16 characters at most (PS3.5 6.2)."""
    return [np.format_float_positional(v, precision=10, trim="-")[:16] for v in values]
