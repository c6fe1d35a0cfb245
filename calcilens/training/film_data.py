"""Sets of whole films as batches of crops: seeded, real films as often as asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from calcilens.errors import InputError, UsageError, compose
from calcilens.training.balance import BalancedSampler, Key
from calcilens.training.film_draws import CROPS, FilmSample, crops, read_sample

_HELD = 8
"""Every eighth simulated film is held out."""
_PLAIN_SEED = 0
_KEYS = {"id", "background", "mask", "kinds", "person"}


class FilmCrops(Dataset[dict[str, Tensor]]):
    """Crops of films, changed by the seed that comes with the index."""

    def __init__(self, films: Sequence[FilmSample], side: int) -> None:
        self.films, self.side = films, side

    def __len__(self) -> int:
        return len(self.films)

    def __getitem__(self, key: Key | int) -> dict[str, Tensor]:
        index, seed = key if isinstance(key, tuple) else (key, _PLAIN_SEED)
        film, mask = crops(self.films[index], self.side, seed)
        return {"film": torch.from_numpy(film), "mask": torch.from_numpy(mask)}


def collate(items: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Put the crops of several films into one batch."""
    return {name: torch.cat([item[name] for item in items]) for name in items[0]}


class FilmData(pl.LightningDataModule):
    """Films made by `calcilens phantoms films`.

    Args:
        films: Folders of sets, simulated or with real backgrounds.
        batch_size: Crops a step and device; a multiple of four.
        draws: Films drawn an epoch, each giving four crops.
        side: Of a crop, pixels; a multiple of 16.
        real_share: Share of the drawn films that are real ones, where there are any.
        workers: Loader processes.
        seed: Seed of order and augmentation.
    """

    def __init__(
        self,
        films: list[Path],
        *,
        batch_size: int = 8,
        draws: int = 64,
        side: int = 256,
        real_share: float = 0.35,
        workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.folders, self.batch_size, self.draws = films, batch_size, draws
        self.side, self.real_share = side, real_share
        self.workers, self.seed = workers, seed
        if batch_size % CROPS or side % 16 or not 0 <= real_share < 1:
            wanted = f"crops in multiples of {CROPS}, sides of 16, a share below 1"
            found = f"batch_size {batch_size}, side {side}, real_share {real_share:g}"
            raise UsageError(compose(wanted, found, where="--data"))

    def setup(self, stage: str) -> None:
        """Read the films."""
        listed = [_read_list(Path(folder)) for folder in self.folders]
        self.told = [line for lines in listed for line in lines]
        taught: list[FilmSample] = []
        held: list[FilmSample] = []
        for folder, lines in zip(self.folders, listed, strict=True):
            for i, line in enumerate(lines):
                real = line["background"] == "real"
                sample = read_sample(Path(folder), line["id"], real=real)
                (held if i % _HELD == 0 and not real else taught).append(sample)
        if not taught or not held:
            found = f"{len(taught)} to learn from, {len(held)} held out"
            raise InputError(compose("simulated films", found, where="--data.films"))
        self.train, self.val = FilmCrops(taught, self.side), FilmCrops(held, self.side)

    def weights(self) -> list[float]:
        """Return how often each of an epoch's draws falls on a film."""
        real = np.array([film.real for film in self.train.films])
        share = self.real_share if real.any() else 0.0
        if real.all():
            return [1.0] * len(real)
        each = np.where(real, share / max(real.sum(), 1), (1 - share) / (~real).sum())
        return [float(w) for w in each / each.mean()]

    def train_dataloader(self) -> DataLoader[Any]:
        """Return changed crops."""
        sampler = FilmSampler(self.weights(), self.seed, self.draws)
        return self._loader(self.train, sampler=sampler, drop_last=True)

    def val_dataloader(self) -> DataLoader[Any]:
        """Return crops of the films held out, the same each time."""
        return self._loader(self.val)

    def _loader(self, crops_of: FilmCrops, **options: Any) -> DataLoader[Any]:
        films = self.batch_size // CROPS
        return DataLoader(crops_of, films, num_workers=self.workers, collate_fn=collate, **options)


class FilmSampler(BalancedSampler):
    """Draw an epoch's films, more or fewer than there are.

    Args:
        weights: (N,) positive.
        seed: Seed of the run.
        draws: Films an epoch, on all devices together.
    """

    def __init__(self, weights: Sequence[float], seed: int, draws: int) -> None:
        super().__init__(list(weights) * -(-draws // len(weights)), seed)
        self.films, self.draws = len(weights), draws

    def __len__(self) -> int:
        whole = len(self.weights)
        return super().__len__() * self.draws // whole

    def __iter__(self) -> Iterator[Key]:
        drawn = islice(super().__iter__(), len(self))
        return ((index % self.films, seed) for index, seed in drawn)


def _read_list(folder: Path) -> list[dict[str, Any]]:
    path = folder / "truth.jsonl"
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        if lines and all(isinstance(line, dict) and line.keys() >= _KEYS for line in lines):
            return lines
        found = "another list"
    except (OSError, ValueError) as error:
        found = type(error).__name__
    fix = "`calcilens phantoms films --out DIR` makes one"
    raise InputError(
        compose("a set of films with its truth.jsonl", found, where="--data.films", fix=fix)
    )
