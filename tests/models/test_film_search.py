from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor, nn

from calcilens.models.film_search import GAP_CELLS, LEAST_CELLS, REACH, groups, look
from calcilens.models.finder import STRIDE, Finder, film_channels, heat_map

SIDES = st.tuples(st.integers(1, 14), st.integers(1, 14))
HEATS = arrays(np.float32, SIDES, elements=st.sampled_from([0, 0.1, 0.3, 0.45, 0.7, 0.95]))
THRESHOLDS = st.sampled_from([0.3, 0.5, 0.7])


class Bright(nn.Module):
    """Sees calcification where the film's own brightness, its first channel, is high."""

    def forward(self, film: Tensor) -> Tensor:
        return 20 * (nn.functional.avg_pool2d(film[:, :1], STRIDE) - 0.6)


@dataclass
class Eye:
    network: Any
    longest_px: int = 128
    threshold: float = 0.5


@given(heat=HEATS, threshold=THRESHOLDS)
def test_groups_are_bright_apart_and_in_order_of_brightness(
    heat: np.ndarray, threshold: float
) -> None:
    numbers, scores = groups(heat, threshold)
    assert scores == sorted(scores, reverse=True)
    assert set(np.unique(numbers)) <= set(range(len(scores) + 1))
    assert (heat[numbers > 0] >= REACH * threshold).all()
    for number, score in enumerate(scores, 1):
        cells = np.argwhere(numbers == number)
        assert len(cells) >= LEAST_CELLS
        assert score == heat[numbers == number].max() >= threshold
        others = np.argwhere((numbers > 0) & (numbers != number))
        if len(others):
            gap = np.abs(cells[:, None] - others[None]).max(-1).min()
            assert gap > 2 * GAP_CELLS + 1


@given(heat=HEATS, threshold=THRESHOLDS)
def test_groups_turn_with_the_heat_map(heat: np.ndarray, threshold: float) -> None:
    upright, scores = groups(heat, threshold)
    turned, same = groups(np.rot90(heat), threshold)
    assert scores == same
    np.testing.assert_array_equal(np.rot90(upright) > 0, turned > 0)


@settings(deadline=None, max_examples=25)
@given(
    shape=st.tuples(st.integers(60, 400), st.integers(60, 400)),
    middle=st.tuples(st.floats(0.25, 0.75), st.floats(0.25, 0.75)),
)
def test_a_bright_spot_is_found_where_it_is_at_any_size_of_the_film(
    shape: tuple[int, int], middle: tuple[float, float]
) -> None:
    film = np.zeros(shape, np.float32)
    radius = max(shape) / 14
    y, x = (m * n for m, n in zip(middle, shape, strict=True))
    rows, columns = np.indices(shape)
    spot = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
    film[spot] = 1
    (place,) = look(Eye(Bright()), film)
    (low, high), cell = place.box, STRIDE * max(1.0, max(shape) / 128)
    assert (low >= 0).all()
    assert (high <= shape).all()
    assert place.mask.shape == tuple(high - low)
    true = np.argwhere(spot)
    assert np.abs(low - true.min(0)).max() <= 2 * cell + 1
    assert np.abs(high - 1 - true.max(0)).max() <= 2 * cell + 1
    assert place.mask[tuple((np.array([y, x]) - low).astype(int))]


def test_the_same_film_gives_the_same_places() -> None:
    torch.manual_seed(0)
    network = Finder(8).eval()
    film = np.random.default_rng(1).random((150, 90), np.float32)
    heat = heat_map(network, film)
    assert heat.shape == (-(-150 // STRIDE), -(-90 // STRIDE))
    eye = Eye(network, threshold=float(np.quantile(heat, 0.98)))
    first, second = look(eye, film), look(eye, film)
    assert first
    for one, two in zip(first, second, strict=True):
        assert one.score == two.score
        np.testing.assert_array_equal(one.box, two.box)
        np.testing.assert_array_equal(one.mask, two.mask)


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 0.0), (0.01, 5.0), (4000.0, -300.0)])
def test_units_of_the_pixels_do_not_matter(slope: float, offset: float) -> None:
    film = np.random.default_rng(2).random((70, 50)).astype(np.float32)
    scaled = (slope * film + offset).astype(np.float32)
    np.testing.assert_allclose(film_channels(scaled), film_channels(film), atol=2e-3)
