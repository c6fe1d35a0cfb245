"""The JSON Schema of case.json, made from the terms, so that both name the same words."""

from __future__ import annotations

from functools import cache
from typing import Any

from calcilens.guidance.terms import DAYS, Term, data, terms

SCHEMA_VERSION = "1.0"
_DATE = {"type": "string", "pattern": r"^\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?$"}
_AGE_UNITS = ["years", "months", "days"]


@cache
def case_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a case; not to be changed."""
    sections: dict[str, dict[str, Any]] = {}
    for term in terms().values():
        section, _, word = term.name.partition(".")
        if section not in ("derived", "laboratory") and not word.endswith(f".{DAYS}"):
            sections.setdefault(section, {})[word] = _property(term)
    sections["patient"]["age"] = _age(sections["patient"]["age"])
    properties: dict[str, Any] = {
        "schema_version": {"const": SCHEMA_VERSION},
        "title": {"type": "string", "maxLength": 200, "description": "For people; not used"},
        "date": {**_DATE, "description": "Day of the case: what dates are counted to"},
    }
    properties |= {name: _object(words) for name, words in sections.items()}
    properties["laboratory"] = _object(_laboratory())
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Calcilens case.json",
        "description": "What is known of a patient. What is left out, or null, is not known.",
        **_object(properties),
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _property(term: Term) -> dict[str, Any]:
    if term.is_flag:
        dated = _object({"present": {"type": "boolean"}, "since": _DATE})
        shape: dict[str, Any] = {"type": ["boolean", "object", "null"]} | {
            key: value for key, value in dated.items() if key != "type"
        }
        return shape | {"required": ["present"], "description": term.label}
    if term.values:
        return {"enum": [*term.values, None], "description": term.label}
    words = f"{term.label}, {term.unit}"
    return {
        "type": ["number", "null"],
        "minimum": term.least,
        "maximum": term.most,
        "description": words,
    }


def _age(years: dict[str, Any]) -> dict[str, Any]:
    young = _object({"value": {"type": "number", "minimum": 0}, "unit": {"enum": _AGE_UNITS}})
    rest = {key: value for key, value in young.items() if key != "type"}
    return years | {"type": ["number", "object", "null"]} | rest | {"required": ["value", "unit"]}


def _laboratory() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for analyte, spec in data("laboratory").items():
        number = {"type": "number", "minimum": 0}
        found[analyte] = {
            "type": ["object", "null"],
            "additionalProperties": False,
            "required": ["value", "unit"],
            "properties": {
                "value": number,
                "unit": {"type": "string", "maxLength": 40},
                "low": number,
                "high": number,
                "date": _DATE,
            },
            "description": f"Turned into {spec['unit']}; low and high: the laboratory's own range",
        }
    values = [*terms()["laboratory.antibodies"].values, None]
    found["antibodies"] = {
        "enum": values,
        "description": terms()["laboratory.antibodies"].label,
    }
    return found
