"""Figures of merit: held against references, and against what they must mean."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score
from torchmetrics.functional.classification import binary_calibration_error

from calcilens.errors import UsageError
from calcilens.training import metrics as m
from calcilens.training.figures import area_figures, binary_figures

ONCE = 30
"""Resamples where the interval itself is not looked at."""


def weighted_sample(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, scores with many ties, and row weights with zeros, both classes present."""
    rng = np.random.default_rng(seed)
    truth = np.r_[0, 1, rng.integers(0, 2, n - 2)]
    score = np.round(rng.random(n) * 0.7 + truth * 0.2, 1)
    return truth, score, np.r_[1, 1, rng.integers(0, 4, n - 2)].astype(float)


def clustered(
    rng: np.random.Generator, patients: int, rows: int, spread: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of patients who share their truth and, the more the larger `spread`, their score."""
    patient = np.repeat(np.arange(patients), rows)
    truth = np.repeat(np.arange(patients) % 2, rows)
    shared = np.repeat(rng.normal(0, spread, patients), rows)
    own = rng.normal(0, np.sqrt(1 - spread**2), patients * rows)
    return truth, 1 / (1 + np.exp(-(1.2 * truth + shared + own))), patient


def calibrated(rng: np.random.Generator, n: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    probability = rng.random(n)
    return (rng.random(n) < probability).astype(int), probability, np.arange(n) // 2


@given(st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_weighted_areas_equal_sklearn_with_ties_and_zero_weights(seed: int) -> None:
    truth, score, weight = weighted_sample(seed)
    for ours, theirs in (
        (m.auroc_of, roc_auc_score),
        (m.auprc_of, average_precision_score),
    ):
        expected = theirs(truth, score, sample_weight=weight)
        assert ours(truth, score)(weight[None])[0] == pytest.approx(expected, abs=1e-12)


def test_weights_mean_repeated_rows() -> None:
    truth, score, weight = weighted_sample(5)
    times = weight.astype(int)
    repeated = [np.repeat(values, times) for values in (truth, score)]
    for make in (m.auroc_of, m.auprc_of, m.ece_of):
        by_weight = make(truth, score)(weight[None])[0]
        by_rows = m.point_of(make(*repeated), len(repeated[0]))
        assert by_weight == pytest.approx(by_rows, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_ece_equals_torchmetrics(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, probability = rng.integers(0, 2, 300), rng.random(300)
    expected = binary_calibration_error(
        torch.from_numpy(probability), torch.from_numpy(truth), n_bins=m.ECE_BINS
    )
    assert m.point_of(m.ece_of(truth, probability), 300) == pytest.approx(float(expected), abs=1e-6)


def test_ece_is_zero_where_every_bin_is_calibrated() -> None:
    probability = np.repeat([0.1, 0.5, 0.9], 10)
    truth = np.concatenate([np.arange(10) < 1, np.arange(10) < 5, np.arange(10) < 9])
    assert m.point_of(m.ece_of(truth, probability), 30) == pytest.approx(0, abs=1e-12)
    assert m.point_of(m.ece_of(1 - truth, probability), 30) == pytest.approx(1.6 / 3, abs=1e-12)


def test_probability_one_belongs_to_the_last_bin() -> None:
    assert m.bin_index(np.array([0.0, 1 / 15, 0.99, 1.0])).tolist() == [0, 1, 14, 14]


def test_perfect_predictions_score_one() -> None:
    truth = np.arange(40) % 2
    found = binary_figures(truth, truth.astype(float), np.arange(40))
    assert (found.auroc, found.auprc, found.ece) == (1, 1, 0)
    assert found.auroc_ci95 == (1, 1)


def test_random_predictions_score_a_half_and_the_prevalence() -> None:
    rng = np.random.default_rng(0)
    truth, probability = (rng.random(20_000) < 0.2).astype(int), rng.random(20_000)
    found = binary_figures(truth, probability, np.arange(20_000), resamples=ONCE)
    assert found.auroc == pytest.approx(0.5, abs=0.02)
    assert found.auprc == pytest.approx(0.2, abs=0.02)


@given(st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_order_of_rows_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, probability, patient = clustered(rng, 20, 3, 0.5)
    shuffle = rng.permutation(len(truth))
    first = binary_figures(truth, probability, patient, resamples=ONCE)
    second = binary_figures(truth[shuffle], probability[shuffle], patient[shuffle], resamples=ONCE)
    assert second.auroc == first.auroc
    assert second.auroc_ci95 == first.auroc_ci95
    assert second.auprc_ci95 == pytest.approx(first.auprc_ci95, abs=1e-12)
    assert second.ece_ci95 == pytest.approx(first.ece_ci95, abs=1e-12)


@given(st.integers(0, 1000), st.floats(0.2, 5))
@settings(max_examples=15, deadline=None)
def test_areas_do_not_change_under_a_monotone_map(seed: int, power: float) -> None:
    truth, score, patient = clustered(np.random.default_rng(seed), 20, 3, 0.5)
    first = binary_figures(truth, score, patient, resamples=ONCE)
    second = binary_figures(truth, score**power, patient, resamples=ONCE)
    assert second.auroc == pytest.approx(first.auroc, abs=1e-12)
    assert second.auprc == pytest.approx(first.auprc, abs=1e-12)
    assert second.auroc_ci95 == pytest.approx(first.auroc_ci95, abs=1e-12)


def test_turning_the_score_round_turns_the_area_round() -> None:
    truth, score, patient = clustered(np.random.default_rng(1), 20, 3, 0.5)
    up, down = (
        area_figures(truth, values, patient, resamples=ONCE) for values in (score, 1 - score)
    )
    assert up.auroc is not None
    assert down.auroc == pytest.approx(1 - up.auroc, abs=1e-12)


def test_resamples_draw_whole_patients_and_do_not_depend_on_chunks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    patient = np.array(["b", "a", "b", "c"])
    whole = m.resample(patient, lambda weights: weights, resamples=50)
    assert (whole[:, 0] == whole[:, 2]).all()
    assert (whole[:, [0, 1, 3]].sum(1) == 3).all()
    monkeypatch.setattr(m, "_CELLS", 12)
    np.testing.assert_array_equal(m.resample(patient, lambda weights: weights, resamples=50), whole)


def test_patient_bootstrap_is_wider_than_row_bootstrap_on_clustered_rows() -> None:
    truth, score, patient = clustered(np.random.default_rng(7), 60, 10, 0.9)
    widths = []
    for key in (patient, np.arange(len(patient))):
        found = area_figures(truth, score, key, resamples=500)
        assert found.auroc_ci95 is not None
        widths.append(found.auroc_ci95[1] - found.auroc_ci95[0])
    assert widths[0] > 2 * widths[1]


def test_interval_covers_the_true_area_in_about_95_of_100_samples() -> None:
    # Scores of the two classes are N(0, 1) and N(1.2, 1): AUROC = Phi(1.2 / sqrt(2)).
    true_area, hits, runs = 0.80193, 0, 150
    for run in range(runs):
        truth, score, patient = clustered(np.random.default_rng(run), 100, 3, 0.7)
        found = area_figures(truth, score, patient, resamples=300).auroc_ci95
        assert found is not None
        hits += found[0] <= true_area <= found[1]
    assert 0.90 <= hits / runs <= 0.99


def test_interval_of_the_ece_covers_zero_for_a_calibrated_model() -> None:
    hits = 0
    for run in range(40):
        found = binary_figures(*calibrated(np.random.default_rng(run)), resamples=200)
        assert found.ece_ci95 is not None
        assert found.ece is not None
        assert found.ece_ci95[0] <= found.ece <= found.ece_ci95[1]
        hits += found.ece_ci95[0] == 0
    assert hits >= 34


def test_ece_of_an_overconfident_model_is_above_chance() -> None:
    truth, probability, patient = calibrated(np.random.default_rng(3))
    found = binary_figures(truth, np.round(probability), patient, resamples=200)
    assert found.ece is not None
    assert found.ece_by_chance is not None
    assert found.ece_ci95 is not None
    assert found.ece > found.ece_by_chance
    assert found.ece_ci95[0] > 0.1


@pytest.mark.parametrize(("value", "only"), [(0, "negative"), (1, "positive")])
def test_one_class_gives_a_reason_instead_of_an_area(value: int, only: str) -> None:
    found = binary_figures(np.full(9, value), np.linspace(0, 1, 9), np.arange(9))
    assert (found.auroc, found.auprc, found.auroc_ci95) == (None, None, None)
    assert found.ece == pytest.approx(0.5)
    assert found.why_null == f"all 9 rows are {only}"


def test_a_single_patient_has_figures_but_no_interval() -> None:
    found = binary_figures(np.array([0, 1, 1]), np.array([0.2, 0.7, 0.1]), np.zeros(3))
    assert found.auroc == 0.5
    assert found.auroc_ci95 is None
    assert found.why_null == "no interval: 1 patient with positive rows, at least 5 needed"


def test_no_rows_give_no_figures_and_a_reason() -> None:
    found = binary_figures(np.zeros(0), np.zeros(0), np.zeros(0))
    assert (found.n, found.auroc, found.ece) == (0, None, None)
    assert found.why_null == "no row has both a label and a prediction"


def test_equal_scores_are_worth_a_half() -> None:
    found = binary_figures(np.arange(20) % 2, np.full(20, 0.5), np.arange(20), resamples=ONCE)
    assert found.auroc == 0.5
    assert found.auroc_ci95 == (0.5, 0.5)


@pytest.mark.parametrize("wrong", [np.nan, 1.2, -0.1, np.inf])
def test_a_value_that_is_no_probability_is_refused(wrong: float) -> None:
    with pytest.raises(UsageError, match=r"expected probabilities in 0\.\.1"):
        binary_figures(np.array([0, 1]), np.array([0.5, wrong]), np.arange(2))


def test_rounding_of_float32_is_no_error() -> None:
    found = binary_figures(np.array([0, 1]), np.array([-1e-8, 1 + 1e-7]), np.arange(2))
    assert (found.auroc, found.ece) == (1, 0)


def test_a_truth_between_the_classes_is_refused() -> None:
    with pytest.raises(UsageError, match="expected truth of 0 and 1"):
        binary_figures(np.array([0, 0.5]), np.array([0.5, 0.5]), np.arange(2))


def test_bands_pass_through_the_curves_of_sklearn() -> None:
    from sklearn.metrics import precision_recall_curve, roc_curve

    rng = np.random.default_rng(4)
    truth, score = np.arange(80) % 2, rng.random(80)
    x, y, _ = roc_curve(truth, score, drop_intermediate=False)
    inner = (x > 0) & (x < 1) & np.r_[np.diff(x) > 0, False]
    np.testing.assert_allclose(m.roc_on(truth, score, x[inner])(np.ones((1, 80)))[0], y[inner])
    precision, recall, _ = precision_recall_curve(truth, score)
    first = np.r_[np.diff(recall) < 0, False] & (recall > 0)
    np.testing.assert_allclose(
        m.precision_on(truth, score, recall[first] - 1e-9)(np.ones((1, 80)))[0], precision[first]
    )


def test_a_thousand_resamples_of_the_whole_lidc_set_take_seconds() -> None:
    from time import process_time

    rng = np.random.default_rng(0)
    truth, patient = (rng.random(2165) < 0.12).astype(int), rng.integers(0, 721, 2165)
    started = process_time()
    binary_figures(truth, rng.random(2165), patient)
    assert process_time() - started < 8
