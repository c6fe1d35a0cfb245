"""A case: what is told of a patient, checked and turned into facts."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from calcilens.errors import CaseError, compose
from calcilens.guidance.case_faults import told_of
from calcilens.guidance.case_files import Told, merged, read_files
from calcilens.guidance.case_schema import case_schema
from calcilens.guidance.conditions import Condition, parse
from calcilens.guidance.facts import Fact, Facts, Origin, Span, flag, whole
from calcilens.guidance.fhir_case import case_of, is_fhir
from calcilens.guidance.laboratory import LabValue, levels
from calcilens.guidance.terms import DAYS, Term, data, terms

_PER_YEAR = {"years": 1.0, "months": 12.0, "days": 365.25}
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


def read_cases(paths: Sequence[Path], on: date | None = None) -> Case:
    """Read cases of ours and FHIR resources of one patient; several are merged field by field.

    Args:
        paths: JSON.
        on: Day of the case where none states one.

    Raises:
        CaseError: One cannot be read, holds what is impossible, or two disagree; the field is
            named.
    """
    return cases_from(read_files(paths), on)


def case_from(content: Any, on: date | None = None, *, where: str = "case") -> Case:
    """Check a case and turn it into facts.

    Args:
        content: As JSON holds it: a case of ours, or FHIR resources.
        on: Day of the case where it states none.
        where: What errors call it.

    Raises:
        CaseError: It holds what is impossible; the field is named.
    """
    return cases_from([Told(where, content)], on)


def cases_from(files: Sequence[Told], on: date | None = None) -> Case:
    """Check what several files tell of one patient and turn it into facts.

    Args:
        files: Each a case of ours, or FHIR resources.
        on: Day of the case where none states one.

    Raises:
        CaseError: One holds what is impossible, or two disagree; the field is named.
    """
    ours = [Told(one.where, _valid(one)) for one in files if not is_fhir(one.content)]
    days = [_in(one, _stated_day) for one in ours if "date" in one.content]
    on = days[0] if days else on
    imported = [(one.where, _in(one, case_of, on)) for one in files if is_fhir(one.content)]
    ours += [Told(where, _valid(Told(where, _undated(one.case, on)))) for where, one in imported]
    whole = Told(", ".join(one.where for one in files), merged(ours))
    case: Case = _in(whole, _checked, on)
    remarks = [remark for _, one in imported for remark in one.remarks]
    return replace(case, remarks=(*remarks, *case.remarks))


def _in(told: Told, do: Callable[..., Any], *more: Any) -> Any:
    """Do something with what a file tells; an error names the file."""
    try:
        return do(told.content, *more)
    except CaseError as error:
        raise CaseError(f"{told.where}: {error}") from error


def _stated_day(content: Mapping[str, Any]) -> date:
    return _day(content["date"], "date")[1]


def _undated(case: dict[str, Any], on: date | None) -> dict[str, Any]:
    """Return a case from FHIR; its day is taken from it only where no other is known."""
    return case if on is None else {key: part for key, part in case.items() if key != "date"}


def _valid(told: Told) -> dict[str, Any]:
    from jsonschema import Draft202012Validator

    faults = list(Draft202012Validator(case_schema()).iter_errors(told.content))
    if faults:
        raise CaseError(told_of(faults, told.where))
    return dict(told.content)


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
        if since and not present:
            fix = "leave since out of what is not there"
            raise CaseError(
                compose("a date of what is present", "one of what is not", where=term.name, fix=fix)
            )
        words = "yes" if present else "no"
        yield _fact(term, flag(present), f"{words}, since {since}" if since else words)
        if since:
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
