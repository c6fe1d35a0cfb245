"""Points between voxels are those that a plain walk over all neighbours finds."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from calcilens.imaging.measure.borders import crossings, faces

SHAPES = st.tuples(*[st.integers(1, 5)] * 3)
FIELDS = arrays(np.float32, SHAPES, elements=st.floats(-50, 50, width=32))


def walked(field: np.ndarray, *, halfway: bool) -> list[tuple[float, ...]]:
    found = []
    for index in np.ndindex(field.shape):
        for axis in range(3):
            beside = tuple(i + (k == axis) for k, i in enumerate(index))
            if beside[axis] == field.shape[axis] or (field[index] > 0) == (field[beside] > 0):
                continue
            a, b = float(field[index]), float(field[beside])
            share = 0.5 if halfway else a / (a - b)
            found.append(tuple(i + share * (k == axis) for k, i in enumerate(index)))
    return sorted(found)


@given(FIELDS)
def test_a_field_crosses_zero_in_proportion_to_its_neighbours(field: np.ndarray) -> None:
    found = sorted(map(tuple, crossings(field).tolist()))
    assert np.allclose(found, walked(field, halfway=False))


@given(arrays(bool, SHAPES))
def test_faces_lie_halfway_between_set_and_unset_voxels(mask: np.ndarray) -> None:
    assert sorted(map(tuple, faces(mask).tolist())) == walked(mask.astype(float), halfway=True)
