"""The lesions of an image as a DICOM Segmentation."""

from __future__ import annotations

from pydicom.dataset import Dataset

from calcilens import MODEL_NAME
from calcilens.imaging.images import Radiograph
from calcilens.imaging.measure import lesion_mask
from calcilens.inference.export.concepts import LESION
from calcilens.inference.export.facts import finding_of
from calcilens.inference.export.frames import Stamp, frame_sources, refer
from calcilens.inference.export.identity import SERIES_NUMBERS, date_time, description
from calcilens.inference.export.labels import colour, described, lines, parameters
from calcilens.inference.export.objects import Shown
from calcilens.inference.export.seg import CALCIFICATION, About, Segment, build_seg, used_planes
from calcilens.inference.lesions import Lesion
from calcilens.vocabulary import Code

BY_NETWORK = Code("123110", "DCM", "Artificial Intelligence")
BY_DENSITY = Code("123104", "DCM", "Morphological Operations")
"""What draws outlines (CID 7162): a network on films, density and shape on CT."""


def build(shown: Shown) -> list[Dataset]:
    """Return the Segmentation of an image's lesions; none where it has no lesion."""
    if not shown.lesions:
        return []
    about = About(
        algorithm=MODEL_NAME,
        family=BY_NETWORK if isinstance(shown.image, Radiograph) else BY_DENSITY,
        description=description("seg"),
        series_number=SERIES_NUMBERS["seg"],
        parameters=parameters(shown.report.models),
    )
    segments = [_segment(lesion, shown.number(lesion)) for lesion in shown.lesions]
    planes = used_planes(segments)
    sources = dict(zip(planes, frame_sources(shown.image, shown.source, planes), strict=True))
    seg = build_seg(sources, segments, about, stamp(shown, "seg"))
    refer(seg, shown.image, shown.source)
    seg.ContentQualification = "RESEARCH"
    return [seg]


def stamp(shown: Shown, kind: str, *part: object) -> Stamp:
    """Return UIDs and dates of one object of an image.

    Args:
        shown: The image.
        kind: Format; its objects of an image share a series.
        part: Tells the objects of a format apart.
    """
    series, instance = shown.uid(kind, "series"), shown.uid(kind, *part)
    dimensions = shown.uid(kind, *part, "dimensions")
    return Stamp(series, instance, dimensions, *date_time(shown.source.header))


def _segment(lesion: Lesion, number: int) -> Segment:
    z, y, x = (int(v) for v in lesion.candidate.box[0])
    return Segment(
        label=lines(lesion, number)[0][:64],
        description=described(lesion, number),
        kind=LESION if finding_of(lesion) == LESION else CALCIFICATION,
        tracking=(lesion.id, lesion.tracking_uid),
        mask=lesion_mask(lesion.image, lesion.candidate)[0],
        start=(z, y, x),
        colour=colour(lesion),
        by_hand=lesion.candidate.is_given,
    )
