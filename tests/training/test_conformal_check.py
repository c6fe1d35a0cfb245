"""The check of conformal sets: passes where they must hold, and fails where they cannot."""

from __future__ import annotations

import numpy as np
import pytest

from calcilens.training.conformal_check import ConformalCheck, conformal_check
from calcilens.training.pattern_figures import NamedRows

KEYS = ("diffuse", "central", "popcorn")


def rows(seed: int, n: int, several: bool = False) -> NamedRows:
    rng = np.random.default_rng(seed)
    true = np.eye(3, dtype=bool)[rng.integers(0, 3, n)]
    if several:
        true |= rng.random((n, 3)) < 0.2
    logits = rng.normal(0, 1, (n, 3)) + 1.2 * true
    probability = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return NamedRows(true, probability, None, KEYS)


def checked(given: NamedRows, patient: np.ndarray | None = None) -> ConformalCheck:
    who = np.arange(len(given.true)) if patient is None else patient
    found = conformal_check(given, who)
    assert found is not None
    return found


@pytest.mark.parametrize("several", [False, True])
def test_sets_of_exchangeable_rows_cover_what_is_expected(several: bool) -> None:
    passed = [checked(rows(seed, 300, several)) for seed in range(20)]
    assert sum(c.within_3_sigma for c in passed) >= 19
    for c in passed:
        assert c.nominal <= c.expected < c.nominal + 0.03
        assert 1 < c.mean_set_size < 3
        assert c.sigma == pytest.approx(c.sigma_of_a_split / np.sqrt(c.splits))


def test_rows_of_a_patient_stay_in_one_half() -> None:
    given = rows(0, 600)
    twins = NamedRows(
        given.true.repeat(2, 0), given.probability.repeat(2, 0), None, KEYS
    )  # split apart, a twin would cover its twin
    together = checked(twins, np.arange(600).repeat(2))
    assert together.coverage == pytest.approx(checked(given).coverage, abs=0.01)


def test_ties_cover_more_than_expected_and_are_found_out() -> None:
    given = rows(1, 600)
    found = checked(NamedRows(given.true, np.round(given.probability, 1), None, KEYS))
    assert found.coverage > found.expected + 3 * found.sigma
    assert not found.within_3_sigma


def test_an_unknown_pattern_is_in_no_set_and_is_found_out() -> None:
    given = rows(2, 600)
    given.probability[:, 2] = 0
    found = checked(given)
    assert found.coverage < 0.7
    assert not found.within_3_sigma


def test_a_pattern_with_too_few_lesions_is_expected_in_every_set() -> None:
    given = rows(3, 400)
    rare = np.flatnonzero(given.true[:, 2])
    given.true[rare[6:]] = [True, False, False]
    found = checked(given)
    assert found.within_3_sigma
    assert found.expected > 0.9


def test_sets_that_hold_everything_prove_nothing() -> None:
    true = np.tile(np.eye(10, dtype=bool), (3, 1))
    probability = np.random.default_rng(0).random(true.shape)
    keys = tuple("abcdefghij")
    assert conformal_check(NamedRows(true, probability, None, keys), np.arange(30)) is None


def test_a_few_patients_cannot_be_halved() -> None:
    assert conformal_check(rows(0, 60), np.arange(60) % 9) is None


def test_the_check_is_the_same_in_every_run() -> None:
    assert checked(rows(4, 200)) == checked(rows(4, 200))
