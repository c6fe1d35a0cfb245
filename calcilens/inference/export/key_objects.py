"""The planes that matter as a DICOM Key Object Selection (PS3.16 TID 2010)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from highdicom import ko
from pydicom.dataset import Dataset

from calcilens import DISCLAIMER
from calcilens.inference.export import concepts as c
from calcilens.inference.export.documents import heading, named, observer, settle
from calcilens.inference.export.objects import Shown
from calcilens.inference.export.remarks import clean
from calcilens.inference.export.sr_group import reference
from calcilens.inference.export.sr_items import concept
from calcilens.inference.export.words import headline

Place = tuple[str, int]
"""UID of a file, and its frame from 1, or 0 where it has one alone."""


def build(images: Sequence[Shown]) -> list[Dataset]:
    """Return one selection: the plane that shows each lesion best; none without a lesion."""
    planes = _key_planes(images)
    if not planes:
        return []
    content = ko.KeyObjectSelection(
        document_title=concept(c.OF_INTEREST),
        referenced_objects=list(planes.values()),
        observer_device_context=observer(),
        description=clean(_description(images)),
    )
    _name_frames(content[0], [frame for _, frame in planes])
    first = images[0].source.header
    made: Dataset = ko.KeyObjectSelectionDocument(
        # Patient and study come from the first, which has to be whole.
        evidence=[_whole(images, next(iter(planes.values()))), *planes.values()],
        content=content,
        **heading(images, "key-objects"),
    )
    made.copy_patient_and_study_information(first)
    settle(made)
    return [made]


def _key_planes(images: Sequence[Shown]) -> dict[Place, Dataset]:
    """Return each plane once, in the order of the report's lesions."""
    of = {id(lesion): shown for shown in images for lesion in shown.lesions}
    found = {}
    for lesion in images[0].report.lesions:
        if id(lesion) in of:
            shown = of[id(lesion)]
            kind, uid, frames = reference(shown, lesion.key_plane)
            plane = named(shown.source.header, kind, shown.image.series_uid, uid)
            plane.Rows = plane.Columns = 1  # an image, for highdicom; nothing else is taken of it
            found[uid, frames[0] if frames else 0] = plane
    return found


def _whole(images: Sequence[Shown], plane: Dataset) -> Dataset:
    made = Dataset()
    made.update(images[0].source.header)
    made.update(plane)
    return made


def _name_frames(root: Any, frames: Sequence[int]) -> None:
    items = [item for item in root.ContentSequence if item.ValueType == "IMAGE"]
    for item, frame in zip(items, frames, strict=True):
        if frame:
            item.ReferencedSOPSequence[0].ReferencedFrameNumber = frame


def _description(images: Sequence[Shown]) -> str:
    lesions = images[0].report.lesions
    return "\n".join([DISCLAIMER, *(f"{lesion.id}: {headline(lesion)}" for lesion in lesions)])
