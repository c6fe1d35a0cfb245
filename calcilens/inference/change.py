"""What became of one lesion between two studies: pure arithmetic and its words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

Z95 = 1.959964
"""Of a normal distribution, 95 % lie within this many standard deviations."""
CONTROL_DAYS = 184
"""Repeat imaging of benign-appearing lesions is due after 3 to 6 months (docs/clinical-basis.md):
growth that is certain at such a control is called rapid. The sources give no rate."""
LITTLE = 0.2
"""Share of the mineral below which a lesion counts as not there: what blur and noise may leave."""
_OVERLAP_MM, _OVERLAP, _NEAR_MM = 1.5, 0.25, 4.0

Points = NDArray[np.float64]


class Kind(StrEnum):
    """What became of a lesion."""

    NEW = "new"
    GONE = "gone"
    GROWN = "grown"
    SHRUNK = "shrunk"
    UNCHANGED = "unchanged"
    MERGED = "merged"
    SPLIT = "split"
    UNKNOWN = "unknown"


class Level(StrEnum):
    """How much a change matters, from the interval of the ratio and the days alone."""

    NEW = "new"
    RAPID = "rapid growth"
    GROWN = "grown"
    STABLE = "stable"
    SHRUNK = "shrunk"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True)
class Change:
    """What became of one lesion.

    Args:
        prior_study_uid: The study that it is compared with.
        kind: New, grown, shrunk, unchanged, merged, split or unknown.
        level: From the interval and the days.
        volume_ratio: Mineral now over mineral then; of a merged or split lesion, of all parts.
        volume_ratio_ci: 95 % interval of the ratio.
        doubling_time_days: Only where growth is certain and both dates are known.
        skin_distance_change_mm: Distance to the skin now minus then.
        days: From the prior study to this one.
        prior_series_uid: The series that it is compared with.
        prior_lesions: Ids of the prior study's lesions.
        prior_centroid_mm: Where its middle lies in the prior series, (x, y, z) LPS.
        prior_volume_mm3: Volume then, measured on its own; of several lesions, all together.
        prior_max_diameter_mm: Largest diameter then, likewise; of several lesions, of the largest.
        prior_uncertainty: One standard deviation of each of both, under its name.
        why: The evidence, or why there is none.
        how: How the ratio was taken.
    """

    prior_study_uid: str
    kind: Kind
    level: Level
    volume_ratio: float | None = None
    volume_ratio_ci: list[float] | None = None
    doubling_time_days: float | None = None
    skin_distance_change_mm: float | None = None
    days: int | None = None
    prior_series_uid: str | None = None
    prior_lesions: tuple[str, ...] = ()
    prior_centroid_mm: list[float] | None = None
    prior_volume_mm3: float | None = None
    prior_max_diameter_mm: float | None = None
    prior_uncertainty: dict[str, float] = field(default_factory=dict)
    why: str = ""
    how: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as report.json holds it."""
        plain = asdict(self)
        return {**plain, "kind": str(self.kind), "level": str(self.level)} | {
            "prior_lesions": list(self.prior_lesions)
        }


@dataclass(frozen=True)
class Ratio:
    """A ratio of volumes with its 95 % interval, symmetric as a logarithm.

    Args:
        log: Natural logarithm.
        sd: Its standard deviation.
    """

    log: float
    sd: float

    @property
    def value(self) -> float:
        """The ratio."""
        return math.exp(self.log)

    @property
    def interval(self) -> tuple[float, float]:
        """Ends of the 95 % interval."""
        return math.exp(self.log - Z95 * self.sd), math.exp(self.log + Z95 * self.sd)

    @property
    def kind(self) -> Kind:
        """Grown or shrunk where the interval excludes 1, else unchanged."""
        low, high = self.interval
        if low > 1:
            return Kind.GROWN
        return Kind.SHRUNK if high < 1 else Kind.UNCHANGED

    def level(self, days: int | None) -> Level:
        """Return the level; rapid growth is growth that is certain at a control."""
        if self.kind is Kind.GROWN:
            return Level.RAPID if days is not None and 0 < days <= CONTROL_DAYS else Level.GROWN
        return Level.SHRUNK if self.kind is Kind.SHRUNK else Level.STABLE

    def doubling_days(self, days: int | None) -> float | None:
        """Return days * ln 2 / ln ratio (exponential growth); None where growth is not certain."""
        if self.kind is not Kind.GROWN or not days or days < 0:
            return None
        return days * math.log(2) / self.log

    def evidence(self, days: int | None) -> str:
        """Say what the level stands on."""
        low, high = self.interval
        words = f"mineral × {self.value:.2f} (95 % interval {low:.2f} to {high:.2f})"
        words += f" in {days} days" if days is not None else ", days between not known"
        doubling = self.doubling_days(days)
        if doubling is not None:
            words += f", doubling in {doubling:.0f} days if that goes on"
        if self.level(days) is Level.RAPID:
            words += f"; certain within the {CONTROL_DAYS} days of a control"
        return words


Group = tuple[tuple[int, ...], tuple[int, ...]]


def matched(before: Sequence[Points], after: Sequence[Points]) -> list[Group]:
    """Match lesions of two studies.

    Lesions belong together where they overlap, by a quarter of the smaller one, or else where
    they are each other's nearest and nearly touch.

    Args:
        before: Points (N, 3) of each prior lesion, mm, in the current scan.
        after: Points (N, 3) of each current lesion, mm.

    Returns:
        Groups of (prior numbers, current numbers); one of both may be empty.
    """
    n = len(before)
    trees = [cKDTree(points) for points in (*before, *after)]
    links = [
        (i, n + j) for i in range(n) for j in range(len(after)) if _meet(trees[i], trees[n + j])
    ]
    linked = {k for link in links for k in link}
    links += _nearest(trees, n, linked)
    rows, columns = zip(*links, strict=True) if links else ((), ())
    graph = coo_array((np.ones(len(links)), (rows, columns)), shape=(len(trees), len(trees)))
    _, label = connected_components(graph, directed=False)
    groups = [np.flatnonzero(label == one) for one in dict.fromkeys(label)]
    return [
        (tuple(int(k) for k in g if k < n), tuple(int(k) - n for k in g if k >= n)) for g in groups
    ]


def _meet(a: cKDTree, b: cKDTree) -> bool:
    """Say whether two lesions overlap, give or take an error of registration."""
    return any(
        float(np.isfinite(one.query(other.data, distance_upper_bound=_OVERLAP_MM)[0]).mean())
        >= _OVERLAP
        for one, other in ((a, b), (b, a))
    )


def _nearest(trees: Sequence[cKDTree], n: int, linked: set[int]) -> list[tuple[int, int]]:
    """Link those without a partner that are nearest to each other and nearly touch."""
    free = [[k for k in range(n) if k not in linked]]
    free.append([k for k in range(n, len(trees)) if k not in linked])
    gaps = {
        (i, j): float(np.min(trees[i].query(trees[j].data)[0])) for i in free[0] for j in free[1]
    }
    near = {pair: gap for pair, gap in gaps.items() if gap <= _NEAR_MM}
    return [
        (i, j)
        for (i, j), gap in near.items()
        if gap == min(g for (a, b), g in gaps.items() if a == i or b == j)
    ]
