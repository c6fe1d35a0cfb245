"""Conformal sets of patterns with a coverage of its own for every pattern.

Split conformal prediction, class-conditional (Vovk, Gammerman and Shafer, Algorithmic Learning
in a Random World, 2005, section 4.6; Sadinle, Lei and Wasserman, JASA 2019): of the lesions that
truly show a pattern, at least the chosen share have it in their set, as long as new lesions are
like those that the thresholds were taken from.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from calcilens.errors import UsageError, compose
from calcilens.vocabulary import PATTERN_KEYS

LEVELS = (0.8, 0.9, 0.95)
"""Coverages that a model is calibrated for."""
USUAL_LEVEL = 0.9


def rank(count: int, level: float) -> int:
    """Return which of `count` probabilities, counted from the largest, is the threshold.

    More than `count` where there are too few for the level: the pattern is then in every set.
    """
    return math.ceil((count + 1) * level - 1e-9)


def class_thresholds(
    probability: NDArray[np.floating], true: NDArray[np.bool_], level: float
) -> NDArray[np.float64]:
    """Return the least probability (K,) with which each pattern is in a set.

    Args:
        probability: (n, K) of calibration lesions, not used in training.
        true: (n, K) which patterns they show; a lesion counts once for each.
        level: Share of a pattern's lesions that shall have it in their set.
    """
    thresholds = np.zeros(probability.shape[1])
    for k, shown in enumerate(true.T):
        falling = np.sort(probability[shown, k])[::-1]
        place = rank(len(falling), level)
        if place <= len(falling):
            thresholds[k] = falling[place - 1]
    return thresholds


class ConformalSets(nn.Module):
    """Thresholds of every pattern, by level and kind of input; NaN where none were fitted.

    Args:
        kinds: 2 for networks whose input may be in HU or not, else 1.
    """

    thresholds: Tensor

    def __init__(self, kinds: int) -> None:
        super().__init__()
        shape = (kinds, len(LEVELS), len(PATTERN_KEYS))
        self.register_buffer("thresholds", torch.full(shape, torch.nan))

    @property
    def fitted(self) -> bool:
        """Whether there are thresholds."""
        return bool(self.thresholds.isfinite().all())

    def forward(self, pattern: Tensor, kind: Tensor, level: float = USUAL_LEVEL) -> Tensor:
        """Return which patterns (B, 18) are in the set of each lesion; none without thresholds.

        Args:
            pattern: (B, 18) calibrated probabilities.
            kind: (B,) kind of each input.
            level: One of `LEVELS`.

        Raises:
            UsageError: `level` is another.
        """
        if level not in LEVELS:
            raise UsageError(compose(f"one of {', '.join(map(str, LEVELS))}", str(level)))
        return pattern >= self.thresholds[kind, LEVELS.index(level)]
