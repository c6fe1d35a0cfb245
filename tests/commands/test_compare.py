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
    assert study["comparison"]["prior_study_uid"] is None
    assert (tmp_path / "out" / study["study_uid"] / "report.html").is_file()


def test_a_prior_that_cannot_be_read_does_not_cost_the_report(
    films: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    words = ("predict", films[1], "--prior", nothing, "--out", tmp_path / "out")
    assert app(*words) == 3
    assert "left out: --prior: nothing: expected DICOM images" in capsys.readouterr().err
    assert len(list((tmp_path / "out").glob("*/report.json"))) == 1


def test_the_same_study_twice_is_one_line(
    films: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app("compare", films[0], films[0], "--out", tmp_path / "out") == 3
    assert "expected an earlier study, found the same study" in capsys.readouterr().err
