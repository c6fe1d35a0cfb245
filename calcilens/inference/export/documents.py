"""What the documents of a report have in common: heading, observer, time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from highdicom import sr
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import SegmentationStorage

from calcilens import MANUFACTURER, MODEL_NAME, __version__
from calcilens.imaging.images import Volume
from calcilens.inference.export.identity import (
    DEVICE_UID,
    EQUIPMENT,
    SERIES_NUMBERS,
    date_time,
    description,
)
from calcilens.inference.export.objects import Shown
from calcilens.inference.export.remarks import clean
from calcilens.vocabulary import CODES_UID, PRIVATE_SCHEME


def heading(images: Sequence[Shown], name: str, number: int = 1) -> dict[str, Any]:
    """Return series, instance, equipment and time of a study's document.

    Args:
        images: That it is about.
        name: Format.
        number: Of the document in its series.
    """
    identity = images[0].identity
    date, time = date_time(images[0].source.header)
    return {
        "series_instance_uid": identity.uid(name, "series"),
        "series_number": SERIES_NUMBERS[name],
        "sop_instance_uid": identity.uid(name, number),
        "instance_number": number,
        **EQUIPMENT,
        "series_description": description(name),
        "specific_character_set": "ISO_IR 192",
        "content_date": date,
        "content_time": time,
        "series_date": date,
        "series_time": time,
        "coding_schemes": [
            CodingSchemeIdentificationItem(
                PRIVATE_SCHEME,
                name="Calcilens private codes",
                uid=CODES_UID,
                responsible_organization=MANUFACTURER,
            )
        ],
    }


def settle(made: Dataset) -> None:
    """Put the time of the content where highdicom takes the clock."""
    made.InstanceCreationDate, made.InstanceCreationTime = made.ContentDate, made.ContentTime
    for equipment in made.get("ContributingEquipmentSequence", []):
        equipment.ContributionDateTime = f"{made['ContentDate'].value}{made['ContentTime'].value}"


def observer() -> Any:
    """Return the observer of a document: this program."""
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=DEVICE_UID,
        name=MODEL_NAME,
        manufacturer_name=MANUFACTURER,
        model_name=MODEL_NAME,
        serial_number=clean(__version__),
    )
    return sr.ObserverContext(codes.DCM.Device, device)


def evidence(images: Sequence[Shown]) -> list[Dataset]:
    """Return every file of the images; the first is whole: patient and study come from it."""
    found = [images[0].source.header]
    for shown in images:
        header = shown.source.header
        uids = dict.fromkeys(plane.sop_uid for plane in shown.image.planes)
        found += [named(header, header.SOPClassUID, header.SeriesInstanceUID, uid) for uid in uids]
    return found


def segmentations(images: Sequence[Shown]) -> list[Dataset]:
    """Return the Segmentations of the same run that hold lesions of CT."""
    return [
        named(s.source.header, SegmentationStorage, s.uid("seg", "series"), s.uid("seg"))
        for s in images
        if s.lesions and isinstance(s.image, Volume)
    ]


def named(header: Dataset, kind: str, series: str, uid: str) -> Dataset:
    """Return the UIDs of an object of the study, as evidence for highdicom."""
    made = Dataset()
    made.StudyInstanceUID, made.SeriesInstanceUID = header.StudyInstanceUID, series
    made.SOPClassUID, made.SOPInstanceUID = kind, uid
    return made
