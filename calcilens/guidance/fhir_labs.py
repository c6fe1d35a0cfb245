"""Laboratory values of FHIR Observations: the latest of each analyte, as it was reported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from calcilens.guidance.fhir_fields import Node
from calcilens.guidance.fhir_remarks import known, unused
from calcilens.guidance.laboratory import understands
from calcilens.guidance.terms import data

_RESULTS = ("final", "amended", "corrected", "preliminary", "appended")
_NO_RESULTS = ("registered", "cancelled", "entered-in-error", "unknown")
_VALUES = ("Quantity", "CodeableConcept", "String")
_UCUM = "http://unitsofmeasure.org"
_ANTIBODIES = "antibodies"


@dataclass(frozen=True)
class _Result:
    """A value with a code: an Observation, or a component of one.

    Args:
        node: Holds code and value.
        at: When it was taken, in a form that sorts; "" where that is not known.
        day: The same, to the day, as FHIR writes it.
    """

    node: Node
    at: str
    day: str | None


def laboratory_of(nodes: list[Node], day: str | None, remarks: list[str]) -> dict[str, Any]:
    """Return the section `laboratory` of a case.

    Args:
        nodes: Observations.
        day: Of the case; what is later does not count.
        remarks: Gets a line for what is not used.

    Raises:
        CaseError: A field is broken; it is named.
    """
    latest: dict[str, tuple[str, Any]] = {}
    strange: list[tuple[str, str]] = []
    remarks += [
        f"{node.where}: its status says nothing that is known; not used"
        for node in nodes
        if node.text("status") not in (*_RESULTS, *_NO_RESULTS)
    ]
    remarks += [
        f"{node.where}: it is of somebody or something else; not used"
        for node in nodes
        if node.value.get("focus")
    ]
    for result in (found for node in nodes for found in _results(node)):
        codes = result.node.codes("code")
        analyte = _analyte(codes)
        if analyte is None:
            strange += known(codes)
        elif day and result.day and result.day > day:
            remarks.append(f"{result.node.where}: after the day of the case; not used")
        elif (value := _value(analyte, result, remarks)) is not None:
            latest[analyte] = max(latest.get(analyte, ("", None)), (result.at, value), key=_when)
    remarks += unused("Observation", strange)
    return {analyte: value for analyte, (_, value) in latest.items()}


def _results(node: Node) -> Iterator[_Result]:
    """Return what an Observation states, itself or in components, where it has a result."""
    if node.text("status") not in _RESULTS or node.value.get("focus"):  # of somebody else
        return
    day = node.day("effectiveDateTime") or node.day("effectiveInstant")
    at = node.text("effectiveDateTime") or node.text("effectiveInstant")
    period = node.child("effectivePeriod")
    if at is None and period is not None:
        end = "end" if "end" in period.value else "start"
        day, at = period.day(end), period.text(end)
    if at is None:
        day, at = node.day("issued"), node.text("issued")
    for part in (node, *node.children("component")):
        if any(f"value{kind}" in part.value for kind in _VALUES) or "interpretation" in part.value:
            yield _Result(part, _sortable(at or ""), day)


def _sortable(at: str) -> str:
    """Return a time in UTC; a date, or what is no time, as it is."""
    try:
        time = datetime.fromisoformat(at) if "T" in at else None
    except ValueError:
        return at
    return at if time is None or time.tzinfo is None else time.astimezone(UTC).isoformat()


def _when(found: tuple[str, Any]) -> str:
    return found[0]


def _analyte(codes: list[tuple[str, str]]) -> str | None:
    spec = data("fhir")
    tests = spec["laboratory"] | {_ANTIBODIES: spec["antibodies"]}
    loinc = {code for system, code in codes if system == "loinc"}
    return next((analyte for analyte, wanted in tests.items() if loinc & set(wanted)), None)


def _value(analyte: str, result: _Result, remarks: list[str]) -> Any:
    """Return a value as a case holds it; None, with a remark, where it cannot be used."""
    node = result.node
    if analyte == _ANTIBODIES:
        found = _sign(node)
        if found is None:
            remarks.append(f"{node.where}: neither positive nor negative; not used")
        return found
    quantity = node.child("valueQuantity")
    number = None if quantity is None else quantity.number("value")
    unit = None if quantity is None else _unit(quantity)
    if quantity is None or number is None or unit is None or quantity.text("comparator"):
        remarks.append(f"{node.where}: {analyte} is no number with a unit; not used")
        return None
    if not understands(analyte, unit):
        remarks.append(f"{node.where}: the unit of {analyte} is not understood; not used")
        return None
    dated = {"date": result.day} if result.day else {}
    return {"value": number, "unit": unit, **_range(node, unit, remarks), **dated}


def _unit(quantity: Node) -> str | None:
    """Return the unit's code in UCUM, which programs can read, else as it is written."""
    ucum = quantity.text("code") if quantity.text("system") == _UCUM else None
    return ucum or quantity.text("unit")


def _range(node: Node, unit: str, remarks: list[str]) -> dict[str, float]:
    """Return the ends of the reference range, if there is one that is meant for all."""
    ranges = [r for r in node.children("referenceRange") if _is_normal(r)]
    if len(ranges) != 1 or {"appliesTo", "age"} & set(ranges[0].value):
        if node.value.get("referenceRange"):
            remarks.append(f"{node.where}: which reference range holds is not clear; none is used")
        return {}
    found = {}
    for end in ("low", "high"):
        quantity = ranges[0].child(end)
        number = None if quantity is None else quantity.number("value")
        if quantity is None or number is None:
            continue
        if (_unit(quantity) or unit) != unit:
            remarks.append(f"{node.where}: the reference range is in another unit; not used")
            return {}
        found[end] = number
    return found


def _is_normal(ranged: Node) -> bool:
    codes = [code for _, code in ranged.codes("type")]
    return not codes or "normal" in codes


def _sign(node: Node) -> str | None:
    """Return "positive" or "negative", by the value, else by its interpretation."""
    text = node.text("valueString")
    codes = {code for _, code in node.codes("valueCodeableConcept")}
    codes |= {text.strip().lower()} if text else set()
    for found in (codes, _interpretations(node)):
        signs = {sign for sign in ("positive", "negative") if found & set(data("fhir")[sign])}
        if len(signs) == 1:
            return signs.pop()
    return None


def _interpretations(node: Node) -> set[str]:
    """Return codes of the interpretation, which was one concept, not a list, up to STU3."""
    if isinstance(node.value.get("interpretation"), list):
        wrapped = [
            Node({"code": concept.value}, concept.where)
            for concept in node.children("interpretation")
        ]
        return {code for one in wrapped for _, code in one.codes("code")}
    return {code for _, code in node.codes("interpretation")}
