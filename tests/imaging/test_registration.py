"""Registration finds a known motion from anywhere, says when there is none, and is repeatable."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import gaussian_filter

from calcilens.imaging.registration import (
    LEAST_QUALITY,
    Registration,
    register,
    resemblance,
)
from calcilens.imaging.registration.starts import likeliest
from tests.imaging.scene import LESION_MM, Pose, scan

BEFORE = Pose()
AFTER = Pose(0.4, 0.05, (310.0, -80.0, 1200.0))


@cache
def pair() -> tuple[Registration, Registration]:
    prior, current = scan(BEFORE, (2.0, 1.0, 1.0)), scan(AFTER, (3.0, 1.2, 1.2), seed=1)
    return register(prior, current), register(prior, current)


def test_a_turned_limb_far_away_is_laid_onto_itself() -> None:
    found = pair()[0]
    points = np.array([LESION_MM, [-8.0, 5.0, -30.0], [20.0, 20.0, 30.0]])
    away = np.linalg.norm(found.to_prior(AFTER.moved(points)) - points, axis=1)
    assert away.max() < 3
    assert found.quality > LEAST_QUALITY
    assert found.shared > 0.9


def test_the_same_pair_gives_the_same_registration() -> None:
    one, two = pair()
    assert np.array_equal(one.rigid, two.rigid)
    assert np.array_equal(one.bend, two.bend)


def test_two_bodies_without_a_common_place_are_not_laid_onto_each_other() -> None:
    rng = np.random.default_rng(5)
    other = scan(BEFORE, (2.0, 1.0, 1.0))
    block = np.full(other.hu.shape, -1000, np.int16)
    block[:, 20:90, 10:50] = rng.normal(40, 15, block[:, 20:90, 10:50].shape)
    block[10:20, 30:80, 20:45] = 900
    found = register(replace(other, hu=block), scan(AFTER, (3.0, 1.2, 1.2)))
    assert found.quality < LEAST_QUALITY


def test_of_two_scans_the_one_of_the_same_place_fits_better() -> None:
    current = scan(AFTER, (3.0, 1.2, 1.2), seed=1)
    same = scan(BEFORE, (2.0, 1.0, 1.0))
    upside_down = replace(same, hu=same.hu[::-1, ::-1].astype(np.int16))
    assert resemblance(same, current) > resemblance(upside_down, current)


@given(
    st.integers(0, 2**16),
    arrays(np.float64, (5, 3), elements=st.floats(-40, 40)),
    st.floats(-0.5, 0.5),
)
def test_to_current_undoes_to_prior(seed: int, points: np.ndarray, turn: float) -> None:
    rng = np.random.default_rng(seed)
    bend = gaussian_filter(rng.normal(0, 40, (12, 12, 12, 3)), (3, 3, 3, 0)).astype(np.float32)
    rigid = np.eye(4)
    rigid[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    rigid[:3, 3] = [5, -100, 30]
    found = Registration(rigid, bend, np.full(3, -50.0), 10.0, 1.0, 1.0)
    assert found.to_current(found.to_prior(points)) == pytest.approx(points, abs=1e-3)


@given(st.integers(0, 2**16))
def test_near_a_point_the_motion_is_rigid_and_goes_through_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bend = rng.normal(0, 2, (6, 6, 6, 3)).astype(np.float32)
    found = Registration(np.eye(4), bend, np.zeros(3), 10.0, 1.0, 1.0)
    middle, others = rng.uniform(0, 50, 3), rng.uniform(0, 50, (4, 3))
    near = found.near(middle)
    assert near.to_prior(middle) == pytest.approx(found.to_prior(middle), abs=1e-4)
    moved = near.to_prior(others)
    assert np.linalg.norm(moved[1:] - moved[:-1], axis=1) == pytest.approx(
        np.linalg.norm(others[1:] - others[:-1], axis=1)
    )


def test_likeliest_shifts_lie_apart_and_start_with_the_best() -> None:
    score = np.random.default_rng(0).random((16, 8, 8)).astype(np.float32)
    found = likeliest(score, (9, 5, 5))
    best = np.array(np.unravel_index(score.argmax(), score.shape))
    assert np.array_equal(found[0] % score.shape, best)
    levels = [int(f[0]) % 16 for f in found]
    assert all(min((a - b) % 16, (b - a) % 16) >= 2 for a in levels for b in levels if a != b)
