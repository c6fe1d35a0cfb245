"""The figures of the pattern head: one of several names, and a lesion may show several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from calcilens.training import metrics as m
from calcilens.training.figures import AreaFigures
from calcilens.training.metrics import Float, Interval

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class OnePattern(AreaFigures):
    """One pattern against all others, among calcified lesions."""

    named_first: float | None = None
    """Share of its lesions on which it has the highest probability."""
    coverage: float | None = None
    """Share of its lesions with it in the set; None for a model without sets."""


@dataclass(frozen=True)
class PatternSummary:
    """How well patterns are named, without intervals, as for a group of rows."""

    n: int
    macro_auroc: float | None
    """Each pattern against the others, averaged over those that occur; None where one does."""
    accuracy: float
    """Share of lesions on which the pattern named first is one of the true ones."""
    coverage: float | None = None
    """Share of true (lesion, pattern) pairs inside the set."""
    mean_set_size: float | None = None


@dataclass(frozen=True)
class PatternFigures:
    """How well one of several patterns is named; None where `why_null` says."""

    n: int
    n_patients: int
    n_several: int
    """Rows that show more than one pattern; each true one counts, none is in the confusion."""
    n_unknown_to_model: int
    """Rows to none of whose patterns the model gives a probability; they count as mistakes."""
    macro_auroc: float | None = None
    macro_auroc_ci95: Interval | None = None
    accuracy: float | None = None
    accuracy_ci95: Interval | None = None
    ece: float | None = None
    ece_ci95: Interval | None = None
    ece_by_chance: float | None = None
    coverage: float | None = None
    mean_set_size: float | None = None
    per_pattern: dict[str, OnePattern] | None = None
    confusion: dict[str, list[Any]] | None = None
    """patterns: names; counts: one row a true pattern, one column a predicted one."""
    why_null: str | None = None


@dataclass(frozen=True, eq=False)
class NamedRows:
    """Truth and answers as tables with one column a pattern.

    Args:
        true: (n, K) which patterns a lesion shows, at least one each.
        probability: (n, K) in 0..1; 0 for a pattern that the model does not know.
        inside: (n, K) which patterns its set holds; None for a model without sets.
        keys: Names of the columns.
    """

    true: Flags
    probability: Float
    inside: Flags | None
    keys: tuple[str, ...]

    @property
    def first(self) -> NDArray[np.int64]:
        """Column (n,) of the pattern named first."""
        return np.asarray(self.probability.argmax(1))

    @property
    def right(self) -> Flags:
        """Whether (n,) the pattern named first is one of the true ones."""
        return np.asarray(self.true[np.arange(len(self.true)), self.first])

    @property
    def coverage(self) -> float | None:
        """Share of true (lesion, pattern) pairs inside the set."""
        return None if self.inside is None else float(self.inside[self.true].mean())

    @property
    def mean_set_size(self) -> float | None:
        """Mean number of patterns in a set."""
        return None if self.inside is None else float(self.inside.sum(1).mean())

    @property
    def scorable(self) -> list[int]:
        """Columns of patterns that some rows show and others do not."""
        count = self.true.sum(0)
        return [int(i) for i in np.flatnonzero((count > 0) & (count < len(self.true)))]

    def areas(self) -> list[m.Statistic]:
        """Return the AUROC of each scorable pattern against the others."""
        return [m.auroc_of(self.true[:, i], self.probability[:, i]) for i in self.scorable]


def named_rows(
    truth: Sequence[Sequence[str]],
    probability: Float,
    keys: Sequence[str],
    sets: Sequence[Sequence[str]] | None = None,
) -> NamedRows:
    """Turn names into tables.

    Args:
        truth: (n,) the patterns that each lesion shows.
        probability: (n, len(keys)).
        keys: Names of the columns.
        sets: Conformal set of each row, where the model has any.
    """
    inside = None if sets is None else members(sets, keys)
    return NamedRows(members(truth, keys), probability, inside, tuple(keys))


def members(names: Sequence[Sequence[str]], keys: Sequence[str]) -> Flags:
    """Return which of `keys` each row holds, (n, len(keys))."""
    return np.array([[key in row for key in keys] for row in names], bool).reshape(-1, len(keys))


def pattern_summary(rows: NamedRows) -> PatternSummary:
    """Compute the figures of a group of rows, at least one."""
    areas = rows.areas()
    n = len(rows.true)
    macro = m.point_of(m.average_of(areas), n) if areas else None
    right = float(rows.right.mean())
    return PatternSummary(n, macro, right, rows.coverage, rows.mean_set_size)


def pattern_figures(
    rows: NamedRows, patient: NDArray[Any], *, resamples: int = m.RESAMPLES
) -> PatternFigures:
    """Compute macro AUROC, accuracy, coverage and the ECE of the top pattern, with intervals.

    Args:
        rows: Truth and answers.
        patient: (n,) keys of patients.
        resamples: Number of bootstrap resamples.
    """
    right, top = m.checked(rows.right, rows.probability.max(1))
    known = rows.probability.any(0)
    summary = pattern_summary(rows)
    points = PatternFigures(
        n=summary.n,
        n_patients=len(np.unique(patient)),
        n_several=int((rows.true.sum(1) > 1).sum()),
        n_unknown_to_model=int((~(rows.true & known).any(1)).sum()),
        macro_auroc=summary.macro_auroc,
        accuracy=summary.accuracy,
        ece=m.point_of(m.ece_of(right, top), summary.n),
        ece_by_chance=m.ece_by_chance(top, resamples=resamples),
        coverage=summary.coverage,
        mean_set_size=summary.mean_set_size,
        confusion=_confusion(rows),
        why_null=None if rows.scorable else "all rows are of one pattern",
    )
    statistics = [m.mean_of(right), m.ece_of(right, top), *rows.areas()]
    drawn = m.resample(patient, m.stack_of(statistics), resamples=resamples)
    points = replace(points, per_pattern=_per_pattern(rows, patient, drawn[:, 2:]))
    return _with_intervals(points, drawn)


def _with_intervals(points: PatternFigures, drawn: Float) -> PatternFigures:
    """Add intervals from resampled accuracy, ECE and areas, where there are enough patients."""
    if points.n_patients < 2 * m.MIN_PATIENTS or points.ece is None or points.ece_by_chance is None:
        few = f"no interval: {points.n_patients} patients, {2 * m.MIN_PATIENTS} needed"
        return replace(points, why_null=points.why_null or few)
    areas = drawn[:, 2:]
    count = (~np.isnan(areas)).sum(1)
    macro = np.divide(np.nansum(areas, 1), count, out=np.full(len(areas), np.nan), where=count > 0)
    return replace(
        points,
        accuracy_ci95=m.interval(drawn[:, 0]),
        ece_ci95=m.ece_interval(points.ece, drawn[:, 1], points.ece_by_chance),
        macro_auroc_ci95=m.interval(macro),
    )


def _per_pattern(rows: NamedRows, patient: NDArray[Any], drawn: Float) -> dict[str, OnePattern]:
    """Judge each pattern that occurs; AUROC only where each class has enough patients."""
    found = {}
    column = {i: drawn[:, place] for place, i in enumerate(rows.scorable)}
    for i in np.flatnonzero(rows.true.any(0)):
        true, p = rows.true[:, i], rows.probability[:, i]
        one = OnePattern(
            len(true),
            int(true.sum()),
            why_null=m.too_few(true, patient),
            named_first=float((rows.first[true] == i).mean()),
            coverage=None if rows.inside is None else float(rows.inside[true, i].mean()),
        )
        if one.why_null is None:
            area = m.point_of(m.auroc_of(true, p), len(true))
            one = replace(one, auroc=area, auroc_ci95=m.interval(column[int(i)]))
        found[rows.keys[i]] = one
    return found


def _confusion(rows: NamedRows) -> dict[str, list[Any]] | None:
    """Count true against named patterns of the lesions that show a single one."""
    single = rows.true.sum(1) == 1
    if not single.any():
        return None
    every = range(len(rows.keys))
    counts = confusion_matrix(rows.true[single].argmax(1), rows.first[single], labels=[*every])
    seen = np.flatnonzero(counts.any(0) | counts.any(1))
    return {
        "patterns": [rows.keys[int(i)] for i in seen],
        "counts": counts[np.ix_(seen, seen)].tolist(),
    }
