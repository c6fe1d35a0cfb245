"""fhir.json: valid, whole in itself, and the same figures as everywhere else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from calcilens.inference.export.facts import figures_of
from calcilens.inference.export.fhir import bundle
from calcilens.inference.formats import FORMATS
from calcilens.inference.lesions import Concern, Finding, OutOfDomain, Patterns
from calcilens.inference.output import write_study
from calcilens.inference.report import StudyReport
from calcilens.inference.stopwatch import Stopwatch
from tests.inference import structured
from tests.inference.made import STUDY_UID, ct, film
from tests.inference.reports import judged, reported
from tests.inference.test_sr import full


def resources(content: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    found = [entry["resource"] for entry in content["entry"]]
    return [resource for resource in found if resource["resourceType"] == kind]


def references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["reference"]] if "reference" in part else []
        return own + [r for value in part.values() for r in references(value)]
    return [r for value in part for r in references(value)] if isinstance(part, list) else []


@settings(max_examples=20)
@given(structured.any_reports())
def test_whatever_a_report_holds_the_bundle_is_valid_fhir(report: StudyReport) -> None:
    r4b = pytest.importorskip("fhir.resources.R4B.bundle", reason="needs fhir.resources")
    content = json.loads(json.dumps(bundle(report)))
    assert len(r4b.Bundle.model_validate(content).entry) == len(content["entry"])


def test_every_reference_leads_to_an_entry_and_every_entry_has_its_own_name() -> None:
    content = bundle(full())
    names = [entry["fullUrl"] for entry in content["entry"]]
    assert len(set(names)) == len(names)
    assert set(references(content)) <= set(names)


def test_a_lesion_is_an_observation_whose_members_are_its_figures() -> None:
    report = full()
    content = bundle(report)
    by_name = {entry["fullUrl"]: entry["resource"] for entry in content["entry"]}
    (told,) = resources(content, "DiagnosticReport")
    lesions = [by_name[result["reference"]] for result in told["result"]]
    for lesion, observation in zip(report.lesions, lesions, strict=True):
        uid = {"system": "urn:dicom:uid", "value": f"urn:oid:{lesion.tracking_uid}"}
        assert uid in observation["identifier"]
        members = [by_name[member["reference"]] for member in observation["hasMember"]]
        values = [m["valueQuantity"]["value"] for m in members if "valueQuantity" in m]
        assert values == [figure.value for figure in figures_of(lesion)]


def test_everything_is_preliminary_and_the_conclusion_is_that_of_the_report() -> None:
    content = bundle(full())
    judged = resources(content, "DiagnosticReport") + resources(content, "Observation")
    assert {resource["status"] for resource in judged} == {"preliminary"}
    (told,) = resources(content, "DiagnosticReport")
    assert "Not for diagnosis" in told["conclusion"]
    assert "Gone since then" in told["conclusion"]
    assert told["imagingStudy"][0]["identifier"]["value"] == f"urn:oid:{STUDY_UID}"


def test_the_patient_is_named_by_number_alone() -> None:
    text = json.dumps(bundle(full()), ensure_ascii=False)
    assert structured.NAME not in text
    assert "太郎" not in text
    (told,) = resources(bundle(full()), "DiagnosticReport")
    assert told["subject"] == {"type": "Patient", "identifier": {"value": "SECRET-ID"}}


def test_files_without_a_number_or_a_header_give_a_report_without_a_subject() -> None:
    nameless = structured.sourced(reported(ct()), PatientID="")
    for report in (nameless, reported(ct())):
        (told,) = resources(bundle(report), "DiagnosticReport")
        assert "subject" not in told


def test_a_study_without_a_lesion_says_that_one_is_not_excluded() -> None:
    report = replace(structured.sourced(reported(film())), lesions=())
    (told,) = resources(bundle(report), "DiagnosticReport")
    assert "result" not in told
    assert "does not exclude" in told["conclusion"]


def test_the_same_report_gives_the_same_content() -> None:
    assert bundle(full()) == bundle(full())


def test_the_file_is_written_and_listed(tmp_path: Path) -> None:
    assert "fhir" in FORMATS
    folder = write_study(full(), tmp_path, ("json", "fhir"), {}, Stopwatch())
    listed = json.loads((folder / "report.json").read_text())["exports"]
    assert [(e["format"], e["path"]) for e in listed] == [("fhir", "fhir.json")]
    assert json.loads((folder / "fhir.json").read_text(encoding="utf-8")) == bundle(full())


def test_shares_have_six_digits_here_and_in_the_structured_report() -> None:
    third = 1 / 3
    answer = {
        "finding": Finding(0.1 + third, abstained=False),
        "pattern": Patterns({"diffuse": third}, ["diffuse"], 2 * third, abstained=False),
        "concern": Concern(third, "low", []),
        "out_of_domain": OutOfDomain(10 * third, flag=False),
    }
    report = structured.sourced(judged(reported(ct()), **answer))
    numbers = [x for x in structured.items(structured.read(structured.written(report, "sr")))
               if x.ValueType == "NUM"]  # fmt: skip
    shown = {str(x.MeasuredValueSequence[0].NumericValue) for x in numbers}
    assert shown >= {"0.433333", "0.333333", "0.666667", "3.333333"}
    text = json.dumps(bundle(report))
    assert '"value": 0.433333,' in text
    assert "0.3333333" not in text
