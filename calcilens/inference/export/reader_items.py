"""What a reader says of a lesion, as content items of a structured report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from highdicom import sr
from pydicom.dataset import Dataset

from calcilens import MODEL_NAME
from calcilens.inference.export import concepts as c
from calcilens.inference.export.identity import DEVICE_UID
from calcilens.inference.export.remarks import clean
from calcilens.inference.export.sr_items import code_item, concept, text_item
from calcilens.inference.export.verdicts import Verdict
from calcilens.vocabulary import PUBLIC_CODES, Code, pattern

_CONTEXT = sr.RelationshipTypeValues.HAS_OBS_CONTEXT
_PROPERTY = sr.RelationshipTypeValues.HAS_PROPERTIES
_TYPE = Code("121005", "DCM", "Observer Type")
_PERSON, _DEVICE = Code("121006", "DCM", "Person"), Code("121007", "DCM", "Device")
_PERSON_NAME = Code("121008", "DCM", "Person Observer Name")
_DEVICE_UID = Code("121012", "DCM", "Device Observer UID")
_DEVICE_NAME = Code("121013", "DCM", "Device Observer Name")
_IDENTIFIER = Code("112039", "DCM", "Tracking Identifier")
_TRACKING = Code("112040", "DCM", "Tracking Unique Identifier")


def person_name(name: str) -> str:
    """Return a sign-in name as a person's name of one component (PS3.5 6.2.1)."""
    return f"{clean(name)}^"


def persons(names: Iterable[str]) -> list[Any]:
    """Return the context of what persons observed (PS3.16 TID 1002 and 1003)."""
    found = []
    for name in names:
        found += [
            code_item(_TYPE, _PERSON, _CONTEXT),
            sr.PnameContentItem(
                concept(_PERSON_NAME), person_name(name), relationship_type=_CONTEXT
            ),
        ]
    return found


def device() -> list[Any]:
    """Return the context of what this program observed (PS3.16 TID 1002 and 1004)."""
    uid = sr.UIDRefContentItem(concept(_DEVICE_UID), DEVICE_UID, relationship_type=_CONTEXT)
    name = text_item(_DEVICE_NAME, MODEL_NAME, _CONTEXT)
    return [code_item(_TYPE, _DEVICE, _CONTEXT), uid, name]


def with_items(item: Dataset, items: Sequence[Any], *, first: bool = False) -> Dataset:
    """Add content items below one; one of highdicom's, which takes its own kind alone, is copied.

    Returns:
        The item, or its copy.
    """
    before = list(item.get("ContentSequence", []))
    made = item
    if type(item) is not Dataset:
        made = Dataset()
        made.update(item)
    made.ContentSequence = [*items, *before] if first else [*before, *items]
    return made


def evaluations(verdict: Verdict) -> list[Any]:
    """Return what the reader says of a lesion that is not rejected, each with who says it."""
    stated = [
        (c.own("READER_VERDICT"), verdict_code(verdict)),
        *((c.own("READER_ACTION"), action) for action in _actions(verdict)),
        *((c.own("READER_PATTERN"), pattern(key).code) for key in verdict.patterns),
        *_public(verdict),
        (c.own("READER_CONCERN"), c.said(verdict.concern or "cannot say")),
        *([(c.own("REDRAWN"), c.YES)] if verdict.outlines else []),
    ]
    made = [with_items(code_item(*pair), persons(verdict.readers)) for pair in stated]
    return [with_items(made[0], _remarks(verdict)), *made[1:]]


def rejected(verdict: Verdict, model: Sequence[Dataset]) -> Any:
    """Return a place that is no finding: who says so, and what the model had said of it."""
    uid = sr.UIDRefContentItem(
        concept(_TRACKING), verdict.tracking_uid, relationship_type=_PROPERTY
    )
    for item in model:
        item.RelationshipType = _PROPERTY.value
    made = code_item(c.own("REJECTED"), verdict_code(verdict))
    return with_items(
        made,
        [
            *persons(verdict.readers),
            text_item(_IDENTIFIER, verdict.lesion, _PROPERTY),
            uid,
            *_remarks(verdict),
            *model,
        ],
    )


def verdict_code(verdict: Verdict) -> Code:
    """Return the reader's word on whether it is a calcification."""
    words = {True: "CALCIFIED", False: "NOT_CALCIFIED", None: "CANNOT_SAY"}
    return c.own(words[verdict.calcified])


def _actions(verdict: Verdict) -> list[Code]:
    if verdict.added:
        return [c.own("ADDED")]
    return [c.own(f"CHANGED_{name.upper()}") for name in verdict.changed] or [c.own("AGREED")]


def _public(verdict: Verdict) -> list[tuple[Code, Code]]:
    one = verdict.patterns if len(verdict.patterns) == 1 else ()
    return [PUBLIC_CODES[key] for key in one if key in PUBLIC_CODES]


def _remarks(verdict: Verdict) -> list[Any]:
    sure = sr.NumContentItem(
        concept(c.own("CONFIDENCE")),
        verdict.confidence,
        concept(c.ONE),
        relationship_type=_PROPERTY,
    )
    words = [text_item(c.COMMENT, verdict.comment, _PROPERTY)] if verdict.comment.strip() else []
    return [sure, *words]
