"""Projection radiographs: bright means dense, and millimetres only where they are calibrated."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from calcilens.errors import SeriesError, compose
from calcilens.imaging.decode import PixelSource, quiet
from calcilens.imaging.display import displayed
from calcilens.imaging.headers import Header
from calcilens.imaging.images import Plane, Radiograph
from calcilens.imaging.strips import in_strips
from calcilens.imaging.tables import look_up
from calcilens.imaging.terms import body_part, number, side, view


def build_radiograph(header: Header, stored: NDArray[Any]) -> Radiograph:
    """Make a radiograph of stored pixels (Y, X).

    Raises:
        SeriesError: A look-up table or scale of the object makes no sense.
    """
    if header.pixels is None:
        raise SeriesError("holds no image pixels")
    try:
        with quiet():
            values, ends = _modality_values(stored, header.tags, header.pixels)
            display, how_shown = displayed(values, header.tags)
            spacing, how = calibrated_spacing(header.tags)
    except SeriesError:
        raise
    except Exception as error:  # pydicom raises anything on broken tables
        found = f"{type(error).__name__}: {error}"
        raise SeriesError(compose("usable look-up tables", found[:120])) from error
    notes = [f"shown with: {how_shown}"]
    if header.pixels.photometric == "MONOCHROME1":
        np.subtract(np.float32(ends[0] + ends[1]), values, out=values)
        np.subtract(255, display, out=display)
        notes.append("MONOCHROME1 turned: bright means dense")
    tags = header.tags
    return Radiograph(
        pixels=values,
        display=display,
        spacing_mm=spacing,
        spacing_how=how,
        study_uid=header.study_uid,
        series_uid=header.series_uid,
        frame_of_reference_uid=str(header.tags.get("FrameOfReferenceUID") or "") or None,
        planes=(Plane(header.sop_uid, number=number(tags.get("InstanceNumber"))),),
        modality=header.modality,
        body_part=body_part(tags),
        side=side(tags.get("ImageLaterality"), tags.get("Laterality")),
        view=view(tags),
        notes=tuple(notes),
    )


def _modality_values(
    stored: NDArray[Any], tags: Dataset, source: PixelSource
) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Apply the modality LUT; return values and those of the ends of the stored range."""
    low = -(1 << (source.bits_stored - 1)) if source.signed else 0
    ends = np.array([low, low + (1 << source.bits_stored) - 1]).astype(stored.dtype)
    values = in_strips(lambda rows: _modality_lut(rows, tags), stored, np.float32)
    first, last = _modality_lut(ends, tags)
    if not np.isfinite(values).all():
        raise SeriesError(compose("a finite rescale", "one that is not"))
    return values, (float(first), float(last))


def _modality_lut(stored: NDArray[Any], tags: Dataset) -> NDArray[np.float32]:
    if tags.get("ModalityLUTSequence"):
        return look_up(stored, tags.ModalityLUTSequence[0])[0]
    slope, intercept = tags.get("RescaleSlope"), tags.get("RescaleIntercept")
    if slope in (None, "") or intercept in (None, ""):
        return stored.astype(np.float32)
    return (stored * float(slope) + float(intercept)).astype(np.float32)


def calibrated_spacing(tags: Dataset) -> tuple[tuple[float, float] | None, str]:
    """Return the pixel spacing (y, x) in the patient, mm, or None, and why (PS3.3 10.7.1).

    What lies on the detector is magnified; only a correction or a fiducial makes PixelSpacing
    a length in the patient.
    """
    patient, detector = _pair(tags, "PixelSpacing"), _pair(tags, "ImagerPixelSpacing")
    detector = detector or _pair(tags, "NominalScannedPixelSpacing")
    kind = str(tags.get("PixelSpacingCalibrationType") or "").upper()
    factor = _positive(tags.get("EstimatedRadiographicMagnificationFactor"))
    if patient and kind in ("GEOMETRY", "FIDUCIAL"):
        return patient, f"PixelSpacing, calibrated ({kind.lower()})"
    if patient and detector and not np.allclose(patient, detector, rtol=1e-4):
        return patient, "PixelSpacing, which differs from the detector's: corrected, how not said"
    if detector and factor:
        scaled = (detector[0] / factor, detector[1] / factor)
        return scaled, f"detector spacing divided by the estimated magnification {factor:g}"
    if detector:
        return None, "only the detector's spacing is known: not calibrated to the patient"
    if patient:
        return None, "PixelSpacing without a calibration: may be magnified"
    return None, "no pixel spacing is given"


def _pair(tags: Dataset, keyword: str) -> tuple[float, float] | None:
    value = tags.get(keyword)
    if value is None or isinstance(value, str) or len(value) != 2:
        return None
    y, x = _positive(value[0]), _positive(value[1])
    return (y, x) if y and x else None


def _positive(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) and number > 0 else None
