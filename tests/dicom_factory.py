"""Synthetic DICOM objects for tests: what a scanner would write, with known content."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import uid
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.valuerep import format_number_as_ds

ROOT = "1.2.826.0.1.3680043.8.498.77"
STUDY_UID = f"{ROOT}.1"
SERIES_UID = f"{ROOT}.1.1"
FRAME_UID = f"{ROOT}.9"
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def new_object(
    sop_class: str = uid.CTImageStorage,
    *,
    sop_uid: str = f"{SERIES_UID}.1",
    modality: str = "CT",
    syntax: str = uid.ExplicitVRLittleEndian,
    **tags: Any,
) -> Dataset:
    """Return an object with UIDs and no pixels; `tags` override or add elements by keyword."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = uid.UID(sop_class)
    meta.MediaStorageSOPInstanceUID = uid.UID(sop_uid)
    meta.TransferSyntaxUID = uid.UID(syntax)
    ds = Dataset()
    ds.file_meta = meta
    ds.SOPClassUID, ds.SOPInstanceUID = uid.UID(sop_class), uid.UID(sop_uid)
    ds.StudyInstanceUID, ds.SeriesInstanceUID = uid.UID(STUDY_UID), uid.UID(SERIES_UID)
    ds.FrameOfReferenceUID = uid.UID(FRAME_UID)
    ds.StudyDate, ds.Modality = "20250102", modality
    ds.PatientName, ds.PatientID = "Secret^Name", "SECRET-ID"
    set_tags(ds, tags)
    return ds


def decimal(value: float) -> str:
    """Write a number as a decimal string (DS)."""
    return format_number_as_ds(float(value))


def set_tags(ds: Dataset, tags: dict[str, Any]) -> None:
    """Set elements by keyword; None deletes."""
    for keyword, value in tags.items():
        if value is not None:
            setattr(ds, keyword, value)
        elif keyword in ds:
            delattr(ds, keyword)


def set_pixels(
    ds: Dataset, stored: np.ndarray, *, bits_stored: int = 12, photometric: str = "MONOCHROME2"
) -> None:
    """Put stored values (Y, X) or (F, Y, X), 16 bits allocated, into an object."""
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, photometric
    ds.Rows, ds.Columns = stored.shape[-2:]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, bits_stored, bits_stored - 1
    ds.PixelRepresentation = int(stored.dtype.kind == "i")
    if stored.ndim == 3:
        ds.NumberOfFrames = stored.shape[0]
    big = ds.file_meta.TransferSyntaxUID == uid.ExplicitVRBigEndian
    data = stored.astype(stored.dtype.newbyteorder(">" if big else "<")).tobytes()
    ds["PixelData"] = DataElement(0x7FE00010, "OW", data)


def ct_slices(
    stored: np.ndarray,
    *,
    orientation: Sequence[float] = AXIAL,
    origin: Sequence[float] | np.ndarray = (-10.0, -20.0, 30.0),
    step: Sequence[float] | np.ndarray | None = None,
    spacing: Sequence[float] = (0.5, 0.75),
    thickness: float = 7.0,
    bits_stored: int = 12,
    **tags: Any,
) -> list[Dataset]:
    """Return one CT object a plane of `stored` (Z, Y, X); `step` is the vector between planes.

    SliceThickness is deliberately not the distance of planes.
    """
    normal = np.cross(orientation[:3], orientation[3:])
    vector = np.asarray(normal * 2.0 if step is None else step)
    objects = []
    for index, plane in enumerate(stored):
        ds = new_object(sop_uid=f"{SERIES_UID}.{index + 1}")
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.InstanceNumber = index + 1
        ds.ImagePositionPatient = [decimal(v) for v in np.asarray(origin) + index * vector]
        ds.ImageOrientationPatient = [decimal(v) for v in orientation]
        ds.PixelSpacing, ds.SliceThickness = list(spacing), thickness
        ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = 1, -1024, "HU"
        set_pixels(ds, plane, bits_stored=bits_stored)
        set_tags(ds, tags)
        objects.append(ds)
    return objects


def enhanced_ct(stored: np.ndarray, *, step_mm: float = 2.0, **tags: Any) -> Dataset:
    """Return one Enhanced CT object; frames are stored in a shuffled order of positions."""
    ds = new_object(uid.EnhancedCTImageStorage, sop_uid=f"{SERIES_UID}.50")
    ds.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    shared = Dataset()
    shared.PixelMeasuresSequence = [item(PixelSpacing=[0.5, 0.75], SliceThickness=7)]
    shared.PlaneOrientationSequence = [item(ImageOrientationPatient=list(AXIAL))]
    shared.PixelValueTransformationSequence = [
        item(RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")
    ]
    order = np.random.default_rng(3).permutation(len(stored))
    frames = []
    for place in order:
        frame = Dataset()
        position = [-10.0, -20.0, 30.0 + step_mm * int(place)]
        frame.PlanePositionSequence = [item(ImagePositionPatient=position)]
        frame.CTImageFrameTypeSequence = [item(FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"])]
        frames.append(frame)
    ds.SharedFunctionalGroupsSequence = DicomSequence([shared])
    ds.PerFrameFunctionalGroupsSequence = DicomSequence(frames)
    set_pixels(ds, stored[order])
    set_tags(ds, tags)
    return ds


def radiograph(stored: np.ndarray, *, photometric: str = "MONOCHROME2", **tags: Any) -> Dataset:
    """Return a DX object of stored values (Y, X)."""
    ds = new_object(uid.DigitalXRayImageStorageForPresentation, modality="DX")
    ds.ImageType, ds.BodyPartExamined = ["ORIGINAL", "PRIMARY"], "KNEE"
    set_pixels(ds, stored, photometric=photometric)
    set_tags(ds, tags)
    return ds


def item(**tags: Any) -> Dataset:
    """Return an item of a sequence."""
    ds = Dataset()
    set_tags(ds, tags)
    return ds


def save(ds: Dataset, path: Path) -> Path:
    """Write an object; folders are made as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return path


def save_all(objects: Sequence[Dataset], folder: Path) -> Path:
    """Write objects as 000.dcm, 001.dcm ... in the given order."""
    for number, ds in enumerate(objects):
        save(ds, folder / f"{number:03d}.dcm")
    return folder


def ramp(shape: tuple[int, ...] = (4, 6, 8), start: int = 1000) -> np.ndarray:
    """Return stored values that are all different, around 0 HU at an intercept of -1024."""
    return np.arange(start, start + int(np.prod(shape)), dtype=np.uint16).reshape(shape)
