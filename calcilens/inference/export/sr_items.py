"""Content items of structured reports, from our facts (PS3.16 TID 300, 1419 and 4019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from highdicom import sr

from calcilens import MANUFACTURER, MODEL_NAME, __version__
from calcilens.inference.export import concepts as c
from calcilens.inference.export.facts import Figure, Statement
from calcilens.inference.export.remarks import clean, models_of
from calcilens.inference.report import StudyReport
from calcilens.vocabulary import Code

_CONTAINS = sr.RelationshipTypeValues.CONTAINS
_PROPERTY = sr.RelationshipTypeValues.HAS_PROPERTIES
_MODIFIER = sr.RelationshipTypeValues.HAS_CONCEPT_MOD
_DERIVATION = Code("121401", "DCM", "Derivation")


def concept(code: Code) -> Any:
    """Return a code as highdicom takes it."""
    return sr.CodedConcept(code.value, code.scheme, code.meaning)


def text_item(name: Code, text: str, relationship: Any = _CONTAINS) -> Any:
    """Return a TEXT item."""
    return sr.TextContentItem(concept(name), clean(text), relationship_type=relationship)


def code_item(name: Code, value: Code, relationship: Any = _CONTAINS) -> Any:
    """Return a CODE item."""
    return sr.CodeContentItem(concept(name), concept(value), relationship_type=relationship)


def container(name: Code, items: Sequence[Any], relationship: Any = _CONTAINS) -> Any:
    """Return a CONTAINER with its content."""
    made = sr.ContainerContentItem(concept(name), relationship_type=relationship)
    made.ContentSequence = sr.ContentSequence(items)
    return made


def measurement(figure: Figure) -> Any:
    """Return a number as a measurement with its properties."""
    made = sr.Measurement(
        name=concept(figure.name),
        value=figure.value,
        unit=concept(figure.unit),
        derivation=None if figure.derivation is None else concept(figure.derivation),
        method=None if figure.method is None else concept(figure.method),
    )
    if figure.uncertainty is not None:
        error = _property(Figure(c.UNCERTAINTY, figure.uncertainty, figure.unit))
        _append(error, [code_item(_DERIVATION, c.STANDARD_DEVIATION, _MODIFIER)])
        _append(made[0], [error])
    return made


def evaluation(statement: Statement) -> Any:
    """Return an answer as a qualitative evaluation, with its numbers and its reason."""
    made = sr.QualitativeEvaluation(concept(statement.name), concept(statement.value))
    items = [_property(figure) for figure in statement.figures]
    if statement.why:
        items.append(text_item(c.COMMENT, statement.why, _PROPERTY))
    _append(made[0], items)
    return made


def algorithm(report: StudyReport, model: str | None) -> Any:
    """Return what found and judged a lesion (TID 4019); `model` is the name of what judged it."""
    return sr.AlgorithmIdentification(
        name=MODEL_NAME,
        version=__version__,
        manufacturer=MANUFACTURER,
        family=concept(c.AI),
        parameters=[clean(text) for text in models_of(report, model)] or None,
    )


def _property(figure: Figure) -> Any:
    return sr.NumContentItem(
        concept(figure.name), figure.value, concept(figure.unit), relationship_type=_PROPERTY
    )


def _append(item: Any, items: Sequence[Any]) -> None:
    if items:
        before = item.get("ContentSequence", [])
        item.ContentSequence = sr.ContentSequence([*before, *items])
