"""Laboratory values in one unit each, and their level against a reference range.

A range that comes with the value goes first. Else the ranges of rules/laboratory.yaml are taken,
which are those of adults: for a child, or where age or sex is not known, no level is given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from calcilens.errors import CaseError, compose
from calcilens.guidance.terms import data

if TYPE_CHECKING:
    import pint

ADULT = 18
ADJUSTED_PER_G = 0.025
"""mmol/L of calcium for each g/L of albumin below 40: Payne et al. 1973."""
_FAILURE, _REDUCED = 15.0, 60.0
"""GFR in mL/min/1.73 m² below which kidney function is called so: KDIGO 2012, G5 and below G3."""
GFR_UNIT = "mL/min/1.73m2"
_GFR_SPELLINGS = {"ml/min/1.73m2", "ml/min/1.73m²", "ml/min/{1.73_m2}", "ml/min/1.73_m2", "ml/min"}
_UCUM = {"[IU]": "U", "[iU]": "U", "IU": "U", "µ": "u", "μ": "u", "mcg": "ug"}
_UNIT = re.compile(r"[A-Za-z]+(/[A-Za-z]+)?")
"""Amount in a volume, after `_UCUM`: nothing that a parser could stumble over."""


@dataclass(frozen=True)
class LabValue:
    """One laboratory value.

    Args:
        analyte: Key of rules/laboratory.yaml.
        value: In `unit`.
        low: Of the reference range, in `unit`; None where there is no range.
        level: "low", "normal" or "high"; of kidney function "normal", "reduced" or "failure"; None
            where it cannot be told, and `note` says why.
        range_source: "case", or a key of sources.yaml.
        note: How it was taken.
        date: When the blood was drawn, as the case states it.
    """

    analyte: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    level: str | None = None
    range_source: str | None = None
    note: str | None = None
    date: str | None = None


def levels(values: Mapping[str, Any], age: float | None, sex: str | None) -> list[LabValue]:
    """Return every value of a case in its unit and with its level.

    Args:
        values: The section `laboratory` of a case that has passed the schema.
        age: Years.
        sex: "male" or "female".

    Raises:
        CaseError: A unit is not known, or a value is impossible; the field is named.
    """
    specs = data("laboratory")
    read = {
        analyte: _read(analyte, entry, specs[analyte])
        for analyte, entry in values.items()
        if analyte in specs and entry is not None
    }
    found = [_levelled(value, specs[value.analyte], read, age, sex) for value in read.values()]
    kidney = _kidney(read, age, sex)
    if kidney is None:
        found = [_unestimated(v) if v.analyte == "creatinine" else v for v in found]
    return [v for v in found if v.analyte != "egfr"] + ([kidney] if kidney else [])


def _unestimated(creatinine: LabValue) -> LabValue:
    note = "kidney function is not estimated from it: that needs the age of an adult and the sex"
    both = f"{note}; {creatinine.note}" if creatinine.note else note
    return replace(creatinine, note=both)


def _read(analyte: str, entry: Mapping[str, Any], spec: Mapping[str, Any]) -> LabValue:
    where = f"laboratory.{analyte}"
    ends = {key: entry[key] for key in ("value", "low", "high") if key in entry}
    turned = {key: _convert(number, entry["unit"], spec, where) for key, number in ends.items()}
    value, low, high = turned["value"], turned.get("low"), turned.get("high")
    if not spec["least"] <= value <= spec["most"]:
        expected = f"between {spec['least']} and {spec['most']} {spec['unit']}"
        raise CaseError(compose(expected, f"{value:g}", where=where, fix="check value and unit"))
    if low is not None and high is not None and low >= high:
        raise CaseError(compose("low below high", f"{low:g} and {high:g}", where=where))
    if max(low or 0, high or 0) > spec["most"]:
        expected = f"low and high up to {spec['most']} {spec['unit']}"
        found = f"{max(low or 0, high or 0):g}"
        raise CaseError(compose(expected, found, where=where, fix="check their unit"))
    return LabValue(analyte, value, spec["unit"], low, high, date=entry.get("date"))


def _convert(number: float, unit: str, spec: Mapping[str, Any], where: str) -> float:
    """Return a number in the unit of its analyte."""
    import pint

    if spec["unit"] == GFR_UNIT:
        if unit.replace(" ", "").lower() in _GFR_SPELLINGS:
            return float(number)
        raise _no_unit(unit, spec, where)
    for written, meant in _UCUM.items():
        unit = unit.replace(written, meant).strip()
    if not _UNIT.fullmatch(unit):
        raise _no_unit(unit, spec, where)
    try:
        factor = _units().Quantity(1.0, _units().parse_units(unit))
        if "molar_mass" in spec and factor.is_compatible_with("g/L"):
            factor = factor / _units().Quantity(spec["molar_mass"], "g/mol")
        return float(number) * float(factor.to(spec["unit"]).magnitude)
    except (pint.PintError, ValueError, TypeError, ArithmeticError, AssertionError) as error:
        raise _no_unit(unit, spec, where) from error


def understands(analyte: str, unit: str) -> bool:
    """Whether a unit can be turned into the one of an analyte."""
    try:
        _convert(1.0, unit, data("laboratory")[analyte], analyte)
    except CaseError:
        return False
    return True


def _no_unit(unit: str, spec: Mapping[str, Any], where: str) -> CaseError:
    expected = f"a unit that can be turned into {spec['unit']}"
    return CaseError(compose(expected, repr(unit[:40]), where=f"{where}.unit"))


@cache
def _units() -> pint.UnitRegistry[Any]:
    import pint

    return pint.UnitRegistry()


def _levelled(
    value: LabValue,
    spec: Mapping[str, Any],
    read: Mapping[str, LabValue],
    age: float | None,
    sex: str | None,
) -> LabValue:
    low, high, source, why = _range(value, spec, age, sex)
    number, note = value.value, why
    if spec.get("adjusted"):
        number, note = _adjusted(value, read.get("albumin"), why)
    level = None
    if low is not None and number < low:
        level = "low"
    elif high is not None and number > high:
        level = "high"
    elif low is not None and high is not None:
        level = "normal"
    return LabValue(value.analyte, number, value.unit, low, high, level, source, note, value.date)


def _range(
    value: LabValue, spec: Mapping[str, Any], age: float | None, sex: str | None
) -> tuple[float | None, float | None, str | None, str | None]:
    """Return a range's ends, its source, and why there is none."""
    if value.low is not None or value.high is not None:
        return value.low, value.high, "case", None
    if "range" not in spec:
        return None, None, None, "no general range is known: give the laboratory's low and high"
    if age is None or age < ADULT:
        why = "the age is not stated" if age is None else "these ranges are those of adults"
        return None, None, None, f"{why}: give the laboratory's low and high"
    ends = spec["range"].get("all") or spec["range"].get(sex or "")
    if ends is None:
        return None, None, None, "the range depends on the sex, which is not stated"
    return float(ends[0]), float(ends[1]), spec["source"], None


def _adjusted(
    calcium: LabValue, albumin: LabValue | None, why: str | None
) -> tuple[float, str | None]:
    """Adjust calcium for albumin, which binds it (Payne et al. 1973)."""
    if albumin is None:
        note = "not adjusted: albumin is not known"
        return calcium.value, f"{note}; {why}" if why else note
    number = calcium.value + ADJUSTED_PER_G * (40 - albumin.value)
    note = f"adjusted for albumin (payne1973); measured {calcium.value:.2f} {calcium.unit}"
    return number, f"{note}; {why}" if why else note


def _kidney(read: Mapping[str, LabValue], age: float | None, sex: str | None) -> LabValue | None:
    """Return kidney function by the GFR that is given, or estimated from creatinine."""
    if "egfr" in read:
        given = read["egfr"]
        return _function(given.value, "as given; levels of kdigo2012", given.date)
    creatinine = read.get("creatinine")
    if creatinine is None or age is None or sex is None or age < ADULT:
        return None
    gfr = ckd_epi(creatinine.value, age, sex)
    note = "estimated from creatinine (ckd-epi2021); levels of kdigo2012"
    return _function(gfr, note, creatinine.date)


def _function(gfr: float, note: str, day: str | None) -> LabValue:
    level = "failure" if gfr < _FAILURE else ("reduced" if gfr < _REDUCED else "normal")
    return LabValue("kidney_function", gfr, GFR_UNIT, level=level, note=note, date=day)


def ckd_epi(creatinine_umol_l: float, age: float, sex: str) -> float:
    """Estimate GFR in mL/min/1.73 m² of an adult (CKD-EPI 2021, creatinine; Inker et al. 2021).

    Args:
        creatinine_umol_l: In serum, µmol/L.
        age: Years.
        sex: "male" or "female".
    """
    female = sex == "female"
    kappa, alpha = (0.7, -0.241) if female else (0.9, -0.302)
    ratio = creatinine_umol_l / 88.42 / kappa
    gfr = 142 * min(ratio, 1) ** alpha * max(ratio, 1) ** -1.200 * 0.9938**age
    return float(gfr * (1.012 if female else 1))
