"""A case is taken as it is told: unknown stays unknown, the impossible is refused by its field."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from calcilens.errors import CaseError
from calcilens.guidance.case_files import Told
from calcilens.guidance.case_schema import case_schema
from calcilens.guidance.cases import Case, case_from, cases_from, read_cases
from calcilens.guidance.facts import Span
from calcilens.guidance.terms import DAYS, terms
from tests.guidance.made import DATE, cases, words


def value(case: Case, term: str) -> Any:
    (fact,) = case.facts.of(term)
    return fact.value


def test_the_schema_is_a_schema_and_names_every_word() -> None:
    schema = case_schema()
    Draft202012Validator.check_schema(schema)
    named = {
        f"{section}.{word}"
        for section, part in schema["properties"].items()
        for word in part.get("properties", {})
        if section != "laboratory"
    }
    assert named == set(words())


@given(cases())
def test_every_case_that_fits_the_schema_is_read_or_contradicts_itself(
    case: dict[str, Any],
) -> None:
    assert Draft202012Validator(case_schema()).is_valid(case)
    try:
        found = case_from(case)
    except CaseError as error:
        assert "expected facts that go together" in str(error) or "after the birth" in str(error)  # noqa: PT017
        return
    stated = {
        f"{section}.{word}"
        for section, part in case.items()
        if isinstance(part, dict) and section != "laboratory"
        for word, told in part.items()
        if told is not None
    }
    told = {f.term for f in found.facts if not f.term.startswith("laboratory.")}
    assert {term for term in told if not term.endswith(f".{DAYS}")} == stated
    assert all(fact.term in terms() for fact in found.facts)


@pytest.mark.parametrize(
    ("since", "low", "high"),
    [("2026-06-01", 14, 14), ("2026-06", 0, 14), ("2026-05", 15, 45), ("2025", 166, 530)],
)
def test_a_date_that_is_a_month_or_a_year_gives_a_span_of_days(
    since: str, low: int, high: int
) -> None:
    case = case_from({"date": DATE, "history": {"trauma": {"present": True, "since": since}}})
    assert value(case, "history.trauma.days") == Span(low, high)


def test_without_a_day_of_the_case_no_days_are_counted() -> None:
    told = {"history": {"trauma": {"present": True, "since": "2025"}}}
    assert not case_from(told).facts.of("history.trauma.days")
    dated = case_from(told, date(2026, 6, 15))
    assert value(dated, "history.trauma.days") == Span(166, 530)


@pytest.mark.parametrize(
    ("age", "years"),
    [(65, 65), ({"value": 6, "unit": "months"}, 0.5), ({"value": 3, "unit": "days"}, 3 / 365.25)],
)
def test_an_age_may_be_in_months_or_days(age: Any, years: float) -> None:
    assert value(case_from({"patient": {"age": age}}), "patient.age").low == pytest.approx(years)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ({"patient": {"age": 400}}, r"patient\.age: expected a number from 0 to 120, found 400"),
        ({"patient": {"age": -1}}, r"patient\.age: expected a number from 0 to 120, found -1"),
        (
            {"patient": {"age": {"value": 4000, "unit": "months"}}},
            r"patient\.age: expected 0 to 120",
        ),
        ({"patient": {"sex": "x"}}, r"patient\.sex: expected one of female, male, found \"x\""),
        (
            {"laboratory": {"calcium": {"value": -1, "unit": "mg/dL"}}},
            r"laboratory\.calcium\.value: expected a number from 0",
        ),
        (
            {"laboratory": {"calcium": {"value": 9, "unit": "stone"}}},
            r"laboratory\.calcium\.unit: expected a unit that can be turned into mmol/L",
        ),
        ({"laboratory": {"calcium": {"value": 9}}}, r"expected all of value, unit, found value"),
        ({"laboratory": {"gold": {"value": 9, "unit": "g/L"}}}, r"laboratory: expected some of"),
        ({"symptoms": {"itch": True}}, r"symptoms: expected some of .*, found 'itch'"),
        ({"symptoms": {"pain": "yes"}}, r"symptoms\.pain: expected true, false, or \{"),
        ({"symptoms": {"swellng": True}}, r"found 'swellng' \(did you mean swelling\?\)"),
        ({"lesion": {"site": "kne"}}, r"found \"kne\" \(did you mean knee\?\)"),
        ({"patient": {"age": "old"}}, r"expected a number, or \{"),
        ({"symptoms": {"pain": {"since": "2024"}}}, r"expected all of present, found since"),
        (
            {"symptoms": {"pain": {"present": False, "since": "2024"}}},
            r"symptoms\.pain: expected a date of what is present",
        ),
        ({"date": "2026-02-30"}, r"date: expected a day of the calendar"),
        ({"date": "June"}, r"date: expected a date such as 2024"),
        (
            {"date": DATE, "symptoms": {"pain": {"present": True, "since": "2027"}}},
            r"symptoms\.pain\.since: expected a date up to 2026-06-15, found 2027",
        ),
        (
            {
                "date": DATE,
                "patient": {"age": 10},
                "history": {"burn": {"present": True, "since": "2001"}},
            },
            r"history\.burn\.since: expected a date after the birth",
        ),
        (
            {"conditions": {"dialysis": True, "kidney_failure": False}},
            r"conditions\.dialysis, conditions\.kidney_failure: expected facts that go together",
        ),
        (
            {"lesion": {"depth": "deep", "compartment": "subcutaneous"}},
            r"lesion\.depth, lesion\.compartment: expected facts that go together",
        ),
        (
            {"date": DATE, "laboratory": {"pth": {"value": 3, "unit": "pmol/L", "date": "2027"}}},
            r"laboratory\.pth\.date: expected a date up to 2026-06-15, found 2027",
        ),
        (
            {"laboratory": {"pth": {"value": 3, "unit": "pmol/L", "date": "2026-02-30"}}},
            r"laboratory\.pth\.date: expected a day of the calendar",
        ),
        ([], "expected an object"),
        (3, "expected an object"),
    ],
)
def test_what_is_impossible_is_refused_by_its_field(case: Any, message: str) -> None:
    with pytest.raises(CaseError, match=message):
        case_from(case)


@pytest.mark.parametrize("text", ["", "{", '{"date": NaN}', "[" * 100_000, "\x00", "null"])
def test_a_file_that_is_no_case_is_refused_by_its_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "case.json"
    file.write_text(text)
    with pytest.raises(CaseError, match=r"^case\.json: expected "):
        read_cases([file])


def test_a_mistake_in_json_is_told_by_line_and_column(tmp_path: Path) -> None:
    file = tmp_path / "case.json"
    file.write_text('{\n  "date": "2026"\n  "patient": {}\n}')
    with pytest.raises(CaseError, match=r"^case\.json: .*line 3, column 3"):
        read_cases([file])


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    file = tmp_path / "case.json"
    file.write_text(json.dumps({"patient": {"sex": "male"}}), encoding="utf-8-sig")
    assert value(read_cases([file]), "patient.sex") == frozenset({"male"})


def together(*cases: dict[str, Any]) -> Case:
    return cases_from([Told(f"{n}.json", case) for n, case in enumerate(cases)], date(2026, 6, 15))


@given(cases(), cases())
def test_two_cases_give_the_facts_of_both_or_name_what_they_disagree_on(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    try:
        both = together(one, other)
    except CaseError as error:
        assert re.match(r"[01]\.json(, 1\.json)?: [a-z_]+", str(error))  # noqa: PT017
        return
    known = {fact.term for fact in both.facts}
    for alone in (one, other):
        try:
            assert {fact.term for fact in case_from(alone).facts} <= known
        except CaseError:
            raise AssertionError("a case that is refused alone was taken") from None


def test_what_several_files_say_is_put_together() -> None:
    export = {"resourceType": "Patient", "gender": "female", "birthDate": "1961-02-03"}
    own = {
        "date": "2026-02-03",
        "patient": {"age": 65, "sex": None},
        "symptoms": {"pain": True},
    }
    dated = {"symptoms": {"pain": {"present": True, "since": "2025"}}}
    case = together(export, own, dated)
    assert case.on == date(2026, 2, 3)
    assert value(case, "patient.age") == Span(65, 65)
    assert value(case, "patient.sex") == frozenset({"female"})
    assert case.facts.of("symptoms.pain.days")


@pytest.mark.parametrize(
    ("one", "other", "field"),
    [
        ({"symptoms": {"pain": True}}, {"symptoms": {"pain": False}}, r"symptoms\.pain"),
        ({"lesion": {"site": "leg"}}, {"lesion": {"site": "knee"}}, r"lesion\.site"),
        ({"date": "2026"}, {"date": "2025"}, "date"),
        (
            {"patient": {"sex": "male"}},
            {"resourceType": "Patient", "gender": "female"},
            r"patient\.sex",
        ),
    ],
)
def test_what_two_files_state_differently_is_refused_with_both_names(
    one: dict[str, Any], other: dict[str, Any], field: str
) -> None:
    with pytest.raises(CaseError, match=rf"^0\.json, 1\.json: {field}: expected the same in both"):
        together(one, other)


def test_facts_of_two_files_that_cannot_be_at_once_are_refused() -> None:
    with pytest.raises(CaseError, match=r"^0\.json, 1\.json: conditions\.dialysis"):
        together({"conditions": {"dialysis": True}}, {"conditions": {"kidney_failure": False}})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"symptoms": {"pain": true, "pain": false}}', "expected every field once, found 'pain'"),
        ('{"symptoms": {}, "symptoms": {}}', "expected every field once, found 'symptoms'"),
        ('{"Anna M.": 1, "Anna M.": 2}', "expected every field once, found one of them"),
        ('{"patient": {"age": {"value": 1e400, "unit": "days"}}}', "expected a JSON file"),
        (f'{{"laboratory": {{"egfr": {{"value": {"9" * 400}}}}}}}', "expected a JSON file"),
    ],
)
def test_equal_fields_and_endless_numbers_are_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "case.json").write_text(text)
    with pytest.raises(CaseError, match=f"case.json: {message}"):
        read_cases([tmp_path / "case.json"])


def test_an_error_is_short_and_quotes_no_text_that_stands_in_a_wrong_place() -> None:
    case: Any
    for case in ({f"k{n}": 1 for n in range(10_000)}, {"lesion": {"site": ["Xaveria"] * 10_000}}):
        with pytest.raises(CaseError) as error:
            case_from(case)
        assert len(str(error.value)) < 500
    for case in ({"patient": "Xaveria"}, {"symptoms": {"pain": "Xaveria"}}, {"title": ["Xaveria"]}):
        with pytest.raises(CaseError, match="found a ") as error:
            case_from(case)
        assert "Xaveria" not in str(error.value)


def test_a_case_of_some_day_of_a_year_has_a_span_of_days_too() -> None:
    trauma = {"present": True, "since": "2025-01-10"}
    (fact,) = case_from({"date": "2025", "history": {"trauma": trauma}}).facts.of(
        "history.trauma.days"
    )
    assert fact.value == Span(0, 355)
