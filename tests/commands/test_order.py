"""`calcilens order`: from a case, from FHIR, from a report; what it refuses, and how it says so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from calcilens.cli import app
from calcilens.errors import CalcilensError, UsageError
from calcilens.inference.report import StudyReport, to_json
from tests.guidance.fhir_made import ICD, NAME, bundle, condition, patient
from tests.guidance.test_order import COMPLETE
from tests.inference.reports import reported

SECOND = "L0123456789ab"


def run(*words: Any) -> Result:
    return CliRunner().invoke(app, ["order", *map(str, words)])


def written(folder: Path, content: Any, name: str = "case.json") -> Path:
    (folder / name).write_text(json.dumps(content))
    return folder / name


@pytest.fixture
def case(tmp_path: Path) -> Path:
    return written(tmp_path, COMPLETE)


@pytest.fixture(scope="module")
def report() -> StudyReport:
    return reported()


@pytest.fixture
def report_json(report: StudyReport, tmp_path: Path) -> Path:
    return written(tmp_path, to_json(report, []), "report.json")


@pytest.mark.parametrize("kind", ["ultrasound", "ct", "mri"])
@pytest.mark.parametrize("form", ["text", "json", "dicom", "fhir"])
def test_every_order_is_printed_in_every_format(kind: str, form: str, case: Path) -> None:
    result = run(kind, "--case", case, "--format", form)
    assert result.exit_code == 0
    if form != "text":
        json.loads(result.stdout)
    assert "DRAFT of an order" in result.stdout


def test_json_holds_all_other_formats(case: Path) -> None:
    everything = json.loads(run("ct", "--case", case, "--json").stdout)
    assert everything["text"] == run("ct", "--case", case).stdout
    for form in ("dicom", "fhir"):
        assert everything[form] == json.loads(run("ct", "--case", case, "--format", form).stdout)
    assert [r["sources"] for r in everything["questions"] if not r["sources"]] == []


def test_a_file_holds_what_would_be_printed(case: Path, tmp_path: Path) -> None:
    out = tmp_path / "order.txt"
    assert run("mri", "--case", case, "--out", out).stdout == ""
    assert out.read_text("utf-8") == run("mri", "--case", case).stdout


def test_fhir_gives_an_order_without_a_name_and_says_what_was_not_used(tmp_path: Path) -> None:
    gout, other = condition("M10.0", ICD), condition("E78.5", ICD)
    path = written(tmp_path, bundle(patient(gender="female", birthDate="1961-02-03"), gout, other))
    result = run("ct", "--case", path)
    assert result.exit_code == 0
    assert "gout: yes" in result.stdout
    assert "case: Condition: ICD-10 E78.5; not used" in result.stderr
    assert NAME not in result.output


def test_a_report_tells_of_its_lesion_what_was_measured(
    report: StudyReport, report_json: Path, case: Path
) -> None:
    alone = run("ct", "--report", report_json)
    assert alone.exit_code == 0
    (lesion,) = report.lesions
    size = lesion.measured.max_diameter_mm
    assert f"largest diameter: {size:.1f} mm [measured]" in " ".join(alone.stdout.split())
    assert f"lesion {lesion.id}" in alone.stdout
    both = run("ct", "--report", report_json, "--case", case)
    assert "pain: yes" in both.stdout


def test_of_several_lesions_one_has_to_be_named(report: StudyReport, tmp_path: Path) -> None:
    content = to_json(report, [])
    content["lesions"].append(content["lesions"][0] | {"id": SECOND})
    path = written(tmp_path, content, "report.json")
    refused = run("ct", "--report", path)
    assert isinstance(refused.exception, UsageError)
    assert f"--lesion: expected one of {report.lesions[0].id}, {SECOND}, found none" in str(
        refused.exception
    )
    assert f"lesion {SECOND}" in run("ct", "--report", path, "--lesion", SECOND).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("ultrasound", "--protocol", "limited"), "misses 5 % of isolated"),
        (("ct", "--protocol", "limited"), "expected no --protocol"),
        (("ultrasound", "--protocol", "fast"), "expected one of complete, limited"),
        (("pet",), "expected one of ultrasound, ct, mri, found 'pet'"),
        (("ct", "--format", "pdf"), "expected one of text, json, dicom, fhir"),
        (("ct", "--lesion", "L1"), "expected --report with --lesion"),
    ],
)
def test_what_cannot_be_ordered_ends_with_the_reason_and_code_2(
    words: tuple[str, ...], said: str, case: Path
) -> None:
    error = run(*words, "--case", case).exception
    assert isinstance(error, CalcilensError)
    assert error.exit_code == 2
    assert said in str(error)


def test_a_place_that_the_documents_leave_out_is_refused(tmp_path: Path) -> None:
    error = run("ultrasound", "--case", written(tmp_path, {"lesion": {"site": "hand"}})).exception
    assert isinstance(error, UsageError)
    assert "refused for site: hand" in str(error)


def test_without_anything_known_nothing_is_ordered() -> None:
    error = run("ct").exception
    assert isinstance(error, UsageError)
    assert "expected --case FILE, --report FILE, or both, found neither" in str(error)


def test_a_report_without_a_lesion_has_nothing_to_order(
    report: StudyReport, tmp_path: Path
) -> None:
    empty = written(tmp_path, to_json(replace(report, lesions=()), []), "report.json")
    error = run("ct", "--report", empty).exception
    assert isinstance(error, UsageError)
    assert "expected a report with a lesion, found none" in str(error)


def test_nothing_is_written_where_it_is_refused(case: Path, tmp_path: Path) -> None:
    out = tmp_path / "order.txt"
    run("ultrasound", "--case", case, "--protocol", "limited", "--out", out)
    assert not out.exists()
