from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcilens.errors import UsageError
from calcilens.imaging.patches import PatchSpec, extract, paste
from tests.strategies import boxes, shapes

SPECS = st.builds(
    PatchSpec,
    planes=st.sampled_from([1, 3, 5]),
    size=st.sampled_from([8, 16, 64]),
    intensity=st.sampled_from(["plane_minmax", "hu_window"]),
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


@given(cases())
def test_scaled_patches_lie_between_0_and_1(case: tuple) -> None:
    image, box, spec = case
    patch = spec.scale(extract(image, spec.locate(box, image.shape)))
    assert patch.dtype == np.float32
    assert 0 <= patch.min() <= patch.max() <= 1


def test_a_hu_window_keeps_hounsfield_units_comparable_between_patches() -> None:
    spec = PatchSpec(planes=1, size=8, intensity="hu_window")
    np.testing.assert_allclose(
        spec.scale(np.array([[[-1000, 500, 2000, 3000]]])), [[[0, 0.5, 1, 1]]]
    )


@pytest.mark.parametrize("box", [[[5, 5, 5], [5, 6, 6]], [[50, 0, 0], [51, 3, 3]]])
def test_a_box_outside_the_image_is_refused(box: list) -> None:
    with pytest.raises(UsageError, match="a box that meets the image"):
        PatchSpec().locate(box, (10, 20, 20))
