"""Which files the planes of the images come from, as the image library of a report says."""

from __future__ import annotations

from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from calcilens.errors import InputError, compose

_LIBRARY = "111028"


def planes_of_series(folder: Path) -> dict[str, tuple[str, ...]]:
    """Return the SOP instance UIDs of every CT series that a report is about, in plane order.

    Args:
        folder: Of the study's report.

    Raises:
        InputError: A structured report in it cannot be read.
    """
    found: dict[str, tuple[str, ...]] = {}
    for path in sorted((folder / "dicom").glob("sr-*.dcm")):
        try:
            found |= _planes(dcmread(path))
        except Exception as error:  # pydicom raises anything on a damaged file
            kind = type(error).__name__
            raise InputError(compose("a structured report", kind, where=path.name)) from error
    return found


def _planes(document: Dataset) -> dict[str, tuple[str, ...]]:
    series = {
        instance.ReferencedSOPInstanceUID: item.SeriesInstanceUID
        for study in document.CurrentRequestedProcedureEvidenceSequence
        for item in study.ReferencedSeriesSequence
        for instance in item.ReferencedSOPSequence
    }
    groups = [
        [x.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for x in _images(group)]
        for item in document.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeValue == _LIBRARY
        for group in item.ContentSequence
    ]
    return {str(series[uids[0]]): tuple(map(str, uids)) for uids in groups if uids}


def _images(group: Dataset) -> list[Dataset]:
    return [item for item in group.ContentSequence if item.ValueType == "IMAGE"]
