from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from calcilens.imaging.films import reduced

SIDES = st.integers(1, 90)


@given(height=SIDES, width=SIDES, longest=st.integers(4, 60))
def test_no_side_is_longer_than_asked_for_and_shape_is_kept(
    height: int, width: int, longest: int
) -> None:
    small = reduced(np.zeros((height, width), np.float32), longest)
    assert max(small.shape) <= max(longest, 1)
    assert min(small.shape) >= 1
    if max(height, width) <= longest:
        assert small.shape == (height, width)
    else:
        assert max(small.shape) == longest


@given(seed=st.integers(0, 99), factor=st.integers(2, 5))
def test_a_reduced_film_is_the_mean_of_its_parts(seed: int, factor: int) -> None:
    film = np.random.default_rng(seed).random((8 * factor, 6 * factor), np.float32)
    means = film.reshape(8, factor, 6, factor).mean((1, 3))
    np.testing.assert_allclose(reduced(film, 8), means, atol=1e-5)
