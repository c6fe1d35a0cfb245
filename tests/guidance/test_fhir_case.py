"""FHIR as a case: by codes alone, unknown stays unknown, and nobody is named."""

from __future__ import annotations

import copy
import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcilens.errors import CaseError
from calcilens.guidance.case_schema import case_schema
from calcilens.guidance.cases import case_from
from calcilens.guidance.fhir_case import Imported, case_of, is_fhir
from calcilens.guidance.terms import data, terms
from tests.guidance.fhir_made import (
    ICD,
    ICD_CM,
    NAME,
    SNOMED,
    bundle,
    bundles,
    condition,
    known_codes,
    observation,
    patient,
    state,
)

ON = date(2026, 6, 15)


def read(*resources: dict[str, Any]) -> Imported:
    return case_of(bundle(*resources), ON)


def conditions(*resources: dict[str, Any]) -> dict[str, Any]:
    return dict(read(*resources).case.get("conditions", {}))


def laboratory(*resources: dict[str, Any]) -> dict[str, Any]:
    return dict(read(*resources).case.get("laboratory", {}))


@given(bundles())
def test_whatever_a_bundle_holds_the_case_is_valid_or_the_field_is_named(
    content: dict[str, Any],
) -> None:
    said = "laboratory."
    try:
        case_from(content, ON)
    except CaseError as error:  # a unit of another kind, or dialysis with refuted kidney failure
        said = str(error)
    assert "laboratory." in said or "conditions." in said


@given(bundles())
def test_no_name_of_a_bundle_is_in_the_case_or_its_remarks(content: dict[str, Any]) -> None:
    found = case_of(content, ON)
    assert NAME not in json.dumps([found.case, found.remarks], ensure_ascii=False)


@given(bundles(), st.data())
def test_no_name_of_a_broken_bundle_is_in_the_error(content: dict[str, Any], draw: Any) -> None:
    broken = copy.deepcopy(content)
    resource = draw.draw(st.sampled_from([e["resource"] for e in broken["entry"]]))
    key = draw.draw(st.sampled_from(sorted(resource)))
    resource[key] = draw.draw(st.sampled_from([NAME, [NAME], {"coding": NAME}, 7]))
    try:
        found: Any = case_of(broken, ON)
    except CaseError as error:
        found = str(error)
        assert "expected" in found
    assert NAME not in str(found)


@given(bundles(), st.randoms(use_true_random=False))
def test_the_order_of_resources_does_not_matter(content: dict[str, Any], random: Any) -> None:
    """But for values of the same time, of which one has to be taken."""
    taken = [e["resource"].get("effectiveDateTime") for e in content["entry"]]
    times = [time for time in taken if time]
    if len(set(times)) < len(times):
        return
    entries = list(content["entry"])
    random.shuffle(entries)
    assert case_of(content | {"entry": entries}, ON).case == case_of(content, ON).case


@pytest.mark.parametrize(("word", "system", "code"), known_codes())
def test_every_code_of_the_map_is_understood_and_is_a_word_of_a_case(
    word: str, system: str, code: str
) -> None:
    assert f"conditions.{word}" in terms()
    assert conditions(condition(code, system))[word] is True


def test_laboratory_codes_name_analytes_of_a_case_and_each_only_one() -> None:
    spec = data("fhir")
    codes = [c for listed in spec["laboratory"].values() for c in listed] + spec["antibodies"]
    assert len(set(codes)) == len(codes)
    assert set(spec["laboratory"]) <= set(case_schema()["properties"]["laboratory"]["properties"])


@pytest.mark.parametrize(
    ("code", "system", "word"),
    [
        ("M10.071", ICD_CM, "gout"),
        ("M1071", ICD_CM, "gout"),
        ("e11.9", ICD, "diabetes"),
        ("C49.2", ICD, "malignancy"),
        ("N18.5", ICD, "kidney_failure"),
    ],
)
def test_a_code_below_another_means_the_same(code: str, system: str, word: str) -> None:
    assert conditions(condition(code, system)) == {word: True}


@pytest.mark.parametrize(
    ("code", "system"),
    [("N18.3", ICD_CM), ("N18.6", ICD), ("E83.5", ICD), ("90560007", ICD), ("9056000", SNOMED)],
)
def test_another_code_leaves_the_condition_unknown_and_is_told(code: str, system: str) -> None:
    found = read(condition(code, system))
    assert "conditions" not in found.case
    assert "not used" in found.remarks[0]


def test_tumours_of_the_nervous_system_are_both() -> None:
    assert conditions(condition("C71.9")) == {"malignancy": True, "nervous_system_lesion": True}


@pytest.mark.parametrize("verified", ["provisional", "differential", "unconfirmed"])
def test_what_is_not_confirmed_stays_unknown_and_is_told(verified: str) -> None:
    found = read(condition("D86.0", **state(verified)))
    assert "conditions" not in found.case
    assert f"{verified}, so left unknown: sarcoidosis" in found.remarks[0]


@pytest.mark.parametrize("clinical", ["resolved", "remission", "inactive"])
def test_what_is_over_stays_unknown_and_is_told(clinical: str) -> None:
    found = read(condition("D86.0", **state("confirmed", clinical)))
    assert "conditions" not in found.case
    assert clinical in found.remarks[0]


def test_refuted_is_false_and_absent_is_unknown() -> None:
    assert conditions(condition("D86.0", **state("refuted"))) == {"sarcoidosis": False}
    assert conditions(patient()) == {}


def test_a_refuted_kind_does_not_refute_a_confirmed_one() -> None:
    """Type 2 was refuted, since it is type 1."""
    both = condition("E11.9", **state("refuted")), condition("E10.9", **state("confirmed"))
    assert conditions(*both) == conditions(*reversed(both)) == {"diabetes": True}


def test_what_was_entered_in_error_leaves_no_trace() -> None:
    wrong = condition("D86.0", **state("entered-in-error"))
    withdrawn = observation("2000-8", 2.4, status="entered-in-error")
    assert read(wrong, withdrawn) == read()


def test_a_status_may_be_a_plain_code_as_in_stu3() -> None:
    old = condition("D86.0", verificationStatus="refuted", clinicalStatus="active")
    assert conditions(old) == {"sarcoidosis": False}


@pytest.mark.parametrize(
    "onset",
    [
        {"onsetDateTime": "2019-03-11T08:00:00Z"},
        {"onsetPeriod": {"start": "2019-03-11", "end": "2020"}},
    ],
)
def test_onset_is_since_when(onset: dict[str, Any]) -> None:
    assert conditions(condition("N18.6", **onset)) == {
        "kidney_failure": {"present": True, "since": "2019-03-11"}
    }


def test_the_first_onset_counts() -> None:
    twice = condition("E11.9", onsetDateTime="2019"), condition("E11.2", onsetDateTime="2012-04")
    assert conditions(*twice)["diabetes"]["since"] == "2012-04"


@pytest.mark.parametrize(
    ("born", "age"),
    [
        ("1961-06-15", 65),
        ("1961-06-16", 64),
        ("1961-05", 65),
        ("1961", 64),
        ("2026-06-01", {"value": 14, "unit": "days"}),
    ],
)
def test_age_is_that_on_the_day_of_the_case(born: str, age: Any) -> None:
    assert read(patient(birthDate=born)).case["patient"] == {"age": age}


def test_without_a_day_the_latest_one_in_it_counts() -> None:
    content = bundle(patient(birthDate="1961-05-05"), observation("2000-8", 2.4))
    assert case_of(content).case["date"] == "2026-05-04"
    assert case_of(content).case["patient"]["age"] == 64
    alone = case_of(bundle(patient(birthDate="1961-05-05")))
    assert alone.case == {}
    assert "age is left unknown" in alone.remarks[0]


def test_a_sex_that_rules_do_not_know_is_left_unknown() -> None:
    found = read(patient(gender="other"))
    assert found.case == {"date": "2026-06-15"}
    assert "sex is left unknown" in found.remarks[0]


def test_a_value_is_kept_as_it_is_with_its_unit_range_and_day() -> None:
    ranged = {"referenceRange": [{"low": {"value": 8.5}, "high": {"value": 10.5, "unit": "mg/dL"}}]}
    found = laboratory(observation("17861-6", 9.4, "mg/dL", **ranged))
    assert found["calcium"] == {
        "value": 9.4, "unit": "mg/dL", "low": 8.5, "high": 10.5, "date": "2026-05-04",
    }  # fmt: skip


def test_a_range_for_some_people_only_or_in_another_unit_is_not_used() -> None:
    some = [{"low": {"value": 2.2}, "appliesTo": [{"text": NAME}]}]
    other = [{"low": {"value": 8.5, "unit": "mg/dL"}}]
    for ranges in (some, other, [{"low": {"value": 1}}, {"low": {"value": 2}}]):
        found = read(observation("2000-8", 2.4, referenceRange=ranges))
        assert set(found.case["laboratory"]["calcium"]) == {"value", "unit", "date"}
        assert "range" in found.remarks[0]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("2026-05-04", "2026-05-05"),
        ("2025", "2026-01-01"),
        ("2026-05-04T23:30:00-05:00", "2026-05-05T05:00:00Z"),
    ],
)
def test_the_latest_value_counts_whatever_their_order(first: str, second: str) -> None:
    older = observation("2000-8", 2.1, effectiveDateTime=first)
    newer = observation("17861-6", 9.9, "mg/dL", effectiveDateTime=second)
    for pair in ((older, newer), (newer, older)):
        assert laboratory(*pair)["calcium"]["value"] == 9.9


def test_what_is_after_the_day_of_the_case_does_not_count() -> None:
    found = read(observation("2000-8", 2.4, effectiveDateTime="2026-06-16"))
    assert "laboratory" not in found.case
    assert "after the day of the case" in found.remarks[0]


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "cancelled"},
        {"status": "registered"},
        {"valueQuantity": {"value": 2.4}},
        {"valueQuantity": {"value": 2.4, "unit": "mmol/L", "comparator": "<"}},
        {"valueString": "2.4"},
    ],
)
def test_what_is_no_value_leaves_the_analyte_unknown(fields: dict[str, Any]) -> None:
    made = observation("2000-8", None, **fields)
    assert laboratory(made) == {}


def test_an_observation_without_a_status_is_told_and_a_withdrawn_one_is_not() -> None:
    unclear = {k: v for k, v in observation("2000-8", 2.4).items() if k != "status"}
    assert "status says nothing" in read(unclear).remarks[0]
    assert read(observation("2000-8", 2.4, status="cancelled")).remarks == ()


def test_panels_are_read_by_their_components() -> None:
    parts = [observation("2000-8", 2.4), observation("2777-1", 3.5, "mg/dL")]
    kept = [{k: p[k] for k in ("code", "valueQuantity")} for p in parts]
    assert set(laboratory(observation("24323-8", None, component=kept))) == {"calcium", "phosphate"}


@pytest.mark.parametrize(
    ("fields", "sign"),
    [
        (
            {"valueCodeableConcept": {"coding": [{"code": "10828004"}]}},
            "positive",
        ),
        ({"valueCodeableConcept": {"coding": [{"code": "LA6577-6"}]}}, "negative"),
        ({"interpretation": [{"coding": [{"code": "POS"}]}]}, "positive"),
        ({"interpretation": {"coding": [{"code": "NEG"}]}}, "negative"),
        ({"valueString": "Negative"}, "negative"),
        ({"valueString": f"1:640, seen by {NAME}"}, None),
        ({"interpretation": [{"coding": [{"code": "POS"}, {"code": "NEG"}]}]}, None),
    ],
)
def test_antibodies_are_positive_negative_or_not_known(fields: Any, sign: str | None) -> None:
    assert laboratory(observation("8061-4", None, **fields)).get("antibodies") == sign


def test_it_may_come_as_a_bundle_a_list_or_alone() -> None:
    one = condition("D86.0")
    assert case_of(bundle(one), ON) == case_of([one], ON) == case_of(one, ON)
    assert all(is_fhir(content) for content in (bundle(one), [one], one))
    others: list[Any] = [{"patient": {}}, [], [1], None, "Bundle"]
    assert not any(is_fhir(content) for content in others)


def test_other_resources_are_told_by_their_kind() -> None:
    found = read({"resourceType": "Encounter", "id": NAME}, {"resourceType": NAME})
    assert found.remarks == ("resources that are not used: Encounter, 1 of no known form",)


def test_resources_of_two_patients_are_refused_without_saying_which() -> None:
    other = condition("D86.0", subject={"reference": f"Patient/{NAME}"})
    with pytest.raises(CaseError, match="subject: expected resources of one patient, found 2"):
        read(condition("M10.0"), other)
    with pytest.raises(CaseError, match="Patient: expected resources of one patient, found 2"):
        read(patient(), patient())


def test_two_ways_to_name_the_same_patient_are_one_patient() -> None:
    ways = ["Patient/p1", "https://example.org/fhir/Patient/p1", "urn:uuid:p1"]
    made = [condition("M10.0", subject={"reference": way}) for way in ways]
    assert conditions(*made) == {"gout": True}


@pytest.mark.parametrize(
    ("resource", "said"),
    [
        (observation("2000-8", "2.4"), r"Observation\[0\].valueQuantity.value: expected a number"),
        (observation("2000-8", True), r"Observation\[0\].valueQuantity.value: expected a number"),
        (patient(birthDate="3.2.1961"), r"Patient\[0\].birthDate: expected a date"),
        (patient(birthDate="1961-02-30"), r"Patient\[0\].birthDate: expected a date"),
        (patient(birthDate="2027-01-01"), "Patient.birthDate: expected a date before the day"),
        (
            condition("M10") | {"code": "M10"},
            r"Condition\[0\].code: expected an object",
        ),
        (
            condition("M10") | {"code": {"coding": {}}},
            r"Condition\[0\].code.coding: expected a",
        ),
        ({"resourceType": 5}, "resourceType: expected a text, found a number"),
        ({}, "resourceType: expected the kind of resource, found nothing"),
    ],
)
def test_a_broken_field_is_named(resource: dict[str, Any], said: str) -> None:
    with pytest.raises(CaseError, match=said):
        read(resource)


def test_an_error_in_a_file_names_the_file() -> None:
    content = bundle(observation("2000-8", -2.4))
    with pytest.raises(CaseError, match=r"fhir\.json: laboratory\.calcium\.value: expected"):
        case_from(content, ON, where="fhir.json")
    with pytest.raises(CaseError, match=r"fhir\.json: Patient"):
        case_from(bundle(patient(), patient()), ON, where="fhir.json")


def test_what_is_understood_becomes_facts_with_levels() -> None:
    content = bundle(
        patient(gender="female", birthDate="1961-02-03"),
        condition("N18.6", onsetDateTime="2019-03"),
        observation("17861-6", 9.4, "mg/dL"),
        observation("2777-1", 6.1, "mg/dL"),
        observation("1751-7", 4.0, "g/dL"),
    )
    facts = case_from(content, ON).facts
    assert {f.term: sorted(f.value) for f in facts if isinstance(f.value, frozenset)} == {
        "patient.sex": ["female"],
        "conditions.kidney_failure": ["true"],
        "laboratory.calcium": ["normal"],
        "laboratory.phosphate": ["high"],
        "laboratory.albumin": ["normal"],
    }


@pytest.mark.parametrize("version", ["R4B.", ""], ids=["R4", "R5"])
def test_what_is_valid_in_either_version_of_fhir_is_understood(version: str) -> None:
    models = pytest.importorskip(f"fhir.resources.{version}bundle", reason="needs fhir.resources")
    content = bundle(
        patient(gender="female", birthDate="1961-02-03"),
        condition("M32.1", **state("confirmed"), onsetDateTime="2001-05"),
        observation("14879-1", 1.1, referenceRange=[{"low": {"value": 0.8, "unit": "mmol/L"}}]),
    )
    for entry in content["entry"]:
        del entry["fullUrl"]
    assert len(models.Bundle.model_validate(content).entry) == 3
    assert case_of(content, ON) == Imported(
        {
            "date": "2026-06-15",
            "patient": {"sex": "female", "age": 65},
            "conditions": {"lupus": {"present": True, "since": "2001-05"}},
            "laboratory": {
                "phosphate": {"value": 1.1, "unit": "mmol/L", "low": 0.8, "date": "2026-05-04"}
            },
        },
        (),
    )


@pytest.mark.parametrize(
    "others",
    [
        [patient(), condition("D86.0", subject={"reference": "Patient/p2"})],
        [condition(c, subject={"reference": "#p"}) for c in ("D86.0", "M10.0")],
        [condition("D86.0", subject={"identifier": {"value": n}}) for n in (NAME, "2")],
    ],
)
def test_a_subject_that_is_another_patient_is_refused(others: list[dict[str, Any]]) -> None:
    with pytest.raises(CaseError, match=r"subject.*: expected resources of one patient") as error:
        read(*others)
    assert NAME not in str(error.value)


def test_a_version_or_address_of_the_patient_is_the_patient() -> None:
    version = condition("M10.0", subject={"reference": "Patient/p1/_history/3"})
    address = condition("D86.0", subject={"reference": f"urn:uuid:{NAME}"})
    assert read(patient(), version).case["conditions"] == {"gout": True}
    assert read(patient(), address).case["conditions"] == {"sarcoidosis": True}


@pytest.mark.parametrize("born", ["2026", "2026-06"])
def test_a_child_of_the_year_or_month_of_the_case_is_read(born: str) -> None:
    assert read(patient(birthDate=born)).case["patient"]["age"]["value"] <= 14


def test_what_began_after_the_day_of_the_case_does_not_count() -> None:
    found = read(condition("D86.0", onsetDateTime="2026-07"))
    assert "conditions" not in found.case
    assert found.remarks == ("Condition[0]: it began after the day of the case; not used",)


@pytest.mark.parametrize("fields", [{"abatementDateTime": "2020"}, state("confirmed", "unknown")])
def test_what_has_ended_or_may_have_is_left_unknown(fields: dict[str, Any]) -> None:
    found = read(condition("D86.0", **fields))
    assert "conditions" not in found.case
    assert "so left unknown: sarcoidosis" in found.remarks[0]


def test_who_had_died_has_no_age_on_the_day_of_the_case() -> None:
    found = read(patient(birthDate="1900", deceasedDateTime="1980-01-01"))
    assert "patient" not in found.case
    assert "died before the day of the case" in found.remarks[0]


def test_a_value_of_somebody_else_is_not_used() -> None:
    focus = [{"reference": "Patient/child"}]
    found = read(observation("2000-8", 2.4, focus=focus))
    assert "laboratory" not in found.case
    assert found.remarks == ("Observation[0]: it is of somebody or something else; not used",)


@pytest.mark.parametrize("unit", ["mEq/L", "mg/100 mL", "UI/L", NAME])
def test_a_unit_that_is_not_understood_costs_that_value_alone(unit: str) -> None:
    found = case_of(
        bundle(observation("2000-8", 2.4, unit), observation("2777-1", 4.0, "mg/dL")), ON
    )
    assert set(found.case["laboratory"]) == {"phosphate"}
    assert any("the unit of calcium is not understood" in remark for remark in found.remarks)
    assert NAME not in str(found.remarks)
