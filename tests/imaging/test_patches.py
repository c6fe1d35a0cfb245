from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcilens.errors import UsageError
from calcilens.imaging.patches import Intensity, PatchSpec, cut, extract, paste
from tests.strategies import boxes, shapes

SPECS = st.builds(
    PatchSpec,
    planes=st.sampled_from([1, 3, 5]),
    size=st.sampled_from([8, 16, 64]),
    intensity=st.sampled_from(get_args(Intensity)),
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, PatchSpec]:
    shape = draw(shapes())
    image = np.random.default_rng(draw(st.integers(0, 999))).integers(-1000, 3000, shape)
    return image.astype(np.int16), draw(boxes(shape)), draw(SPECS)


@given(cases())
def test_pasting_what_was_extracted_changes_nothing(case: tuple) -> None:
    image, box, spec = case
    location = spec.locate(box, image.shape)
    target = image.copy()
    paste(target, extract(image, location), location)
    np.testing.assert_array_equal(target, image)


@given(cases())
def test_paste_restores_exactly_what_the_patch_covers(case: tuple) -> None:
    image, box, spec = case
    location = spec.locate(box, image.shape)
    target = np.full_like(image, -9999)
    paste(target, extract(image, location), location)
    (y, x), side = location.origin, location.size
    covered = np.zeros(image.shape, bool)
    covered[np.unique(location.planes), max(y, 0) : y + side, max(x, 0) : x + side] = True
    np.testing.assert_array_equal(target[covered], image[covered])
    assert (target[~covered] == -9999).all()


@given(cases())
def test_extracting_what_was_pasted_gives_the_patch_where_it_lies_in_the_image(
    case: tuple,
) -> None:
    image, box, spec = case
    location = spec.locate(box, image.shape)
    rng = np.random.default_rng(1)
    patch = rng.integers(-9, 9, (spec.planes, location.size, location.size)).astype(np.int16)
    target = image.copy()
    paste(target, patch, location)
    again = extract(target, location)
    (y, x), side = location.origin, location.size
    rows = slice(max(-y, 0), min(side, image.shape[1] - y))
    columns = slice(max(-x, 0), min(side, image.shape[2] - x))
    middle = spec.planes // 2
    np.testing.assert_array_equal(again[middle, rows, columns], patch[middle, rows, columns])


@given(cases())
def test_the_lesion_lies_inside_its_patch(case: tuple) -> None:
    image, box, spec = case
    location = spec.locate(box, image.shape)
    y0, x0, y1, x1 = location.box_in_patch(box)
    assert min(y0, x0) >= 0
    assert max(y1, x1) <= location.size
    assert all(box[0, 0] <= plane < box[1, 0] for plane in location.planes)


@given(cases(), st.booleans())
def test_scaled_patches_lie_between_0_and_1(case: tuple, calibrated: bool) -> None:
    image, box, spec = case
    location = spec.locate(box, image.shape)
    patch = spec.scale(extract(image, location), calibrated)
    assert patch.dtype == np.float32
    assert patch.shape == (spec.channels, location.size, location.size)
    assert 0 <= patch.min() <= patch.max() <= 1


def test_a_hu_window_keeps_hounsfield_units_comparable_between_patches() -> None:
    spec = PatchSpec(planes=1, size=8, intensity="hu_window")
    np.testing.assert_allclose(
        spec.scale(np.array([[[-1000, 500, 2000, 3000]]])), [[[0, 0.5, 1, 1]]]
    )


@given(cases())
def test_both_kinds_of_windows_are_those_of_the_simple_intensities(case: tuple) -> None:
    image, box, spec = case
    image = np.clip(image, -1000, 3000)
    together = replace(spec, intensity="hu_and_relative")
    relative, soft, wide = np.split(cut(image, box, [1, 1, 1], together).pixels, 3)
    alone = [replace(spec, intensity=i) for i in ("plane_minmax", "hu_window")]
    expected = [cut(image, box, [1, 1, 1], one).pixels for one in alone]
    np.testing.assert_array_equal(relative, expected[0])
    np.testing.assert_array_equal(wide, expected[1])
    np.testing.assert_allclose(soft, np.clip(wide * 3000 - 800, 0, 800) / 800, atol=1e-5)


def test_a_patch_of_unknown_units_leaves_the_windows_empty() -> None:
    spec = PatchSpec(planes=3, size=8, intensity="hu_and_relative")
    grey = np.random.default_rng(0).integers(0, 255, (3, 8, 8), np.uint8)
    scaled = spec.scale(grey, calibrated=False)
    np.testing.assert_array_equal(scaled[:3], PatchSpec(3, 8).scale(grey))
    assert not scaled[3:].any()
    assert spec.scale(np.full((3, 8, 8), -1000), calibrated=True)[:3].max() == 0


def test_metal_does_not_decide_the_range_of_a_plane() -> None:
    spec = PatchSpec(planes=1, size=8, intensity="hu_and_relative")
    patch = np.random.default_rng(0).integers(-100, 3000, (1, 8, 8))
    patch[0, 0, 0] = 3000
    metal = patch.copy()
    metal[0, 0, 0] = 30_000
    np.testing.assert_array_equal(spec.scale(patch), spec.scale(metal))


def test_a_dead_pixel_does_not_decide_the_range_of_a_radiograph() -> None:
    spec = PatchSpec(planes=1, size=8, intensity="percentile")
    patch = np.random.default_rng(0).integers(0, 4000, (1, 64, 64)).astype(np.uint16)
    dead = patch.copy()
    dead[0, 0, 0] = 65535
    np.testing.assert_allclose(spec.scale(patch)[0, 1:], spec.scale(dead)[0, 1:], atol=5e-3)
    assert spec.scale(dead).max() == 1


@pytest.mark.parametrize("box", [[[5, 5, 5], [5, 6, 6]], [[50, 0, 0], [51, 3, 3]]])
def test_a_box_outside_the_image_is_refused(box: list) -> None:
    with pytest.raises(UsageError, match="a box that meets the image"):
        PatchSpec().locate(box, (10, 20, 20))


def test_a_lesion_longer_than_its_stack_keeps_its_length_and_shows_all_planes() -> None:
    patch = cut(
        np.zeros((5, 40, 40)), [[-9, 5, 5], [21, 9, 9]], [2, 1, 1], PatchSpec(), key_plane=2
    )
    assert patch.extent_mm.tolist() == [60, 4, 4]
    assert patch.location.planes == (0, 1, 2, 3, 4)
