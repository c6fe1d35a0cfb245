"""The figures of a yes-or-no head: what `evaluate` prints of finding and concern."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from calcilens.training import metrics as m
from calcilens.training.metrics import Float, Interval


@dataclass(frozen=True)
class AreaFigures:
    """AUROC alone, as for a group of rows; None where `why_null` says."""

    n: int
    n_positive: int
    auroc: float | None = None
    auroc_ci95: Interval | None = None
    why_null: str | None = None


@dataclass(frozen=True)
class BinaryFigures:
    """How well one probability tells yes from no; None where `why_null` says."""

    n: int
    n_positive: int
    n_patients: int
    auroc: float | None = None
    auroc_ci95: Interval | None = None
    auprc: float | None = None
    auprc_ci95: Interval | None = None
    ece: float | None = None
    ece_ci95: Interval | None = None
    ece_by_chance: float | None = None
    """95 % of perfectly calibrated models would show an ECE below this on as many rows."""
    why_null: str | None = None


def area_figures(
    truth: NDArray[Any],
    probability: Float,
    patient: NDArray[Any],
    *,
    resamples: int = m.RESAMPLES,
) -> AreaFigures:
    """Compute AUROC and its interval, both None unless each class has enough patients.

    Args:
        truth: (n,) of 0 and 1.
        probability: (n,) in 0..1.
        patient: (n,) keys.
        resamples: Number of bootstrap resamples.
    """
    truth, probability = m.checked(truth, probability)
    found = AreaFigures(len(truth), int(truth.sum()), why_null=m.too_few(truth, patient))
    if found.why_null:
        return found
    drawn = m.resample(patient, m.auroc_of(truth, probability), resamples=resamples)
    area = float(roc_auc_score(truth, probability))
    return replace(found, auroc=area, auroc_ci95=m.interval(drawn))


def binary_figures(
    truth: NDArray[Any],
    probability: Float,
    patient: NDArray[Any],
    *,
    resamples: int = m.RESAMPLES,
) -> BinaryFigures:
    """Compute AUROC, AUPRC and ECE with patient-bootstrap 95 % intervals.

    Args:
        truth: (n,) of 0 and 1.
        probability: (n,) in 0..1, no NaN.
        patient: (n,) keys.
        resamples: Number of bootstrap resamples.

    Raises:
        UsageError: A truth is not 0 or 1, or a probability is not in 0..1.
    """
    truth, probability = m.checked(truth, probability)
    sizes = BinaryFigures(len(truth), int(truth.sum()), len(np.unique(patient)))
    if not len(truth):
        return replace(sizes, why_null="no row has both a label and a prediction")
    points = _binary_points(sizes, truth, probability, resamples)
    if points.why_null or points.ece is None or points.ece_by_chance is None:
        return points
    few = m.too_few(truth, patient)
    if few:
        return replace(points, why_null=f"no interval: {few}")
    parts = [make(truth, probability) for make in (m.auroc_of, m.auprc_of, m.ece_of)]
    drawn = m.resample(patient, m.stack_of(parts), resamples=resamples)
    return replace(
        points,
        auroc_ci95=m.interval(drawn[:, 0]),
        auprc_ci95=m.interval(drawn[:, 1]),
        ece_ci95=m.ece_interval(points.ece, drawn[:, 2], points.ece_by_chance),
    )


def _binary_points(
    sizes: BinaryFigures, truth: NDArray[Any], probability: Float, resamples: int
) -> BinaryFigures:
    points = replace(
        sizes,
        ece=m.point_of(m.ece_of(truth, probability), len(truth)),
        ece_by_chance=m.ece_by_chance(probability, resamples=resamples),
    )
    if sizes.n_positive in (0, sizes.n):
        only = "positive" if sizes.n_positive else "negative"
        return replace(points, why_null=f"all {sizes.n} rows are {only}")
    return replace(
        points,
        auroc=float(roc_auc_score(truth, probability)),
        auprc=float(average_precision_score(truth, probability)),
    )
