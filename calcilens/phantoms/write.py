"""Write a phantom as a whole DICOM study with its truth beside it."""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from calcilens import __version__
from calcilens.errors import InputError, compose
from calcilens.phantoms.leg import LegPhantom, simulate_leg

_NAMESPACE = uuid.UUID("5d0c6a0e-6c0c-4c3f-9d0e-3f1f5b6f7a11")
_INTERCEPT = -1024


def write_study(out: Path, seed: int = 0) -> Path:
    """Simulate a leg and write it: `dicom/*.dcm`, `truth.json` and `roi.json`.

    The same seed gives the same files, UIDs included.

    Args:
        out: Folder to make; it must be missing or empty.
        seed: Seed of the phantom.

    Returns:
        The folder with the DICOM files.

    Raises:
        InputError: `out` holds something already.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(
            compose("a folder that is missing or empty", "something else", where=f"--out {out}")
        )
    phantom = simulate_leg(seed)
    folder = out / "dicom"
    folder.mkdir(parents=True)
    try:
        _write_all(phantom, out, seed)
    except BaseException:  # half a study must not be taken for a whole one
        for part in (folder, out / "truth.json", out / "roi.json"):
            shutil.rmtree(part, ignore_errors=True)
            if part.is_file():
                part.unlink()
        raise
    return folder


def _write_all(phantom: LegPhantom, out: Path, seed: int) -> None:
    for plane in range(len(phantom.hu)):
        dataset = _plane(phantom, plane, seed)
        dataset.save_as(out / "dicom" / f"ct-{plane:03d}.dcm", enforce_file_format=True)
    _write_json(out / "truth.json", truth(phantom, seed))
    _write_json(out / "roi.json", roi(phantom, seed))


def truth(phantom: LegPhantom, seed: int) -> dict[str, Any]:
    """Return what was simulated: boxes, volumes, HU and pattern of every lesion."""
    lesions = [
        {
            "pattern": lesion.pattern,
            "box_vox": bounds(mask).tolist(),
            "box_mm": phantom.affine.box_mm(bounds(mask)).tolist(),
            "radii_mm": list(lesion.radii_mm),
            "rim_mm": lesion.rim_mm,
            "soft_tissue_mass": lesion.mass_mm > 0,
            "volume_mm3": lesion.mineral_mm3,
            "mask_volume_mm3": float(mask.sum() * np.prod(phantom.affine.spacing_mm)),
            "mineral_hu": lesion.hu,
            "mean_hu": float(phantom.clean[mask].mean()),
            "max_hu": float(phantom.clean[mask].max()),
        }
        for lesion, mask in zip(phantom.lesions, phantom.masks, strict=True)
    ]
    return {
        "phantom": "leg",
        "version": __version__,
        "seed": seed,
        "study_uid": _uid(seed, "study"),
        "series_uid": _uid(seed, "series"),
        "lesions": lesions,
    }


def roi(phantom: LegPhantom, seed: int) -> dict[str, Any]:
    """Return the lesions in the form that `calcilens predict --roi` reads."""
    series = _uid(seed, "series")
    boxes = [bounds(mask).tolist() for mask in phantom.masks]
    return {"lesions": [{"series_uid": series, "box": box} for box in boxes]}


def bounds(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the half-open (2, 3) box of a mask that is not empty, (z, y, x)."""
    where = np.argwhere(mask)
    return np.stack([where.min(0), where.max(0) + 1])


def _uid(seed: int, part: str) -> str:
    """Return a UID derived from a UUID (PS3.5 B.2): the same for the same seed and part."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, f'leg/{seed}/{part}').int}"


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _plane(phantom: LegPhantom, plane: int, seed: int) -> Dataset:
    """Return one CT Image (PS3.3 A.3) of the phantom."""
    dataset = Dataset()
    for module in (_study_module(seed), _series_module(seed), _acquisition_module()):
        dataset.update(module)
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = _uid(seed, f"plane/{plane}")
    dataset.InstanceNumber = plane + 1
    position = phantom.affine.to_mm((plane, 0, 0))
    dataset.ImagePositionPatient = [round(float(v), 4) for v in position]
    dataset.SliceLocation = round(float(position[2]), 4)
    _set_pixels(dataset, phantom, plane)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def _study_module(seed: int) -> Dataset:
    d = Dataset()
    d.SpecificCharacterSet = "ISO_IR 192"
    d.PatientName, d.PatientID = "Phantom^Leg", f"PHANTOM-LEG-{seed}"
    d.PatientBirthDate, d.PatientSex = "", ""
    d.StudyInstanceUID = _uid(seed, "study")
    d.StudyDate, d.StudyTime, d.StudyID = "20250101", "120000", "1"
    d.AccessionNumber, d.ReferringPhysicianName = "", ""
    d.StudyDescription = "Simulated leg"
    return d


def _series_module(seed: int) -> Dataset:
    d = Dataset()
    d.Modality, d.SeriesInstanceUID, d.SeriesNumber = "CT", _uid(seed, "series"), 1
    d.SeriesDescription, d.BodyPartExamined, d.Laterality = "Simulated, axial", "LEG", "R"
    d.PatientPosition, d.FrameOfReferenceUID = "FFS", _uid(seed, "frame")
    d.PositionReferenceIndicator = ""
    d.Manufacturer, d.ManufacturerModelName = "Calcilens", "Leg phantom"
    d.SoftwareVersions = __version__
    return d


def _acquisition_module() -> Dataset:
    d = Dataset()
    d.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    d.ContentDate = d.AcquisitionDate = "20250101"
    d.ContentTime = d.AcquisitionTime = "120000"
    d.AcquisitionNumber, d.KVP, d.ConvolutionKernel = 1, 120, "SOFT TISSUE"
    d.BurnedInAnnotation = "NO"
    d.ImageComments = "Simulated, not a patient"
    return d


def _set_pixels(dataset: Dataset, phantom: LegPhantom, plane: int) -> None:
    stored = (phantom.hu[plane].astype(np.int32) - _INTERCEPT).astype("<u2")
    dataset.Rows, dataset.Columns = stored.shape
    dataset.PixelSpacing = list(phantom.affine.spacing_mm[1:])
    dataset.SliceThickness = phantom.affine.spacing_mm[0]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = _INTERCEPT, 1, "HU"
    dataset.WindowCenter, dataset.WindowWidth = 60, 400
    dataset.PixelData = stored.tobytes()
