"""A measurement group of a preliminary report as readers leave it, and one that they add."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from calcilens.inference.export import concepts as c
from calcilens.inference.export.reader_items import device, evaluations, with_items
from calcilens.inference.export.sr_items import code_item, concept
from calcilens.inference.export.verdicts import Outline, Verdict
from calcilens.vocabulary import PUBLIC_CODES, Code

_FINDING = Code("121071", "DCM", "Finding")
_PUBLIC = {name.value for name, _ in PUBLIC_CODES.values()}
_PLACES = ("IMAGE", "SCOORD", "SCOORD3D", "COMPOSITE")
_MODEL = {"122157", "VERDICT", "OUT_OF_DOMAIN", "PATTERN_SET", "CONCERN", "RULES"}
"""What the model says; all else was measured on the outline that the program drew."""


def read_group(group: Dataset, verdict: Verdict, files: Mapping[str, str]) -> Dataset:
    """Return a group with the reader's verdict beside the marked answer of the model.

    Where the reader drew another outline, it stands instead of the program's, and what was
    measured on that one is left out.

    Args:
        group: Of the preliminary report; it is changed.
        verdict: On that lesion.
        files: Class of every file of the images, by its UID.
    """
    items = [x for x in group.ContentSequence if _name(x) not in _PUBLIC]
    if verdict.outlines:
        items = [x for x in items if not _of_outline(x)]
    _mark(items)
    items = [_finding(verdict) if _name(x) == _FINDING.value else x for x in items]
    places = [x for x in items if x.ValueType in _PLACES]
    rest = [x for x in items if x.ValueType not in _PLACES]
    if verdict.outlines:
        drawn = added_group(verdict, files)
        places = [x for x in drawn.ContentSequence if x.ValueType in _PLACES]
    group.ContentSequence = [*rest, *evaluations(verdict), *places]
    return group


def what_model_said(group: Dataset) -> list[Dataset]:
    """Return the answers of the model in a group, marked as such."""
    found = [x for x in group.ContentSequence if _name(x) in _MODEL]
    _mark(found)
    return found


def _mark(items: Iterable[Dataset]) -> None:
    """Mark answers of the model; below a number the template allows no observer (TID 1419)."""
    for item in items:
        if _name(item) in _MODEL and item.ValueType == "CODE":
            with_items(item, device())


def added_group(verdict: Verdict, files: Mapping[str, str]) -> Dataset:
    """Return a group of a lesion as the reader drew it."""
    about = {
        "tracking_identifier": sr.TrackingIdentifier(verdict.tracking_uid, verdict.lesion),
        "finding_type": concept(_finding_code(verdict)),
    }
    regions = [_region(outline, files) for outline in verdict.outlines]
    if files[verdict.outlines[0].sop_uid] == CTImageStorage or len(regions) > 1:
        made = sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            referenced_regions=regions, **about
        )
    else:
        made = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            referenced_region=regions[0], **about
        )
    items = list(made[0].ContentSequence)
    places = [x for x in items if x.ValueType in _PLACES]
    rest = [x for x in items if x.ValueType not in _PLACES]
    del made[0].ContentSequence
    return with_items(made[0], [*rest, *evaluations(verdict), *places])


def _region(outline: Outline, files: Mapping[str, str]) -> Any:
    frames = None if outline.frame is None else [outline.frame]
    source = sr.SourceImageForRegion(files[outline.sop_uid], outline.sop_uid, frames)
    points = np.array(outline.points, np.float64)
    return sr.ImageRegion(sr.GraphicTypeValues.POLYLINE, points, source)


def _of_outline(item: Dataset) -> bool:
    """Whether an item was measured on the outline that the program drew."""
    told = item.RelationshipType == "CONTAINS" and item.ValueType in ("NUM", "CODE")
    return told and _name(item) not in {*_MODEL, _FINDING.value}


def _finding(verdict: Verdict) -> Any:
    return code_item(_FINDING, _finding_code(verdict))


def _finding_code(verdict: Verdict) -> Any:
    return c.ABNORMAL if verdict.calcified else c.LESION


def _name(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeValue)
