"""Rows of a manifest as batches: cached patches, seeded augmentation, balanced draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import torch
from monai.data import CacheDataset, pad_list_data_collate
from monai.transforms import Transform
from monai.utils import convert_to_tensor
from numpy.typing import NDArray
from torch import distributed
from torch.utils.data import DataLoader, Dataset, Sampler

from calcilens.data_manifests.leakage import require_no_leakage
from calcilens.data_manifests.pixels import load_stack
from calcilens.data_manifests.schema import Manifest, box_of, plain_rows, read_manifest, truth
from calcilens.errors import CalcilensError, ManifestError, UsageError, compose
from calcilens.imaging.patches import PatchSpec, cut
from calcilens.models.classifier import LesionClassifier
from calcilens.training.targets import soft_targets
from calcilens.training.transforms import augmentation

Key = tuple[int, int]
"""Index of a sample and the seed of its augmentation."""


class LoadLesion(Transform):  # type: ignore[misc] # monai is untyped
    """Cut the patch of a manifest row; the same call serves training and evaluation.

    MONAI caches what comes out of its own transforms only, so this is one.
    """

    def __init__(self, manifest: Manifest, spec: PatchSpec) -> None:
        self.manifest, self.spec = manifest, spec

    def __call__(self, row: dict[str, Any]) -> dict[str, NDArray[np.float32]]:
        """Return pixels (P, S, S), box (4,) and extent_mm (3,)."""
        spacing = [row[f"spacing_{axis}_mm"] for axis in "zyx"]
        spacing = [np.nan if s is None else s for s in spacing]
        key = row["key_plane"]
        stack = load_stack(self.manifest, row)
        try:
            patch = cut(stack, box_of(row), spacing, self.spec, key_plane=key)
        except UsageError as error:
            raise ManifestError(f"row {row['row_id']}: {error}") from error
        return {"pixels": patch.pixels, "box": patch.box, "extent_mm": patch.extent_mm}


def _cached(rows: list[dict[str, Any]], load: LoadLesion, rate: float) -> CacheDataset:
    """Load patches into memory; what is wrong with a row is said in our own words."""
    try:
        return CacheDataset(rows, load, cache_rate=rate, progress=False)
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
        load = LoadLesion(manifest, spec)
        self.patches = _cached(rows, load, cache_rate)
        self.targets = [soft_targets(row) for row in rows]
        self.augment = augmentation() if augment else None

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, key: Key | int) -> dict[str, Any]:
        if self.augment is None or not isinstance(key, tuple):
            return self.plain(key[0] if isinstance(key, tuple) else key)
        index, seed = key
        self.augment.set_random_state(seed=seed)
        return self._item(self.augment(dict(self.patches[index])), index)

    def plain(self, index: int) -> dict[str, Any]:
        """Return a sample as it is, not augmented."""
        return self._item(self.patches[index], index)

    def _item(self, sample: Mapping[str, Any], index: int) -> dict[str, Any]:
        arrays = {**sample, **self.targets[index]}
        return {name: torch.as_tensor(np.asarray(v)) for name, v in arrays.items()}


def collate(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """Stack samples; patches of large lesions are larger, and the others' edges are repeated."""
    batch = pad_list_data_collate(samples, method="end", mode="edge")
    return {name: convert_to_tensor(value, track_meta=False) for name, value in batch.items()}


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


def class_weights(frame: pd.DataFrame, power: float) -> NDArray[np.float64]:
    """Weigh rows by how rare their truth (finding and concern together) is.

    Args:
        frame: Rows with truth columns.
        power: 0 leaves the data as they are, 1 makes all classes equally frequent.
    """
    pairs = zip(frame["finding_truth"], frame["concern_truth"], strict=True)
    names = pd.Series([f"{finding}/{concern}" for finding, concern in pairs])
    share = names.map(names.value_counts(normalize=True)).to_numpy(np.float64)
    return np.asarray(share**-power, np.float64)


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
        balance: 0 draws rows as they come, 1 draws all classes equally often.
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
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.manifest_path, self.root, self.fold = manifest, root, fold
        self.batch_size, self.workers = batch_size, workers
        self.cache_rate, self.balance, self.seed = cache_rate, balance, seed
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
        require_no_leakage(_as_split(manifest, train, val))
        task = self.trainer.lightning_module if self.trainer else None
        network = task.network if task is not None else None
        if isinstance(network, LesionClassifier):
            self.spec = network.spec
        rate = self.cache_rate
        self.train = LesionDataset(manifest, train, self.spec, augment=True, cache_rate=rate)
        self.val = LesionDataset(manifest, val, self.spec, cache_rate=rate)
        self.weights = class_weights(train, self.balance)

    def plain_sample(self, count: int) -> dict[str, Any]:
        """Return a batch of training lesions spread over the rows, not augmented."""
        rows = np.unique(np.linspace(0, len(self.train) - 1, count).astype(int))
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


def _as_split(manifest: Manifest, train: pd.DataFrame, val: pd.DataFrame) -> Manifest:
    """Return the manifest with the column `split` saying what this run does with each row."""
    frame = manifest.frame.copy()
    frame["split"], frame["fold"] = "unused", pd.NA
    frame.loc[train.index, "split"] = "train"
    frame.loc[val.index, "split"] = "val"
    return Manifest(frame, manifest.root, manifest.metadata)
