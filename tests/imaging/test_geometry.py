from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcilens.errors import SeriesError
from calcilens.imaging.geometry import Affine
from tests.strategies import affines, boxes

POINTS = st.lists(st.tuples(*[st.floats(-300, 300)] * 3), min_size=1, max_size=5)


@given(affines(), POINTS)
def test_voxel_to_mm_to_voxel_is_the_identity(affine: Affine, points: list) -> None:
    np.testing.assert_allclose(affine.to_voxel(affine.to_mm(points)), points, atol=1e-6)


@given(affines(), POINTS, POINTS)
def test_shifted_map_puts_the_same_voxel_at_the_same_place(
    affine: Affine, points: list, offsets: list
) -> None:
    moved = affine.shifted(offsets[0])
    np.testing.assert_allclose(
        moved.to_mm(points), affine.to_mm(np.add(points, offsets[0])), atol=1e-6
    )


@given(affines(), boxes((20, 30, 40)))
def test_bounds_in_mm_hold_every_corner_of_the_box(affine: Affine, box: np.ndarray) -> None:
    low, high = affine.box_mm(box)
    rng = np.random.default_rng(0)
    inside = affine.to_mm(rng.uniform(box[0] - 0.5, box[1] - 0.5, (200, 3)))
    assert (inside >= low - 1e-9).all()
    assert (inside <= high + 1e-9).all()


def test_spacing_is_the_distance_between_neighbours() -> None:
    affine = Affine.from_dicom((0, 0, 0), (1, 0, 0, 0, 1, 0), (0.5, 0.75), (0, 0, 3))
    assert affine.spacing_mm == (3.0, 0.5, 0.75)
    np.testing.assert_allclose(affine.to_mm((1, 2, 4)), (3.0, 1.0, 3.0))


@pytest.mark.parametrize(
    "matrix", [np.eye(3), np.zeros((4, 4)), np.full((4, 4), np.nan), np.diag([1, 0, 1, 1])]
)
def test_a_matrix_that_is_no_invertible_affine_is_refused(matrix: np.ndarray) -> None:
    with pytest.raises(SeriesError, match="affine"):
        Affine(matrix)
