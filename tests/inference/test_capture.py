"""Secondary captures: what is drawn for the report, in colour, with words and the notice."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageDraw

from calcilens.inference.export import capture
from calcilens.inference.export.identity import NOTICE
from calcilens.inference.export.objects import Shown
from calcilens.inference.export.pictures import drawn
from tests import dicom_factory as factory
from tests.inference.shown import as_bytes, film, made, read, reread, shown, stored


@pytest.mark.parametrize("flat", [False, True], ids=["ct", "radiograph"])
def test_the_pictures_of_the_report_stand_in_it_pixel_for_pixel(
    flat: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageDraw.ImageDraw, "text", lambda *a, **k: None)
    image = film(tmp_path) if flat else made(tmp_path)
    pixels = reread(capture.build(image)[0]).pixel_array
    for name in ("image", "overlay"):
        picture = np.asarray(drawn(image.lesions[0])[name])
        found = np.lib.stride_tricks.sliding_window_view(pixels[..., 0], picture.shape[:2])
        like = (found[:, :, ::64, ::64] == picture[::64, ::64, 0]).all((2, 3)).nonzero()
        assert any((found[y, x] == picture[..., 0]).all() for y, x in zip(*like, strict=True))


def test_words_are_burnt_in_and_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    usual = ImageDraw.ImageDraw.text

    def note(pen: ImageDraw.ImageDraw, at: tuple[int, int], text: str, *a: object, **k: object):  # type: ignore[no-untyped-def]
        written.append(text)
        return usual(pen, at, text, *a, **k)  # type: ignore[arg-type]

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", note)
    built = capture.build(made(tmp_path))[0]
    assert NOTICE in written
    assert "1: Calcified 90 % - Diffuse" in written
    assert any("In a viewer: images 2-5 - shown: 3" in text for text in written)
    assert any(re.fullmatch(r"\d+ mm", text) for text in written)
    assert {"L", "R", "A", "P"} <= set(written)
    assert not any("Secret" in text for text in written)
    assert built.BurnedInAnnotation == "YES"


def place(shown: Shown) -> str:
    return capture._place(shown, shown.lesions[0])


def test_the_place_is_told_by_the_numbers_of_viewers_where_there_are_some(tmp_path: Path) -> None:
    planes = factory.ct_slices(stored(), SeriesNumber=4)
    for number, plane in enumerate(reversed(planes)):
        plane.InstanceNumber = 101 + number
    assert (
        place(made(tmp_path / "a", planes)) == "In a viewer: series 4, images 103–106 - shown: 105"
    )
    for plane in planes:
        plane.InstanceNumber = 1
    alike = made(tmp_path / "b", planes)
    assert place(alike) == "Slices 2–5, counted from 1 - shown: 3"
    bare = made(tmp_path / "c", factory.ct_slices(stored(), InstanceNumber=None))
    assert place(bare) == "Slices 2–5, counted from 1 - shown: 3"
    numbered = film(tmp_path / "d", InstanceNumber=7, SeriesNumber=3)
    assert place(numbered) == "DX KNEE - in a viewer: series 3, image 7"
    assert place(film(tmp_path / "e")) == "DX KNEE"


def test_the_scale_bar_is_as_long_as_it_says_and_there_only_with_a_spacing(tmp_path: Path) -> None:
    ct = made(tmp_path / "ct")
    picture = drawn(ct.lesions[0])["image"]
    bar = capture.scale_bar(ct.lesions[0], picture.width)
    assert bar is not None
    mm, length = bar
    columns = ct.image.hu.shape[2]  # type: ignore[union-attr]
    assert length * 0.75 * columns / picture.width == pytest.approx(mm)  # all of the image is shown
    assert picture.width / 8 < length <= picture.width / 3
    sheet = np.asarray(capture.sheet(ct, ct.lesions[0]))[96 + picture.height :]
    white = (sheet == 255).all(-1)
    runs = [len(r) for row in white for r in "".join(".#"[int(v)] for v in row).split(".")]
    assert max(runs) == pytest.approx(length, abs=3)
    assert capture.scale_bar(film(tmp_path / "film").lesions[0], 512) is None


def test_words_stay_on_the_sheet(tmp_path: Path) -> None:
    image = made(tmp_path)
    said = replace(image.lesions[0].answer.pattern, set=["peripheral_zonal"] * 9)
    lesion = replace(image.lesions[0], answer=replace(image.lesions[0].answer, pattern=said))
    again = replace(image, lesions=(lesion,), report=replace(image.report, lesions=(lesion,)))
    sheet = np.asarray(capture.sheet(again, lesion))
    assert not sheet[:36, -10:].any()
    assert sheet[:36].any()


@pytest.mark.parametrize("kind", ["ct", "enhanced", "radiograph"])
def test_it_names_the_plane_that_it_was_made_of(kind: str, tmp_path: Path) -> None:
    image = {
        "ct": lambda: made(tmp_path),
        "enhanced": lambda: made(tmp_path, [factory.enhanced_ct(stored())]),
        "radiograph": lambda: film(tmp_path),
    }[kind]()
    built = reread(capture.build(image)[0])
    plane = image.image.planes[image.lesions[0].key_plane]
    (item,) = built.SourceImageSequence
    assert item.ReferencedSOPInstanceUID == plane.sop_uid
    assert item.get("ReferencedFrameNumber") == (plane.frame + 1 if kind == "enhanced" else None)
    assert item.ReferencedSOPClassUID == image.source.header.SOPClassUID
    assert built.SeriesInstanceUID != image.image.series_uid


def test_each_lesion_is_a_picture_of_one_series(tmp_path: Path) -> None:
    image = made(tmp_path, factory.ct_slices(stored(number=2)), 2)
    built = capture.build(image)
    assert [b.InstanceNumber for b in built] == [1, 2]
    assert len({b.SeriesInstanceUID for b in built}) == 1
    assert [b.TrackingUID for b in built] == [x.tracking_uid for x in image.lesions]


def test_the_same_lesion_gives_the_same_bytes(tmp_path: Path) -> None:
    image = made(tmp_path)
    first, again = (as_bytes(capture.build(image)[0]) for _ in range(2))
    assert first == again


def test_a_lesion_without_a_map_has_its_picture_alone(tmp_path: Path) -> None:
    image = made(tmp_path)
    lesion = replace(image.lesions[0], saliency=None)
    again = replace(image, lesions=(lesion,), report=replace(image.report, lesions=(lesion,)))
    half = capture.sheet(again, lesion).width // 2
    pixels = np.asarray(capture.sheet(again, lesion))
    assert not pixels[120:-90, half + 12 :].any()
    assert pixels[120:-90, :half].any()


def test_without_a_lesion_there_is_no_object(tmp_path: Path) -> None:
    assert capture.build(shown(read(factory.ct_slices(stored()), tmp_path), [])) == []
