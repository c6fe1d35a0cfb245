"""Rows of a manifest as batches: cached patches, seeded augmentation, balanced draws."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import torch
from monai.data import CacheDataset
from rich.console import Console
from rich.progress import Progress
from torch.utils.data import DataLoader, Dataset, default_collate

from calcilens.data_manifests.leakage import require_no_leakage
from calcilens.data_manifests.schema import Manifest, plain_rows, read_manifest, truth
from calcilens.errors import CalcilensError, ManifestError, compose
from calcilens.imaging.patches import PatchSpec
from calcilens.models.classifier import LesionClassifier
from calcilens.training.balance import BalancedSampler, Key, class_weights
from calcilens.training.samples import CutLesion, ScaleLesion, spread
from calcilens.training.targets import soft_targets
from calcilens.training.transforms import augmentation

MOST_THREADS = 4
"""Each holds a whole image while it cuts a patch out of it."""


def _cached(rows: list[dict[str, Any]], cut: CutLesion, rate: float) -> CacheDataset:
    """Load patches into memory; what is wrong with a row is said in our own words."""
    threads = min(os.cpu_count() or 1, MOST_THREADS)
    shown = sys.stderr.isatty()
    try:
        return CacheDataset(rows, cut, cache_rate=rate, num_workers=threads, progress=shown)
    except RuntimeError as error:  # MONAI's wrapping of whatever a transform raises
        if isinstance(error.__cause__, CalcilensError):
            raise error.__cause__ from None
        raise


class LesionDataset(Dataset[dict[str, Any]]):
    """Patches and targets; augmented by the seed that comes with the index.

    Args:
        manifest: Where the images are.
        frame: Its rows to use.
        spec: How patches are cut.
        augment: Whether to augment.
        cache_rate: Share of the patches kept in memory.
    """

    def __init__(
        self,
        manifest: Manifest,
        frame: pd.DataFrame,
        spec: PatchSpec,
        *,
        augment: bool = False,
        cache_rate: float = 1.0,
    ) -> None:
        rows = plain_rows(frame)
        self.patches = _cached(rows, CutLesion(manifest, spec), cache_rate)
        self.targets = [soft_targets(row) for row in rows]
        self.scale = ScaleLesion(spec)
        self.augment, self.augmentation = augment, augmentation(spec)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, key: Key | int) -> dict[str, Any]:
        if self.augment and isinstance(key, tuple):
            return self.varied(*key)
        return self.plain(key[0] if isinstance(key, tuple) else key)

    def varied(self, index: int, seed: int) -> dict[str, Any]:
        """Return a sample as the augmentation of `seed` leaves it."""
        self.augmentation.set_random_state(seed=seed)
        return self._item(self.augmentation(self.patches[index]), index)

    def plain(self, index: int) -> dict[str, Any]:
        """Return a sample as it is, not augmented."""
        return self._item(self.scale(self.patches[index]), index)

    def _item(self, sample: Mapping[str, Any], index: int) -> dict[str, Any]:
        arrays = {**sample, **self.targets[index]}
        return {name: torch.as_tensor(np.asarray(v)) for name, v in arrays.items()}


def collate(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """Stack samples; patches of large lesions are larger, and the others' edges are repeated."""
    side = max(sample["pixels"].shape[-1] for sample in samples)
    images = {name: _widened([s[name] for s in samples], side) for name in ("pixels", "mask")}
    rest = [{k: v for k, v in sample.items() if k not in images} for sample in samples]
    batch: dict[str, Any] = default_collate(rest)
    return batch | images


def _widened(images: list[torch.Tensor], side: int) -> torch.Tensor:
    """Stack images (C, h, h) to (B, C, side, side); torch's `pad` takes five times as long."""
    wide = images[0].new_empty(len(images), len(images[0]), side, side)
    for out, image in zip(wide, images, strict=True):
        h = image.shape[-1]
        out[:, :h, :h] = image
        out[:, :h, h:] = image[:, :, -1:]
        out[:, h:] = out[:, h - 1 : h]
    return wide


class LesionData(pl.LightningDataModule):
    """Training and validation rows of a manifest.

    Args:
        manifest: Parquet or CSV file.
        root: Folder of the images, where it is not the one in the manifest.
        fold: Validate on this fold and train on the others; without it the column `split`
            decides.
        batch_size: Lesions a step and device.
        workers: Loader processes.
        cache_rate: Share of the patches kept in memory.
        balance: 0 draws the classes within a source as they come, 1 all equally often.
        balance_sources: The same for the sources.
        seed: Seed of order and augmentation.
    """

    def __init__(
        self,
        manifest: Path,
        root: Path | None = None,
        fold: int | None = None,
        *,
        batch_size: int = 32,
        workers: int = 0,
        cache_rate: float = 1.0,
        balance: float = 0.5,
        balance_sources: float = 0.5,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.manifest_path, self.root, self.fold = manifest, root, fold
        self.batch_size, self.workers = batch_size, workers
        self.cache_rate, self.seed = cache_rate, seed
        self.balance, self.balance_sources = balance, balance_sources
        self.spec = PatchSpec()

    def rows(self) -> tuple[Manifest, pd.DataFrame, pd.DataFrame]:
        """Return the manifest and its training and validation rows, with truth.

        Raises:
            ManifestError: One of the two is empty.
        """
        manifest = read_manifest(self.manifest_path, root=self.root)
        frame = truth(manifest.frame)
        if self.fold is None:
            parts = [frame[(frame["split"] == s).fillna(False)] for s in ("train", "val")]
        else:
            held = (frame["fold"] == self.fold).fillna(False)
            parts = [frame[~held & frame["fold"].notna()], frame[held]]
        for part, name in zip(parts, ("training", "validation"), strict=True):
            if part.empty:
                where = f"{Path(self.manifest_path).name}, fold {self.fold}"
                fix = "`calcilens manifest split` makes splits and folds"
                raise ManifestError(compose(f"{name} rows", "none", where=where, fix=fix))
        return manifest, parts[0], parts[1]

    def setup(self, stage: str) -> None:
        """Read the manifest, check it for leakage and cache the patches."""
        manifest, train, val = self.rows()
        written = Path(self.manifest_path).stat().st_mtime_ns
        _require_apart(self.manifest_path, written, self.root, by_fold=self.fold is not None)
        task = self.trainer.lightning_module if self.trainer else None
        network = task.network if task is not None else None
        if isinstance(network, LesionClassifier):
            self.spec = network.spec
        rate = self.cache_rate
        self.train = LesionDataset(manifest, train, self.spec, augment=True, cache_rate=rate)
        self.val = LesionDataset(manifest, val, self.spec, cache_rate=rate)
        self.weights = class_weights(train, self.balance_sources, self.balance)

    def plain_sample(self, count: int) -> dict[str, Any]:
        """Return a batch of training lesions spread over the rows, not augmented."""
        rows = spread(len(self.train), count)
        return collate([self.train.plain(int(row)) for row in rows])

    def train_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Return balanced, augmented batches."""
        sampler = BalancedSampler(self.weights, self.seed)
        size = min(self.batch_size, len(sampler))  # few rows still make one whole batch
        return self._loader(self.train, size, sampler=sampler, drop_last=True)

    def val_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Return the validation rows in order."""
        return self._loader(self.val, self.batch_size)

    def _loader(
        self, dataset: LesionDataset, size: int, **options: Any
    ) -> DataLoader[dict[str, Any]]:
        return DataLoader(dataset, size, num_workers=self.workers, collate_fn=collate, **options)


@lru_cache(1)
def _require_apart(path: Path, written: int, root: Path | None, *, by_fold: bool) -> None:
    """Refuse leakage, and show on a terminal how far the search is.

    All folds are held apart at once, so that cross-validation searches once and not every fold.

    Args:
        path: The manifest.
        written: When, so that another one of this name is searched again.
        root: Folder of its images.
        by_fold: Whether `fold` says what must stand apart; else `split` does.
    """
    manifest = read_manifest(path, root=root)
    frame = manifest.frame.copy()
    if by_fold:
        frame["split"] = "unused"
    else:
        frame["fold"] = pd.NA
        frame.loc[frame["split"] == "test", "split"] = "unused"
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Looking for leakage", total=None)
        require_no_leakage(
            Manifest(frame, manifest.root, manifest.metadata),
            lambda done, all_: bar.update(task, completed=done, total=all_),
        )
