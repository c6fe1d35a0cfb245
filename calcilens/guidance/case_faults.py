"""What is wrong with a case, in words, by its field."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from calcilens.errors import compose
from calcilens.guidance.fhir_fields import kind

if TYPE_CHECKING:
    from jsonschema import ValidationError

_SHOWN = 5
_SHAPES = {
    frozenset(
        {"boolean", "object", "null"}
    ): 'true, false, or {"present": true, "since": "2024-05"}',
    frozenset({"number", "object", "null"}): 'a number, or {"value": 6, "unit": "months"}',
    frozenset({"number", "null"}): "a number",
    frozenset({"number"}): "a number",
    frozenset({"boolean"}): "true or false",
    frozenset({"string"}): "a text",
    frozenset({"object"}): 'an object, such as {"symptoms": {"pain": true}}',
    frozenset({"object", "null"}): 'an object, such as {"value": 2.4, "unit": "mmol/L"}',
}
"""Types of the schema, in words."""


def told_of(faults: list[ValidationError], where: str) -> str:
    """Return the first fault of a case as one line, with its field."""
    fault = min(faults, key=lambda f: list(map(str, f.absolute_path)))
    field = ".".join(str(part) for part in fault.absolute_path)
    extra = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    expected, found = _expected(fault)
    return compose(
        expected,
        f"{found}{extra}",
        where=f"{where}: {field}" if field else where,
        fix="calcilens guide --schema prints what a case can hold",
    )


def _expected(fault: ValidationError) -> tuple[str, str]:
    schema: Any = fault.schema
    instance: Any = fault.instance
    if fault.validator == "additionalProperties":
        known = list(schema["properties"])
        strange = [str(key)[:40] for key in instance if key not in known]
        unknown = list(map(repr, strange))[:_SHOWN]
        more = f" and {len(strange) - _SHOWN} more" if len(strange) > _SHOWN else ""
        meant = _meant(strange[:_SHOWN], known)
        return f"some of {', '.join(known)}", ", ".join(unknown) + more + meant
    if fault.validator == "type":  # a text in the place of something else could be a name
        shape = _SHAPES.get(_kinds(schema), f"type {fault.validator_value}")
        return shape, kind(instance)
    if fault.validator == "enum":
        values = [str(v) for v in schema["enum"] if v]
        return f"one of {', '.join(values)}", f"{_short(instance)}{_meant([str(instance)], values)}"
    if fault.validator in ("minimum", "maximum"):
        ends = f"{schema.get('minimum', '')} to {schema.get('maximum', 'any size')}"
        return f"a number from {ends}", _short(instance)
    if fault.validator == "required":
        found = [key for key in instance if key in schema["properties"]]
        return "all of " + ", ".join(schema["required"]), ", ".join(found) or "none"
    if fault.validator == "pattern":
        return "a date such as 2024, 2024-05 or 2024-05-31", _short(instance)
    return f"{fault.validator} {fault.validator_value}", _short(instance)


def _kinds(schema: Mapping[str, Any]) -> frozenset[str]:
    kinds = schema.get("type", ())
    return frozenset([kinds] if isinstance(kinds, str) else kinds)


def _meant(found: Iterable[str], known: Sequence[str]) -> str:
    """Return what may have been meant, in words; "" where nothing is near."""
    near = [match for word in found for match in get_close_matches(word, known, n=1)]
    return f" (did you mean {', '.join(near)}?)" if near else ""


def _short(value: Any) -> str:
    """Return a value of a case, short; long text may hold what is nobody's business."""
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{type(value).__name__} of {len(text)} characters"
