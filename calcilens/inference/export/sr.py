"""The report as a DICOM structured report (PS3.16 TID 1500, Measurement Report).

It is unverified, since no person stands behind it, and preliminary, since a radiologist has the
last word. It is complete where every image of the study was searched and nothing was left out;
otherwise it is partial, and says what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from highdicom import sr
from pydicom.dataset import Dataset

from calcilens.imaging.images import Volume
from calcilens.inference.export import concepts as c
from calcilens.inference.export.documents import (
    evidence,
    heading,
    observer,
    segmentations,
    settle,
)
from calcilens.inference.export.objects import Shown
from calcilens.inference.export.remarks import left_out, remarks
from calcilens.inference.export.sr_group import lesion_group
from calcilens.inference.export.sr_items import code_item, concept, container, text_item
from calcilens.inference.export.sr_library import library
from calcilens.vocabulary import Code

_TITLE = Code("126000", "DCM", "Imaging Measurement Report")
_MEASUREMENTS = Code("126010", "DCM", "Imaging Measurements")
_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
_PROCEDURE = Code("121058", "DCM", "Procedure reported")
_MODIFIER = sr.RelationshipTypeValues.HAS_CONCEPT_MOD


def build(images: Sequence[Shown]) -> list[Dataset]:
    """Return the report: a Comprehensive 3D SR, or a Comprehensive SR of radiographs alone."""
    solid = any(isinstance(shown.image, Volume) for shown in images)
    kind = sr.Comprehensive3DSR if solid else sr.ComprehensiveSR
    return [_document(images, "sr", kind)]


def build_plain(images: Sequence[Shown]) -> list[Dataset]:
    """Return the report as a Comprehensive SR with outlines, which needs no Segmentation."""
    return [_document(images, "sr-plain", sr.ComprehensiveSR)]


def _document(images: Sequence[Shown], name: str, kind: Any) -> Dataset:
    plain = name == "sr-plain"
    made: Dataset = kind(
        evidence=evidence(images) + ([] if plain else segmentations(images)),
        content=_content(images, plain),
        is_complete=not left_out(images[0].report),
        **heading(images, name, "Calcification report"),
    )
    settle(made)
    return made


def _content(images: Sequence[Shown], plain: bool) -> Dataset:
    groups = [
        group
        for shown in images
        for number in range(1, len(shown.lesions) + 1)
        for group in lesion_group(shown, number, plain=plain)
    ]
    root: Dataset = sr.ContainerContentItem(concept(_TITLE), template_id="1500")
    root.ContentSequence = sr.ContentSequence(
        [
            *sr.LanguageOfContentItemAndDescendants(sr.CodedConcept("en", "RFC5646", "English")),
            *sr.ObservationContext(observer_device_context=observer()),
            *(code_item(_PROCEDURE, code, _MODIFIER) for code in _procedures(images)),
            library(images),
            *([container(_MEASUREMENTS, groups)] if groups else []),
            container(_EVALUATIONS, _study_level(images)),
        ]
    )
    return root


def _study_level(images: Sequence[Shown]) -> list[Any]:
    report = images[0].report
    result = c.own("PROPOSED" if report.lesions else "NONE_PROPOSED")
    texts = [text_item(remark.name, remark.text) for remark in remarks(report)]
    return [code_item(c.own("SEARCH"), result), *texts]


def _procedures(images: Sequence[Shown]) -> list[Code]:
    solid = [isinstance(shown.image, Volume) for shown in images]
    return [c.CT_PROCEDURE] * any(solid) + [c.IMAGING_PROCEDURE] * (not all(solid))
