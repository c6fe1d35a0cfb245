from __future__ import annotations

import base64
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image as Pillow

from calcilens.imaging.candidates import candidate
from calcilens.imaging.geometry import Affine
from calcilens.inference.export.overview import overview
from calcilens.inference.export.views import View
from calcilens.inference.pipeline import Models, run_study
from tests.inference.made import FakeModel, ct, film, lesion_in, study
from tests.strategies import PERMUTATIONS


def pixels(view: View) -> np.ndarray:
    raw = base64.b64decode(view.picture.split(",", 1)[1])
    return np.asarray(Pillow.open(BytesIO(raw)), float)


@pytest.mark.parametrize("axes", PERMUTATIONS)
def test_boxes_lie_on_the_lesion_and_the_head_is_up_in_every_orientation(
    axes: tuple[np.ndarray, ...],
) -> None:
    volume = ct((24, 60, 90))
    volume.hu[:] = 40
    volume.hu[3:6, 10:16, 70:82] = 900
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(axes).T[:, ::-1] * [2.5, 0.8, 0.8]
    turned = replace(volume, affine=Affine(matrix))
    lesion = candidate(turned, [[3, 10, 70], [6, 16, 82]], None, "given")
    report = run_study(study(turned), Models(ct=FakeModel()), [(turned, lesion)])
    ((front, side),) = overview(report.lesions, report.study)
    assert (front.name, side.name) == ("front", "left")
    assert front.letters == ("R", "L", "H", "F")
    assert side.letters == ("A", "P", "H", "F")
    for view in (front, side):
        grey = pixels(view)
        bright = np.argwhere(grey > 150)
        x, y, width, height = view.boxes[1]
        assert bright.min(0) == pytest.approx([y, x], abs=6)
        assert bright.max(0) == pytest.approx([y + height, x + width], abs=6)
        assert max(view.size) == 520


SEEN_FROM = {("R", "A"): "below", ("R", "H"): "front", ("A", "H"): "left"}
"""By the letters at the left and at the top: who stands at the feet of a supine patient and looks
to the head has the patient's right on the left, and so has who stands in front."""


@pytest.mark.parametrize("thin", [0, 1, 2])
@pytest.mark.parametrize("axes", PERMUTATIONS)
def test_every_view_is_named_after_the_side_that_its_letters_show(
    axes: tuple[np.ndarray, ...], thin: int
) -> None:
    shape = [40, 40, 40]
    shape[thin] = 4
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(axes).T[:, ::-1] * 2.0
    volume = replace(ct((shape[0], shape[1], shape[2])), affine=Affine(matrix))
    volume.hu[:] = 40
    for view in overview([], study(volume))[0]:
        name = SEEN_FROM[view.letters[0], view.letters[2]]
        assert (view.name, view.caption) == (name, f"From {'the ' * (name != 'below')}{name}")


def test_without_a_lesion_every_image_is_shown_and_nothing_is_marked() -> None:
    volume, picture = ct(), film()
    groups = overview([], study(volume, picture))
    assert [group[0].name for group in groups] == ["below", "film"]
    assert not any(view.boxes for group in groups for view in group)
    whole = run_study(study(volume, picture), Models(), [(picture, lesion_in(picture))])
    assert [group[0].name for group in overview(whole.lesions, whole.study)] == ["film"]


def test_all_films_are_shown_together_and_lesions_keep_their_numbers() -> None:
    first, second, bare = film(1), film(2, spacing=(0.5, 0.25)), film(3)
    placed = [(first, lesion_in(first)), (second, lesion_in(second))]
    report = run_study(study(first, second, bare), Models(), placed)
    ((one, two, three),) = overview(report.lesions, report.study)
    assert [*one.boxes, *two.boxes] == [1, 2]
    assert not three.boxes
    assert [v.caption for v in (one, two, three)] == ["Image 1", "Image 2", "Image 3"]
    assert (one.name, one.letters, one.margin) == ("film", (), 0)
    assert two.size == (108, 260), "pixels are as high as they are in the patient"


def test_a_film_that_is_another_one_again_is_said_to_be() -> None:
    copy = replace(film(1), series_uid="1.2.99", view="AP")
    (views,) = overview([], study(film(1), film(2), copy))
    assert [v.caption for v in views] == ["Image 1", "Image 2", "Image 3, AP, the same as image 1"]


def test_a_thin_stack_is_shown_from_below_and_none_as_a_strip() -> None:
    thin = ct((8, 160, 160))
    lesion = candidate(thin, [[3, 54, 84], [8, 67, 97]], None, "given")
    report = run_study(study(thin), Models(), [(thin, lesion)])
    ((below,),) = overview(report.lesions, report.study)
    assert (below.name, below.letters) == ("below", ("R", "L", "A", "P"))
    assert below.caption.startswith("From below")
    bright = np.argwhere(pixels(below) > 150)
    x, y, width, height = below.boxes[1]
    assert bright.min(0) == pytest.approx([y, x], abs=6)
    assert bright.max(0) == pytest.approx([y + height, x + width], abs=6)
