"""What holds of every guidance: a source for each statement, and no reassurance too early."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from calcilens.errors import CaseError
from calcilens.guidance.cases import Case, case_from
from calcilens.guidance.document import of_case
from calcilens.guidance.evaluate import Guidance, LesionGuidance, Standing, guide
from calcilens.guidance.facts import Fact, Facts, Origin
from calcilens.guidance.rulebook import rulebook
from calcilens.guidance.terms import data
from calcilens.guidance.text import text
from calcilens.inference.report_schema import schema
from tests.guidance.made import cases

SOOTHING = re.compile(r"\bbenign|harmless|innocent|reassur|no further|no treatment", re.IGNORECASE)
WARNS = {"step-complete", "pitfall-assumed-benign"}
"""Rules that use such a word to warn of it."""


def one(case: dict[str, Any]) -> LesionGuidance:
    return whole(case).lesions[0]


def whole(case: dict[str, Any]) -> Guidance:
    return guide(case_from(case).facts, {})


def rules(statements: Any) -> set[str]:
    return {s.rule.id for s in statements if s.standing is Standing.PRESENT}


def said(guidance: Guidance) -> list[Any]:
    """Every statement that a reader sees."""
    found = [*guidance.missing, *guidance.pitfalls]
    for lesion in guidance.lesions:
        found += [*lesion.concern, *lesion.next_steps]
        for w in (*lesion.mechanisms, *lesion.differential):
            found += [*w.speaks_for, *w.speaks_against, *w.open]
    return found


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(max_examples=10_000, deadline=None)
@given(cases())
def test_any_case_is_guided_with_sources_and_without_early_reassurance(
    case: dict[str, Any],
) -> None:
    guidance = guide(read(case).facts, {})
    for statement in said(guidance):
        assert statement.rule.sources
        assert statement.unknown or statement.standing is not Standing.UNKNOWN
    lesion = guidance.lesions[0]
    unsettled = lesion.concerning or lesion.is_open
    for step in lesion.next_steps:
        soothing = step.rule.reassures or SOOTHING.search(step.rule.say)
        assert not (unsettled and soothing) or step.rule.id in WARNS


@settings(max_examples=200, deadline=None)
@given(cases())
def test_any_guidance_can_be_written_and_names_every_source_that_it_cites(
    case: dict[str, Any],
) -> None:
    document = of_case(read(case))
    whole = Draft202012Validator(schema())
    assert list(whole.descend(document, schema()["properties"]["guidance"])) == []
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert {s.partition(": ")[0] for s in cited(document)} <= set(document["sources"])
    assert text(document).startswith(document["notice"])


def read(case: dict[str, Any]) -> Case:
    """The case, if it does not contradict itself."""
    try:
        return case_from(case)
    except CaseError:
        assume(False)
        raise


def cited(node: Any) -> set[str]:
    """Every source that a document cites."""
    if isinstance(node, dict):
        own = node.get("sources", []) if isinstance(node.get("sources"), list) else []
        return set(own).union(*(cited(v) for k, v in node.items() if k != "others"))
    return set().union(*(cited(v) for v in node)) if isinstance(node, list) else set()


@given(cases(), cases())
@settings(max_examples=300, deadline=None)
def test_more_facts_never_take_a_concern_away(case: dict[str, Any], more: dict[str, Any]) -> None:
    first, second = read(case), read(more)
    before = guide(first.facts, {}).lesions[0]
    after = guide(first.facts + second.facts, {}).lesions[0]
    assert rules(before.concern) <= rules(after.concern)


def test_no_rule_of_concern_can_be_taken_back() -> None:
    for rule in data("concern"):
        assert not re.search(r"'(none|unknown)'", str(rule["when"])), rule["id"]


def test_soothing_words_stand_only_where_rules_are_held_back() -> None:
    for rule in rulebook().rules():
        if SOOTHING.search(rule.say) and rule.id not in WARNS:
            assert rule.reassures, rule.id


CLEAR: dict[str, Any] = {
    "patient": {"age": 40, "sex": "female"},
    "lesion": {
        "pattern": "phlebolith",
        "max_diameter_mm": 6,
        "depth": "subcutaneous",
        "soft_tissue_mass": False,
        "bone_erosion": False,
        "zoning": "even",
    },
    "symptoms": dict.fromkeys(("pain", "swelling", "redness", "warmth", "stiffness"), False),
    "examination": {"mass": False, "tenderness": False, "redness": False, "warmth": False},
}


def changed(section: str, **words: Any) -> dict[str, Any]:
    return CLEAR | {section: CLEAR[section] | words}


def test_a_small_clear_lesion_without_symptoms_is_watched() -> None:
    lesion = one(CLEAR)
    assert not lesion.concerning
    assert not lesion.is_open
    assert "step-observe" in rules(lesion.next_steps)
    assert "step-refer" not in rules(lesion.next_steps)


@pytest.mark.parametrize(
    ("section", "words", "rule"),
    [
        ("lesion", {"max_diameter_mm": 51}, "concern-size"),
        ("lesion", {"depth": "deep"}, "concern-depth"),
        ("lesion", {"growth": "rapid"}, "concern-rapid-growth"),
        ("lesion", {"soft_tissue_mass": True}, "concern-mass"),
        ("examination", {"mass": True}, "concern-mass"),
        ("lesion", {"pattern": "stippled"}, "concern-pattern"),
        ("lesion", {"pattern": "eccentric"}, "concern-pattern"),
        ("lesion", {"pattern": "rings_and_arcs"}, "concern-chondroid"),
        ("lesion", {"bone_erosion": True}, "concern-bone"),
        ("symptoms", {"pain": True, "pain_explained": False}, "concern-pain"),
        (
            "lesion",
            {"pattern": "peripheral_zonal", "zoning": "reverse-zonal"},
            "concern-reverse-zonal",
        ),
    ],
)
def test_each_concerning_feature_alone_refers_and_stops_reassurance(
    section: str, words: dict[str, Any], rule: str
) -> None:
    lesion = one(changed(section, **words))
    assert rule in rules(lesion.concern)
    assert {"step-refer", "step-biopsy"} <= rules(lesion.next_steps)
    assert not any(s.rule.reassures for s in lesion.next_steps)


@pytest.mark.parametrize(
    ("words", "rule"),
    [({"growth": "growing"}, "concern-growth"), ({"nearer_skin": True}, "concern-nearer-skin")],
)
def test_what_led_to_an_excision_stops_reassurance_and_refers_nobody(
    words: dict[str, Any], rule: str
) -> None:
    lesion = one(changed("lesion", **words))
    assert rule in rules(lesion.concern)
    assert "step-refer" not in rules(lesion.next_steps)
    assert not any(s.rule.reassures for s in lesion.next_steps)


def test_a_dangerous_disease_in_the_lead_stops_reassurance() -> None:
    case = CLEAR | {"conditions": {"malignancy": True}}
    lesion = one(case)
    assert lesion.differential[0].topic.key == "metastatic_calcinosis_cutis"
    assert not lesion.concerning
    assert not any(s.rule.reassures for s in lesion.next_steps)


def test_age_and_place_alone_list_no_disease() -> None:
    assert one({"patient": {"age": 20}}).differential == ()
    placed = {"site": "knee", "compartment": "periarticular", "depth": "deep"}
    assert one({"patient": {"age": 20}, "lesion": placed}).differential == ()


def test_of_several_patterns_that_are_left_each_disease_takes_the_one_that_fits() -> None:
    two = Fact(
        "lesion.pattern", frozenset({"nodular_subcutaneous", "rice_grain"}), Origin.PREDICTED, ""
    )
    lesion = guide(Facts(), {"L1": Facts([two])}).lesions[0]
    given = {w.topic.key: w.given for w in lesion.differential}
    assert given["cysticercosis"] == "rice_grain"
    assert given["fat_necrosis"] == "nodular_subcutaneous"


@pytest.mark.parametrize(
    ("section", "word"),
    [
        ("lesion", "max_diameter_mm"),
        ("lesion", "depth"),
        ("lesion", "soft_tissue_mass"),
        ("lesion", "bone_erosion"),
        ("lesion", "pattern"),
        ("examination", "mass"),
        ("symptoms", "pain"),
    ],
)
def test_a_feature_that_is_not_known_keeps_reassurance_back(section: str, word: str) -> None:
    case = changed(section)
    case[section] = {k: v for k, v in case[section].items() if k != word}
    lesion = one(case)
    assert lesion.is_open
    assert "step-complete" in rules(lesion.next_steps)
    assert not any(s.rule.reassures for s in lesion.next_steps)


def test_growth_is_what_watching_finds_out_and_keeps_nobody_from_it() -> None:
    unknown = {s.rule.id for s in one(CLEAR).concern if s.standing is Standing.UNKNOWN}
    assert unknown == {"concern-rapid-growth", "concern-growth", "concern-nearer-skin"}


@given(st.sampled_from(["phlebolith", "central"]))
def test_facts_of_two_origins_may_disagree_and_the_concerning_one_counts(pattern: str) -> None:
    reported = case_from(changed("lesion", pattern=pattern)).facts
    predicted = case_from({"lesion": {"pattern": "stippled"}}).facts
    lesion = guide(reported, {"L1": predicted}).lesions[0]
    assert "concern-pattern" in rules(lesion.concern)


def test_patterns_that_disagree_comfort_nobody() -> None:
    predicted = case_from({"lesion": {"pattern": "lobulated"}}).facts
    (lesion,) = guide(case_from(CLEAR).facts, {"L1": predicted}).lesions
    assert not any(s.rule.reassures for s in lesion.next_steps)


def test_nothing_known_gives_questions_and_no_answers() -> None:
    guidance = guide(Facts(), {})
    lesion = guidance.lesions[0]
    assert lesion.differential == ()
    assert all(s.standing is Standing.UNKNOWN for s in lesion.concern)
    assert len(guidance.missing) >= 8


def test_normal_chemistry_alone_does_not_rule_out_a_systemic_cause() -> None:
    lab = {
        "calcium": {"value": 2.4, "unit": "mmol/L"},
        "phosphate": {"value": 1.1, "unit": "mmol/L"},
        "egfr": {"value": 95, "unit": "mL/min/1.73m2"},
    }
    case = {"patient": {"age": 40, "sex": "female"}, "laboratory": lab}
    assert systemic(case) == "present"
    assert systemic(case | {"laboratory": lab | {"antibodies": "negative"}}) == "absent"


def systemic(case: dict[str, Any]) -> str:
    pitfalls = guide(case_from(case).facts, {}).pitfalls
    return next(s.standing.value for s in pitfalls if s.rule.id == "pitfall-systemic-cause")


def test_antibodies_rest_on_the_section_that_speaks_of_them() -> None:
    cited = {r.id: str(r.sources[0]) for r in rulebook().rules() if "antibodies" in r.id}
    assert cited["step-antibodies"] == cited["assess-antibodies"] == "004, Pathogenesis"
