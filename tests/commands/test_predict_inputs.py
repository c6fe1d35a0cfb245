"""What lies beside a study's images changes nothing in its report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calcilens.inference import batch
from tests import dicom_factory as factory
from tests.commands.test_predict import app

BOX = {"box_px": [10, 20, 40, 60]}


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Folder with one radiograph of random pixels."""
    stored = np.random.default_rng(0).integers(0, 4095, (90, 80)).astype(np.uint16)
    factory.save(factory.radiograph(stored), tmp_path / "in" / "film.dcm")
    return tmp_path / "in"


def files(folder: Path) -> dict[str, bytes]:
    """Every file of a report but run.json, which holds the time."""
    found = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return {name: data for name, data in found.items() if not name.endswith("run.json")}


def test_our_own_results_beside_the_images_change_no_byte(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    roi = tmp_path / "roi.json"
    roi.write_text(json.dumps([BOX]))
    made = []
    for name in ("first", "second"):
        out = tmp_path / name
        assert app("predict", film, "--roi", roi, "--out", out, "--formats", "all") == 0
        made.append(files(out / factory.STUDY_UID))
        shutil.copytree(out / factory.STUDY_UID / "dicom", film / "results", dirs_exist_ok=True)
    assert made[0] == made[1]
    kinds = {Path(name).name.split("-")[0] for name in made[0] if name.endswith(".dcm")}
    assert kinds >= {"sr", "seg", "presentation", "capture", "key"}
    assert "left out" not in capsys.readouterr().err


def test_our_own_segmentation_still_gives_its_lesions(film: Path, tmp_path: Path) -> None:
    roi = tmp_path / "roi.json"
    roi.write_text(json.dumps([BOX]))
    words = ("predict", film, "--out", tmp_path / "out", "--formats", "seg,json")
    assert app(*words, "--roi", roi) == 0
    folder = tmp_path / "out" / factory.STUDY_UID
    seg = shutil.copy(folder / "dicom" / "seg-1.dcm", tmp_path / "seg.dcm")
    assert app(*words, "--roi", seg) == 0
    (lesion,) = report_in(tmp_path / "out")["lesions"]
    assert lesion["box_px"] == [[10, 20], [40, 60]]


def test_a_study_is_reported_alike_alone_and_beside_others(film: Path, tmp_path: Path) -> None:
    stored = np.full((6, 40, 40), 1064, np.uint16)
    stored[2:4, 18:23, 18:23] = 1700
    planes = factory.ct_slices(
        stored, StudyInstanceUID=f"{factory.ROOT}.2", SeriesInstanceUID=f"{factory.ROOT}.2.1"
    )
    ct = factory.save_all(planes, tmp_path / "in-ct")
    for name, paths in {"film": [film], "ct": [ct], "both": [ct, film]}.items():
        assert app("predict", *paths, "--out", tmp_path / name, "--formats", "sr,json,html") == 0
    both = files(tmp_path / "both")
    assert both == files(tmp_path / "film") | files(tmp_path / "ct")
    assert sum(name.endswith("sr-1.dcm") for name in both) == 2


def test_a_file_of_no_study_is_told_beside_the_studies_and_in_no_report(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--formats", "sr,json", "--json")
    assert app("predict", film, "--out", tmp_path / "whole", *words) == 0
    capsys.readouterr()
    stray = factory.radiograph(np.full((9, 9), 7, np.uint16), StudyInstanceUID=None)
    factory.save(stray, film / "stray.dcm")
    (film / "copy.dcm").write_bytes((film / "film.dcm").read_bytes())
    assert app("predict", film, "--out", tmp_path / "beside", *words) == 3
    told = capsys.readouterr()
    (left_out,) = json.loads(told.out)["left_out"]
    assert left_out["file_or_series"] == "stray.dcm"
    assert "left out: stray.dcm: expected a StudyInstanceUID" in told.err
    (copy,) = report_in(tmp_path / "beside")["skipped"]
    assert "identical copy" in copy["reason"]
    (film / "copy.dcm").unlink()
    assert app("predict", film, "--out", tmp_path / "beside", *words) == 3
    assert files(tmp_path / "beside") == files(tmp_path / "whole")


def report_in(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / factory.STUDY_UID / "report.json").read_text()))


def test_each_study_is_told_of_as_soon_as_it_is_done(
    film: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    uid = f"{factory.STUDY_UID}.5"
    other = np.random.default_rng(1).integers(0, 4095, (90, 80)).astype(np.uint16)
    factory.save(factory.radiograph(other, StudyInstanceUID=uid), film / "second.dcm")
    said: list[str] = []
    usual = batch._run_one

    def listen(*words: Any) -> batch.Outcome:
        said.append(capsys.readouterr().err)
        return usual(*words)

    monkeypatch.setattr(batch, "_run_one", listen)
    assert app("predict", film, "--out", tmp_path / "out", "--formats", "json") == 0
    assert said[0] == ""
    assert said[1].startswith(f"{factory.STUDY_UID}: ")
    assert capsys.readouterr().err.startswith(f"{uid}: ")
