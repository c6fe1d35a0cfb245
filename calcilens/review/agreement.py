"""How far two raters agree, and how sure a share is: kappa and Wilson intervals."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES, SEED = 2000, 0
SMALL = 30
"""Fewer answers than this say little; it is told beside the figure."""
_Z = 1.959963984540054

Pair = tuple[Hashable, Hashable, str]
"""What one rater says, what the other says, and of which study."""


@dataclass(frozen=True)
class Kappa:
    """Cohen's kappa of two raters (Educ Psychol Meas 1960; 20: 37).

    Args:
        n: Lesions that both rated; `studies` that they are of.
        kappa: None where it is not defined: there is nothing, or both say one and the same only.
        ci95: From resampling whole studies, since lesions of one are alike; None where too few.
        same: Share of lesions on which both say the same.
        small: Whether n is too small to say much.
    """

    n: int
    studies: int
    kappa: float | None
    ci95: tuple[float, float] | None
    same: float | None
    small: bool

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Share:
    """A share with its 95 % interval (Wilson, J Am Stat Assoc 1927; 22: 209)."""

    n: int
    count: int
    share: float | None
    ci95: tuple[float, float] | None
    small: bool

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def share(count: int, n: int) -> Share:
    """Return how large a share is."""
    if n == 0:
        return Share(0, 0, None, None, True)
    p, zz = count / n, _Z * _Z
    middle = (p + zz / (2 * n)) / (1 + zz / n)
    half = _Z * math.sqrt(p * (1 - p) / n + zz / (4 * n * n)) / (1 + zz / n)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return Share(n, count, _round(p), (_round(low), _round(high)), n < SMALL)


def kappa(pairs: Sequence[Pair], words: Sequence[Hashable], *, ordered: bool = False) -> Kappa:
    """Return how far two raters agree beyond chance.

    Args:
        pairs: One a lesion.
        words: What may be said, in order.
        ordered: Whether words farther apart disagree more: weights grow with the distance.
    """
    tables, studies = _tables(pairs, words)
    n = len(pairs)
    if n == 0:
        return Kappa(0, 0, None, None, None, True)
    whole = tables.sum(0)
    value = float(_kappas(whole[None], ordered)[0])
    same = _round(float(np.trace(whole)) / n)
    known = None if math.isnan(value) else _round(value)
    interval = None if known is None else _interval(tables, ordered)
    return Kappa(n, studies, known, interval, same, n < SMALL)


def _tables(pairs: Sequence[Pair], words: Sequence[Hashable]) -> tuple[NDArray[np.int64], int]:
    """Return how often each pair of words was said, in each study: (studies, words, words)."""
    names = sorted({study for _, _, study in pairs})
    tables = np.zeros((len(names), len(words), len(words)), np.int64)
    for one, other, study in pairs:
        tables[names.index(study), words.index(one), words.index(other)] += 1
    return tables, len(names)


def _kappas(tables: NDArray[Any], ordered: bool) -> NDArray[np.float64]:
    """Return kappa of each table (..., words, words); NaN where it is not defined."""
    size = tables.shape[-1]
    apart = np.abs(np.subtract.outer(np.arange(size), np.arange(size))).astype(float)
    weights = apart if ordered else (apart > 0).astype(float)
    n = tables.sum((-2, -1))
    rows, columns = tables.sum(-1), tables.sum(-2)
    seen = (tables * weights).sum((-2, -1)) * n
    chance = (rows[..., :, None] * columns[..., None, :] * weights).sum((-2, -1))
    result: NDArray[np.float64] = 1 - np.divide(
        seen, chance, out=np.full(seen.shape, np.nan), where=chance > 0
    )
    return result


def _interval(tables: NDArray[np.int64], ordered: bool) -> tuple[float, float] | None:
    count = len(tables)
    if count < 2:
        return None
    rng = np.random.default_rng(SEED)
    drawn = rng.multinomial(count, np.full(count, 1 / count), RESAMPLES)
    found = _kappas(np.tensordot(drawn, tables, 1), ordered)
    known = found[~np.isnan(found)]
    if len(known) < RESAMPLES * 0.9:  # most draws say one and the same only
        return None
    low, high = np.quantile(known, [0.025, 0.975])
    return _round(float(low)), _round(float(high))


def _round(value: float) -> float:
    return round(value, 4)
