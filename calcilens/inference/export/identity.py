"""What makes the objects of a report the same each time that they are made."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass

from pydicom.dataset import Dataset

from calcilens import MANUFACTURER, MODEL_NAME, __version__
from calcilens.inference.report import StudyReport, to_json

EQUIPMENT = {
    "manufacturer": MANUFACTURER,
    "manufacturer_model_name": MODEL_NAME,
    "software_versions": __version__,
    "device_serial_number": "1",
}
"""What every object says of its maker, as highdicom names it."""
NOTICE = "RESEARCH, not for diagnosis"
"""Stands in the description of every series; `DISCLAIMER` says it in full where there is room."""


def _uuid(*part: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_OID, ":".join(("calcilens", *part)))


DEVICE_UID = f"2.25.{_uuid('device', __version__).int}"
"""Of this program as an observer."""
_TITLES = {
    "sr": "report",
    "sr-plain": "plain report",
    "sr-verified": "verified report",
    "seg": "segments",
    "saliency": "saliency",
    "saliency-whole": "saliency of all planes",
    "presentation": "outlines",
    "capture": "pictures",
    "key-objects": "key images",
}
SERIES_NUMBERS = {
    "sr": 9100,
    "sr-plain": 9110,
    "sr-verified": 9115,
    "seg": 9120,
    "saliency": 9130,
    "saliency-whole": 9135,
    "presentation": 9140,
    "capture": 9150,
    "key-objects": 9160,
}
"""Of the first series of each format: past those that scanners give."""
_DATES = (
    ("ContentDate", "ContentTime"),
    ("AcquisitionDate", "AcquisitionTime"),
    ("SeriesDate", "SeriesTime"),
    ("StudyDate", "StudyTime"),
)


@dataclass(frozen=True)
class Identity:
    """Of the objects of one report.

    An archive takes an object once. Objects made again of the same input by the same models must be
    the same, byte for byte: so UIDs come from the report's content, and dates from the images.

    Args:
        digest: SHA-256 of the report's content and the program's version.
    """

    digest: str

    @classmethod
    def of(cls, report: StudyReport) -> Identity:
        """Return that of a report."""
        content = json.dumps([__version__, to_json(report, [])], sort_keys=True)
        return cls(hashlib.sha256(content.encode()).hexdigest())

    def uid(self, *part: object) -> str:
        """Return a UID made of a UUID (PS3.5 B.2): the same for the same report and part."""
        return f"2.25.{self._uuid(*part).int}"

    def urn(self, *part: object) -> str:
        """Return the same UUID as a URN."""
        return self._uuid(*part).urn

    def _uuid(self, *part: object) -> uuid.UUID:
        return _uuid(self.digest, "/".join(map(str, part)))


def description(name: str) -> str:
    """Return the description of the series of a format, by which lists of viewers tell them apart.

    It fits into the 64 characters of Series Description (LO, PS3.5 6.2).
    """
    return f"{MODEL_NAME} {_TITLES[name]}, {NOTICE}"


def date_time(source: Dataset) -> tuple[str, str]:
    """Return date and time of an image, as DICOM writes them, for the objects made from it."""
    for date, time in _DATES:
        day = str(source.get(date) or "")
        if len(day) == 8 and day.isdigit():
            clock = str(source.get(time) or "")[:6]
            return day, clock if len(clock) == 6 and clock.isdigit() else "000000"
    return "19000101", "000000"
