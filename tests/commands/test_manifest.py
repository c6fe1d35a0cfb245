from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from calcilens.cli import app
from calcilens.commands.console import guarded
from calcilens.data_manifests.builders.lidc_slices import FOLDER
from calcilens.data_manifests.schema import read_manifest
from tests.data_manifests.made import LABELS, lidc_nodule, save_png, tissue, write_table
from tests.data_manifests.test_phantoms import line, radiograph, written


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["manifest", *map(str, words)])


def ended(*words: object) -> int:
    """Run as the program does, and return its exit code."""
    return guarded(lambda: app(["manifest", *map(str, words)]))


@pytest.fixture
def lidc(tmp_path: Path) -> Path:
    """A manifest of twelve patients, built by the command."""
    rows = []
    for number in range(12):
        lidc_nodule(tmp_path / FOLDER, f"P-{number}")
        rows.append(LABELS | {"patient_id": f"P-{number}"})
    labels = write_table(tmp_path / "labels.csv", rows)
    out = tmp_path / "lidc.parquet"
    result = run("build", "lidc-slices", "--root", tmp_path, "--labels", labels, "--out", out)
    assert result.exit_code == 0, result.output
    return out


def test_the_way_from_images_to_a_clean_split(lidc: Path) -> None:
    split = lidc.with_name("split.csv")
    assert run("validate", lidc).exit_code == 0
    assert run("split", lidc, "--val", 0.25, "--test", 0.25, "--out", split).exit_code == 0
    assert run("leakage", split).exit_code == 0
    found = json.loads(run("stats", split, "--json").stdout)
    assert {name: part["rows"] for name, part in found["splits"].items()} == {
        "train": 6,
        "val": 3,
        "test": 3,
    }


def test_folds_are_written_into_the_manifest_itself_by_default(lidc: Path) -> None:
    result = run("split", lidc, "--folds", 3, "--json")
    assert result.exit_code == 0
    assert read_manifest(lidc).frame["fold"].value_counts().tolist() == [4, 4, 4]


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--val", "nan", "--val: expected a share from 0 to 1, found nan"),
        ("--seed", "-1", "'--seed': Input should be greater than or equal to 0"),
        ("--folds", "1000000000", "expected at least 1000000000 patients, found 12"),
    ],
)
def test_an_option_that_splits_nothing_is_a_wrong_use_and_changes_nothing(
    option: str, value: str, said: str, lidc: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = lidc.read_bytes()
    assert ended("split", lidc, option, value) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert lidc.read_bytes() == before


def test_what_was_left_out_is_said_and_is_exit_code_3(tmp_path: Path) -> None:
    lidc_nodule(tmp_path / FOLDER)
    labels = write_table(tmp_path / "l.csv", [LABELS, LABELS | {"nodule": "nodule-8"}])
    out = tmp_path / "m.parquet"
    words = ("build", "lidc-slices", "--root", tmp_path, "--labels", labels, "--out", out)
    result = run(*words, "--json")
    assert result.exit_code == 3
    assert "row 2: no images in the nodule's folder" in result.stderr
    assert json.loads(result.stdout)["rows"] == 1
    assert len(read_manifest(out)) == 1


def test_faults_and_leaks_are_exit_code_1_and_named(lidc: Path) -> None:
    picture = lidc.parent / FOLDER / "P-3" / "nodule-0" / "images" / "slice-9.png"
    save_png(tissue(99), picture)
    result = run("validate", lidc, "--json")
    assert result.exit_code == 1
    (fault,) = json.loads(result.stdout)["faults"]
    assert (fault["row"], fault["column"]) == (4, "sha256")
    run("split", lidc, "--folds", 12)
    frame = read_manifest(lidc).frame
    same = lidc.parent / FOLDER / "P-4" / "nodule-0" / "images" / "slice-9.png"
    same.write_bytes(picture.read_bytes())
    result = run("leakage", lidc, "--json")
    assert result.exit_code == 1
    (leak,) = json.loads(result.stdout)["leaks"]
    assert {leak["row_a"], leak["row_b"]} == set(frame["row_id"][3:5])


def test_stats_prints_a_table_and_draws(lidc: Path) -> None:
    picture = lidc.with_suffix(".png")
    result = run("stats", lidc, "--picture", picture)
    assert "Patients" in result.stdout
    assert picture.stat().st_size > 10_000


def test_a_folder_of_ones_own_images(tmp_path: Path) -> None:
    save_png(tissue(1), tmp_path / "a.png")
    row = {"image": "a.png", "modality": "CT", "patient": "Ann", "finding": 1}
    table = write_table(tmp_path / "l.csv", [row | {"y0": 1, "x0": 1, "y1": 9, "x1": 9}])
    salt, out = tmp_path / "salt", tmp_path / "m.csv"
    words = ("build", "folder", "--csv", table, "--out", out, "--salt-file", salt)
    assert run(*words).exit_code == 0
    before = read_manifest(out).frame
    assert run(*words).exit_code == 0
    assert before.equals(read_manifest(out).frame)
    assert "Ann" not in out.read_text()


def test_a_failure_is_one_line_that_names_no_patient(
    lidc: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (lidc.parent / FOLDER / "P-3").rename(lidc.parent / "moved")
    assert ended("split", lidc, "--folds", 3) == 1
    said = capsys.readouterr().err
    assert "expected an image, found no such file or folder" in said
    assert "P-3" not in said
    assert said.count("\n") == 1


def test_contradicting_options_are_wrong_use(lidc: Path) -> None:
    assert ended("split", lidc, "--folds", 3, "--val", 0.1) == 2
    assert ended("leakage", lidc) == 2


def test_joined_manifests_hold_the_rows_of_both_and_their_folds(lidc: Path) -> None:
    run("split", lidc, "--folds", 3)
    save_png(tissue(1), lidc.parent / "own" / "a.png")
    row = {"image": "a.png", "modality": "CT", "patient": "Ann", "finding": 1, "y0": 1, "x0": 1}
    table = write_table(lidc.parent / "own" / "l.csv", [row | {"y1": 9, "x1": 9}])
    own, out = lidc.parent / "own.csv", lidc.parent / "out" / "both.parquet"
    salt = lidc.parent / "salt"
    run("build", "folder", "--csv", table, "--out", own, "--salt-file", salt)
    result = run("join", lidc, own, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["sources"] == {"lidc-slices": 12, "folder": 1}
    assert read_manifest(out).frame["fold"].notna().sum() == 12
    assert run("validate", out).exit_code == 0
    assert ended("join", lidc, "--out", out) == 2


def test_a_folder_of_phantoms(tmp_path: Path) -> None:
    written(tmp_path / "phantoms", line(0), radiograph(1))
    out = tmp_path / "phantoms.parquet"
    result = run("build", "phantoms", "--root", tmp_path / "phantoms", "--out", out)
    assert result.exit_code == 0, result.output
    assert run("validate", out).exit_code == 0
    assert ended("build", "phantoms", "--root", tmp_path, "--out", out) == 2
