"""Where a model gives no verdict nothing that is written says more than that, and why."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from calcilens.inference.export.fhir import bundle
from calcilens.inference.export.html import build
from calcilens.inference.lesions import Answer, Concern, Finding, OutOfDomain, Patterns
from calcilens.inference.pipeline import _urgency
from calcilens.inference.report import StudyReport
from tests.inference.made import ct
from tests.inference.reports import reported
from tests.inference.structured import files, read, sourced
from tests.inference.test_page import words

STRANGE = "out of domain: unlike anything"
NO_ANSWER = {
    "out of domain": Answer(
        Finding(0.7, abstained=True, why=STRANGE),
        Patterns({"diffuse": 0.94, "laminated": 0.06}, ["diffuse"], 0.9, abstained=True),
        Concern(model_reasons=[f"no answer: {STRANGE}"]),
        OutOfDomain(2.0, flag=True),
    ),
    "undecided": Answer(
        Finding(0.55, abstained=True, why="undecided: near one half"),
        Patterns({"diffuse": 0.94, "laminated": 0.06}, ["diffuse"], 0.9, abstained=False),
        Concern(0.01, "low", ["below 0.30"]),
        OutOfDomain(0.2, flag=False),
    ),
}


@pytest.mark.parametrize("why", NO_ANSWER)
def test_where_there_is_no_answer_lists_give_none_and_numbers_are_greyed(why: str) -> None:
    page = build(reported_as(NO_ANSWER[why]))
    lists = words(page.split('<section id="viewer"')[0]) + words(
        "<body>" + page.split('id="all"')[1]
    )
    assert f"No answer ({why})" in lists
    assert f"1 lesion, 1 without an answer ({why})" in lists
    assert f"no answer ({why})" in lists
    assert "%" not in lists
    assert 'class="chip low"' not in page
    assert 'class="mark low"' not in page
    assert "concern: no answer" in lists
    bars = re.findall(r'<div class="bars([^"]*)">(.*?)</div></div>|$', page, re.DOTALL)
    assert next(kind.strip() for kind, text in bars if text) == "unsure"


def test_a_low_concern_without_a_verdict_comes_before_one_with_it() -> None:
    unsure, sure = (
        NO_ANSWER["undecided"],
        replace(NO_ANSWER["undecided"], finding=Finding(1.0, False)),
    )
    answers = (replace(reported().lesions[0], answer=x) for x in (sure, unsure))
    assert [x.answer for x in sorted(answers, key=_urgency)] == [unsure, sure]


def reported_as(answer: Answer) -> StudyReport:
    """A report whose lesion has that answer."""
    report = reported(ct())
    return replace(report, lesions=(replace(report.lesions[0], answer=answer),))


@pytest.mark.parametrize("why", NO_ANSWER)
@pytest.mark.parametrize("name", ["seg", "presentation", "key-objects", "sr", "sr-plain", "fhir"])
def test_no_result_object_gives_a_number_or_a_low_concern(name: str, why: str) -> None:
    scale = {"RescaleSlope": 1, "RescaleIntercept": -1024, "SamplesPerPixel": 1}
    report = sourced(replace(reported_as(NO_ANSWER[why]), models=()), **scale)
    fhir = name == "fhir"
    text = json.dumps(bundle(report)) if fhir else read(files(report, name)[0]).to_json()
    assert "No answer" in text
    assert f"({why})" in text
    assert not re.search(r"\d %|0\.7\b|0\.55|low concern|'Low'|\"Low\"", text)
