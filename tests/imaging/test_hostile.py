"""Files made to mislead: sizes that are not there, endless headers, names that break a line."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import Any

import pytest
from pydicom import uid
from pydicom.encaps import encapsulate

from calcilens.errors import StudyError
from calcilens.imaging import headers, inflate, series
from calcilens.imaging.stacks import Stack
from calcilens.imaging.study import Study, read_study
from calcilens.imaging.volumes import build_volume
from tests import dicom_factory as factory

ENDLESS = 2**31 - 1


def skipped(study: Study) -> dict[str, str]:
    return {s.what: s.reason for s in study.skipped}


@pytest.mark.parametrize("cut", [60, 600])
def test_a_file_cut_short_never_wins_over_the_whole_one(cut: int, tmp_path: Path) -> None:
    folder = factory.save_all(factory.ct_slices(factory.ramp((4, 16, 16))), tmp_path / "in")
    whole = (folder / "001.dcm").read_bytes()
    (folder / "000-cut.dcm").write_bytes(whole[:-cut])  # listed before the whole one
    study = read_study(folder)
    assert study.images[0].planes[1].sop_uid == f"{factory.SERIES_UID}.2"
    assert study.series[0].shape == (4, 16, 16)
    assert skipped(study) == {
        "000-cut.dcm": f"other content than a longer file of SOPInstanceUID {factory.SERIES_UID}.2"
        ", which is used"
    }


@pytest.mark.parametrize("kind", ["film", "ct"])
def test_a_file_that_stands_in_for_a_broken_longer_one_is_not_said_to_be_left_out(
    kind: str, tmp_path: Path
) -> None:
    stored = factory.ramp((64, 64), 0)  # of 12 bits
    good = factory.radiograph(stored) if kind == "film" else factory.ct_slices(stored[None])[0]
    factory.save(good, tmp_path / "good.dcm")
    good.file_meta.TransferSyntaxUID = uid.JPEG2000Lossless
    good.PixelData = encapsulate([bytes(20_000)])
    good["PixelData"].is_undefined_length = True
    good.BodyPartExamined = "FOOT"
    factory.save(good, tmp_path / "broken.dcm")
    study = read_study(tmp_path, workers=0)
    (image,) = study.images
    ((name, reason),) = skipped(study).items()
    assert name == "broken.dcm"
    end = f"; another file of SOPInstanceUID {good.SOPInstanceUID} is used in its place"
    assert reason.endswith(end)
    if kind == "film":
        (source,) = study.sources.values()
        assert source.header.BodyPartExamined == image.body_part == "KNEE"


def test_frames_that_are_not_there_take_no_time(tmp_path: Path) -> None:
    (first, *_) = factory.ct_slices(factory.ramp(), NumberOfFrames=ENDLESS, SliceThickness="1")
    factory.save(first, tmp_path / "single.dcm")
    study = read_study(tmp_path)
    assert study.series[0].shape == (1, 6, 8)
    assert f"expected {ENDLESS} frames, found 1" in skipped(study)["single.dcm"]


def test_a_plane_larger_than_any_detector_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    factory.save_all(factory.ct_slices(factory.ramp(), Rows=65535, Columns=65535), tmp_path)
    study = read_study(tmp_path)
    assert study.images == ()
    assert "65535 x 65535 pixels, more than any detector has" in study.skipped[0].reason


def test_a_series_that_does_not_fit_in_memory_leaves_the_rest_of_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(stack: Stack, *args: Any, **more: Any) -> Any:
        if len(stack.planes) == 4:
            raise MemoryError
        return build_volume(stack, *args, **more)

    monkeypatch.setattr(series, "build_volume", too_large)
    other = f"{factory.SERIES_UID}.77"
    factory.save_all(factory.ct_slices(factory.ramp()), tmp_path / "a")
    (tmp_path / "b").mkdir()
    smaller = factory.ct_slices(factory.ramp((3, 6, 8)), SeriesInstanceUID=other)
    for number, plane in enumerate(smaller):
        plane.SOPInstanceUID = uid.UID(f"{other}.{number}")
        factory.save(plane, tmp_path / "b" / f"{number}.dcm")
    study = read_study(tmp_path)
    assert [image.series_uid for image in study.images] == [other]
    assert "memory for 4 planes of 6 x 8 pixels" in skipped(study)[factory.SERIES_UID]


@pytest.mark.parametrize(
    ("element", "reason"),
    [(bytes(8), "other content"), (b"\x08\0\0\0\0\0\0\0", "at most 50000 header elements")],
)
def test_an_endless_header_is_not_read_to_its_end(
    element: bytes, reason: str, tmp_path: Path
) -> None:
    content = bytes(128) + b"DICM" + element * (headers.MAX_ELEMENTS + 10)
    (tmp_path / "a.dcm").write_bytes(content)
    with pytest.raises(StudyError, match=rf"a\.dcm: expected .*{reason}"):
        read_study(tmp_path)


def deflated(tmp_path: Path, extra: bytes = b"") -> Path:
    (first, *_) = factory.ct_slices(factory.ramp(), SliceThickness="1")
    first.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    stream = io.BytesIO()
    first.save_as(stream, enforce_file_format=True)
    data = stream.getvalue()
    start = 144 + int.from_bytes(data[140:144], "little")
    body = zlib.decompress(data[start:], -15) + extra
    packer = zlib.compressobj(wbits=-15)
    path = tmp_path / "deflated.dcm"
    path.write_bytes(data[:start] + packer.compress(body) + packer.flush())
    return path


def test_a_deflated_object_is_read(tmp_path: Path) -> None:
    assert read_study(deflated(tmp_path)).series[0].shape == (1, 6, 8)


def test_a_deflated_object_is_never_inflated_without_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inflate, "MAX_INFLATED_BYTES", 2**21)
    with pytest.raises(StudyError, match="expected an object of at most 2097152 bytes"):
        read_study(deflated(tmp_path, bytes(2**22)))


def test_a_name_with_a_line_break_stays_on_one_line(tmp_path: Path) -> None:
    factory.save_all(factory.ct_slices(factory.ramp()), tmp_path)
    (tmp_path / "a\nb\x1b[2J.dcm").write_bytes(b"no image")
    (tmp_path / "raw\udcff.dcm").write_bytes(b"no image")
    assert set(skipped(read_study(tmp_path))) == {"a\\nb\\x1b[2J.dcm", "raw\\udcff.dcm"}


def test_a_zip_cut_short_is_called_that(tmp_path: Path) -> None:
    path = tmp_path / "study.zip"
    path.write_bytes(b"PK\x03\x04" + bytes(500))
    with pytest.raises(StudyError, match=r"study\.zip: expected a zip archive, found one that is"):
        read_study(path)
