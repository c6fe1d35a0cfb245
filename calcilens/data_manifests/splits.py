"""Splits and folds: by patient, alike in labels, the same for the same seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from calcilens.data_manifests.leakage import NOWHERE, SHARED, Copy
from calcilens.data_manifests.schema import Manifest, truth
from calcilens.errors import UsageError, compose

STRATA = ("finding_truth", "concern_truth", "source")


def with_folds(
    manifest: Manifest, folds: int, *, seed: int = 0, copies: Sequence[Copy] = ()
) -> Manifest:
    """Return the manifest with its column `fold` filled.

    Args:
        manifest: The rows; those whose split is `unused` stay without a fold.
        folds: How many.
        seed: The same seed gives the same folds, whatever the order of the rows.
        copies: Rows of different patients that show the same pixels and must stay together.

    Raises:
        UsageError: There are fewer patients than folds.
    """
    if folds < 2:
        raise UsageError(compose("at least 2", f"{folds}", where="--folds"))
    patients = manifest.frame["patient_key"].nunique()
    if folds > patients:  # before a share is made for each of them
        raise UsageError(compose(f"at least {folds} patients", f"{patients}", where="--folds"))
    part = _assign(manifest.frame, [1 / folds] * folds, seed, copies)
    fold = pd.array([p if p >= 0 else None for p in part.tolist()], dtype="Int64")
    return replace(manifest, frame=manifest.frame.assign(fold=fold))


def with_splits(
    manifest: Manifest, shares: Mapping[str, float], *, seed: int = 0, copies: Sequence[Copy] = ()
) -> Manifest:
    """Return the manifest with its column `split` filled.

    Args:
        manifest: The rows; those whose split is `unused` keep it.
        shares: Share of the rows of `val` and `test`; `train` gets the rest.
        seed: The same seed gives the same split, whatever the order of the rows.
        copies: Rows of different patients that show the same pixels and must stay together.

    Raises:
        UsageError: A share is none, all leave nothing to train on, or patients are too few.
    """
    for name, share in shares.items():
        if not 0 <= share <= 1:  # nor is it NaN
            raise UsageError(compose("a share from 0 to 1", f"{share}", where=f"--{name}"))
    rest = 1 - sum(shares.values())
    if rest <= 0:
        found = " and ".join(f"{share:g}" for share in shares.values())
        where = " and ".join(f"--{name}" for name in shares)
        raise UsageError(compose("shares that leave something to train on", found, where=where))
    wanted = {"train": rest} | {name: share for name, share in shares.items() if share > 0}
    part = _assign(manifest.frame, list(wanted.values()), seed, copies)
    names = [*wanted, NOWHERE]
    split = pd.Series([names[p] for p in part], index=manifest.frame.index, dtype=object)
    return replace(manifest, frame=manifest.frame.assign(split=split))


def with_parts_of(manifest: Manifest, earlier: Manifest) -> Manifest:
    """Return the manifest with the splits and folds that its rows had in an earlier one.

    Rows that are not in the earlier one have none.
    """
    parts = earlier.frame.drop_duplicates("row_id").set_index("row_id")[["split", "fold"]]
    found = parts.reindex(manifest.frame["row_id"]).set_axis(manifest.frame.index)
    split = found["split"].astype(object).where(found["split"].notna(), None)
    return replace(manifest, frame=manifest.frame.assign(split=split, fold=found["fold"]))


def _assign(
    frame: pd.DataFrame, shares: Sequence[float], seed: int, copies: Sequence[Copy]
) -> NDArray[np.intp]:
    """Return the part (rows,) of every row, -1 where it is not used.

    Groups are dealt out from the largest to the smallest, each to the part that it brings
    closest to its share of all rows and of every stratum, counted together.
    """
    used = (frame["split"].astype(object) != NOWHERE).to_numpy(bool)
    groups = _groups(frame, copies)
    names, counts = _counts(frame[used], groups[used])
    if len(names) < len(shares):
        raise UsageError(compose(f"at least {len(shares)} patients", f"{len(names)}"))
    shuffled = np.random.default_rng(seed).permutation(len(names))
    order = shuffled[np.argsort(-counts[shuffled, 0], kind="stable")]
    part_of = dict(zip(names[order], _deal(counts[order], np.array(shares)), strict=True))
    return np.array([part_of[g] if u else -1 for g, u in zip(groups, used, strict=True)], np.intp)


def _deal(counts: NDArray[np.float64], shares: NDArray[np.float64]) -> list[int]:
    """Deal groups with counts (G, features) out to parts, in the order given."""
    fraction = counts / counts.sum(axis=0)
    held = np.zeros((len(shares), counts.shape[1]))
    parts = []
    for group in fraction:
        before = held - shares[:, None]
        cost = ((before + group) ** 2 - before**2) / shares[:, None]
        best = int(cost.sum(axis=1).argmin())
        held[best] += group
        parts.append(best)
    return parts


def _counts(frame: pd.DataFrame, groups: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return group names (G,), sorted, and their rows and rows in each stratum (G, features)."""
    table = truth(frame)[list(STRATA)].astype(object).fillna("unknown")
    strata = pd.get_dummies(table.astype(str), dtype=float)
    sums = strata.assign(rows=1.0).groupby(groups, sort=True).sum()
    ordered = sums[["rows", *sorted(strata.columns)]]
    return ordered.index.to_numpy(), ordered.to_numpy(np.float64)


def _groups(frame: pd.DataFrame, copies: Sequence[Copy]) -> NDArray[Any]:
    """Return for every row the least patient key of those that must stay together with it.

    Patients stay together whose rows share a file, series, instance or pixels.
    """
    keys, code = np.unique(frame["patient_key"].to_numpy(str), return_inverse=True)
    a = [code[[copy.first for copy in copies]]] if copies else []
    b = [code[[copy.second for copy in copies]]] if copies else []
    nodes = len(keys)
    for column in SHARED:
        value, names = pd.factorize(frame[column])
        a.append(code[value >= 0])
        b.append(value[value >= 0] + nodes)
        nodes += len(names)
    ends = np.concatenate(a), np.concatenate(b)
    links = coo_array((np.ones(len(ends[0])), ends), shape=(nodes, nodes))
    _, component = connected_components(links, directed=False)
    _, first = np.unique(component[: len(keys)], return_index=True)
    lowest = dict(zip(np.unique(component[: len(keys)]), keys[first], strict=True))
    return np.array([lowest[c] for c in component[code]])
