"""Leakage: the same patient or the same pixels on both sides of a split.

Rows of one patient that stand on one side are no leakage, however much their crops overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from calcilens.data_manifests.fingerprints import Match, candidates, fingerprint, match, views
from calcilens.data_manifests.schema import Manifest, plain_rows
from calcilens.errors import LeakageError, compose

SHARED = {
    "patient_key": "same patient",
    "sha256": "same file",
    "sop_uid": "same instance",
    "series_uid": "same series",
}
"""Columns whose value must not stand on both sides, and what it means when it does."""
SAME_PIXELS = "same pixels"
NOWHERE = "unused"
_NAMED_IN_ERROR = 3
_ROWS_KEPT = 256

Indices = NDArray[np.intp]
Apart = Callable[[Indices, Indices], NDArray[np.bool_]]
Advance = Callable[[int, int], None]


@dataclass(frozen=True)
class Leak:
    """Two rows that must not stand apart, and do.

    Args:
        kind: What they share; one of the values of `SHARED`, or `SAME_PIXELS`.
        row_a: row_id of one.
        row_b: row_id of the other.
        split_a: Where the one stands: a split, or a fold.
        split_b: Where the other stands.
        correlation: For the same pixels: how alike they are after alignment, 0..1.
        shift: For the same pixels: (y, x) shift in pixels.
    """

    kind: str
    row_a: str
    row_b: str
    split_a: str
    split_b: str
    correlation: float | None = None
    shift: tuple[int, int] | None = None

    def __str__(self) -> str:
        return f"{self.kind} in {self.row_a} ({self.split_a}) and {self.row_b} ({self.split_b})"

    def to_dict(self) -> dict[str, Any]:
        """Return the leak as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Copy:
    """Two rows, by position, of different patients that show the same pixels."""

    first: int
    second: int
    match: Match


def check_leakage(
    manifest: Manifest, splits: pd.Series | pd.DataFrame, advance: Advance | None = None
) -> list[Leak]:
    """Find what stands on both sides of a split.

    Args:
        manifest: The rows and their images; every image is read once.
        splits: Where each row stands: ``frame["split"]``, ``frame["fold"]``, or both as a
            frame. Rows that stand nowhere (empty or `unused`) are left out of account.
        advance: Told how many rows are read.

    Returns:
        Leaks in the order of the rows; of one patient, series or file one for each pair of
        sides, not one for each pair of rows.
    """
    leaks: list[Leak] = []
    for name, labels in pd.DataFrame(splits).items():
        sides = _sides(labels)
        for column, kind in SHARED.items():
            leaks += [
                _leak(manifest.frame, kind, (a, b), (str(name), sides))
                for a, b in _shared(manifest.frame, column, sides)
            ]
    return leaks + _pixel_leaks(manifest, pd.DataFrame(splits), advance)


def require_no_leakage(manifest: Manifest, advance: Advance | None = None) -> None:
    """Refuse a manifest whose split or folds leak.

    Args:
        manifest: The rows and their images.
        advance: Told how many rows are read.

    Raises:
        LeakageError: Naming how many pairs of rows leak, and the first of them.
    """
    leaks = check_leakage(manifest, placed(manifest), advance)
    if leaks:
        first = "; ".join(str(leak) for leak in leaks[:_NAMED_IN_ERROR])
        message = compose(
            "nothing shared between splits",
            f"{len(leaks)} pairs of rows that share something: {first}",
            fix="split again with `calcilens manifest split`",
        )
        raise LeakageError(message)


def placed(manifest: Manifest) -> pd.DataFrame:
    """Return those of the columns split and fold that are filled."""
    filled = [name for name in ("split", "fold") if manifest.frame[name].notna().any()]
    return manifest.frame[filled]


def find_copies(
    manifest: Manifest, apart: Apart | None = None, advance: Advance | None = None
) -> list[Copy]:
    """Find rows of different patients that show the same pixels.

    Args:
        manifest: The rows and their images.
        apart: Of row positions (i, j), which pairs matter; by default all.
        advance: Told how many rows are read.
    """
    rows = plain_rows(manifest.frame)
    prints, owner = _fingerprints(manifest, rows, advance)
    patients = manifest.frame["patient_key"].to_numpy()
    pairs: set[tuple[int, int]] = set()
    for i, j in candidates(prints):
        a, b = owner[i], owner[j]
        keep = patients[a] != patients[b]
        keep &= apart(a, b) if apart else True
        pairs.update(zip(a[keep].tolist(), b[keep].tolist(), strict=True))

    @lru_cache(_ROWS_KEPT)
    def seen(row: int) -> list[NDArray[np.float32]]:
        return views(manifest, rows[row])

    found = ((a, b, _best_match(seen(a), seen(b))) for a, b in sorted(pairs))
    return [Copy(a, b, same) for a, b, same in found if same]


def _fingerprints(
    manifest: Manifest, rows: list[dict[str, Any]], advance: Advance | None
) -> tuple[NDArray[np.float32], Indices]:
    """Return fingerprints (N, cells) of all views, and the row position (N,) of each."""
    prints, owner = [], []
    order = sorted(range(len(rows)), key=lambda index: str(rows[index]["image"]))
    for done, index in enumerate(order, start=1):
        found = fingerprint(np.stack(views(manifest, rows[index])))
        prints.append(found)
        owner += [index] * len(found)
        if advance:
            advance(done, len(rows))
    return np.concatenate(prints), np.array(owner)


def _best_match(a: list[NDArray[np.float32]], b: list[NDArray[np.float32]]) -> Match | None:
    alike = fingerprint(np.stack(a)) @ fingerprint(np.stack(b)).T
    order = np.argsort(-alike, axis=None)[: max(len(a), len(b))]
    tried = (match(a[i], b[j]) for i, j in (divmod(int(o), len(b)) for o in order))
    return next((found for found in tried if found), None)


def _pixel_leaks(manifest: Manifest, splits: pd.DataFrame, advance: Advance | None) -> list[Leak]:
    labels = {str(name): _sides(column) for name, column in splits.items()}
    if not any(len(set(sides) - {""}) > 1 for sides in labels.values()):
        return []

    def apart(a: Indices, b: Indices) -> NDArray[np.bool_]:
        found = np.zeros(len(a), np.bool_)
        for s in labels.values():
            found |= (s[a] != s[b]) & (s[a] != "") & (s[b] != "")
        return found

    return [
        _leak(manifest.frame, SAME_PIXELS, (copy.first, copy.second), (name, sides), copy.match)
        for copy in find_copies(manifest, apart, advance)
        for name, sides in labels.items()
        if "" not in (pair := {sides[copy.first], sides[copy.second]}) and len(pair) > 1
    ]


def _sides(labels: pd.Series) -> NDArray[np.str_]:
    """Return where each row stands as text, empty for nowhere."""
    known = labels.notna() & (labels.astype(object) != NOWHERE)
    return np.array([str(v) if k else "" for v, k in zip(labels, known, strict=True)])


def _shared(frame: pd.DataFrame, column: str, sides: NDArray[np.str_]) -> Iterator[tuple[int, int]]:
    """Yield pairs of positions with one value of `column`, the first row of each side.

    Rows of one patient are only paired by the patient, not by what else they share.
    """
    table = pd.DataFrame(
        {"value": frame[column].to_numpy(), "patient": frame["patient_key"].to_numpy()}
    ).assign(side=sides, position=np.arange(len(frame)))
    table = table[(table["side"] != "") & table["value"].notna()]
    first = table.drop_duplicates(["value", "patient", "side"])
    repeated = first[first.duplicated("value", keep=False)]
    for _, group in repeated.groupby("value", sort=False):
        members = list(group[["position", "patient", "side"]].itertuples(index=False, name=None))
        for (a, one, here), (b, other, there) in combinations(members, 2):
            if here != there and (column == "patient_key" or one != other):
                yield int(a), int(b)


def _leak(
    frame: pd.DataFrame,
    kind: str,
    pair: tuple[int, int],
    labelling: tuple[str, NDArray[np.str_]],
    same: Match | None = None,
) -> Leak:
    (a, b), (name, sides) = pair, labelling
    where = [sides[i] if name == "split" else f"{name} {sides[i]}" for i in pair]
    return Leak(
        kind,
        str(frame["row_id"].iloc[a]),
        str(frame["row_id"].iloc[b]),
        str(where[0]),
        str(where[1]),
        correlation=same.correlation if same else None,
        shift=same.shift if same else None,
    )
