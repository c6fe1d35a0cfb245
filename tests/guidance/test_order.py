"""Orders: complete or refused, nothing without a source, and what is missing is asked for."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydicom.sr._concepts_dict import concepts

from calcilens.errors import CaseError, UsageError
from calcilens.guidance.cases import case_from
from calcilens.guidance.evaluate import guide
from calcilens.guidance.facts import Fact, Facts, Origin
from calcilens.guidance.order import KINDS, PARTS, Order, order, order_rules
from calcilens.guidance.order_text import text
from calcilens.guidance.rulebook import rulebook
from calcilens.guidance.terms import data, terms
from tests.guidance.made import DATE, cases

LEG = {"thigh", "knee", "leg", "ankle"}
SITES = terms()["lesion.site"].values
REASSURING = re.compile(r"benign|harmless|no further|no need|unlikely|exclude", re.IGNORECASE)
CASE_000: dict[str, Any] = {
    "date": DATE,
    "patient": {"age": 58, "sex": "male"},
    "lesion": {"site": "leg", "side": "right"},
    "imaging": {"radiograph": True},
}
"""A calcification of the right lower calf, not specific: documents 000 and 002."""
COMPLETE: dict[str, Any] = {
    "date": DATE,
    "patient": {"age": 58, "sex": "male"},
    "lesion": {
        "site": "leg", "side": "right", "pattern": "stippled", "max_diameter_mm": 12,
        "growth": "stable", "soft_tissue_mass": False,
    },
    "symptoms": {"pain": {"present": True, "since": "2026-05-16"}, "swelling": False},
    "examination": {"tenderness": True, "mass": False},
    "history": {"trauma": False},
    "conditions": {"thrombosis_risk": False},
    "imaging": {"radiograph": True, "ct": False},
    "laboratory": {"egfr": {"value": 80, "unit": "mL/min/1.73m2"}},
}  # fmt: skip


def made(kind: str, case: dict[str, Any]) -> Order:
    return order(kind, case_from(case).facts)


def ids(rules: Any) -> list[str]:
    return [rule.id for rule in rules]


def without(case: dict[str, Any], field: str) -> dict[str, Any]:
    section, _, word = field.partition(".")
    return case | {section: {k: v for k, v in case[section].items() if k != word}}


def with_field(case: dict[str, Any], field: str, value: Any) -> dict[str, Any]:
    section, _, word = field.partition(".")
    return case | {section: case.get(section, {}) | {word: value}}


@given(st.sampled_from(KINDS), cases())
def test_whatever_is_known_every_statement_has_a_source_and_none_reassures(
    kind: str, case: dict[str, Any]
) -> None:
    try:
        written = made(kind, case)
    except CaseError:
        assume(False)
    except UsageError as error:
        refused = (kind, case["lesion"]["site"] in LEG, "002: " in str(error))
        assert refused == ("ultrasound", False, True)
        return
    rules = [rule for part in PARTS for rule in getattr(written, part)]
    assert [rule.id for rule in rules if not rule.sources] == []
    assert [rule.say for rule in rules if REASSURING.search(rule.say)] == []
    assert set(ids(rules)) <= set(ids(order_rules(kind)))


@given(cases())
def test_a_limited_protocol_is_refused_whatever_is_known(case: dict[str, Any]) -> None:
    try:
        facts = case_from(case).facts
    except CaseError:
        assume(False)
    with pytest.raises(UsageError, match=r"misses 5 % of isolated .*002: Common Pitfalls"):
        order("ultrasound", facts, "limited")


@given(cases())
def test_nothing_of_the_complete_protocol_is_ever_left_out(case: dict[str, Any]) -> None:
    try:
        written = made("ultrasound", case)
    except (CaseError, UsageError):
        assume(False)
    done = ids(written.protocol)
    assert [d for d in done if not d.startswith("us-popliteal")] == [
        "us-compression", "us-calf-veins", "us-femoral", "us-focus",
    ]  # fmt: skip
    assert sum(d.startswith("us-popliteal") for d in done) == 1
    assert ids(written.questions) == ["us-q-thrombosis", "us-q-character", "us-q-soft-tissue"]


@pytest.mark.parametrize("site", SITES)
def test_ultrasound_is_ordered_from_groin_to_ankle_and_refused_elsewhere(site: str) -> None:
    case = {"lesion": {"site": site}}
    if site in LEG:
        assert made("ultrasound", case).kind == "ultrasound"
        return
    with pytest.raises(UsageError, match=f"refused for site: {site}: .*leg's veins does not apply"):
        made("ultrasound", case)


def test_a_site_that_is_not_settled_is_asked_for_and_not_refused() -> None:
    several = Fact("lesion.site", frozenset({"knee", "foot"}), Origin.MEASURED, "site: either")
    for facts in (Facts(), Facts([several])):
        written = order("ultrasound", facts)
        assert "us-ask-site" in ids(written.missing)
        assert written.region is None


def test_the_order_of_002_is_complete() -> None:
    written = made("ultrasound", CASE_000)
    assert [rule.say for rule in written.protocol] == [
        "Compression from the common femoral vein to the ankle",
        "In the calf, posterior tibial and peroneal veins",
        "Colour and spectral Doppler of the common femoral vein on both sides",
        "Colour and spectral Doppler of the popliteal vein on the symptomatic side: right",
        "A focused look at the calcification",
    ]
    assert {source.document for rule in written.protocol for source in rule.sources} == {"002"}
    assert (written.procedure.value, written.region.meaning if written.region else None) == (
        "39443-7",
        "Lower leg",
    )


MISSING = {
    "lesion.pattern": ["us-ask-pattern"],
    "lesion.max_diameter_mm": ["us-ask-size"],
    "lesion.side": ["us-ask-side", "ct-ask-side", "mri-ask-side"],
    "lesion.site": ["us-ask-site", "ct-ask-site", "mri-ask-site"],
    "lesion.growth": ["ct-ask-growth", "mri-ask-growth"],
    "lesion.soft_tissue_mass": ["ct-ask-mass", "mri-ask-mass"],
    "symptoms.pain": ["us-ask-pain", "ct-ask-pain"],
    "symptoms.swelling": ["us-ask-swelling"],
    "examination.tenderness": ["us-ask-tenderness"],
    "history.trauma": ["ct-ask-trauma"],
    "conditions.thrombosis_risk": ["us-ask-risk"],
    "imaging.radiograph": ["ct-ask-radiograph", "mri-ask-radiograph"],
    "imaging.ct": ["mri-ask-ct"],
    "laboratory.egfr": ["ct-ask-kidney"],
}


def asked(case: dict[str, Any]) -> set[str]:
    """Return what all three orders ask for; the exact place is asked every time."""
    return {rule for kind in KINDS for rule in ids(made(kind, case).missing)} - {"us-ask-place"}


def test_where_all_is_known_nothing_but_the_exact_place_is_asked() -> None:
    assert asked(COMPLETE) == set()
    assert ids(made("ultrasound", COMPLETE).missing) == ["us-ask-place"]


@pytest.mark.parametrize("field", MISSING)
def test_what_is_missing_is_asked_for_and_nothing_else_is(field: str) -> None:
    assert asked(without(COMPLETE, field)) == set(MISSING[field])


def test_every_question_to_the_referrer_is_tried() -> None:
    tried = {rule for rules in MISSING.values() for rule in rules}
    every = {rule.id for kind in KINDS for rule in order_rules(kind) if "-ask-" in rule.id}
    apart = {"us-ask-place", "us-ask-duration", "us-ask-imaging"} | {
        f"{kind}-ask-sides" for kind in ("us", "ct", "mri")
    }
    assert every == tried | apart


def test_how_long_is_asked_for_symptoms_only() -> None:
    assert asked(with_field(COMPLETE, "symptoms.pain", True)) == {"us-ask-duration"}
    swollen = with_field(COMPLETE, "symptoms.swelling", True)
    assert asked(swollen) == {"us-ask-duration"}
    assert asked(with_field(COMPLETE, "symptoms.pain", False)) == set()


def test_earlier_imaging_is_asked_for_where_none_is_told() -> None:
    bare = COMPLETE | {"imaging": {}}
    assert "us-ask-imaging" in asked(bare)
    for word in ("radiograph", "ct", "mri", "ultrasound"):
        assert "us-ask-imaging" not in asked(bare | {"imaging": {word: True}})


def test_sides_that_disagree_are_asked_about_and_coded_as_neither() -> None:
    other = Fact("lesion.side", frozenset({"left"}), Origin.MEASURED, "side: left")
    facts = Facts([*case_from(COMPLETE).facts, other])
    for kind in KINDS:
        written = order(kind, facts)
        assert "which is it" in " ".join(rule.say for rule in written.missing)
        assert written.side is None


FIRES: dict[str, dict[str, Any]] = {
    "us-why-tendon": {"lesion.compartment": "tendon"},
    "us-why-joint": {"lesion.compartment": "intra-articular"},
    "us-why-vessel": {"lesion.pattern": "phlebolith"},
    "us-why-mass": {"examination.mass": True},
    "us-why-injury": {"history.trauma": True},
    "us-why-pattern": {"lesion.pattern": "eccentric"},
    "us-note-calf": {"lesion.site": "thigh"},
    "us-popliteal-left": {"lesion.side": "left"},
    "us-popliteal-both": {"lesion.side": "both"},
    "us-popliteal": {"lesion.side": None},
    "ct-q-rim": {"history.trauma": True},
    "ct-q-remodelling": {"lesion.pattern": "lobulated"},
    "ct-q-growth": {"lesion.nearer_skin": True},
    "ct-why-concern": {"lesion.depth": "deep"},
    "ct-why-mass": {"lesion.soft_tissue_mass": True},
    "ct-why-lobulated": {"lesion.pattern": "lobulated"},
    "ct-why-injury": {"history.burn": True},
    "ct-why-skin": {"lesion.nearer_skin": True, "symptoms.redness": True},
    "ct-note-radiograph": {"imaging.radiograph": False},
    "mri-q-signal": {"lesion.pattern": "lobulated"},
    "mri-q-growth": {"lesion.growth": "growing"},
    "mri-why-mass": {"examination.mass": True},
    "mri-why-concern": {"lesion.bone_erosion": True},
    "mri-why-bone": {"lesion.bone_erosion": True},
    "mri-note-radiograph": {"imaging.radiograph": None},
}
SILENT = with_field(
    with_field(COMPLETE, "lesion.pattern", "diffuse"), "lesion.depth", "subcutaneous"
)
ALWAYS = {"us-popliteal-right", "mri-note-mass", "mri-note-ct"}
"""Hold in `SILENT`, and are silent in another case."""


def held(case: dict[str, Any]) -> set[str]:
    written = [made(kind, case) for kind in KINDS]
    return {rule.id for one in written for part in PARTS for rule in getattr(one, part)}


@pytest.mark.parametrize("rule", FIRES)
def test_a_rule_with_a_condition_fires_in_one_case_and_is_silent_in_another(rule: str) -> None:
    case = SILENT
    for field, value in FIRES[rule].items():
        case = with_field(case, field, value)
    assert rule in held(case)
    assert rule not in held(SILENT)


def test_every_rule_with_a_condition_is_tried() -> None:
    every = {r.id: r for kind in KINDS for r in order_rules(kind) if list(r.when.terms())}
    asks = {rule for rule in every if "-ask-" in rule}
    assert set(every) - asks - {"us-place"} == set(FIRES) | ALWAYS
    assert held(SILENT) >= ALWAYS
    mass = with_field(with_field(SILENT, "examination.mass", True), "imaging.ct", True)
    assert not ALWAYS & held(with_field(mass, "lesion.side", "left"))


def test_rules_of_orders_have_ids_of_their_own() -> None:
    every = [rule.id for kind in KINDS for rule in order_rules(kind)]
    assert len(set(every)) == len(every)
    assert not set(every) & {rule.id for rule in rulebook().rules()}


@given(cases())
def test_concerning_features_of_an_order_are_those_of_the_guidance(case: dict[str, Any]) -> None:
    try:
        facts = case_from(case).facts
    except CaseError:
        assume(False)
    found = [s.rule.id for s in order("ct", facts).concern]
    (lesion,) = guide(facts, {}).lesions
    assert found == [s.rule.id for s in lesion.concern if s.standing == "present"]


@pytest.mark.parametrize("kind", ["ct", "mri"])
@pytest.mark.parametrize("site", SITES)
def test_ct_and_mri_are_ordered_anywhere_with_a_code_of_that_place(kind: str, site: str) -> None:
    written = made(kind, {"lesion": {"site": site}})
    table = data("order_facts")["procedures"][kind]
    assert written.procedure.value == (table.get(site) or table["any"])[0]
    assert written.region is not None


def test_codes_of_places_and_sides_are_those_of_dicom() -> None:
    known: dict[str, set[str]] = {}
    every: dict[str, Any] = concepts["SCT"]
    for spec in every.values():
        for code, names in spec.items():
            known.setdefault(code, set()).add(names[0])
    table = data("order_facts")
    for value, meaning in [*table["regions"].values(), *table["sides"].values()]:
        assert meaning in known[value]
    assert set(table["regions"]) == set(SITES)
    assert set(table["sides"]) == set(terms()["lesion.side"].values)


def test_a_loinc_code_has_one_meaning_and_its_check_digit() -> None:
    tables = data("order_facts")["procedures"].values()
    pairs = {tuple(pair) for table in tables for pair in table.values()}
    assert len({value for value, _ in pairs}) == len(pairs)
    assert [value for value, _ in pairs if not is_loinc(value)] == []


def is_loinc(value: str) -> bool:
    """Luhn's check digit (mod 10), as LOINC has it."""
    number, _, check = value.partition("-")
    doubled = [int(d) * (2 if place % 2 == 0 else 1) for place, d in enumerate(reversed(number))]
    total = sum(d - 9 if d > 9 else d for d in doubled)
    return (10 - total % 10) % 10 == int(check)


@pytest.mark.parametrize("kind", ["ct", "mri"])
def test_where_there_is_no_protocol_to_choose_none_is_taken(kind: str) -> None:
    with pytest.raises(UsageError, match="expected no --protocol, found limited"):
        order(kind, Facts(), "limited")


@pytest.mark.parametrize(("kind", "protocol"), [("pet", "complete"), ("ultrasound", "quick")])
def test_what_is_not_known_is_refused_with_what_is(kind: str, protocol: str) -> None:
    with pytest.raises(UsageError, match=r"order: expected one of .*, found "):
        order(kind, Facts(), protocol)


@given(st.sampled_from(KINDS), cases())
def test_what_a_patient_has_not_is_nobodys_business(kind: str, case: dict[str, Any]) -> None:
    try:
        written = made(kind, case)
    except (CaseError, UsageError):
        assume(False)
    told = dict(written.told)
    assert not [words for words in told.get("History", ()) if words.endswith(": no")]
    assert text(written).isprintable() or "\n" in text(written)
