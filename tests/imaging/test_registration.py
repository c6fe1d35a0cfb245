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

from calcilens.imaging import registration
from calcilens.imaging.geometry import Affine
from calcilens.imaging.images import Volume
from calcilens.imaging.registration import Registration, register, resemblance
from calcilens.imaging.registration.agreement import LEAST_QUALITY, SHORT_MM, why_unlike
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
    assert 0.9 < found.shared <= 1
    assert found.why_not is None


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
    assert "registration failed" in str(found.why_not)


@cache
def days() -> tuple[Volume, Volume]:
    return scan(BEFORE, (2.5, 1.2, 1.2)), scan(Pose(0.2, 0.0, (8.0, -5.0, 300.0)), (3.0, 1.2, 1.2))


def cropped(volume: Volume, first: int, stop: int) -> Volume:
    matrix = volume.affine.matrix.copy()
    matrix[:3, 3] = volume.affine.to_mm(np.array([first, 0, 0]))
    hu, planes = volume.hu[first:stop], volume.planes[first:stop]
    return replace(volume, hu=hu, planes=planes, affine=Affine(matrix))


@pytest.mark.parametrize(
    ("axis", "how"),
    [
        (2, "mirrored left to right"),
        (0, "with its planes in reverse order"),
    ],
)
def test_a_scan_that_fits_better_mirrored_is_not_compared(axis: int, how: str) -> None:
    prior, current = days()
    assert register(prior, current).why_not is None
    mirrored = replace(prior, hu=np.flip(prior.hu, axis).astype(np.int16))
    found = register(mirrored, current)
    assert "expected the same side of the body" in str(found.why_not)
    assert how in str(found.why_not)


@pytest.mark.parametrize("planes", [1, 2, 3])
def test_a_scan_of_few_planes_is_refused_in_words_whichever_it_is(planes: int) -> None:
    prior, current = days()
    for pair in (
        (cropped(prior, 10, 10 + planes), current),
        (prior, cropped(current, 9, 9 + planes)),
    ):
        assert "at least 20 mm of the body in both scans" in str(register(*pair).why_not)
        assert -1 <= resemblance(*pair) <= 1


def test_a_body_of_kilometres_is_refused_by_its_length() -> None:
    prior, current = days()
    huge = replace(prior, affine=Affine(np.diag([2.0, 1e4, 1e4, 1.0])[[2, 1, 0, 3]]))
    assert "expected a body of at most 3 m" in str(register(huge, current).why_not)
    assert resemblance(huge, current) == -1


@pytest.mark.parametrize(
    ("error", "why"),
    [(RuntimeError("ITK"), "too small or too odd"), (MemoryError(), "not enough memory")],
)
def test_what_a_registration_raises_is_a_reason_and_no_end(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, why: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(registration, "coarse", fail)
    assert why in str(register(*days()).why_not)
    assert resemblance(*days()) == -1


@given(st.floats(0.93, 1), st.floats(0.1, 1), st.floats(20, 2000))
def test_more_likeness_is_asked_where_less_is_shown(q: float, shared: float, mm: float) -> None:
    assert why_unlike(q, shared, mm) is None
    assert (why_unlike(0.9, shared, mm) is None) == (mm >= SHORT_MM)
    for poor in ((0.7, shared, mm), (q, 0.05, mm), (q, shared, 19.0)):
        assert why_unlike(*poor) is not None


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
