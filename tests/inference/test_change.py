"""Matching, ratios, doubling times and levels: arithmetic that holds for every lesion."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcilens.inference.change import CONTROL_DAYS, Kind, Level, Ratio, matched

LOGS, SDS = st.floats(-3, 3), st.floats(1e-3, 1)
DAYS = st.integers(1, 4000)


def ball(x: float, radius: float = 4.0, y: float = 0.0) -> np.ndarray:
    """Points (N, 3), 1 mm apart, of a ball around (x, y, 0)."""
    grid = np.stack(np.meshgrid(*[np.arange(-radius, radius + 1)] * 3), -1).reshape(-1, 3)
    return np.asarray(grid[np.linalg.norm(grid, axis=1) <= radius] + [x, y, 0.0])


@given(LOGS, SDS)
def test_swapping_the_studies_turns_ratio_and_interval_over(log: float, sd: float) -> None:
    there, back = Ratio(log, sd), Ratio(-log, sd)
    assert there.value * back.value == pytest.approx(1)
    assert there.interval[0] * back.interval[1] == pytest.approx(1)
    opposite = {Kind.GROWN: Kind.SHRUNK, Kind.SHRUNK: Kind.GROWN, Kind.UNCHANGED: Kind.UNCHANGED}
    assert back.kind is opposite[there.kind]


@given(LOGS, SDS, DAYS)
def test_a_doubling_time_doubles_and_needs_certain_growth(log: float, sd: float, days: int) -> None:
    ratio = Ratio(log, sd)
    doubling = ratio.doubling_days(days)
    assert (doubling is None) == (ratio.interval[0] <= 1)
    if doubling is not None:
        assert 2 ** (days / doubling) == pytest.approx(ratio.value)


@given(LOGS, SDS, st.none() | DAYS)
def test_growth_is_claimed_only_where_the_interval_excludes_one(
    log: float, sd: float, days: int | None
) -> None:
    ratio = Ratio(log, sd)
    low, high = ratio.interval
    claimed = ratio.level(days) in (Level.GROWN, Level.RAPID)
    assert claimed == (low > 1)
    assert (ratio.level(days) is Level.SHRUNK) == (high < 1)


@pytest.mark.parametrize(
    ("days", "level"),
    [
        (CONTROL_DAYS, Level.RAPID),
        (CONTROL_DAYS + 1, Level.GROWN),
        (None, Level.GROWN),
        (0, Level.GROWN),
    ],
)
def test_rapid_growth_is_certain_growth_within_the_time_of_a_control(
    days: int | None, level: Level
) -> None:
    assert Ratio(math.log(1.5), 0.05).level(days) is level


def test_rapid_growth_carries_its_evidence() -> None:
    said = Ratio(math.log(2), 0.05).evidence(91)
    assert "mineral × 2.00 (95 % interval 1.81 to 2.21) in 91 days" in said
    assert "doubling in 91 days" in said
    assert f"{CONTROL_DAYS} days of a control" in said


@given(
    st.lists(st.integers(0, 12), unique=True, max_size=6),
    st.lists(st.integers(0, 12), unique=True, max_size=6),
    st.floats(-2.5, 2.5),
)
def test_lesions_apart_find_themselves_and_no_other_whatever_registration_is_off(
    before: list[int], after: list[int], off: float
) -> None:
    groups = matched([ball(20.0 * k) for k in before], [ball(20.0 * k + off) for k in after])
    assert sorted(i for g, _ in groups for i in g) == list(range(len(before)))
    assert sorted(j for _, g in groups for j in g) == list(range(len(after)))
    for then, now in groups:
        places = {before[i] for i in then} | {after[j] for j in now}
        assert len(places) == 1


def test_two_that_one_covers_have_merged_and_the_other_way_round_split() -> None:
    two, one = [ball(-5), ball(5)], [ball(0, 10)]
    assert matched(two, one) == [((0, 1), (0,))]
    assert matched(one, two) == [((0,), (0, 1))]


def test_a_speck_that_moved_a_little_finds_its_nearest_only() -> None:
    speck, other = ball(0, 0), ball(9, 0)
    assert matched([speck], [ball(3, 0), other]) == [((0,), (0,)), ((), (1,))]


def test_a_new_neighbour_is_not_taken_for_a_part() -> None:
    groups = matched([ball(0, 5)], [ball(0, 5), ball(9.5, 3)])
    assert groups == [((0,), (0,)), ((), (1,))]
