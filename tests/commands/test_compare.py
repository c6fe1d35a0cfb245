"""`calcilens compare` from the outside: two studies in, a table, a report and exit codes out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer

from calcilens.commands import compare, console, predict
from tests import dicom_factory as factory


def app(*words: object) -> int:
    program = typer.Typer(pretty_exceptions_enable=False)
    program.callback()(lambda: None)
    for module in (predict, compare):
        module.register(program)
    return console.guarded(lambda: program([str(w) for w in words]))


@pytest.fixture
def films(tmp_path: Path) -> tuple[Path, Path]:
    """Two radiographs of two patients."""
    folders = []
    for number in (1, 2):
        stored = np.random.default_rng(number).integers(0, 4095, (90, 80)).astype(np.uint16)
        ds = factory.radiograph(
            stored, PatientName="Do^Not^Print", PatientID=f"SECRET-{number}", StudyDate="20250101"
        )
        ds.StudyInstanceUID = f"{factory.STUDY_UID}.{number}"
        factory.save(ds, tmp_path / f"in-{number}" / "film.dcm")
        folders.append(tmp_path / f"in-{number}")
    return folders[0], folders[1]


def test_another_patient_is_one_line_and_the_report_is_written(
    films: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app("compare", *films, "--out", tmp_path / "out", "--json") == 3
    shown = capsys.readouterr()
    assert "expected the same patient, found another patient number" in shown.err
    assert "SECRET" not in shown.out + shown.err
    assert "Do^Not" not in shown.out + shown.err
    (study,) = json.loads(shown.out)["studies"]
    assert (study["state"], study["why"]) == ("written", None)
    assert Path(study["folder"], "report.json").is_file()
    assert study["comparison"]["prior_study_uid"] is None
    assert (tmp_path / "out" / study["study_uid"] / "report.html").is_file()


def test_a_prior_that_cannot_be_read_does_not_cost_the_report(
    films: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    words = ("predict", films[1], "--prior", nothing, "--out", tmp_path / "out")
    assert app(*words) == 3
    assert f"left out: --prior: {nothing}: expected DICOM images" in capsys.readouterr().err
    assert len(list((tmp_path / "out").glob("*/report.json"))) == 1


def test_the_same_study_twice_is_one_line(
    films: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("compare", films[0], films[0], "--out", tmp_path / "out")
    said = []
    for _ in range(2):
        assert app(*words) == 3
        said.append(capsys.readouterr().err)
    for lines in said:
        assert "expected an earlier study, found the same study" in lines
    assert "open" in said[0]
    assert "up to date, kept" in said[1]


def test_a_dry_run_says_what_would_be_compared_and_writes_nothing(
    films: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app("compare", *films, "--out", tmp_path / "out", "--dry-run", "--json") == 3
    (study,) = json.loads(capsys.readouterr().out)["studies"]
    assert study["compared_with"] == []
    assert "another patient number" in study["notes"][0]
    assert not (tmp_path / "out").exists()


def change(**own: object) -> dict[str, object]:
    facts = {"level": "not comparable", "kind": "unknown", "volume_ratio": None, "why": "no ratio"}
    return facts | own


def lesion(
    slices: list[int] | None, size: float | None, volume: float | None = None, **own: object
) -> dict[str, object]:
    return {
        "slices": slices,
        "measurements": {"max_diameter_mm": size, "volume_mm3": volume},
        "change": change(**own),
    }


def test_the_table_numbers_lesions_as_the_report_and_names_those_without_a_match() -> None:
    lost = {"centroid_mm": [1.2, -3.0, 50.0], "prior_volume_mm3": 120.4, "why": "x"}
    grown = {
        "level": "rapid growth",
        "kind": "grown",
        "volume_ratio": 1.48,
        "volume_ratio_ci": [1.35, 1.62],
        "prior_max_diameter_mm": 22.04,
        "prior_volume_mm3": 2890.4,
    }
    report = {
        "comparison": {
            "prior_study_uid": "1.2.3",
            "days": 91,
            "gone": [lost],
            "not_found": [{**lost, "prior_volume_mm3": None}],
        },
        "lesions": [lesion([25, 40], 25.3, 4310.0, **grown), lesion([7, 7], None)],
    }
    assert compare._lines(report) == [
        "compared with 1.2.3, 91 days earlier",
        "1  slices 25-40  22.0 → 25.3 mm, 2890 → 4310 mm³  rapid growth × 1.48 (1.35 to 1.62)",
        "2  slice 7                                        not comparable: no ratio",
        "gone: prior lesion at (1, -3, 50) mm, 120 mm³ then: x",
        "not found: prior lesion at (1, -3, 50) mm: x",
    ]
