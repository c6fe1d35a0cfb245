"""Conformal sets: held against an independent library and against what they promise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from crepes import ConformalClassifier
from hypothesis import given
from hypothesis import strategies as st

from calcilens.errors import UsageError
from calcilens.models.conformal import LEVELS, ConformalSets, class_thresholds, rank
from calcilens.vocabulary import PATTERN_KEYS


def lesions(seed: int, n: int, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (n, K) that know something of the truth (n, K), one class a lesion."""
    rng = np.random.default_rng(seed)
    truth = np.eye(classes, dtype=bool)[rng.integers(0, classes, n)]
    logits = rng.normal(0, 1, (n, classes)) + 1.5 * truth
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True), truth


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("seed", range(3))
def test_sets_equal_those_of_crepes(level: float, seed: int) -> None:
    (known, truth), (new, _) = lesions(seed, 300), lesions(seed + 100, 200)
    label = truth.argmax(1)
    reference = ConformalClassifier().fit(1 - known[truth], bins=label)
    confidence = level - 1e-9  # crepes also keeps a pattern whose p-value is exactly 1 - level
    wanted = np.stack(
        [
            reference.predict_set(
                1 - new[:, [k]], np.full(200, k), confidence=confidence, smoothing=False
            )[:, 0]
            for k in range(4)
        ],
        1,
    ).astype(bool)
    ours = new >= class_thresholds(known, truth, level)
    assert 0.2 < wanted.mean() < 0.9
    np.testing.assert_array_equal(ours, wanted)


@given(st.integers(1, 60), st.sampled_from(LEVELS))
def test_the_share_of_calibration_lesions_in_their_set_is_at_least_the_level(
    n: int, level: float
) -> None:
    probability = np.random.default_rng(n).random((n, 1))
    threshold = class_thresholds(probability, np.ones((n, 1), bool), level)
    inside = int((probability >= threshold).sum())
    assert inside == min(rank(n, level), n)
    assert inside / (n + 1) >= level or inside == n


@pytest.mark.parametrize(("count", "level", "wanted"), [(9, 0.9, 9), (8, 0.9, 9), (19, 0.95, 19)])
def test_the_rank_is_that_of_the_corrected_quantile(count: int, level: float, wanted: int) -> None:
    assert rank(count, level) == wanted


def test_a_pattern_with_too_few_lesions_is_in_every_set() -> None:
    probability, truth = lesions(0, 200)
    truth[np.flatnonzero(truth[:, 0])[8:]] = False
    assert class_thresholds(probability, truth, 0.9)[0] == 0
    assert class_thresholds(probability, truth, 0.8)[0] > 0


@pytest.mark.parametrize("level", LEVELS)
def test_every_pattern_is_covered_at_the_level_on_new_lesions(level: float) -> None:
    rng, covered = np.random.default_rng(0), []
    probability, truth = lesions(1, 4000)
    for _ in range(200):
        new = rng.permutation(4000) < 2000
        thresholds = class_thresholds(probability[~new], truth[~new], level)
        inside = probability[new] >= thresholds
        covered.append([inside[truth[new][:, k], k].mean() for k in range(4)])
    mean, sigma = np.mean(covered, 0), np.std(covered, 0) / np.sqrt(200)
    assert (np.abs(mean - level) < 3 * sigma + 2e-3).all()  # n + 1 in the rank: up to 1/500 more


@given(st.integers(0, 1000))
def test_a_higher_level_never_takes_a_pattern_out_of_a_set(seed: int) -> None:
    probability, truth = lesions(seed, 80)
    thresholds = np.stack([class_thresholds(probability, truth, level) for level in LEVELS])
    assert (np.diff(thresholds, axis=0) <= 0).all()


def test_without_thresholds_there_is_no_set() -> None:
    sets = ConformalSets(1)
    assert not sets.fitted
    assert not sets(torch.rand(2, len(PATTERN_KEYS)), torch.zeros(2, dtype=torch.long)).any()


def test_each_kind_of_input_has_its_thresholds() -> None:
    sets, pattern = ConformalSets(2), torch.rand(2, len(PATTERN_KEYS))
    sets.thresholds[0], sets.thresholds[1] = 0.0, 1.1
    assert sets.fitted
    assert sets(pattern, torch.tensor([0, 1])).sum(1).tolist() == [len(PATTERN_KEYS), 0]


def test_a_level_that_was_not_calibrated_is_refused() -> None:
    with pytest.raises(UsageError, match=r"expected one of 0\.8, 0\.9, 0\.95, found 0\.5"):
        ConformalSets(1)(torch.rand(1, 18), torch.zeros(1, dtype=torch.long), 0.5)
