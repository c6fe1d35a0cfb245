from __future__ import annotations

import errno
import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest

from calcilens.commands.console import EXIT_FAILED, guarded
from calcilens.commands.phantom_study import write_whole
from calcilens.errors import UsageError
from calcilens.imaging.anatomy import anatomy
from calcilens.imaging.images import Volume
from calcilens.imaging.study import read_study
from calcilens.inference.roi.reading import read_rois
from calcilens.inference.roi.region import place
from calcilens.phantoms import write
from calcilens.phantoms.scan import Scan
from calcilens.phantoms.study import Visit, visits
from calcilens.phantoms.write import FOLLOW_UP, bounds, made_whole, write_study
from tests.phantoms.conftest import Made

LPS_TO_RAS = np.diag([-1, -1, 1, 1])


def digests(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def truth_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "truth.json").read_text()))


def volume_of(folder: Path) -> Volume:
    read = read_study(folder / "dicom")
    assert not read.skipped
    (image,) = read.images
    assert isinstance(image, Volume)
    return image


@pytest.fixture(scope="module")
def days(made_ct: Made) -> list[Visit]:
    return visits(made_ct.plan)


def test_same_plan_gives_the_same_bytes(made_ct: Made, tmp_path: Path) -> None:
    write_whole(tmp_path / "again", made_ct.plan)
    assert digests(made_ct.folder) == digests(tmp_path / "again")


def test_our_reader_gives_back_the_simulated_volume_in_its_place(
    made_ct: Made, days: list[Visit]
) -> None:
    scan = days[0].taken
    assert isinstance(scan, Scan)
    simulated = scan.render(days[0].tissue_rng())
    read = volume_of(made_ct.folder)
    np.testing.assert_array_equal(read.hu, simulated.hu)
    np.testing.assert_allclose(read.affine.matrix, scan.affine(simulated).matrix, atol=1e-3)


def test_the_whole_girth_lies_in_the_image_with_air_around_it(made_ct: Made) -> None:
    body = anatomy(volume_of(made_ct.folder)).body  # without the table
    assert body.any((1, 2)).all()
    for side in (body[:, :8], body[:, -8:], body[:, :, :8], body[:, :, -8:]):
        assert not side.any()


@pytest.mark.parametrize("part", ["", FOLLOW_UP])
def test_masks_lie_on_mineral_inside_the_image_and_agree_in_all_forms(
    made_ct: Made, part: str
) -> None:
    folder = made_ct.folder / part
    image, truth = volume_of(folder), truth_of(folder)
    (seg,) = place(read_rois(folder / "seg")[0], [image])[0]
    (roi,) = place(read_rois(folder / "roi.json")[0], [image])[0]
    (lesion,) = truth["lesions"]
    picture = nibabel.load(folder / lesion["mask"])
    mask = np.asarray(picture.dataobj).transpose(2, 1, 0) > 0
    np.testing.assert_allclose(
        picture.affine, LPS_TO_RAS @ image.affine.matrix[:, [2, 1, 0, 3]], atol=1e-3
    )
    box = bounds(mask)
    assert box.tolist() == lesion["box_vox"] == seg[1].box.tolist() == roi[1].box.tolist()
    assert (box[0] > 0).all()
    assert (box[1] < mask.shape).all()
    np.testing.assert_array_equal(seg[1].mask, mask[tuple(slice(a, b) for a, b in box.T)])
    assert np.median(image.hu[mask]) > 150
    slack = 1.5 * np.array(image.spacing_mm)[::-1]
    assert (np.abs(image.affine.box_mm(box) - lesion["box_mm"]) <= slack).all()


def test_follow_up_is_the_same_patient_later_in_another_frame_of_reference(made_ct: Made) -> None:
    first = pydicom.dcmread(made_ct.folder / "dicom" / "ct-000.dcm")
    later = pydicom.dcmread(made_ct.folder / FOLLOW_UP / "dicom" / "ct-000.dcm")
    assert first.PatientID == later.PatientID
    assert first.StudyDate < later.StudyDate
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        assert first[keyword].value != later[keyword].value
    truth = truth_of(made_ct.folder / FOLLOW_UP)
    assert truth["change"]["prior_study_uid"] == first.StudyInstanceUID
    assert truth["study_uid"] == later.StudyInstanceUID


def test_true_transform_carries_skin_and_bone_from_a_study_to_its_follow_up(
    made_ct: Made, days: list[Visit]
) -> None:
    moved = np.array(truth_of(made_ct.folder / FOLLOW_UP)["change"]["transform_mm"])
    np.testing.assert_allclose(moved[:3, :3] @ moved[:3, :3].T, np.eye(3), atol=1e-6)
    first, later = (volume_of(made_ct.folder / part) for part in ("", FOLLOW_UP))
    where = np.argwhere(first.hu > 600)[::50]
    points = np.column_stack([first.affine.to_mm(where), np.ones(len(where))]) @ moved.T
    voxels = np.rint(later.affine.to_voxel(points[:, :3])).astype(int)
    seen = ((voxels >= 0) & (voxels < later.hu.shape)).all(1)
    assert seen.mean() > 0.6
    assert np.median(later.hu[tuple(voxels[seen].T)]) > 500


def test_true_volume_ratio_is_the_factor(made_ct: Made) -> None:
    change = truth_of(made_ct.folder / FOLLOW_UP)["change"]
    assert change["factor"] == 2.0
    assert change["volume_ratio"] == pytest.approx([2.0], rel=0.01)


def test_every_object_says_that_it_is_simulated(made_ct: Made) -> None:
    for path in (made_ct.folder / "dicom").iterdir():
        tags = pydicom.dcmread(path, stop_before_pixels=True)
        assert "Simulated" in tags.ImageComments
        assert tags.QualityControlSubject == "YES"


def test_a_folder_that_holds_something_is_left_alone(made_ct: Made) -> None:
    before = digests(made_ct.folder)
    with pytest.raises(UsageError, match="missing or empty"):
        write_whole(made_ct.folder, made_ct.plan)
    assert digests(made_ct.folder) == before


def test_bounds_is_the_smallest_half_open_box() -> None:
    mask = np.zeros((4, 5, 6), bool)
    mask[1, 2:4, 5] = True
    assert bounds(mask).tolist() == [[1, 2, 5], [2, 4, 6]]


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dicom3tools")
def test_an_independent_validator_finds_no_error(made_ct: Made) -> None:
    planes = sorted((made_ct.folder / "dicom").iterdir())[::20]
    for path in (*planes, made_ct.folder / "seg" / "ct.dcm"):
        done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        assert "CTImage" in said or "Segmentation" in said
        assert "Error" not in said


def test_nothing_is_left_of_a_study_that_cannot_be_written_whole(
    made_ct: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(write, "study_truth", full)
    with pytest.raises(OSError, match="No space left"), made_whole(tmp_path / "out") as folder:
        write_study(folder, made_ct.plan)
    assert list(tmp_path.iterdir()) == []


def test_a_study_on_a_full_disk_names_the_folder_that_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        with made_whole(tmp_path / "out"):
            try:
                raise OSError(errno.ENOSPC, "No space left on device")
            except OSError as error:  # as pydicom does
                raise OSError(f"With tag (7FE0,0010) got exception: {error}") from error

    assert guarded(fail) == EXIT_FAILED
    said = f"calcilens: No space left on device ({tmp_path}/out); make room and run again\n"
    assert capsys.readouterr().err == said
    assert list(tmp_path.iterdir()) == []
