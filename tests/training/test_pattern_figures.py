"""Figures of the pattern head: held against references; a lesion may show several patterns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from torchmetrics.functional.classification import multiclass_calibration_error

from calcilens.training.figures import area_figures
from calcilens.training.pattern_figures import (
    PatternFigures,
    named_rows,
    pattern_figures,
    pattern_summary,
)

KEYS = ("diffuse", "central", "popcorn")
ONCE = 30
"""Resamples where the interval itself is not looked at."""


def figures(
    truth: Sequence[Any],
    probability: Any,
    sets: Sequence[Sequence[str]] | None = None,
    resamples: int = ONCE,
) -> PatternFigures:
    """Judge rows of one patient each; a single pattern may stand without its tuple."""
    names = [(t,) if isinstance(t, str) else t for t in truth]
    rows = named_rows(names, np.asarray(probability, float), KEYS, sets)
    return pattern_figures(rows, np.arange(len(names)), resamples=resamples)


def drawn(seed: int, n: int = 200, several: bool = False) -> tuple[list[tuple[str, ...]], Any]:
    rng = np.random.default_rng(seed)
    most = 2 if several else 1
    counts = rng.integers(1, most + 1, n)
    truth = [tuple(rng.choice(KEYS, k, replace=False)) for k in counts]
    return truth, rng.dirichlet([1, 1, 1], n)


def test_figures_equal_torchmetrics_and_sklearn() -> None:
    truth, probability = drawn(2)
    index = np.array([KEYS.index(t[0]) for t in truth])
    expected = multiclass_calibration_error(
        torch.from_numpy(probability), torch.from_numpy(index), num_classes=3, n_bins=15
    )
    found = figures(truth, probability)
    assert found.ece == pytest.approx(float(expected), abs=1e-6)
    one_vs_rest = [roc_auc_score(index == i, probability[:, i]) for i in range(3)]
    assert found.macro_auroc == pytest.approx(np.mean(one_vs_rest), abs=1e-12)
    assert found.accuracy == np.mean(probability.argmax(1) == index)


def test_a_lesion_of_two_patterns_is_positive_for_both_and_right_if_either_is_named() -> None:
    truth, probability = drawn(3, several=True)
    found = figures(truth, probability)
    assert found.n_several == sum(len(t) == 2 for t in truth) > 50
    assert found.per_pattern is not None
    for i, key in enumerate(KEYS):
        positive = np.array([key in t for t in truth])
        wanted = area_figures(positive, probability[:, i], np.arange(len(truth)), resamples=ONCE)
        one = found.per_pattern[key]
        assert one.auroc == pytest.approx(wanted.auroc)
        assert one.auroc_ci95 == pytest.approx(wanted.auroc_ci95)
    named = [KEYS[i] for i in probability.argmax(1)]
    assert found.accuracy == np.mean([k in t for k, t in zip(named, truth, strict=True)])


def test_a_pattern_that_the_model_does_not_know_counts_as_a_mistake() -> None:
    probability = [[0.9, 0.1, 0], [0.2, 0.8, 0], [0.6, 0.4, 0], [0.5, 0.5, 0]]
    found = figures(["diffuse", "central", "popcorn", ("popcorn", "diffuse")], probability)
    assert found.n_unknown_to_model == 1
    assert found.accuracy == 0.75
    assert found.confusion == {  # the last lesion shows two and is not in it
        "patterns": ["diffuse", "central", "popcorn"],
        "counts": [[1, 0, 0], [0, 1, 0], [1, 0, 0]],
    }
    assert found.accuracy_ci95 is None
    assert found.why_null == "no interval: 4 patients, 10 needed"


def test_one_pattern_only_has_accuracy_but_no_macro_area() -> None:
    found = figures(["diffuse"] * 12, np.tile([0.7, 0.3, 0], (12, 1)))
    assert (found.accuracy, found.macro_auroc, found.macro_auroc_ci95) == (1, None, None)
    assert found.accuracy_ci95 == (1.0, 1.0)
    assert found.why_null == "all rows are of one pattern"


def test_lesions_that_all_show_several_patterns_have_no_confusion() -> None:
    assert figures([("diffuse", "central")] * 3, np.eye(3)).confusion is None


def test_coverage_is_the_share_of_true_labels_inside_the_sets() -> None:
    truth = ["diffuse", ("central", "popcorn")]
    found = figures(truth, np.eye(3)[:2], sets=[["diffuse", "central"], ["central"]])
    assert found.coverage == pytest.approx(2 / 3)
    assert found.mean_set_size == 1.5
    assert found.per_pattern is not None
    shares = {key: one.coverage for key, one in found.per_pattern.items()}
    assert shares == {"diffuse": 1, "central": 1, "popcorn": 0}


def test_a_model_without_sets_has_no_coverage() -> None:
    found = figures(["diffuse", "central"], np.eye(3)[:2])
    assert (found.coverage, found.mean_set_size) == (None, None)


@given(st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_naming_first_averages_to_the_accuracy_where_each_lesion_shows_one(seed: int) -> None:
    truth, probability = drawn(seed, 60)
    found = figures(truth, probability)
    assert found.per_pattern is not None
    hits = sum(one.n_positive * (one.named_first or 0) for one in found.per_pattern.values())
    assert hits / found.n == pytest.approx(found.accuracy)


@given(st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_a_summary_agrees_with_the_whole_figures(seed: int) -> None:
    truth, probability = drawn(seed, 60, several=True)
    rows = named_rows(truth, probability, KEYS, truth)
    whole, short = pattern_figures(rows, np.arange(60), resamples=ONCE), pattern_summary(rows)
    assert (short.macro_auroc, short.accuracy) == (whole.macro_auroc, whole.accuracy)
    assert (short.coverage, whole.coverage) == (1, 1)
