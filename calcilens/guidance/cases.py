"""A case: what is told of a patient, checked and turned into facts."""

from __future__ import annotations

import calendar
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calcilens.errors import CaseError, compose
from calcilens.guidance.case_schema import case_schema
from calcilens.guidance.conditions import Condition, parse
from calcilens.guidance.facts import Fact, Facts, Origin, Span, flag, whole
from calcilens.guidance.fhir_case import case_of, is_fhir
from calcilens.guidance.fhir_fields import kind
from calcilens.guidance.laboratory import LabValue, levels
from calcilens.guidance.strict_json import loads
from calcilens.guidance.terms import DAYS, Term, data, terms

if TYPE_CHECKING:
    from jsonschema import ValidationError

_PER_YEAR = {"years": 1.0, "months": 12.0, "days": 365.25}
_MOST_BYTES = 10_000_000
_SHOWN = 5
Days = tuple[date, date]
"""The first and the last day that a date may mean: the same for a full date."""


@dataclass(frozen=True)
class Case:
    """What is known of a patient.

    Args:
        facts: As reported, and levels of laboratory values.
        laboratory: The values behind those levels.
        on: Day of the case.
        remarks: What of it was not understood, or could not be used.
    """

    facts: Facts
    laboratory: tuple[LabValue, ...] = ()
    on: date | None = None
    remarks: tuple[str, ...] = ()


def read_case(path: Path, on: date | None = None) -> Case:
    """Read a case of ours, or FHIR resources.

    Args:
        path: JSON.
        on: Day of the case where it states none.

    Raises:
        CaseError: It cannot be read, or holds what is impossible; the field is named.
    """
    return case_from(read_content(path), on, where=path.name)


def read_content(path: Path) -> Any:
    """Return what a JSON file holds, unchecked.

    Raises:
        CaseError: It cannot be read.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise CaseError(compose("a case of at most 10 MB", "a larger file"))
        return loads(path.read_text("utf-8-sig"))
    except CaseError as error:
        raise CaseError(f"{path.name}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise CaseError(compose("a JSON file", "text that is none", where=path.name)) from error
    except OSError as error:
        found = error.strerror or "an error of the system"
        raise CaseError(compose("a file that can be read", found, where=path.name)) from error


def case_from(content: Any, on: date | None = None, *, where: str = "case") -> Case:
    """Check a case and turn it into facts.

    Args:
        content: As JSON holds it: a case of ours, or FHIR resources.
        on: Day of the case where it states none.
        where: What errors call it.

    Raises:
        CaseError: It holds what is impossible; the field is named.
    """
    from jsonschema import Draft202012Validator

    content, remarks = _ours(content, on, where)
    faults = list(Draft202012Validator(case_schema()).iter_errors(content))
    if faults:
        raise CaseError(_said(faults, where))
    try:
        case = _checked(content, on)
    except CaseError as error:
        raise CaseError(f"{where}: {error}") from error
    return replace(case, remarks=(*remarks, *case.remarks))


def _ours(content: Any, on: date | None, where: str) -> tuple[Any, tuple[str, ...]]:
    """Return a case of ours, made from FHIR where it is that, and what of FHIR was not used."""
    if not is_fhir(content):
        return content, ()
    try:
        imported = case_of(content, on)
    except CaseError as error:
        raise CaseError(f"{where}: {error}") from error
    return imported.case, imported.remarks


def _said(faults: list[ValidationError], where: str) -> str:
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
        unknown = [repr(str(key)[:40]) for key in instance if key not in known]
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        return f"some of {', '.join(known)}", ", ".join(unknown[:_SHOWN]) + more
    if fault.validator == "type":  # a text in the place of something else could be a name
        return f"type {fault.validator_value}", kind(instance)
    if fault.validator == "enum":
        return f"one of {', '.join(str(v) for v in schema['enum'] if v)}", _short(instance)
    if fault.validator in ("minimum", "maximum"):
        ends = f"{schema.get('minimum', '')} to {schema.get('maximum', 'any size')}"
        return f"a number from {ends}", _short(instance)
    if fault.validator == "required":
        found = [key for key in instance if key in schema["properties"]]
        return "all of " + ", ".join(schema["required"]), ", ".join(found) or "none"
    if fault.validator == "pattern":
        return "a date such as 2024, 2024-05 or 2024-05-31", _short(instance)
    return f"{fault.validator} {fault.validator_value}", _short(instance)


def _short(value: Any) -> str:
    """Return a value of a case, short; long text may hold what is nobody's business."""
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{type(value).__name__} of {len(text)} characters"


def _checked(content: Mapping[str, Any], on: date | None) -> Case:
    days = _day(content["date"], "date") if "date" in content else (on, on) if on else None
    reported = Facts(_reported(content, days))
    _no_contradiction(reported)
    patient = content.get("patient", {})
    values = content.get("laboratory", {})
    _check_days(values, days)
    found = levels(values, _age(patient.get("age")), patient.get("sex"))
    lab = [_level(value) for value in found if value.level]
    antibodies = values.get("antibodies")
    if antibodies:
        term = terms()["laboratory.antibodies"]
        lab.append(_fact(term, frozenset({antibodies}), antibodies))
    return Case(reported + lab, tuple(found), days[1] if days else None)


def _check_days(values: Mapping[str, Any], on: Days | None) -> None:
    """Refuse a laboratory value of a day that is none, or after that of the case."""
    for analyte, value in values.items():
        if isinstance(value, Mapping) and "date" in value:
            where = f"laboratory.{analyte}.date"
            first, _ = _day(value["date"], where)
            if on and first > on[1]:
                raise CaseError(compose(f"a date up to {on[1]}", value["date"], where=where))


def _reported(content: Mapping[str, Any], on: Days | None) -> Iterator[Fact]:
    for section, words in content.items():
        if not isinstance(words, Mapping) or section == "laboratory":
            continue
        for word, value in words.items():
            if value is not None:
                yield from _facts(terms()[f"{section}.{word}"], value, on, _born(content, on))


def _facts(term: Term, value: Any, on: Days | None, born: date | None) -> Iterator[Fact]:
    if term.is_flag:
        dated = value if isinstance(value, Mapping) else {"present": value}
        present, since = dated["present"], dated.get("since")
        words = "yes" if present else "no"
        yield _fact(term, flag(present), f"{words}, since {since}" if since else words)
        if since and present:  # what is not there has not lasted
            yield from _since(term, since, on, born)
    elif term.values:
        yield _fact(term, frozenset({value}), str(value).replace("_", " "))
    else:
        number = _age(value) if term.name == "patient.age" else float(value)
        if number is None or not term.least <= number <= term.most:
            raise CaseError(compose(f"{term.least} to {term.most}", f"{number:g}", where=term.name))
        yield _fact(term, whole(number), f"{number:g} {term.unit}")


def _fact(term: Term, value: Any, words: str) -> Fact:
    return Fact(term.name, value, Origin.REPORTED, f"{term.label}: {words}")


def _since(term: Term, since: str, on: Days | None, born: date | None) -> Iterator[Fact]:
    """Return the days since a date, which may be a month or a year."""
    first, last = _day(since, f"{term.name}.since")
    if born and last < born:
        raise CaseError(
            compose(
                "a date after the birth", since, where=f"{term.name}.since", fix="check the age"
            )
        )
    if on is None:
        return
    if first > on[1]:
        raise CaseError(compose(f"a date up to {on[1]}", since, where=f"{term.name}.since"))
    days = Span(max((on[0] - last).days, 0), (on[1] - first).days)
    name = f"{term.name}.{DAYS}"
    said = f"{days.low:g} days" if days.low == days.high else f"{days.low:g} to {days.high:g} days"
    yield Fact(name, days, Origin.REPORTED, f"{term.label}: for {said}")


def _day(text: str, where: str) -> Days:
    """Return the first and the last day that a date may mean."""
    year, month, day = (*map(int, text.split("-")), None, None)[:3]
    try:
        first = date(int(year or 0), month or 1, day or 1)
        end = calendar.monthrange(first.year, month or 12)[1]
        return first, first.replace(month=month or 12, day=day or end)
    except ValueError as error:
        raise CaseError(compose("a day of the calendar", text, where=where)) from error


def _age(value: Any) -> float | None:
    """Return an age in years."""
    if isinstance(value, Mapping):
        return float(value["value"]) / _PER_YEAR[value["unit"]]
    return None if value is None else float(value)


def _born(content: Mapping[str, Any], on: Days | None) -> date | None:
    """Return the earliest day of birth that an age allows."""
    age = _age(content.get("patient", {}).get("age"))
    if age is None or on is None:
        return None
    return date(max(on[0].year - int(age) - 1, 1), 1, 1)


def _level(value: LabValue) -> Fact:
    term = terms()[f"laboratory.{value.analyte}"]
    words = f"{value.level}, {value.value:.3g} {value.unit}"
    return _fact(term, frozenset({str(value.level)}), words)


def _no_contradiction(reported: Facts) -> None:
    """Refuse a case that says what cannot be at once."""
    for condition in _contradictions():
        judged = condition.judge(reported)
        if judged.verdict:
            fields = ", ".join(f.term for f in judged.because)
            said = "; ".join(f.words for f in judged.because)
            raise CaseError(
                compose("facts that go together", said, where=fields, fix="correct one of them")
            )


@cache
def _contradictions() -> tuple[Condition, ...]:
    return tuple(parse(rule["when"], terms()) for rule in data("contradictions"))
