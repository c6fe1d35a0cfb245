from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest

from calcilens.errors import InputError
from calcilens.imaging.candidates import propose
from calcilens.imaging.images import Volume
from calcilens.imaging.study import read_study
from calcilens.phantoms import write
from calcilens.phantoms.leg import SHAPE, simulate_leg
from calcilens.phantoms.write import bounds, write_study
from calcilens.vocabulary import PATTERN_KEYS

SEED = 5


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("phantom") / "study"
    write_study(out, SEED)
    return out


def digests(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_same_seed_gives_the_same_bytes(study: Path, tmp_path: Path) -> None:
    write_study(tmp_path / "again", SEED)
    assert digests(study) == digests(tmp_path / "again")
    assert len(list((study / "dicom").iterdir())) == SHAPE[0]


def test_our_reader_gives_back_the_simulated_volume_in_its_place(study: Path) -> None:
    phantom = simulate_leg(SEED)
    read = read_study(study / "dicom")
    assert not read.skipped
    (image,) = read.images
    assert isinstance(image, Volume)
    np.testing.assert_array_equal(image.hu, phantom.hu)
    np.testing.assert_allclose(image.affine.matrix, phantom.affine.matrix, atol=1e-3)


def test_both_lesions_and_nothing_else_are_proposed(study: Path) -> None:
    truth = json.loads((study / "truth.json").read_text())
    (image,) = read_study(study / "dicom").images
    found = [np.array(candidate.box) for candidate in propose(image)]
    assert len(found) == len(truth["lesions"])
    for lesion in truth["lesions"]:
        box = np.array(lesion["box_vox"])
        assert any(np.abs(other - box).max() <= 2 for other in found)


def test_roi_and_truth_name_the_same_boxes_of_the_written_series(study: Path) -> None:
    truth = json.loads((study / "truth.json").read_text())
    roi = json.loads((study / "roi.json").read_text())
    series = {pydicom.dcmread(p).SeriesInstanceUID for p in (study / "dicom").iterdir()}
    assert series == {truth["series_uid"]} == {lesion["series_uid"] for lesion in roi["lesions"]}
    boxes = [lesion["box_vox"] for lesion in truth["lesions"]]
    assert boxes == [lesion["box"] for lesion in roi["lesions"]]
    assert {lesion["pattern"] for lesion in truth["lesions"]} <= set(PATTERN_KEYS)


def test_a_folder_that_holds_something_is_left_alone(study: Path) -> None:
    before = digests(study)
    with pytest.raises(InputError, match="missing or empty"):
        write_study(study, SEED + 1)
    assert digests(study) == before


def test_bounds_is_the_smallest_half_open_box() -> None:
    mask = np.zeros((4, 5, 6), bool)
    mask[1, 2:4, 5] = True
    assert bounds(mask).tolist() == [[1, 2, 5], [2, 4, 6]]


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dicom3tools")
def test_an_independent_validator_finds_no_error(study: Path) -> None:
    for path in sorted((study / "dicom").iterdir())[::13]:
        done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        assert "CTImage" in said
        assert "Error" not in said


def test_nothing_is_left_of_a_study_that_cannot_be_written_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(write, "roi", full)
    with pytest.raises(OSError, match="No space left"):
        write.write_study(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
