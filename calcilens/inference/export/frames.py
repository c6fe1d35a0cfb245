"""What DICOM objects with frames of their own take from the images that they are made of."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import CTImageStorage

from calcilens.imaging.images import Image, Volume
from calcilens.imaging.sources import Source, decimal, plane_headers

_CLOCK = (
    ("ContentDate", "ContentTime"),
    ("SeriesDate", "SeriesTime"),
    ("InstanceCreationDate", "InstanceCreationTime"),
    ("PresentationCreationDate", "PresentationCreationTime"),
    ("DateOfSecondaryCapture", "TimeOfSecondaryCapture"),
)


@dataclass(frozen=True)
class Stamp:
    """What makes an object the same each time that it is built.

    Args:
        series_uid, sop_uid, dimension_uid: UIDs of series, instance and dimensions.
        date, time: When its content came about, as DICOM writes it.
    """

    series_uid: str
    sop_uid: str
    dimension_uid: str
    date: str
    time: str


def frame_sources(image: Image, source: Source, planes: Iterable[int]) -> list[Dataset]:
    """Return planes of an image as single-frame objects, from which highdicom takes the grid.

    Frames of an enhanced object share a UID, by which highdicom would tell them apart: planes get
    numbers in its place, and `refer` puts the references right.
    A radiograph has no place in the patient, even where its file names a frame of reference.
    """
    headers = plane_headers(image, source, planes)
    for number, header in enumerate(headers, 1):
        if isinstance(image, Volume):
            depth = decimal([depth_mm(image)])[0]
            header.add_new("SOPInstanceUID", "UI", f"2.25.{number}")
            header.add_new("SOPClassUID", "UI", CTImageStorage)
            header.add_new("FrameOfReferenceUID", "UI", frame_of_reference(image))
            header.add_new("SliceThickness", "DS", depth)
            header.add_new("SpacingBetweenSlices", "DS", depth)
        else:
            header.pop("FrameOfReferenceUID", None)
    return headers


def frame_of_reference(image: Volume) -> str:
    """Return the UID of what positions are relative to; one of the series where none is stated."""
    name = f"calcilens:frame of reference:{image.series_uid}"
    made = f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, name).int}"
    return image.frame_of_reference_uid or made


def depth_mm(image: Volume) -> float:
    """Return the distance of planes along their normal; with a tilted gantry less than a step."""
    step, column, row = image.affine.matrix[:3, :3].T
    normal = np.cross(row, column)
    return float(abs(step @ normal) / np.linalg.norm(normal))


def settle(built: Dataset, stamp: Stamp) -> None:
    """Put stated values where highdicom takes the clock or draws a UID."""
    for sequence in ("DimensionOrganizationSequence", "DimensionIndexSequence"):
        for item in built.get(sequence, []):
            item.DimensionOrganizationUID = stamp.dimension_uid
    for item in built.get("ContributingEquipmentSequence", []):
        # The scanner's part is the source's own.
        if item.get("ManufacturerModelName") == "highdicom":
            item.ContributionDateTime = stamp.date + stamp.time
    for date, time in _CLOCK:
        if date in built or date == "SeriesDate":
            setattr(built, date, stamp.date)
            setattr(built, time, stamp.time)


def refer(built: Dataset, image: Image, source: Source) -> None:
    """Name the file, and the frame in it, that each frame was made of: once each, and truly."""
    frames = built.PerFrameFunctionalGroupsSequence
    used = [_plane_of(frame, image) for frame in frames]
    true = {number: image_references(image, source, [number])[0] for number in set(used)}
    for frame, number in zip(frames, used, strict=True):
        for item in frame.DerivationImageSequence[0].SourceImageSequence:
            item.update(true[number])
    named = image_references(image, source, sorted(set(used)))
    for item in named:
        item.pop("ReferencedFrameNumber", None)
    built.SourceImageSequence = named
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedInstanceSequence = image.series_uid, named
    built.ReferencedSeriesSequence = DicomSequence([series])


def image_references(image: Image, source: Source, planes: Sequence[int]) -> DicomSequence:
    """Return references to the files of planes; to frames where they lie in one file."""
    frames: dict[str, list[int]] = {}
    for plane in (image.planes[number] for number in planes):
        frames.setdefault(plane.sop_uid, []).append(plane.frame + 1)
    items = []
    for uid, numbers in frames.items():
        item = Dataset()
        item.ReferencedSOPClassUID = source.header.SOPClassUID
        item.ReferencedSOPInstanceUID = uid
        if "PerFrameFunctionalGroupsSequence" in source.header:
            item.ReferencedFrameNumber = numbers
        items.append(item)
    return DicomSequence(items)


def _plane_of(frame: Dataset, image: Image) -> int:
    """Return the plane that a frame lies in."""
    if not isinstance(image, Volume):
        return 0
    place = frame.PlanePositionSequence[0].ImagePositionPatient
    return round(float(image.affine.to_voxel([float(v) for v in place])[0]))
