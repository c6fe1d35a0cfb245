"""The figures of one head: what `evaluate` prints in each of its blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, confusion_matrix, roc_auc_score

from calcilens.training import metrics as m
from calcilens.training.metrics import Float, Interval, Statistic


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


@dataclass(frozen=True)
class PatternFigures:
    """How well one of several patterns is named; None where `why_null` says."""

    n: int
    n_patients: int
    n_unknown_to_model: int
    """Rows whose pattern the model gives no probability to; they count as mistakes."""
    macro_auroc: float | None = None
    macro_auroc_ci95: Interval | None = None
    accuracy: float | None = None
    accuracy_ci95: Interval | None = None
    ece: float | None = None
    ece_ci95: Interval | None = None
    ece_by_chance: float | None = None
    coverage: float | None = None
    mean_set_size: float | None = None
    per_pattern: dict[str, AreaFigures] | None = None
    confusion: dict[str, list[Any]] | None = None
    """patterns: names; counts: one row a true pattern, one column a predicted one."""
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


def pattern_figures(
    truth: NDArray[Any],
    probability: Float,
    keys: Sequence[str],
    patient: NDArray[Any],
    *,
    sets: Sequence[Sequence[str]] | None = None,
    resamples: int = m.RESAMPLES,
) -> PatternFigures:
    """Compute macro AUROC, accuracy and the ECE of the top pattern, with intervals.

    Args:
        truth: (n,) pattern keys.
        probability: (n, len(keys)) in 0..1; 0 for a pattern that the model does not know.
        keys: Names of the columns.
        patient: (n,) keys of patients.
        sets: Conformal set of each row, where the model has any.
        resamples: Number of bootstrap resamples.
    """
    named = np.asarray(keys, object)[probability.argmax(1)]
    right, top = m.checked(named == truth, probability.max(1))
    known = {key for key, column in zip(keys, probability.T, strict=True) if column.any()}
    areas = {
        key: area_figures(truth == key, probability[:, i], patient, resamples=resamples)
        for i, key in enumerate(keys)
        if (truth == key).any()
    }
    scorable = [key for key in areas if 0 < areas[key].n_positive < len(truth)]
    points = PatternFigures(
        n=len(truth),
        n_patients=len(np.unique(patient)),
        n_unknown_to_model=int((~np.isin(truth, list(known))).sum()),
        accuracy=float(right.mean()),
        ece=m.point_of(m.ece_of(right, top), len(truth)),
        ece_by_chance=m.ece_by_chance(top, resamples=resamples),
        per_pattern=areas,
        confusion=_confusion(truth, named, keys),
        why_null=None if scorable else "all rows are of one pattern",
    )
    if sets is not None:
        inside = [key in found for key, found in zip(truth, sets, strict=True)]
        size = float(np.mean([len(found) for found in sets]))
        points = replace(points, coverage=float(np.mean(inside)), mean_set_size=size)
    one_vs_rest = [m.auroc_of(truth == key, probability[:, keys.index(key)]) for key in scorable]
    return _with_pattern_intervals(points, right, top, patient, one_vs_rest, resamples=resamples)


def _with_pattern_intervals(
    points: PatternFigures,
    right: NDArray[Any],
    top: Float,
    patient: NDArray[Any],
    one_vs_rest: Sequence[Statistic],
    *,
    resamples: int,
) -> PatternFigures:
    macro = m.average_of(one_vs_rest) if one_vs_rest else None
    if macro is not None:
        points = replace(points, macro_auroc=m.point_of(macro, points.n))
    if points.n_patients < 2 * m.MIN_PATIENTS or points.ece is None or points.ece_by_chance is None:
        few = f"no interval: {points.n_patients} patients, {2 * m.MIN_PATIENTS} needed"
        return replace(points, why_null=points.why_null or few)
    parts = [m.mean_of(right), m.ece_of(right, top), *([macro] if macro is not None else [])]
    drawn = m.resample(patient, m.stack_of(parts), resamples=resamples)
    return replace(
        points,
        accuracy_ci95=m.interval(drawn[:, 0]),
        ece_ci95=m.ece_interval(points.ece, drawn[:, 1], points.ece_by_chance),
        macro_auroc_ci95=m.interval(drawn[:, 2]) if macro is not None else None,
    )


def _confusion(
    truth: NDArray[Any], named: NDArray[Any], keys: Sequence[str]
) -> dict[str, list[Any]]:
    counts = confusion_matrix(truth.astype(str), named.astype(str), labels=list(keys))
    seen = np.flatnonzero(counts.any(0) | counts.any(1))
    return {
        "patterns": [keys[int(i)] for i in seen],
        "counts": counts[np.ix_(seen, seen)].tolist(),
    }
