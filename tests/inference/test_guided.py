"""Guidance of a report: facts as the report has them, apart from what the models say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from calcilens.errors import CaseError
from calcilens.guidance.case_files import Told
from calcilens.guidance.report_facts import of_lesions
from calcilens.inference.change import Level
from calcilens.inference.guided import guided
from calcilens.inference.lesions import Concern, Finding, Patterns
from calcilens.inference.report import StudyReport, to_json
from tests.inference.made import ct, film
from tests.inference.reports import against, judged, reported

CALCIFIED = Finding(0.97, False)


def measured(report: StudyReport, **figures: Any) -> StudyReport:
    lesions = tuple(replace(x, measured=replace(x.measured, **figures)) for x in report.lesions)
    return replace(report, lesions=lesions)


def facts(report: StudyReport, term: str) -> list[tuple[Any, str]]:
    (found,) = of_lesions(to_json(report, [])).values()
    return [(fact.value, fact.origin.value) for fact in found.of(term)]


def reasons(report: StudyReport) -> dict[str, str]:
    (lesion,) = report.lesions
    return {r["rule"]: r["evidence"] for r in lesion.answer.concern.rule_reasons}


def test_a_measured_feature_is_a_reason_with_its_evidence_and_source() -> None:
    found = guided(measured(reported(ct()), max_diameter_mm=62.04, depth="deep"))
    assert (
        reasons(found)["concern-size"] == "larger than 5 cm: largest diameter: 62.0 mm (measured)"
    )
    assert "concern-depth" in reasons(found)
    (lesion,) = to_json(found, [])["lesions"]
    assert all(r["source"].startswith("00") for r in lesion["concern"]["rule_reasons"])


def test_rules_change_nothing_that_the_model_said() -> None:
    before = judged(reported(ct()), concern=Concern(0.1, "low", ["below the limit"]))
    after = guided(measured(before, max_diameter_mm=80))
    (old,), (new,) = before.lesions, after.lesions
    assert replace(new.answer.concern, rule_reasons=[]) == old.answer.concern
    assert (new.answer.finding, new.answer.pattern) == (old.answer.finding, old.answer.pattern)


def test_a_predicted_pattern_counts_as_far_as_it_is_narrowed_down() -> None:
    two = Patterns({"stippled": 0.5, "eccentric": 0.4}, ["stippled", "eccentric"], 0.9, False)
    said = judged(reported(ct()), finding=CALCIFIED, pattern=two)
    assert facts(said, "lesion.pattern") == [(frozenset(two.set), "predicted")]
    assert "concern-pattern" in reasons(guided(said))
    open_ = Patterns({"stippled": 0.5, "diffuse": 0.4}, ["stippled", "diffuse"], 0.9, False)
    assert "concern-pattern" not in reasons(guided(judged(said, pattern=open_)))


@pytest.mark.parametrize(
    "answer",
    [
        {"pattern": Patterns({"stippled": 1.0}, ["stippled"], 0.9, abstained=True, why="no")},
        {"finding": Finding(0.2, False)},
        {"finding": Finding(0.9, True, "out of domain")},
    ],
)
def test_a_pattern_without_an_answer_behind_it_is_no_fact(answer: dict[str, Any]) -> None:
    sure = Patterns({"stippled": 1.0}, ["stippled"], 0.9, False)
    said = judged(reported(ct()), **{"finding": CALCIFIED, "pattern": sure, **answer})
    assert facts(said, "lesion.pattern") == []


@pytest.mark.parametrize(
    ("level", "growth"),
    [
        (Level.RAPID, {"rapid"}),
        (Level.GROWN, {"growing"}),
        (Level.NEW, {"growing", "rapid"}),
        (Level.STABLE, {"stable"}),
        (Level.SHRUNK, {"shrinking"}),
    ],
)
def test_a_change_is_growth_as_the_comparison_has_it(level: Level, growth: set[str]) -> None:
    report = against(reported(ct()), level, skin_mm=-3.0)
    assert facts(report, "lesion.growth") == [(frozenset(growth), "measured")]
    assert facts(report, "lesion.nearer_skin") == [(frozenset({"true"}), "measured")]
    assert ("concern-growth" in reasons(guided(report))) == (
        "stable" not in growth and "shrinking" not in growth
    )


def test_a_change_that_cannot_be_told_is_not_known() -> None:
    report = against(reported(ct()), Level.NOT_COMPARABLE, skin_mm=-1.0)
    assert facts(report, "lesion.growth") == facts(report, "lesion.nearer_skin") == []


def test_what_was_not_measured_is_not_known() -> None:
    report = measured(reported(film()), max_diameter_mm=None)
    assert facts(report, "lesion.max_diameter_mm") == []
    assert facts(report, "lesion.depth") == []


def test_soft_tissue_around_it_is_a_mass_and_none_is_none() -> None:
    assert "concern-mass" in reasons(guided(measured(reported(ct()), soft_tissue_mm=4.0)))
    none = measured(reported(ct()), soft_tissue_mm=0.0)
    assert facts(none, "lesion.soft_tissue_mass") == [(frozenset({"false"}), "measured")]


def test_site_and_side_come_from_the_header_as_far_as_it_goes() -> None:
    leg = reported(replace(film(), body_part="LOWERLEG", side="R"))
    assert facts(leg, "lesion.site") == [(frozenset({"leg"}), "measured")]
    assert facts(leg, "lesion.side") == [(frozenset({"right"}), "measured")]
    limb = reported(replace(film(), body_part="LEG"))
    assert facts(limb, "lesion.site") == [(frozenset({"thigh", "knee", "leg"}), "measured")]


def test_a_study_without_lesions_has_guidance_on_a_case_alone() -> None:
    empty = replace(reported(ct()), lesions=())
    assert guided(empty).guidance == {}
    told = guided(empty, [Told("case", {"lesion": {"pattern": "stippled"}})])
    assert told.guidance["lesions"][0]["lesion"] is None


def test_a_case_that_cannot_be_on_the_day_of_the_study_is_refused() -> None:
    case = {"history": {"trauma": {"present": True, "since": "2027"}}}
    with pytest.raises(CaseError, match="expected a date up to 2026"):
        guided(reported(ct()), [Told("case", case)])


def test_a_report_and_a_case_that_disagree_are_both_told() -> None:
    sure = Patterns({"stippled": 1.0}, ["stippled"], 0.9, False)
    said = judged(reported(ct()), finding=CALCIFIED, pattern=sure)
    phlebolith = Told("case", {"lesion": {"pattern": "phlebolith"}})
    (lesion,) = guided(said, [phlebolith]).guidance["lesions"]
    assert lesion["disagreements"] == [
        "pattern: phlebolith (reported); pattern: stippled (predicted)"
    ]
    assert lesion["concern"]["standing"] == "present"
    stippled = Told("case", {"lesion": {"pattern": "stippled"}})
    (agreed,) = guided(said, [stippled]).guidance["lesions"]
    assert agreed["disagreements"] == []
