"""Masks as a DICOM Segmentation (PS3.3 A.51)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import highdicom
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from calcilens import __version__
from calcilens.vocabulary import Code


@dataclass(frozen=True, eq=False)
class Segment:
    """A lesion's mask.

    Args:
        label: Short name.
        description: What it is, in words.
        tracking_uid: The same in every object that shows this lesion.
        mask: (Z, Y, X) bool in the order of the sources.
    """

    label: str
    description: str
    tracking_uid: str
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class SegIdentity:
    """What makes an object the same each time that it is built.

    Args:
        series_uid, sop_uid, dimension_uid: UIDs of series, instance and dimensions.
        date, time: When its content came about, as DICOM writes it.
        algorithm, family: Name and kind of what drew the masks.
        description: Of the series.
    """

    series_uid: str
    sop_uid: str
    dimension_uid: str
    date: str
    time: str
    algorithm: str
    family: Code
    description: str


def build_seg(
    sources: Sequence[Dataset], segments: Sequence[Segment], identity: SegIdentity
) -> Dataset:
    """Build a binary SEG; the same arguments give the same bytes.

    Args:
        sources: The images, one a plane.
        segments: At least one, none of them empty.
        identity: UIDs, date and names.
    """
    family = identity.family
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name=identity.algorithm,
        family=highdicom.sr.CodedConcept(family.value, family.scheme, family.meaning),
        version=__version__,
    )
    described = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=segment.label,
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=codes.SCT.PathologicCalcification,
            algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
            tracking_uid=segment.tracking_uid,
            tracking_id=segment.label,
        )
        for number, segment in enumerate(segments, 1)
    ]
    for item, segment in zip(described, segments, strict=True):
        item.SegmentDescription = segment.description[:64]
    seg: Dataset = highdicom.seg.Segmentation(
        source_images=list(sources),
        pixel_array=np.stack([s.mask for s in segments], -1).astype(np.uint8),
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=described,
        series_instance_uid=identity.series_uid,
        series_number=100,
        sop_instance_uid=identity.sop_uid,
        instance_number=1,
        manufacturer="Calcilens",
        manufacturer_model_name=identity.algorithm,
        software_versions=__version__,
        device_serial_number="1",
        content_description=identity.description,
        series_description=identity.description,
    )
    _settle(seg, identity)
    if "FrameOfReferenceUID" not in seg:
        _flatten(seg, sources[0])
    return seg


def _flatten(seg: Dataset, source: Dataset) -> None:
    """Mend a SEG of a radiograph: highdicom leaves out one element and cannot read another back."""
    seg.PatientOrientation = source.get("PatientOrientation", "")  # type 2C without a frame
    # Optional beside the source image, and read back by highdicom only with a SliceThickness.
    for group in seg.SharedFunctionalGroupsSequence:
        if "PixelMeasuresSequence" in group:
            del group.PixelMeasuresSequence


def _settle(seg: Dataset, identity: SegIdentity) -> None:
    """Put stated values where highdicom takes the clock or draws a UID."""
    for element in seg.iterall():
        if element.keyword == "DimensionOrganizationUID":
            element.value = identity.dimension_uid
        elif element.keyword == "ContributionDateTime":
            element.value = identity.date + identity.time
    seg.ContentDate = seg.SeriesDate = seg.InstanceCreationDate = identity.date
    seg.ContentTime = seg.SeriesTime = seg.InstanceCreationTime = identity.time
