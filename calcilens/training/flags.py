"""What a model's levels of concern are worth: sensitivity and specificity at its own limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from calcilens.training import metrics as m
from calcilens.training.left_out import why_left_out
from calcilens.training.metrics import Float, Interval
from calcilens.training.predictions import arrays
from calcilens.vocabulary import ConcernLevel

Mask = NDArray[np.bool_]
LEVELS = (ConcernLevel.INTERMEDIATE, ConcernLevel.HIGH)


@dataclass(frozen=True)
class FlagFigures:
    """How well a level, or one above it, tells concerning lesions from others.

    Args:
        threshold: Probability from which the level begins.
        n: Lesions with a label that the model answered.
        sensitivity: Share of concerning lesions at that level or above; None without any.
        specificity: Share of the others below it; None without any.
    """

    threshold: float
    n: int
    n_positive: int
    sensitivity: float | None
    sensitivity_ci95: Interval | None
    specificity: float | None
    specificity_ci95: Interval | None


def flag_figures(
    frame: pd.DataFrame,
    thresholds: Sequence[float],
    *,
    include_seen: bool = False,
    resamples: int = m.RESAMPLES,
) -> dict[str, FlagFigures]:
    """Compute the figures of each level, with patient-bootstrap 95 % intervals.

    Args:
        frame: Truth and predictions, as `score` takes them.
        thresholds: Lower bounds of intermediate and high, of the model's card.
        include_seen: Keep rows that every member of the model trained on.
        resamples: Number of bootstrap resamples of patients.

    Returns:
        Level -> figures; empty where no row has a label and an answer.
    """
    left_out = why_left_out(frame, include_seen=include_seen)["concern"]
    rows = frame[left_out.isna() & (frame["abstained_concern"] == "")]
    if rows.empty:
        return {}
    truth, probability, patient = arrays(rows, "concern")
    return {
        level.value: _figures(truth, probability >= limit, patient, limit, resamples)
        for level, limit in zip(LEVELS, thresholds, strict=True)
    }


def _figures(
    truth: NDArray[Any], flagged: Mask, patient: NDArray[Any], limit: float, resamples: int
) -> FlagFigures:
    """Return the figures of one limit."""
    yes, no = truth == 1, truth == 0
    sensitivity, sensitivity_ci = _share(flagged, yes, patient, resamples)
    specificity, specificity_ci = _share(~flagged, no, patient, resamples)
    return FlagFigures(
        limit, len(truth), int(yes.sum()), sensitivity, sensitivity_ci, specificity, specificity_ci
    )


def _share(
    right: Mask, among: Mask, patient: NDArray[Any], resamples: int
) -> tuple[float | None, Interval | None]:
    """Return the share of `among` that is right, and its interval over patients."""
    if not among.any():
        return None, None
    hits, there = (right & among).astype(np.float64), among.astype(np.float64)

    def statistic(weights: Float) -> Float:
        total = weights @ there
        found: Float = np.full_like(total, np.nan)
        return np.divide(weights @ hits, total, out=found, where=total > 0)

    drawn = m.resample(patient, statistic, resamples=resamples)
    return float(hits.sum() / there.sum()), m.interval(drawn)
