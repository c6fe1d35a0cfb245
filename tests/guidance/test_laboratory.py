"""Laboratory values mean the same in any unit, and have no level without a range."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcilens.errors import CaseError
from calcilens.guidance.laboratory import LabValue, ckd_epi, levels


def one(analyte: str, age: float | None = 50, sex: str | None = "female", **entry: Any) -> LabValue:
    found = levels({analyte: entry}, age, sex)
    return found[0]


@pytest.mark.parametrize(
    ("analyte", "value", "unit", "si"),
    [
        ("calcium", 10.0, "mg/dL", 2.495),
        ("calcium", 100.0, "mg/L", 2.495),
        ("calcium", 0.0025, "mol/L", 2.5),
        ("phosphate", 4.0, "mg/dL", 1.291),
        ("albumin", 4.0, "g/dL", 40),
        ("creatinine", 1.0, "mg/dL", 88.4),
        ("pth", 65.0, "pg/mL", 6.897),
        ("pth", 65.0, "ng/L", 6.897),
        ("vitamin_d", 30.0, "ng/mL", 74.9),
        ("uric_acid", 6.0, "mg/dL", 356.9),
        ("alkaline_phosphatase", 100.0, "[IU]/L", 100),
        ("alkaline_phosphatase", 1.0, "ukat/L", 60),
        ("alkaline_phosphatase", 1.0, "µkat/L", 60),
    ],
)
def test_units_are_converted_as_conversion_tables_have_it(
    analyte: str, value: float, unit: str, si: float
) -> None:
    assert one(analyte, value=value, unit=unit).value == pytest.approx(si, rel=2e-3)


@pytest.mark.parametrize(
    ("creatinine_mg_dl", "age", "sex", "gfr"),
    [
        (1.0, 50, "female", 68.6),
        (1.0, 50, "male", 91.7),
        (6.0, 65, "female", 7.3),
        (0.5, 20, "male", 149.7),
    ],
)
def test_gfr_is_that_of_the_published_equation(
    creatinine_mg_dl: float, age: float, sex: str, gfr: float
) -> None:
    """Held against the equation as printed, worked out by hand with four digits."""
    assert ckd_epi(creatinine_mg_dl * 88.42, age, sex) == pytest.approx(gfr, abs=0.35)


@pytest.mark.parametrize(
    ("entry", "age", "sex", "level"),
    [
        ({"value": 3.0, "unit": "mmol/L"}, 50, None, "high"),
        ({"value": 2.4, "unit": "mmol/L"}, 50, None, "normal"),
        ({"value": 2.0, "unit": "mmol/L"}, 50, None, "low"),
        ({"value": 2.4, "unit": "mmol/L"}, 10, None, None),
        ({"value": 2.4, "unit": "mmol/L"}, None, None, None),
        ({"value": 2.4, "unit": "mmol/L", "low": 2.1, "high": 2.3}, 10, None, "high"),
        ({"value": 9.6, "unit": "mg/dL", "low": 8.5, "high": 10.5}, None, None, "normal"),
        ({"value": 2.4, "unit": "mmol/L", "high": 2.6}, None, None, None),
        ({"value": 2.7, "unit": "mmol/L", "high": 2.6}, None, None, "high"),
    ],
)
def test_a_stated_range_goes_first_and_ranges_of_adults_are_for_adults(
    entry: dict[str, Any], age: float | None, sex: str | None, level: str | None
) -> None:
    found = one("calcium", age, sex, **entry)
    assert found.level == level
    assert (found.note is not None) or found.level is not None


def test_a_range_by_sex_needs_the_sex() -> None:
    entry = {"value": 400, "unit": "umol/L"}
    assert one("uric_acid", 50, "male", **entry).level == "normal"
    assert one("uric_acid", 50, "female", **entry).level == "high"
    found = one("uric_acid", 50, None, **entry)
    assert (found.level, found.note) == (None, "the range depends on the sex, which is not stated")


def test_calcium_is_adjusted_for_albumin() -> None:
    """Payne 1973: 0.1 mmol/L for 4 g/L."""
    values = {
        "calcium": {"value": 2.10, "unit": "mmol/L"},
        "albumin": {"value": 28, "unit": "g/L"},
    }
    calcium, albumin = levels(values, 50, None)
    assert calcium.value == pytest.approx(2.40)
    assert calcium.level == "normal"
    assert albumin.level == "low"
    assert "measured 2.10" in str(calcium.note)


@pytest.mark.parametrize(
    ("gfr", "level"), [(14.9, "failure"), (15, "reduced"), (59, "reduced"), (60, "normal")]
)
def test_kidney_function_has_the_levels_of_kdigo(gfr: float, level: str) -> None:
    assert one("egfr", value=gfr, unit="mL/min/{1.73_m2}").level == level


@given(st.text(max_size=30), st.floats(0, 1e9))
def test_any_unit_is_converted_or_refused_with_its_field(unit: str, value: float) -> None:
    try:
        found = one("calcium", value=value, unit=unit)
    except CaseError as error:
        message = str(error)
        assert message.startswith("laboratory.calcium") and "\n" not in message  # noqa: PT018
    else:
        assert 0.2 <= found.value <= 8


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"value": 9.6, "unit": "mmol/L"}, "expected between 0.2 and 8 mmol/L, found 9.6"),
        (
            {"value": 2.4, "unit": "parsec"},
            "laboratory.calcium.unit: expected a unit .* found 'parsec'",
        ),
        ({"value": 2.4, "unit": "mmol"}, "found 'mmol'"),
        ({"value": 2.4, "unit": ""}, "found ''"),
        ({"value": 2.4, "unit": "mmol/L", "low": 2.6, "high": 2.2}, "expected low below high"),
        ({"value": 2.4, "unit": "mmol/L", "low": 8.5, "high": 10.5}, "low and high up to 8 mmol/L"),
    ],
)
def test_impossible_values_are_refused(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(CaseError, match=message):
        one("calcium", **entry)


def test_a_value_keeps_its_date_and_kidney_function_that_of_its_creatinine() -> None:
    entry = {"value": 80, "unit": "umol/L", "date": "2026-01-02"}
    creatinine, kidney = levels({"creatinine": entry}, 50, "female")
    assert (creatinine.date, kidney.date) == ("2026-01-02", "2026-01-02")


def test_kidney_function_that_cannot_be_estimated_is_no_value_but_a_reason() -> None:
    entry = {"value": 80, "unit": "umol/L"}
    for age, sex in ((None, "female"), (10, "female"), (50, None)):
        (creatinine,) = levels({"creatinine": entry}, age, sex)
        assert "not estimated from it: that needs the age" in str(creatinine.note)
