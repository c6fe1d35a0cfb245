"""A lesion as a measurement group of a structured report (PS3.16 TID 1410 and 1411)."""

from __future__ import annotations

from typing import Any

from highdicom import sr
from pydicom.uid import SegmentationStorage

from calcilens.imaging.images import Radiograph
from calcilens.inference.export.facts import figures_of, finding_of, site_of, statements_of
from calcilens.inference.export.objects import Shown
from calcilens.inference.export.outlines import outline, planes_of
from calcilens.inference.export.sr_items import algorithm, concept, evaluation, measurement
from calcilens.inference.lesions import Lesion


def lesion_group(shown: Shown, number: int, *, plain: bool) -> Any:
    """Return the group of an image's lesion.

    On CT it is a segment of the Segmentation of the same run; where `plain`, outlines in the
    planes, so that nothing else is needed to show it. On a radiograph it is one outline.

    Args:
        shown: The image.
        number: Of the lesion on it, from 1; its segment has the same.
        plain: For viewers that do not follow references to segments.
    """
    lesion = shown.lesions[number - 1]
    about = {
        "tracking_identifier": sr.TrackingIdentifier(lesion.tracking_uid, lesion.id),
        "finding_type": concept(finding_of(lesion)),
        "finding_sites": _sites(shown),
        "algorithm_id": algorithm(shown.report, lesion.answer.model),
        "measurements": [measurement(figure) for figure in figures_of(lesion)],
        "qualitative_evaluations": [evaluation(said) for said in statements_of(lesion)],
    }
    if isinstance(shown.image, Radiograph):
        region = _region(shown, lesion, lesion.key_plane)
        return sr.PlanarROIMeasurementsAndQualitativeEvaluations(referenced_region=region, **about)
    if plain:
        regions = [_region(shown, lesion, plane) for plane in planes_of(lesion)]
        about["referenced_regions"] = regions
    else:
        about["referenced_segment"] = _segment(shown, lesion, number)
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(**about)


def _region(shown: Shown, lesion: Lesion, plane: int) -> Any:
    kind, uid, frames = reference(shown, plane)
    source = sr.SourceImageForRegion(kind, uid, frames)
    return sr.ImageRegion(sr.GraphicTypeValues.POLYLINE, outline(lesion, plane), source)


def _segment(shown: Shown, lesion: Lesion, number: int) -> Any:
    by_file: dict[str, list[int]] = {}
    for plane in sorted(planes_of(lesion)):
        _, uid, frames = reference(shown, plane)
        by_file.setdefault(uid, []).extend(frames or [])
    kind = shown.source.header.SOPClassUID
    sources = [
        sr.SourceImageForSegmentation(kind, uid, frames or None) for uid, frames in by_file.items()
    ]
    return sr.ReferencedSegment(
        SegmentationStorage, shown.uid("seg"), number, source_images=sources
    )


def reference(shown: Shown, plane: int) -> tuple[str, str, list[int] | None]:
    """Return class and UID of a plane's file, and its frame where that file has several."""
    place, header = shown.image.planes[plane], shown.source.header
    several = int(header.get("NumberOfFrames") or 1) > 1
    return header.SOPClassUID, place.sop_uid, [place.frame + 1] if several else None


def _sites(shown: Shown) -> list[Any] | None:
    found = site_of(shown.image, shown.source.header)
    if found is None:
        return None
    place, side = found
    return [sr.FindingSite(concept(place), None if side is None else concept(side))]
