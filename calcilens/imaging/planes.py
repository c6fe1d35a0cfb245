"""CT planes: place, spacing and scale of each, from single-frame and enhanced objects alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from calcilens.errors import SeriesError, compose
from calcilens.imaging.decode import PixelSource, quiet
from calcilens.imaging.headers import Header
from calcilens.imaging.records import Skipped
from calcilens.imaging.selection import why_not_frame
from calcilens.imaging.terms import body_part, number, side

MOMENTS = (
    "TemporalPositionIndex",
    "TemporalPositionIdentifier",
    "AcquisitionNumber",
    "FrameAcquisitionNumber",
    "EchoNumbers",
    "ConvolutionKernel",
    "KVP",
    "ImageType",
    "AcquisitionTime",
)
"""What may tell apart planes at the same position, the most telling first."""

_MACROS = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "SliceThickness": "PixelMeasuresSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "RescaleType": "PixelValueTransformationSequence",
    "TemporalPositionIndex": "FrameContentSequence",
    "FrameAcquisitionNumber": "FrameContentSequence",
    "FrameType": "CTImageFrameTypeSequence",
    "ConvolutionKernel": "CTReconstructionSequence",
    "KVP": "CTXRayDetailsSequence",
    "FrameLaterality": "FrameAnatomySequence",
}
"""Functional group in which an enhanced object keeps an attribute (PS3.3 C.7.6.16)."""

SPACING_MM = (0.01, 10.0)
"""Of pixels in a plane. Scanners of specimens have 0.01 mm and more; a body of 500 mm would be 50
of the largest pixels wide."""
_MOST_HU_A_STEP = 32.0
"""Of a stored value. Eight bits for all of 4096 HU take 16; the extended scale takes 10."""
_FARTHEST_HU = 65536.0


@dataclass(frozen=True, eq=False)
class CtPlane:
    """One plane of a CT series.

    Args:
        position: ImagePositionPatient (x, y, z), mm.
        orientation: ImageOrientationPatient, six direction cosines.
        spacing: PixelSpacing (rows, columns), mm.
        thickness: Depth that it averages over, mm, or None.
        kvp: Tube voltage, or None.
        padding: Lowest and highest stored value that mean "no data", or None.
        moments: Values of MOMENTS, as text.
        side: "L" or "R" of a paired body part, or None.
        body_part: BodyPartExamined, or None.
        number: As in `Plane`.
    """

    name: str
    sop_uid: str
    instance: int
    frame_of_reference: str | None
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, ...]
    thickness: float | None
    kvp: float | None
    slope: float
    intercept: float
    padding: tuple[int, int] | None
    moments: tuple[str, ...]
    source: PixelSource
    others: tuple[Header, ...] = ()
    side: str | None = None
    body_part: str | None = None
    number: int | None = None

    @property
    def normal(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Unit vector at right angles to the plane: row direction x column direction."""
        n = np.cross(self.orientation[:3], self.orientation[3:])
        return np.asarray(n / np.linalg.norm(n), np.float64)

    @property
    def order(self) -> tuple[int, str, int]:
        """What decides between planes at the same place, whatever the files' order."""
        return self.instance, self.sop_uid, self.source.frame


def ct_planes(headers: Sequence[Header]) -> tuple[list[CtPlane], list[Skipped]]:
    """Read the planes of one series; those that cannot be placed are left out with a reason."""
    planes: list[CtPlane] = []
    skipped: list[Skipped] = []
    for header in headers:
        refused: dict[str, int] = {}
        count = _frames_there(header)
        for frame in range(count):
            try:
                with quiet():
                    planes.append(_plane(header, frame))
            except SeriesError as error:
                refused[str(error)] = refused.get(str(error), 0) + 1
            except Exception as error:  # pydicom raises anything on broken values
                reason = f"a tag cannot be read: {type(error).__name__}"
                refused[reason] = refused.get(reason, 0) + 1
        stated = header.pixels.frames if header.pixels else 0
        if count < stated:
            found = f"{count} with pixels and a place"
            skipped.append(Skipped(header.name, compose(f"{stated} frames", found)))
        for reason, times in refused.items():
            text = f"{times} frames: {reason}" if stated > 1 else reason
            skipped.append(Skipped(header.name, text))
    return planes, skipped


def _frames_there(header: Header) -> int:
    """Return how many frames to look at: NumberOfFrames may say far more than there are."""
    if header.pixels is None:
        return 0
    placed = len(header.tags.get("PerFrameFunctionalGroupsSequence") or [])
    return min(header.pixels.frames, max(1, header.pixels.held), max(1, placed))


class _Groups:
    """Attributes of one frame: from its own functional group, the shared one, or the top."""

    def __init__(self, tags: Dataset, frame: int) -> None:
        own = tags.get("PerFrameFunctionalGroupsSequence") or []
        shared = tags.get("SharedFunctionalGroupsSequence") or []
        self._layers = [*([own[frame]] if frame < len(own) else []), *shared[:1]]
        self._tags = tags

    def get(self, keyword: str) -> Any:
        for layer in self._layers:
            macro = layer.get(_MACROS.get(keyword, "")) if keyword in _MACROS else None
            if macro and macro[0].get(keyword) is not None:
                return macro[0].get(keyword)
        return self._tags.get(keyword)

    def floats(self, keyword: str, count: int) -> tuple[float, ...]:
        value = self.get(keyword)
        values = tuple(
            float(v)
            for v in (value if count > 1 and value is not None else [value])
            if v not in (None, "")
        )
        if len(values) != count or not np.isfinite(values).all():
            found = "none" if not values else f"{len(values)}: {values}"
            raise SeriesError(compose(f"{count} finite numbers in {keyword}", found))
        return values


def _plane(header: Header, frame: int) -> CtPlane:
    """Read one plane.

    Raises:
        SeriesError: A tag is missing or makes no sense.
    """
    if header.pixels is None:
        raise SeriesError("holds no image pixels")
    groups, tags = _Groups(header.tags, frame), header.tags
    _refuse_frame(groups)
    orientation = groups.floats("ImageOrientationPatient", 6)
    spacing = groups.floats("PixelSpacing", 2)
    slope, intercept = (groups.floats(k, 1)[0] for k in ("RescaleSlope", "RescaleIntercept"))
    _check_geometry(orientation, spacing)
    _check_scale(slope, intercept)
    return CtPlane(
        name=header.name,
        sop_uid=header.sop_uid,
        instance=int(tags.get("InstanceNumber") or 0),
        frame_of_reference=str(tags.get("FrameOfReferenceUID") or "") or None,
        position=groups.floats("ImagePositionPatient", 3),
        orientation=orientation,
        spacing=spacing,
        thickness=_above_zero(groups.get("SliceThickness")),
        kvp=_above_zero(groups.get("KVP")),
        slope=slope,
        intercept=intercept,
        padding=_padding(tags, header.pixels),
        moments=tuple(str(groups.get(keyword) or "") for keyword in MOMENTS),
        source=replace(header.pixels, frame=frame),
        others=header.others,
        side=_side(groups),
        body_part=body_part(tags),
        number=number(tags.get("InstanceNumber")) if header.pixels.frames == 1 else frame + 1,
    )


def _side(groups: _Groups) -> str | None:
    """Return the side of a paired body part; the nearest to the frame that says one counts."""
    stated = (groups.get(k) for k in ("FrameLaterality", "ImageLaterality", "Laterality"))
    return side(*stated, known="LR")


def _above_zero(value: Any) -> float | None:
    """Return what is one number above 0; None for anything else."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 < number < np.inf else None


def _refuse_frame(groups: _Groups) -> None:
    """Refuse a frame of an enhanced object that is no primary slice."""
    kinds = groups.get("FrameType")
    if kinds:
        reason = why_not_frame([str(kind) for kind in kinds])
        if reason:
            raise SeriesError(reason)
    if str(groups.get("RescaleType") or "HU").upper() not in ("HU", "US"):
        raise SeriesError("pixel values in another unit than Hounsfield")


def _check_geometry(orientation: tuple[float, ...], spacing: tuple[float, ...]) -> None:
    row, column = np.asarray(orientation[:3]), np.asarray(orientation[3:])
    lengths = np.linalg.norm([row, column], axis=1)
    if (abs(lengths - 1) > 0.01).any() or abs(row @ column) > 0.01:
        raise SeriesError(
            compose("ImageOrientationPatient of two unit vectors at right angles", f"{orientation}")
        )
    least, most = SPACING_MM
    if not (least <= min(spacing) and max(spacing) <= most):
        found = " x ".join(f"{s:g}" for s in spacing)
        fix = "look whether it was written in another unit than mm"
        expected = f"a PixelSpacing from {least:g} to {most:g} mm"
        raise SeriesError(compose(expected, found, fix=fix))


def _check_scale(slope: float, intercept: float) -> None:
    """Refuse a scale that turns no stored values into Hounsfield units."""
    if not 0 < abs(slope) <= _MOST_HU_A_STEP or abs(intercept) > _FARTHEST_HU:
        expected = f"a RescaleSlope other than 0, of at most {_MOST_HU_A_STEP:g} HU a stored value"
        raise SeriesError(
            compose(
                f"{expected}, and a RescaleIntercept within {_FARTHEST_HU:g} HU",
                f"{slope:g} and {intercept:g}",
                fix="export the series again from the scanner or archive",
            )
        )


def _padding(tags: Dataset, source: PixelSource) -> tuple[int, int] | None:
    """Return the stored values that mean "no data"; a wrongly signed tag is put right."""
    value = tags.get("PixelPaddingValue")
    if not isinstance(value, int):
        return None
    limit = tags.get("PixelPaddingRangeLimit")
    ends = [value, limit if isinstance(limit, int) else value]
    if source.signed:
        half = 1 << (source.bits_allocated - 1)
        ends = [(e + half) % (2 * half) - half for e in ends]
    else:
        ends = [e % (1 << source.bits_allocated) for e in ends]
    return min(ends), max(ends)
