"""Do conformal sets keep their promise on the rows at hand?

Thresholds are taken from one half of the patients and judged on the other, many times over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calcilens.models.conformal import USUAL_LEVEL, class_thresholds, rank
from calcilens.training import metrics as m
from calcilens.training.metrics import Float
from calcilens.training.pattern_figures import NamedRows

SPLITS = 200
SIGMAS = 3


@dataclass(frozen=True)
class ConformalCheck:
    """Coverage of sets whose thresholds were taken from other patients of the same rows."""

    splits: int
    nominal: float
    """The coverage that was asked for."""
    expected: float
    """What exchangeable rows give on average: a little more than asked for, since a threshold is
    one of finitely many probabilities; 1 for a pattern with too few lesions to have one."""
    coverage: float
    """Share of true (lesion, pattern) pairs inside the set, mean over the splits."""
    sigma: float
    """Standard error of that mean."""
    sigma_of_a_split: float
    """Standard deviation of the coverage of a single split."""
    within_3_sigma: bool
    """Whether coverage lies within three standard errors of what is expected."""
    mean_set_size: float


def conformal_check(
    rows: NamedRows,
    patient: NDArray[Any],
    *,
    level: float = USUAL_LEVEL,
    splits: int = SPLITS,
    seed: int = m.SEED,
) -> ConformalCheck | None:
    """Split the rows in halves by patient, again and again.

    Args:
        rows: Truth and probabilities; their own sets are not looked at.
        patient: (n,) keys.
        level: Coverage to ask for.
        splits: How many.
        seed: Start of the random numbers.

    Returns:
        None where there are too few patients for two halves, or where no half has lesions enough
        of any pattern for a threshold: sets that hold everything prove nothing.
    """
    keys, code = np.unique(patient, return_inverse=True)
    if len(keys) < 2 * m.MIN_PATIENTS:
        return None
    rng = np.random.default_rng(seed)
    halves = (rng.permutation(len(keys)) < len(keys) // 2 for _ in range(splits))
    found = np.array([_one(rows, half[code], level) for half in halves])
    coverage, expected, size = found.mean(0)
    if expected == 1:
        return None
    spread = float(found[:, 0].std(ddof=1))
    sigma = spread / np.sqrt(splits)
    within = abs(coverage - expected) <= SIGMAS * sigma
    return ConformalCheck(
        splits,
        level,
        float(expected),
        float(coverage),
        float(sigma),
        spread,
        bool(within),
        float(size),
    )


def _one(rows: NamedRows, known: NDArray[np.bool_], level: float) -> Float:
    """Return coverage, what to expect of it, and the mean size of the sets of one split."""
    true, probability = rows.true, rows.probability
    thresholds = class_thresholds(probability[known], true[known], level)
    inside = (probability[~known] >= thresholds) & probability.any(0)
    labels, counts = true[~known], true[known].sum(0)
    share = [min(rank(int(n), level) / (n + 1), 1.0) for n in counts]
    expected = np.average(share, weights=np.maximum(labels.sum(0), 1e-9))
    return np.array([inside[labels].mean(), expected, inside.sum(1).mean()])
