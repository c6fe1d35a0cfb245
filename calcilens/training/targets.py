"""What a row asks the network to say: votes as soft labels, missing labels as NaN."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calcilens.vocabulary import ABSENT, PATTERN_KEYS

CONCERN_OF_VOTE = {1: 0.03, 2: 0.2, 3: 0.5, 4: 0.8, 5: 0.97}
"""A malignancy vote as a probability: the ends leave room for doubt."""
FULL_WEIGHT_READERS = 4
"""A row read by this many readers or more counts fully, as one whose truth is known for certain
does; fewer count by the square root."""
VOTED_PATTERN_WEIGHT = 0.2
"""Weight of a pattern known from votes alone, where one given outright weighs 1.

Readers' votes on patterns are few and one-sided, exact labels are neither: weighing row by row
lets one recipe learn from both."""


def soft_targets(row: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
    """Turn labels and votes of a row into targets.

    A label that was given outright wins over votes, as it does in `evaluate`.

    Returns:
        finding and concern: () in 0..1 or NaN; pattern: (18,) summing to one, several true
        patterns sharing it, or all 0 where unknown; pattern_weight: () in 0..1;
        weight: () in 0..1, by the number of readers; 1 where the truth is known for certain.
    """
    certain = _given(row["finding"]) or _given(row["concern"])
    readers = FULL_WEIGHT_READERS if certain else min(int(row["readers"]), FULL_WEIGHT_READERS)
    values = {
        "finding": _finding(row),
        "concern": _concern(row),
        "pattern": _pattern(row),
        "pattern_weight": 1.0 if _has(row["pattern"]) else VOTED_PATTERN_WEIGHT,
        "weight": np.sqrt(readers / FULL_WEIGHT_READERS),
    }
    return {name: np.asarray(value, np.float32) for name, value in values.items()}


def _given(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and np.isnan(value))


def _finding(row: Mapping[str, Any]) -> float:
    if _given(row["finding"]):
        return float(row["finding"])
    votes = row["finding_votes"]
    return float(np.mean(votes)) if _has(votes) else float("nan")


def _concern(row: Mapping[str, Any]) -> float:
    if _given(row["concern"]):
        return float(row["concern"])
    votes = row["concern_votes"]
    return float(np.mean([CONCERN_OF_VOTE[v] for v in votes])) if _has(votes) else float("nan")


def _pattern(row: Mapping[str, Any]) -> NDArray[np.float64]:
    if _has(row["pattern"]):
        counts = Counter(set(row["pattern"]))
    else:
        votes = row["pattern_votes"]
        counts = Counter(key for key in votes if key != ABSENT) if _has(votes) else Counter()
    total = sum(counts.values())
    return np.array([counts[key] / max(total, 1) for key in PATTERN_KEYS])


def _has(values: Sequence[Any] | None) -> bool:
    return isinstance(values, list | tuple | np.ndarray) and len(values) > 0
