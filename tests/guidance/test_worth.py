"""Predictive values are those of counted people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcilens.errors import UsageError
from calcilens.guidance.worth import worth

COUNTS = st.integers(0, 1000)


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_they_are_the_shares_of_a_fourfold_table(tp: int, fn: int, fp: int, tn: int) -> None:
    sick, well = tp + fn, fp + tn
    if not sick or not well:
        return
    found = worth(sick / (sick + well), tp / sick, tn / well)
    if tp + fp:
        assert found.positive == pytest.approx(tp / (tp + fp))
    if tn + fn:
        assert found.negative == pytest.approx(tn / (tn + fn))


def test_a_good_flag_is_mostly_wrong_where_the_disease_is_rare() -> None:
    found = worth(5e-5, 0.9, 0.9)
    assert found.flags_for_one == pytest.approx(2223, abs=1)
    assert worth(0.2, 0.9, 0.9).flags_for_one == pytest.approx(1.44, abs=0.01)


def test_what_nobody_flags_has_no_worth() -> None:
    found = worth(0.1, 0, 1)
    assert (found.positive, found.flags_for_one) == (None, None)
    assert worth(0.1, 1, 0).negative is None


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_what_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match="prevalence: expected a share from 0 to 1"):
        worth(share, 0.9, 0.9)
