"""Which row is drawn how often: balanced, and the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import distributed
from torch.utils.data import Sampler

Key = tuple[int, int]
"""Index of a sample and the seed of its augmentation."""


class BalancedSampler(Sampler[Key]):
    """Draw rows by weight, each as often as its weight asks, give or take one.

    The order and every augmentation seed follow from (seed, epoch) alone: a resumed run, and a
    run with other workers, sees what an uninterrupted one would have seen.

    Args:
        weights: (N,) positive.
        seed: Seed of the run.
    """

    def __init__(self, weights: Sequence[float] | NDArray[np.float64], seed: int) -> None:
        self.weights = np.asarray(weights, np.float64)
        self.seed, self.epoch = seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.weights) // _world()[1]

    def __iter__(self) -> Iterator[Key]:
        rng = np.random.default_rng([self.seed, self.epoch])
        count = len(self.weights)
        order = rng.permutation(count)
        edges = np.cumsum(self.weights[order]) / self.weights.sum()
        edges[-1] = 1.0
        places = (rng.random() + np.arange(count)) / count
        drawn = rng.permutation(
            order[np.searchsorted(edges, places, side="right").clip(max=count - 1)]
        )
        seeds = rng.integers(0, 2**31, count)
        rank, world = _world()
        mine = slice(rank, len(self) * world, world)
        return iter(zip(drawn[mine].tolist(), seeds[mine].tolist(), strict=True))


def _world() -> tuple[int, int]:
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def class_weights(frame: pd.DataFrame, sources: float, classes: float) -> NDArray[np.float64]:
    """Weigh rows by how rare their source is, and within it their class.

    A class is finding, concern and pattern together. A pattern counts where it was given
    outright: the few votes on patterns would make a handful of rows weigh most. A row with
    several patterns belongs to each of their classes in part.

    Args:
        frame: Rows with truth columns.
        sources: 0 leaves the sources as they are, 1 makes them all equally frequent.
        classes: The same for the classes within each source.

    Returns:
        (N,) positive weights, 1 on average.
    """
    weights = np.ones(len(frame))
    for places in frame.reset_index().groupby("source").indices.values():
        rare = _rarity(frame.iloc[places], classes)
        weights[places] = rare / rare.mean() * (len(places) / len(frame)) ** -sources
    balanced: NDArray[np.float64] = weights / weights.mean()
    return balanced


def _rarity(frame: pd.DataFrame, power: float) -> NDArray[np.float64]:
    """Return (N,) class share to the power of -`power`, averaged over the classes of a row."""
    patterns = [p if p is not None else ["none"] for p in frame["pattern"]]
    classes = pd.DataFrame(
        {
            "row": np.arange(len(frame)),
            "finding": frame["finding_truth"].to_numpy(),
            "concern": frame["concern_truth"].to_numpy(),
            "pattern": patterns,
            "part": [1 / len(p) for p in patterns],
        }
    ).explode("pattern")
    by = classes.groupby(["finding", "concern", "pattern"], dropna=False)["part"]
    share = by.transform("sum") / len(frame)
    rarity = (share**-power * classes["part"]).groupby(classes["row"]).sum()
    return np.asarray(rarity, np.float64)
