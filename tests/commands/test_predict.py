"""`calcilens predict` from the outside: files in, folders, lines and exit codes out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import typer

from calcilens.commands import console, predict, reporting
from calcilens.commands.predict import formats_of
from calcilens.errors import UsageError
from calcilens.inference.formats import FORMATS, LARGE
from tests import dicom_factory as factory
from tests.inference.made import ct, film, study


def app(*words: object) -> int:
    program = typer.Typer(pretty_exceptions_enable=False)
    program.callback()(lambda: None)
    predict.register(program)
    return console.guarded(lambda: program([str(w) for w in words]))


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Folder with one radiograph of random pixels."""
    stored = np.random.default_rng(0).integers(0, 4095, (90, 80)).astype(np.uint16)
    ds = factory.radiograph(stored, PatientName="Do^Not^Print", PatientID="SECRET-1")
    factory.save(ds, tmp_path / "in" / "film.dcm")
    return tmp_path / "in"


@pytest.fixture
def roi(tmp_path: Path) -> Path:
    path = tmp_path / "roi.json"
    path.write_text(json.dumps([{"box_px": [10, 20, 40, 60]}]))
    return path


def test_a_radiograph_with_a_box_gives_a_report(
    films: Path, roi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app("predict", films, "--out", tmp_path / "out", "--roi", roi) == 0
    folder = tmp_path / "out" / factory.STUDY_UID
    report = json.loads((folder / "report.json").read_text())
    assert report["lesions"][0]["box_px"] == [[10, 20], [40, 60]]
    assert "1 lesion; open" in capsys.readouterr().err


def test_no_patient_name_or_number_is_written_anywhere(
    films: Path, roi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app("predict", films, "--out", tmp_path / "out", "--roi", roi, "--json") == 0
    shown = capsys.readouterr()
    texts = [p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()]
    for secret in ("Do^Not^Print", "SECRET-1"):
        assert secret not in shown.out + shown.err
        assert not any(secret.encode() in text for text in texts)


TYPED = (
    "BodyPartExamined", "ViewPosition", "Laterality", "ImageLaterality", "VOILUTFunction",
    "SeriesDescription", "StudyDescription", "ProtocolName", "StationName", "ConvolutionKernel",
    "PixelSpacingCalibrationType", "Manufacturer",
)  # fmt: skip
"""What may hold anything that a person types."""


@pytest.mark.parametrize("kind", ["film", "ct"])
def test_nothing_that_was_typed_into_a_file_is_written(
    kind: str, roi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = factory.item(CodeValue="DOEJOHN", CodeMeaning="DOEJOHN", CodingSchemeDesignator="SCT")
    typed: dict[str, Any] = {
        **dict.fromkeys(TYPED, "DOEJOHN"),
        "ViewCodeSequence": [code],
        "ImageType": ["ORIGINAL", "PRIMARY", "DOEJOHN"],
        "SeriesNumber": 471181512,
        "InstanceNumber": 471181512,
    }
    if kind == "film":
        objects = [factory.radiograph(factory.ramp((60, 80)) // 2, **typed)]
    else:
        objects = factory.ct_slices(factory.ramp((3, 60, 80), start=900) // 8 + 900, **typed)
        roi.write_text(json.dumps([{"box_mm": [[-5, -15, 30], [5, -5, 33]]}]))
    factory.save_all(objects, tmp_path / "typed")
    assert app("predict", tmp_path / "typed", "--out", tmp_path / "out", "--roi", roi) == 0
    shown = capsys.readouterr()
    texts = [p.read_text() for p in (tmp_path / "out").rglob("report.*")] + [*shown]
    assert len(texts) == 4
    for text in texts:
        assert "DOEJOHN" not in text.upper()
        assert "471181512" not in text


def test_json_says_what_became_of_each_study(
    films: Path, roi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("predict", films, "--out", tmp_path / "out", "--roi", roi, "--json")
    states = []
    for _ in range(2):
        assert app(*words) == 0
        states.append(json.loads(capsys.readouterr().out)["studies"][0]["state"])
    assert states == ["written", "kept"]


def test_a_broken_file_beside_a_good_one_is_one_line_and_exit_code_3(
    films: Path, roi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = np.full((90, 80), 7, np.uint16)
    other = factory.radiograph(stored, SOPInstanceUID=f"{factory.SERIES_UID}.2")
    other.file_meta.MediaStorageSOPInstanceUID = other.SOPInstanceUID
    whole = factory.save(other, films / "cut.dcm").read_bytes()
    (films / "cut.dcm").write_bytes(whole[: len(whole) // 2])
    assert app("predict", films, "--out", tmp_path / "out", "--roi", roi) == 3
    lines = [x for x in capsys.readouterr().err.splitlines() if x.startswith("left out: ")]
    assert len(lines) == 1
    assert "cut.dcm" in lines[0]


def test_a_bad_lesion_is_exit_code_3_and_the_others_go_on(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    roi = tmp_path / "roi.json"
    roi.write_text(json.dumps([{"box_px": [1]}, {"box_px": [10, 20, 40, 60]}]))
    assert app("predict", films, "--out", tmp_path / "out", "--roi", roi) == 3
    assert "left out: roi.json entry 1: expected 4 numbers" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (None, "--bone-mask b.nii: expected a NIfTI or DICOM SEG of bones, found no file"),
        (b"none", "--bone-mask b.nii: expected a whole NIfTI"),
        (np.ones((2, 2, 2)), "--bone-mask b.nii: expected one CT of its grid, found none among 0"),
    ],
    ids=["missing", "broken", "without a CT"],
)
def test_bones_that_fit_no_ct_are_one_line_and_exit_code_1(
    films: Path, tmp_path: Path, given: object, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "b.nii"
    if isinstance(given, bytes):
        path.write_bytes(given)
    elif isinstance(given, np.ndarray):
        nibabel.save(nibabel.Nifti1Image(given, np.eye(4)), path)
    assert app("predict", films, "--out", tmp_path / "out", "--bone-mask", path) == 1
    assert line in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*"))


def test_a_dry_run_says_what_would_be_read_and_writes_nothing(
    films: Path, roi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert app("predict", films, "--out", out, "--roi", roi, "--dry-run") == 0
    said = capsys.readouterr().err
    assert said.endswith(": 1 radiograph, lesions given: 1; nothing was written\n")
    assert not out.exists()


def test_a_plan_tells_a_ct_from_its_planes() -> None:
    assert reporting._images(study(ct())) == "1 CT of 12 planes"
    assert reporting._images(study(ct(), ct(), film())) == "2 CTs of 12, 12 planes, 1 radiograph"


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (["--model-ct", "nonsense"], 1, "model: expected an embedded model"),
        (["--model-ct", "calcilens-radiograph"], 2, "--model-ct: expected a model for CT, found"),
        (["--finder", "calcilens-ct"], 1, "expected a model that finds lesions"),
        (["--prior", "nowhere"], 3, "left out: --prior: nowhere: expected a file"),
    ],
    ids=["no such model", "another modality", "no finder", "no prior"],
)
def test_a_dry_run_checks_models_and_prior(
    films: Path, words: list[str], code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app("predict", films, "--dry-run", *words) == code
    assert line in capsys.readouterr().err


def test_a_study_that_is_up_to_date_does_not_load_torch(
    films: Path, roi: Path, tmp_path: Path
) -> None:
    words = ["predict", str(films), "--out", str(tmp_path / "out"), "--roi", str(roi)]
    assert app(*words) == 0
    code = (
        f"import sys; sys.argv = ['calcilens', *{words}]; from calcilens.cli import app; "
        "app(standalone_mode=False); sys.exit(9 if 'torch' in sys.modules else 7)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "up to date, kept" in done.stderr
    assert "torch" not in done.stderr
    assert done.returncode == 7


def test_a_study_without_a_readable_image_is_not_told_as_one_without_lesions(
    films: Path, roi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (film,) = films.iterdir()
    whole = film.read_bytes()
    film.write_bytes(whole[: len(whole) // 2])
    assert app("predict", films, "--out", tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert "no image could be read: expected 14400 bytes" in said
    assert "0 lesions" not in said
    for state in ("written", "kept"):
        words = ["--force"] if state == "written" else []
        assert app("predict", films, "--out", tmp_path / "out", "--json", *words) == 1
        (told,) = json.loads(capsys.readouterr().out)["studies"]
        assert (told["state"], told["images"]) == (state, 0)
        assert "expected 14400 bytes" in told["why"]


def test_the_bar_names_every_stage_that_takes_time(films: Path, roi: Path, tmp_path: Path) -> None:
    assert app("predict", films, "--out", tmp_path / "out", "--roi", roi, "--formats", "all") == 0
    run = json.loads((tmp_path / "out" / factory.STUDY_UID / "run.json").read_text())
    untold = {"reading all studies", "fingerprint", "saliency", "comparison"}
    assert set(run["seconds"]) - untold == set(reporting.STAGES) - untold


def test_a_report_brings_the_segmentation_that_it_refers_to(
    films: Path, roi: Path, tmp_path: Path
) -> None:
    assert app("predict", films, "--out", tmp_path / "out", "--roi", roi, "--formats", "sr") == 0
    folder = tmp_path / "out" / factory.STUDY_UID
    assert sorted(p.name for p in (folder / "dicom").iterdir()) == ["seg-1.dcm", "sr-1.dcm"]


def test_all_can_stand_beside_others() -> None:
    usual = set(FORMATS) - LARGE
    assert set(formats_of("all")) == set(formats_of("json, all")) == usual
    assert set(formats_of("all,saliency-whole")) == set(FORMATS)
    assert formats_of("seg,json,seg") == ("json", "seg")


@pytest.mark.parametrize(
    ("formats", "opened"),
    [("seg", ""), ("json,seg", "/report.json"), ("json,html,seg", "/report.html")],
)
def test_what_there_is_to_open_is_there(
    formats: str,
    opened: str,
    films: Path,
    roi: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("predict", films, "--out", tmp_path / "out", "--roi", roi)
    assert app(*words, "--formats", formats) == 0
    (line,) = [x for x in capsys.readouterr().err.splitlines() if "; open " in x]
    path = Path(line.partition("; open ")[2])
    assert str(path) == f"{tmp_path / 'out' / factory.STUDY_UID}{opened}"
    assert path.exists()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["predict"], "expected a PATH"),
        (["predict", "."], "expected --out FOLDER"),
        (["predict", ".", "--out", "o", "--formats", "json,pdf"], "expected all, or some of"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(
    words: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app(*words) == 2
    shown = capsys.readouterr().err
    assert line in shown
    assert shown.count("\n") == 1


def test_an_output_that_cannot_be_made_is_one_line(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert app("predict", films, "--out", tmp_path / "file" / "out") == 2
    shown = capsys.readouterr().err
    assert "--out: expected a folder, found a file" in shown
    assert shown.count("\n") == 1


def test_a_model_that_is_not_there_is_one_line(
    films: Path, roi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("predict", films, "--out", tmp_path / "out", "--roi", roi)
    assert app(*words, "--model-radiograph", "none") == 1
    assert "model: expected an embedded model" in capsys.readouterr().err


def test_the_schema_is_printed_without_any_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert app("predict", "--schema") == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Calcilens report.json"


def test_help_does_not_import_torch() -> None:
    code = "import sys, calcilens.commands.predict; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.real
def test_real_radiographs_are_measured_and_broken_files_are_named(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = real_data / "dicom" / "radiographs" / "RG3_UNC.dcm", real_data / "dicom/unreadable"
    roi = tmp_path / "roi.json"
    from calcilens.imaging.study import read_study

    image = read_study(good).images[0]
    roi.write_text(json.dumps([{"series_uid": image.series_uid, "box_px": [800, 700, 1000, 960]}]))
    assert app("predict", good, bad, "--out", tmp_path / "out", "--roi", roi) == 3
    lines = [x for x in capsys.readouterr().err.splitlines() if x.startswith("left out: ")]
    for file in bad.iterdir():
        assert any(file.name in line for line in lines), file.name
    assert (tmp_path / "out" / image.study_uid / "report.html").is_file()


@pytest.mark.parametrize(
    ("target", "found"), [("nowhere", "a link to nothing"), ("file", "a file")]
)
def test_a_link_in_the_place_of_the_output_is_called_what_it_leads_to(
    tmp_path: Path, target: str, found: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "out").symlink_to(tmp_path / target)
    with pytest.raises(UsageError, match=f"--out: expected a folder, found {found}: .*/out"):
        reporting.make_folder(tmp_path / "out")
