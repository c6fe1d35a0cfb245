"""Where studies come from: files, folders with anything in them, archives, DICOMDIR."""

from __future__ import annotations

import gc
import os
import tempfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.fileset import FileSet

from calcilens.errors import StudyError
from calcilens.imaging import scan
from calcilens.imaging.study import Study, read_studies, read_study
from tests import dicom_factory as factory

SHAPE = (4, 6, 8)


@pytest.fixture
def slices(tmp_path: Path) -> Path:
    return factory.save_all(factory.ct_slices(factory.ramp(SHAPE)), tmp_path / "in")


@pytest.fixture
def own_temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def skipped(study: Study) -> dict[str, str]:
    return {s.what: s.reason for s in study.skipped}


def test_what_is_not_dicom_is_passed_over_in_silence(slices: Path) -> None:
    for name, content in {"notes.txt": b"hello", "a.json": b"{}", ".DS_Store": b"\0" * 900,
                          "._000.dcm": b"\0\5\x16\7" * 90, "empty": b""}.items():  # fmt: skip
        (slices / name).write_bytes(content)
    study = read_study(slices)
    assert study.series[0].shape == SHAPE
    assert study.skipped == ()


def test_what_claims_to_be_dicom_and_is_not_is_named(slices: Path) -> None:
    (slices / "empty.dcm").write_bytes(b"")
    (slices / "text.dcm").write_text("no" * 200)
    (slices / "cut").write_bytes((slices / "000.dcm").read_bytes()[:170])
    said = skipped(read_study(slices))
    assert "an empty file" in said["empty.dcm"]
    assert "other content" in said["text.dcm"]
    assert "expected" in said["cut"]
    assert read_study(slices).series[0].shape == SHAPE


def test_files_without_preamble_are_read(tmp_path: Path) -> None:
    for number, ds in enumerate(factory.ct_slices(factory.ramp(SHAPE))):
        del ds.file_meta
        pydicom.dcmwrite(
            tmp_path / f"{number}", ds, implicit_vr=bool(number % 2), little_endian=True
        )
    assert read_study(tmp_path).series[0].shape == SHAPE


def test_nested_folders_and_loops_of_links_are_walked_once(slices: Path) -> None:
    deep = slices / "a" / "b" / ".hidden"
    deep.mkdir(parents=True)
    (slices / "003.dcm").rename(deep / "IM0")
    (deep / "loop").symlink_to(slices, target_is_directory=True)
    (deep / "dangling.dcm").symlink_to(slices / "nothing")
    study = read_study(slices)
    assert study.series[0].shape == SHAPE
    assert study.skipped == ()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_named_pipe_does_not_hang_the_reader(slices: Path) -> None:
    os.mkfifo(slices / "pipe.dcm")
    assert read_study(slices).series[0].shape == SHAPE


def test_identical_copies_are_dropped_and_said(slices: Path) -> None:
    (slices / "copy.dcm").write_bytes((slices / "001.dcm").read_bytes())
    study = read_study(slices)
    assert study.series[0].shape == SHAPE
    assert skipped(study) == {
        "copy.dcm": f"an identical copy of SOPInstanceUID {factory.SERIES_UID}.2"
    }


@pytest.mark.parametrize("name", ["0.dcm", "9.dcm"])
def test_a_broken_file_of_the_same_uid_does_not_hide_the_good_one(name: str, slices: Path) -> None:
    (slices / name).write_bytes((slices / "001.dcm").read_bytes()[:-50])
    study = read_study(slices)
    (volume,) = study.images
    assert study.series[0].shape == SHAPE
    np.testing.assert_array_equal(volume.hu, factory.ramp(SHAPE).astype(int) - 1024)  # type: ignore[union-attr]
    assert study.skipped


def test_a_zip_reads_like_its_folder_and_leaves_nothing_behind(
    slices: Path, tmp_path: Path, own_temp: Path
) -> None:
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bundle:
        for file in sorted(slices.iterdir()):
            bundle.write(file, f"../../{file.name}")
        bundle.writestr("/etc/readme.txt", "text")
        bundle.writestr("C:\\broken.dcm", "text")
    study = read_study(archive)
    assert study.series[0].shape == SHAPE
    assert list(skipped(study)) == ["broken.dcm"]
    assert list(own_temp.iterdir()) == []
    assert not (tmp_path.parent / "000.dcm").exists()


def test_an_archive_that_unpacks_to_too_much_is_refused_and_leaves_nothing_behind(
    slices: Path, tmp_path: Path, own_temp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("a.dcm", (slices / "000.dcm").read_bytes() + bytes(10**6))
    monkeypatch.setattr(scan, "MAX_UNPACKED_BYTES", 10**5)
    with pytest.raises(StudyError, match="unpacks to at most 100000 bytes"):
        read_studies(archive)
    assert list(own_temp.iterdir()) == []


def test_a_damaged_member_of_an_archive_is_named_and_the_rest_is_read(
    slices: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w") as bundle:
        for file in sorted(slices.iterdir()):
            bundle.write(file, file.name)
        at = bundle.getinfo("000.dcm").header_offset + 600
    data = bytearray(archive.read_bytes())
    data[at] ^= 0xFF
    archive.write_bytes(bytes(data))
    study = read_study(archive)
    assert study.series[0].shape == (3, *SHAPE[1:])
    assert "damaged in the archive" in skipped(study)["000.dcm"]


def test_a_dicomdir_reads_the_files_it_refers_to(slices: Path, tmp_path: Path) -> None:
    disc = _disc(slices, tmp_path)
    assert read_study(disc).series[0].shape == SHAPE
    assert read_study(disc.parent).series[0].shape == SHAPE
    assert read_study(disc.parent).skipped == ()


def test_a_file_that_is_missing_from_the_disc_is_named(slices: Path, tmp_path: Path) -> None:
    disc = _disc(slices, tmp_path)
    images = sorted(p for p in disc.parent.rglob("*") if p.is_file() and p.name != "DICOMDIR")
    images[0].unlink()
    study = read_study(disc)
    assert "it is not there" in study.skipped[0].reason
    assert study.series[0].shape == (3, *SHAPE[1:])


def test_an_unreadable_dicomdir_falls_back_to_its_folder(slices: Path) -> None:
    (slices / "DICOMDIR").write_bytes(b"nonsense" * 100)
    study = read_study(slices / "DICOMDIR")
    assert study.series[0].shape == SHAPE
    assert "its folder was read instead" in skipped(study)["DICOMDIR"]


def _disc(slices: Path, tmp_path: Path) -> Path:
    disc = FileSet()
    for file in sorted(slices.iterdir()):
        ds = pydicom.dcmread(file)
        ds.StudyTime, ds.StudyID, ds.SeriesNumber = "000000", "1", 1
        disc.add(ds)
    disc.write(tmp_path / "disc")
    with warnings.catch_warnings():  # the file set leaves its own temporary folder to the collector
        warnings.simplefilter("ignore", ResourceWarning)
        del disc
        gc.collect()
    return tmp_path / "disc" / "DICOMDIR"


def test_several_studies_are_told_apart(slices: Path) -> None:
    other = factory.radiograph(factory.ramp((8, 8)), StudyInstanceUID=f"{factory.ROOT}.5")
    factory.save(other, slices / "other.dcm")
    assert [s.study_uid for s in read_studies(slices)] == [factory.STUDY_UID, f"{factory.ROOT}.5"]
    with pytest.raises(StudyError, match=r"expected one study, found 2: .*77\.1, .*77\.5"):
        read_study(slices)


def test_several_paths_are_read_together(slices: Path) -> None:
    files = sorted(slices.iterdir())
    assert read_studies(files)[0].series[0].shape == SHAPE


def test_a_study_of_which_nothing_can_be_read_does_not_hide_the_good_one(slices: Path) -> None:
    broken = factory.radiograph(factory.ramp((8, 8)), StudyInstanceUID=f"{factory.ROOT}.0")
    broken.PixelData = bytes(4)
    factory.save(broken, slices / "broken.dcm")
    study = read_study(slices)
    assert study.study_uid == factory.STUDY_UID
    assert "cut short" in skipped(study)["broken.dcm"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("missing", None, "found nothing there"),
        ("a.png", b"\x89PNG" * 50, "1 files and none of them"),
        ("a.zip", b"PK", "damaged or cut short"),
        ("a.dcm", b"", "an empty file"),
    ],
)
def test_an_input_without_dicom_is_refused_in_one_line(
    name: str, content: bytes | None, reason: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(StudyError, match=reason) as caught:
        read_studies(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / name}: expected ")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="expected DICOM images, found no file"):
        read_studies(tmp_path)


def test_the_files_are_left_as_they_were(slices: Path) -> None:
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in slices.iterdir()}
    read_study(slices)
    assert before == {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in slices.iterdir()}


def test_pydicom_stays_configured_as_it_was(slices: Path) -> None:
    before = dict(vars(pydicom.config.settings))
    ds: Dataset = pydicom.dcmread(slices / "000.dcm")
    read_study(slices)
    assert dict(vars(pydicom.config.settings)) == before
    assert ds.PatientID == "SECRET-ID"
