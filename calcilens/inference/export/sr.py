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
from calcilens.inference.export.facts import procedure_of
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
    """Return the report: a Comprehensive 3D SR of CT, a Comprehensive SR of radiographs."""
    return _documents(images, "sr")


def build_plain(images: Sequence[Shown]) -> list[Dataset]:
    """Return the report as Comprehensive SR with outlines, which needs no Segmentation."""
    return _documents(images, "sr-plain")


def _documents(images: Sequence[Shown], name: str) -> list[Dataset]:
    solid = [shown for shown in images if isinstance(shown.image, Volume)]
    films = [shown for shown in images if not isinstance(shown.image, Volume)]
    parts = [part for part in (solid, films) if part]
    return [_document(part, name, number) for number, part in enumerate(parts, 1)]


def _document(images: Sequence[Shown], name: str, number: int) -> Dataset:
    plain = name == "sr-plain" or not isinstance(images[0].image, Volume)
    kind = sr.ComprehensiveSR if plain else sr.Comprehensive3DSR
    made: Dataset = kind(
        evidence=evidence(images) + ([] if plain else segmentations(images)),
        content=_content(images, plain),
        is_complete=not left_out(images[0].report),
        **heading(images, name, number),
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
            code_item(_PROCEDURE, procedure_of([s.image for s in images]), _MODIFIER),
            library(images),
            *([container(_MEASUREMENTS, groups)] if groups else []),
            container(_EVALUATIONS, _study_level(images)),
        ]
    )
    return root


def _study_level(images: Sequence[Shown]) -> list[Any]:
    lesions = [lesion for shown in images for lesion in shown.lesions]
    result = c.own("PROPOSED" if lesions else "NONE_PROPOSED")
    texts = [text_item(said.name, said.text) for said in remarks(images[0].report, lesions)]
    return [code_item(c.own("SEARCH"), result), *texts]
