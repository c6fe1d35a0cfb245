"""`calcilens guide`: cases and reports in, statements with sources out."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from jsonschema import Draft202012Validator

from calcilens.commands import console, guide, predict
from calcilens.inference.guided import guided
from calcilens.inference.report import to_json
from tests import dicom_factory as factory
from tests.inference.made import ct, film
from tests.inference.reports import reported


def app(*words: object) -> int:
    program = typer.Typer(pretty_exceptions_enable=False)
    for command in (guide, predict):
        command.register(program)
    return console.guarded(lambda: program([str(w) for w in words]))


CASE = {
    "patient": {"age": 65, "sex": "female"},
    "conditions": {"dialysis": True, "secondary_hyperparathyroidism": True},
    "lesion": {"pattern": "nodular_subcutaneous", "outside_veins": True},
}


@pytest.fixture
def case(tmp_path: Path) -> Path:
    return written(tmp_path / "case.json", CASE)


@pytest.fixture
def report(tmp_path: Path) -> Path:
    return written(tmp_path / "report.json", to_json(guided(reported(ct(), film())), []))


def written(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def said(capsys: pytest.CaptureFixture[str], *words: Any) -> Any:
    assert app("guide", *words, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_a_case_alone_has_one_lesion_without_an_id(
    case: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = said(capsys, "--case", case)
    (lesion,) = found["lesions"]
    assert lesion["lesion"] is None
    assert lesion["differential"][0]["condition"] == "renal_tumoral_calcinosis"


def test_a_report_has_its_lesions_and_a_case_speaks_of_each(
    case: Path, report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone, both = said(capsys, "--report", report), said(capsys, "--report", report, "--case", case)
    ids = [lesion["id"] for lesion in json.loads(report.read_text())["lesions"]]
    assert [x["lesion"] for x in alone["lesions"]] == [x["lesion"] for x in both["lesions"]] == ids
    for before, after in zip(alone["lesions"], both["lesions"], strict=True):
        assert {f["words"] for f in before["facts"]} < {f["words"] for f in after["facts"]}
        assert "dialysis: yes" in {f["words"] for f in after["facts"]}


def test_a_report_holds_the_guidance_that_guide_gives_on_it(
    report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert json.loads(report.read_text())["guidance"] == said(capsys, "--report", report)


def test_the_text_has_lead_evidence_and_source(
    case: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app("guide", "--case", case) == 0
    text = capsys.readouterr().out
    assert "1. Tumoral calcinosis of kidney failure" in text
    assert "dialysis: yes" in text
    assert "[003: Images in Medicine" in text
    assert "support a physician's judgement" in text


def test_the_page_is_one_file_without_anything_from_elsewhere(case: Path, tmp_path: Path) -> None:
    assert app("guide", "--case", case, "--html", tmp_path / "page.html") == 0
    page = html.unescape((tmp_path / "page.html").read_text())
    assert "Tumoral calcinosis of kidney failure" in page
    assert "default-src 'none'" in page
    assert '<th scope="row">applies</th>' in page
    assert "avoided" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_schema_fits_the_case_and_the_rules_are_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert app("guide", "--schema") == 0
    Draft202012Validator(json.loads(capsys.readouterr().out)).validate(CASE)
    assert app("guide", "--rules") == 0
    assert capsys.readouterr().out.startswith("# The rules")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"patient": {"age": 400}}, "case.json: patient.age: expected a number from 0 to 120"),
        ({"laboratory": {"calcium": {"value": -2, "unit": "mmol/L"}}}, "laboratory.calcium.value"),
        ({"laboratory": {"calcium": {"value": 2, "unit": "x"}}}, "laboratory.calcium.unit"),
        ({"conditions": {"dialysis": True, "kidney_failure": False}}, "conditions.dialysis"),
    ],
)
def test_an_impossible_case_is_one_line_that_names_the_field(
    content: Any, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app("guide", "--case", written(tmp_path / "case.json", content)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_wrong_use_is_one_line(
    case: Path, report: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app("guide") == 2
    assert app("guide", "--case", tmp_path / "none.json") == 1
    assert app("guide", "--report", case) == 1
    assert app("guide", "--case", report) == 1
    assert app("guide", "--report", report, "--prevalence", "2") == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    assert all(line.startswith("calcilens: ") for line in lines)


def save_film(folder: Path, patient: str, seed: int) -> None:
    stored = np.random.default_rng(seed).integers(0, 4095, (90, 80)).astype(np.uint16)
    film = factory.radiograph(stored, PatientID=patient, StudyInstanceUID=f"1.2.3.{seed}")
    factory.save(film, folder / f"{seed}.dcm")


def test_predict_has_the_guidance_on_a_case(case: Path, tmp_path: Path) -> None:
    save_film(tmp_path / "in", "A", 1)
    assert app("predict", tmp_path / "in", "--out", tmp_path / "out", "--case", case) == 0
    (file,) = tmp_path.glob("out/*/report.json")
    guidance = json.loads(file.read_text())["guidance"]
    words = {fact["words"] for fact in guidance["lesions"][0]["facts"]}
    assert {"dialysis: yes", "age: 65 years"} <= words
    page = file.with_name("report.html").read_text()
    assert "Tumoral calcinosis of kidney failure" in page or not guidance["lesions"][0]["lesion"]


def test_a_changed_case_makes_the_report_anew(case: Path, tmp_path: Path) -> None:
    save_film(tmp_path / "in", "A", 1)
    words = ("predict", tmp_path / "in", "--out", tmp_path / "out", "--case", case)
    assert app(*words) == 0
    (run,) = tmp_path.glob("out/*/run.json")
    first = run.read_text()
    assert app(*words) == 0
    assert run.read_text() == first
    written(case, {"patient": {"age": 66}})
    assert app(*words) == 0
    assert run.read_text() != first


def test_a_case_beside_studies_of_two_patients_is_refused(
    case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, patient in enumerate(("SECRET-A", "SECRET-B"), 1):
        save_film(tmp_path / "in", patient, seed)
    assert app("predict", tmp_path / "in", "--out", tmp_path / "out", "--case", case) == 2
    error = capsys.readouterr().err
    assert "--case: expected studies of one patient" in error
    assert "SECRET" not in error
    assert not list(tmp_path.glob("out/*"))


def test_all_cases_that_are_given_count(
    case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export = [{"resourceType": "Patient", "gender": "female"}]
    fhir = written(tmp_path / "fhir.json", export)
    mine = written(tmp_path / "mine.json", {"symptoms": {"pain": True}})
    given = ("--case", case, "--case", fhir, "--case", mine)
    (lesion,) = said(capsys, *given)["lesions"]
    assert {"age: 65 years", "sex: female", "pain: yes"} <= {f["words"] for f in lesion["facts"]}
    save_film(tmp_path / "in", "A", 1)
    assert app("predict", tmp_path / "in", "--out", tmp_path / "out", *given) == 0
    (file,) = tmp_path.glob("out/*/report.json")
    words = json.loads(file.read_text())["guidance"]["lesions"][0]["facts"]
    assert {"sex: female", "pain: yes"} <= {f["words"] for f in words}
    other = written(tmp_path / "other.json", {"symptoms": {"pain": False}})
    assert app("guide", *given, "--case", other) == 1
    assert "mine.json, other.json: symptoms.pain: expected the same" in capsys.readouterr().err


def test_an_impossible_case_is_told_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = written(tmp_path / "case.json", {"patient": {"age": 400}})
    assert app("predict", tmp_path / "none", "--out", tmp_path / "out", "--case", wrong) == 1
    assert "patient.age" in capsys.readouterr().err


@pytest.mark.parametrize("share", [None, "0.9", 2])
def test_a_report_whose_model_has_no_figures_is_refused(
    share: Any, report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads(report.read_text())
    content["models"] = [flagged(sensitivity=share)]
    assert app("guide", "--report", written(report, content)) == 1
    assert "models[0].flags.red.sensitivity: expected a report" in capsys.readouterr().err


def test_a_report_cannot_command_the_terminal_and_has_both_predictive_values(
    report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads(report.read_text())
    content["models"] = [flagged(on="\x1b[2J")]
    assert app("guide", "--report", written(report, content), "--prevalence", "0.1") == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text
    # Of 100 lesions 10 are concerning: 9 flags are right, 18 are not; 72 of 73 without are not.
    assert "right once in 3, and no flag is right in 98.6301 %" in text


def flagged(**figures: Any) -> dict[str, Any]:
    flags = {"red": {"sensitivity": 0.9, "specificity": 0.8, "on": "made"} | figures}
    named = {"name": "m", "version": "1", "modality": "CT", "sha256": "0", "limits": []}
    return named | {"flags": flags}


def test_a_report_without_a_lesion_gives_no_guidance_on_one(
    report: Path, case: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(report, json.loads(report.read_text()) | {"lesions": []})
    assert app("guide", "--report", report) == 1
    assert "expected a report with a lesion" in capsys.readouterr().err
    assert app("guide", "--report", report, "--case", case) == 0


def test_a_report_with_a_number_without_end_is_refused(
    report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads(report.read_text())
    content["lesions"][0]["measurements"]["max_diameter_mm"] = float("inf")
    assert app("guide", "--report", written(report, content)) == 1
    assert "expected a report.json, found text that is no JSON" in capsys.readouterr().err
