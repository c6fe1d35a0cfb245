"""Presentation states: outlines run around the lesion, words stand beside it, greys are right."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.path import Path as Polygon
from pydicom.dataset import Dataset

from calcilens.inference.export import presentation
from calcilens.inference.export.identity import NOTICE
from calcilens.inference.export.outlines import outlines
from tests import dicom_factory as factory
from tests.inference.made import ct
from tests.inference.shown import as_bytes, film, lesion_on, made, read, reread, shown, stored


def drawn(built: Dataset, number: int = 0) -> list[np.ndarray]:
    objects = built.GraphicAnnotationSequence[number].GraphicObjectSequence
    return [np.array(o.GraphicData).reshape(-1, 2) for o in objects]


def inside(lines: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Return the pixels whose middle lies within an odd number of the lines."""
    y, x = np.indices(shape).reshape(2, -1) + 0.5
    middles = np.stack([x, y], -1)
    odd = np.zeros(len(middles), bool)
    for line in lines:
        odd ^= Polygon(line, closed=True).contains_points(middles)
    return odd.reshape(shape)


@given(st.integers(0, 2**30 - 1))
def test_outlines_hold_the_mask_and_nothing_else(bits: int) -> None:
    flat = np.array([bits >> i & 1 for i in range(30)], bool).reshape(5, 6)
    flat[2, 3] = True
    image, box = ct(), np.array([[4, 50, 70], [5, 55, 76]])
    lesion = lesion_on(image, box, flat[None])
    found = inside(outlines(lesion, lesion.key_plane), (160, 160))
    np.testing.assert_array_equal(found[50:55, 70:76], flat)
    assert found.sum() == flat.sum()


def test_a_box_is_drawn_where_there_is_no_mask() -> None:
    box = np.array([[4, 50, 70], [7, 55, 76]])
    (line,) = outlines(lesion_on(ct(), box, None), 0)
    assert (line.min(0).tolist(), line.max(0).tolist()) == ([70, 50], [76, 55])


def test_no_outline_is_longer_than_a_value_can_be() -> None:
    comb = np.zeros((1, 150, 150), bool)
    comb[:, ::2] = comb[:, :, 0] = True
    lesion = lesion_on(ct((3, 160, 160)), np.array([[1, 0, 0], [2, 150, 150]]), comb)
    parts = outlines(lesion, lesion.key_plane)
    assert len(parts) > 1
    assert max(8 * len(part) for part in parts) < 2**16
    assert all((a[-1] == b[0]).all() for a, b in pairwise(parts))


@pytest.mark.parametrize("kind", ["ct", "enhanced", "radiograph"])
def test_it_is_drawn_on_the_plane_that_shows_the_lesion_best(kind: str, tmp_path: Path) -> None:
    source = factory.enhanced_ct(stored())
    image = {
        "ct": lambda: made(tmp_path),
        "enhanced": lambda: made(tmp_path, [source]),
        "radiograph": lambda: film(tmp_path),
    }[kind]()
    built = reread(presentation.build(image)[0])
    lesion = image.lesions[0]
    plane = image.image.planes[lesion.key_plane]
    (seen,) = built.GraphicAnnotationSequence[0].ReferencedImageSequence
    assert seen.ReferencedSOPInstanceUID == plane.sop_uid
    assert seen.get("ReferencedFrameNumber") == (plane.frame + 1 if kind == "enhanced" else None)
    start, stop = lesion.candidate.box
    mask = lesion.candidate.mask
    assert mask is not None
    found = inside(drawn(built), (20, 24))
    flat = mask[lesion.key_plane - start[0]]
    np.testing.assert_array_equal(found[start[1] : stop[1], start[2] : stop[2]], flat)
    assert found.sum() == flat.sum()


def test_lesions_on_several_frames_of_one_file_are_each_drawn_on_theirs(tmp_path: Path) -> None:
    study = read([factory.enhanced_ct(stored())], tmp_path)
    image, voxel = study.images[0], np.ones((1, 1, 1), bool)
    lesions = [lesion_on(image, np.array([[z, 1, 1], [z + 1, 2, 2]]), voxel) for z in (0, 6)]
    built = reread(presentation.build(shown(study, lesions))[0])
    *drawings, notice = (a.ReferencedImageSequence for a in built.GraphicAnnotationSequence)
    frames = [image.planes[z].frame + 1 for z in (0, 6)]
    assert [item.ReferencedFrameNumber for (item,) in drawings] == frames
    assert list(notice[0].ReferencedFrameNumber) == frames
    assert {item.ReferencedSOPInstanceUID for (item,) in drawings} == {image.planes[0].sop_uid}


def test_words_say_what_it_is_and_that_it_is_research(tmp_path: Path) -> None:
    image = made(tmp_path)
    built = reread(presentation.build(image)[0])
    lesion, notice = built.GraphicAnnotationSequence
    words = lesion.TextObjectSequence[0].UnformattedTextValue.splitlines()
    assert words == ["1: Calcified 90 % - Diffuse", "high concern", "12.3 mm"]
    assert notice.TextObjectSequence[0].UnformattedTextValue == NOTICE
    assert lesion.GraphicObjectSequence[0].TrackingUID == image.lesions[0].tracking_uid
    assert lesion.TextObjectSequence[0].TrackingUID == image.lesions[0].tracking_uid


@given(st.tuples(*[st.integers(0, 150)] * 2), st.tuples(*[st.integers(1, 60)] * 2))
def test_words_stand_in_the_image_and_beside_the_lesion(
    start: tuple[int, int], size: tuple[int, int]
) -> None:
    stop = np.minimum(np.add(start, size), 160)
    box = np.array([[4, *start], [5, *stop]])
    lesion = lesion_on(ct(), box, None)
    left, top, right, bottom = presentation.beside(lesion, (160, 160))
    assert 0 <= left < right <= 160
    assert 0 <= top < bottom <= 160
    apart = left >= stop[1] or right <= start[1] or top >= stop[0] or bottom <= start[0]
    assert apart


def test_a_ct_is_shown_in_hounsfield_units_by_our_windows(tmp_path: Path) -> None:
    for objects in (factory.ct_slices(stored()), [factory.enhanced_ct(stored())]):
        built = reread(presentation.build(made(tmp_path / str(len(objects)), objects))[0])
        assert (built.RescaleSlope, built.RescaleIntercept, built.RescaleType) == (1, -1024, "HU")
        voi = built.SoftcopyVOILUTSequence[0]
        assert list(voi.WindowCenter) == [350, 40, 400]
        assert list(voi.WindowWidth) == [1000, 400, 1800]


@pytest.mark.parametrize(
    ("tags", "centre"),
    [
        ({"WindowCenter": 500, "WindowWidth": 900}, 500),
        ({"WindowCenter": 500}, None),
        ({"WindowCenter": 500, "WindowWidth": 0}, None),
        ({}, None),
    ],
    ids=["window", "half a window", "no width", "none"],
)
def test_a_film_is_shown_as_its_file_asks(
    tags: dict[str, Any], centre: float | None, tmp_path: Path
) -> None:
    built = presentation.build(film(tmp_path, **tags))[0]
    voi = built.get("SoftcopyVOILUTSequence")
    assert (None if voi is None else float(voi[0].WindowCenter)) == centre


@pytest.mark.parametrize(("photometric", "shape"), [("1", "INVERSE"), ("2", "IDENTITY")])
def test_a_negative_stays_a_negative(photometric: str, shape: str, tmp_path: Path) -> None:
    values = stored().max(0)
    values = 4095 - values if photometric == "1" else values
    flat = factory.radiograph(values, photometric=f"MONOCHROME{photometric}")
    study = read([flat], tmp_path)
    box = np.array([[0, 3, 5], [1, 7, 10]])
    built = presentation.build(shown(study, [lesion_on(study.images[0], box, None)]))[0]
    assert built.PresentationLUTShape == shape


def test_each_level_of_concern_has_a_layer_of_its_own(tmp_path: Path) -> None:
    image = made(tmp_path, factory.ct_slices(stored(number=2)), 2)
    first, other = image.lesions
    low = replace(other.answer, concern=replace(other.answer.concern, level="low"))
    lesions = (first, replace(other, answer=low))
    again = replace(image, lesions=lesions, report=replace(image.report, lesions=lesions))
    built = presentation.build(again)[0]
    assert [x.GraphicLayer for x in built.GraphicLayerSequence] == ["LOW", "HIGH", "NOTICE"]
    assert [x.GraphicLayer for x in built.GraphicAnnotationSequence] == ["HIGH", "LOW", "NOTICE"]


def test_the_same_image_gives_the_same_bytes(tmp_path: Path) -> None:
    image = made(tmp_path)
    first, again = (as_bytes(presentation.build(image)[0]) for _ in range(2))
    assert first == again


def test_without_a_lesion_there_is_no_object(tmp_path: Path) -> None:
    assert presentation.build(shown(read(factory.ct_slices(stored()), tmp_path), [])) == []
