"""What the clinical rules say of a report, beside what the models answer and never inside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from calcilens.guidance.case_files import Told
from calcilens.guidance.cases import cases_from
from calcilens.guidance.document import of_case, of_report
from calcilens.guidance.report_facts import day_of
from calcilens.inference.lesions import Lesion
from calcilens.inference.report import StudyReport, to_json


def guided(report: StudyReport, cases: Sequence[Told] = ()) -> StudyReport:
    """Return the report with guidance and each lesion's concerning features.

    Args:
        report: As `run_study` makes it.
        cases: What is known of the patient.

    Raises:
        CaseError: The cases hold what is impossible on the day of the study.
    """
    case = cases_from(cases, day_of(report.study.study_date)) if cases else None
    if report.lesions:
        found = of_report(to_json(report, []), case)
    else:
        found = {} if case is None else of_case(case)
    reasons = {one["lesion"]: _reasons(one) for one in found.get("lesions", [])}
    lesions = tuple(_with_reasons(x, reasons.get(x.id, [])) for x in report.lesions)
    return replace(report, lesions=lesions, guidance=found)


def _reasons(guidance: dict[str, Any]) -> list[dict[str, str]]:
    """Return the features that are present, as report.json has them."""
    return [
        {
            "rule": feature["rule"],
            "evidence": f"{feature['say']}: {_evidence(feature)}",
            "source": "; ".join(feature["sources"]),
        }
        for feature in guidance["concern"]["features"]
        if feature["standing"] == "present"
    ]


def _evidence(feature: dict[str, Any]) -> str:
    return "; ".join(f"{b['words']} ({b['origin']})" for b in feature["because"])


def _with_reasons(lesion: Lesion, reasons: list[dict[str, str]]) -> Lesion:
    concern = replace(lesion.answer.concern, rule_reasons=reasons)
    return replace(lesion, answer=replace(lesion.answer, concern=concern))
