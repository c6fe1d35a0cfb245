"""Masks as a DICOM Segmentation (PS3.3 A.51)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import highdicom
import numpy as np
from highdicom.seg import SegmentationFractionalTypeValues, SegmentationTypeValues
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from calcilens import __version__
from calcilens.inference.export.frames import Stamp, settle
from calcilens.inference.export.identity import EQUIPMENT
from calcilens.vocabulary import Code

ABNORMAL = Code("49755003", "SCT", "Morphologically Abnormal Structure")
CALCIFICATION = Code("18115005", "SCT", "Pathologic calcification")
Sources = Sequence[Dataset] | Mapping[int, Dataset]


@dataclass(frozen=True, eq=False)
class Segment:
    """A lesion's mask.

    Args:
        label: Short name, as viewers list it.
        description: What it is, in words.
        tracking: Name and UID, the same in every object that shows this lesion.
        mask: (Z, Y, X) bool, or float32 in 0..1 for a fractional Segmentation.
        start: First voxel of the mask (z, y, x) in the stack of the sources.
        colour: Recommended, red, green and blue in 0..255.
        by_hand: Whether a person, or a program that is not ours, drew it.
        category, kind: What it is, in code.
    """

    label: str
    description: str
    tracking: tuple[str, str]
    mask: NDArray[np.bool_] | NDArray[np.float32]
    start: tuple[int, int, int] = (0, 0, 0)
    colour: tuple[int, int, int] | None = None
    by_hand: bool = False
    category: Code = ABNORMAL
    kind: Code = CALCIFICATION

    @property
    def planes(self) -> list[int]:
        """Planes of the sources on which it has voxels."""
        return [self.start[0] + int(z) for z in np.flatnonzero(self.mask.any((1, 2)))]


@dataclass(frozen=True)
class About:
    """What a Segmentation says of itself.

    Args:
        algorithm, family: Name and kind of what drew the masks.
        description: Of the series.
        series_number: Of the series.
        label: Of the content: capitals.
        parameters: Of the algorithm: models and their hashes.
    """

    algorithm: str
    family: Code
    description: str
    series_number: int = 100
    label: str = "CALCIFICATION"
    parameters: Mapping[str, str] = field(default_factory=dict)


def used_planes(segments: Sequence[Segment]) -> list[int]:
    """Return the planes on which any segment has voxels, in order."""
    return sorted({plane for segment in segments for plane in segment.planes})


def build_seg(sources: Sources, segments: Sequence[Segment], about: About, stamp: Stamp) -> Dataset:
    """Build a SEG of the planes that masks lie on; the same arguments give the same bytes.

    Args:
        sources: The images, by plane; at least those of `used_planes`.
        segments: At least one, none of them empty; all of them bool, or all float32.
        about: Names.
        stamp: UIDs and dates.
    """
    planes = used_planes(segments)
    given = [sources[plane] for plane in planes]
    pixels = _pixels(segments, planes, (given[0].Rows, given[0].Columns))
    fractional = pixels.dtype.kind == "f"
    seg: Dataset = highdicom.seg.Segmentation(
        source_images=given,
        pixel_array=pixels,
        segmentation_type=SegmentationTypeValues["FRACTIONAL" if fractional else "BINARY"],
        fractional_type=SegmentationFractionalTypeValues.PROBABILITY,
        max_fractional_value=255,
        transfer_syntax_uid=RLELossless if fractional else ExplicitVRLittleEndian,
        segment_descriptions=[_described(n, s, about) for n, s in enumerate(segments, 1)],
        series_instance_uid=stamp.series_uid,
        series_number=about.series_number,
        sop_instance_uid=stamp.sop_uid,
        instance_number=1,
        **{**EQUIPMENT, "manufacturer_model_name": about.algorithm},
        content_label=about.label,
        content_description=about.description,
        series_description=about.description,
    )
    settle(seg, stamp)
    if "FrameOfReferenceUID" not in seg:
        _flatten(seg, given[0])
    return seg


def concept(code: Code) -> Any:
    """Return a code as highdicom takes it."""
    return highdicom.sr.CodedConcept(code.value, code.scheme, code.meaning)


def _described(number: int, segment: Segment, about: About) -> Dataset:
    kinds = highdicom.seg.SegmentAlgorithmTypeValues
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name=about.algorithm,
        family=concept(about.family),
        version=__version__,
        parameters=dict(about.parameters) or None,
    )
    colour = segment.colour and highdicom.color.CIELabColor.from_rgb(*segment.colour)
    item: Dataset = highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=segment.label,
        segmented_property_category=concept(segment.category),
        segmented_property_type=concept(segment.kind),
        algorithm_type=kinds.MANUAL if segment.by_hand else kinds.AUTOMATIC,
        algorithm_identification=None if segment.by_hand else algorithm,
        tracking_id=segment.tracking[0],
        tracking_uid=segment.tracking[1],
        display_color=colour,
    )
    item.SegmentDescription = segment.description[:1024]
    return item


def _pixels(
    segments: Sequence[Segment], planes: Sequence[int], shape: tuple[int, int]
) -> NDArray[Any]:
    """Return the segments in the planes that are used: numbered, or one behind the other.

    Numbers (P, Y, X) take far less memory; where segments share a voxel, or have shades, they are
    (P, Y, X, segments).
    """
    if segments[0].mask.dtype == bool:
        labels = np.zeros((len(planes), *shape), np.uint8 if len(segments) < 256 else np.uint16)
        if all(_put(labels, planes, segment, number) for number, segment in enumerate(segments, 1)):
            return labels
    kind = np.uint8 if segments[0].mask.dtype == bool else np.float32
    stacked = np.zeros((len(planes), *shape, len(segments)), kind)
    for number, segment in enumerate(segments):
        _put(stacked[..., number], planes, segment, 1)
    return stacked


def _put(target: NDArray[Any], planes: Sequence[int], segment: Segment, value: int) -> bool:
    """Write a segment into planes (P, Y, X); tell whether all its voxels were free."""
    _, y, x = segment.start
    _, height, width = segment.mask.shape
    rows = [planes.index(plane) for plane in segment.planes]
    part = target[:, y : y + height, x : x + width]
    mask = segment.mask[np.array(segment.planes) - segment.start[0]]
    free = not part[rows][mask > 0].any()
    part[rows] = np.where(mask > 0, mask * target.dtype.type(value), part[rows])
    return free


def _flatten(seg: Dataset, source: Dataset) -> None:
    """Mend a SEG of a radiograph: highdicom leaves out one element and cannot read another back."""
    seg.PatientOrientation = source.get("PatientOrientation", "")  # type 2C without a frame
    # Optional beside the source image, and read back by highdicom only with a SliceThickness.
    for group in seg.SharedFunctionalGroupsSequence:
        if "PixelMeasuresSequence" in group:
            del group.PixelMeasuresSequence
