"""The coarse grid and the quick morphology on it agree with slow, plain ways."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from calcilens.imaging.coarse import STEP_MM, Coarse, coarse
from calcilens.imaging.morphology import filled, grown, reached, shrunk
from calcilens.imaging.parts import bounds
from tests.imaging.test_candidates import volume

CROSS = ndimage.generate_binary_structure(2, 1)[None]
MASKS = arrays(bool, st.tuples(st.integers(1, 3), st.integers(3, 9), st.integers(3, 9)))


@given(
    arrays(np.int16, st.tuples(*[st.integers(1, 7)] * 3), elements=st.integers(-1000, 3000)),
    st.sampled_from([0.4, 0.7, 1.3, 3.0]),
    st.sampled_from([0.3, 0.5, 1.0]),
)
def test_blocks_are_means_of_their_voxels(hu: np.ndarray, z_mm: float, pixel_mm: float) -> None:
    grid = coarse(volume(hu, (z_mm, pixel_mm, pixel_mm)))
    times = [max(1, round(STEP_MM / s)) for s in (z_mm, pixel_mm, pixel_mm)]
    wide = np.pad(hu, [(0, -n % f) for n, f in zip(hu.shape, times, strict=True)], mode="edge")
    for index in np.ndindex(grid.hu.shape):
        block = wide[tuple(slice(i * f, i * f + f) for i, f in zip(index, times, strict=True))]
        assert grid.hu[index] == pytest.approx(block.mean(), abs=0.01)


@given(MASKS)
def test_a_mask_of_blocks_comes_back_from_its_voxels(mask: np.ndarray) -> None:
    grid = coarse(volume(np.zeros([n * 2 for n in mask.shape]), (0.6, 0.6, 0.6)))
    assert np.array_equal(grid.reduced(grid.fine(mask)), mask)


@given(MASKS, st.tuples(*[st.integers(1, 3)] * 3))
def test_every_voxel_has_the_mark_of_its_block(
    mask: np.ndarray, factor: tuple[int, int, int]
) -> None:
    shape = tuple(n * f - (f > 1) for n, f in zip(mask.shape, factor, strict=True))
    fine = Coarse(mask.astype(np.float32), factor, (1.0, 1.0, 1.0), shape).fine(mask)
    assert fine.shape == shape
    for index in np.ndindex(*shape):
        assert fine[index] == mask[tuple(np.floor_divide(index, factor))]


@given(MASKS)
def test_bounds_are_the_smallest_box_that_holds_a_mask(mask: np.ndarray) -> None:
    box = bounds(mask)
    if box is None:
        assert not mask.any()
    else:
        at = np.argwhere(mask)
        assert [s.start for s in box] == at.min(0).tolist()
        assert [s.stop for s in box] == (at.max(0) + 1).tolist()


@given(MASKS, st.integers(1, 3))
def test_growing_and_shrinking_are_those_of_scipy(mask: np.ndarray, times: int) -> None:
    more = ndimage.binary_dilation(mask, CROSS, iterations=times)
    less = ndimage.binary_erosion(mask, CROSS, iterations=times, border_value=1)
    assert np.array_equal(grown(mask, times), more)
    assert np.array_equal(shrunk(mask, times), less)


@given(MASKS)
def test_filling_is_that_of_scipy_plane_by_plane(mask: np.ndarray) -> None:
    planes = [ndimage.binary_fill_holes(plane) for plane in mask]
    assert np.array_equal(filled(mask), np.stack(planes))


def test_nothing_is_reached_through_a_wall() -> None:
    room = np.ones((1, 5, 5), bool)
    room[0, :, 2] = False
    start = np.zeros_like(room)
    start[0, 0, 0] = True
    assert np.array_equal(reached(room, start)[0], room[0] & (np.arange(5) < 2))
