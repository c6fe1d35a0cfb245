from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from calcilens.data_manifests.pixels import load_stack
from calcilens.data_manifests.schema import Manifest, read_manifest
from calcilens.errors import LeakageError, ManifestError
from calcilens.imaging.patches import PatchSpec
from calcilens.training import datamodule
from calcilens.training.datamodule import (
    BalancedSampler,
    LesionData,
    LesionDataset,
    class_weights,
    collate,
)
from tests.training.made import saved, stacks

SPEC = PatchSpec(3, 32)
WEIGHTS = st.lists(st.floats(0.1, 10), min_size=1, max_size=40)
SEEDS = st.integers(0, 2**31 - 1)


def data(path: Path, **options: Any) -> LesionData:
    module = LesionData(path, **{"batch_size": 4, **options})
    module.spec = SPEC
    module.setup("fit")
    return module


def drawn(weights: list[float], seed: int, epoch: int = 0) -> list[tuple[int, int]]:
    sampler = BalancedSampler(weights, seed)
    sampler.set_epoch(epoch)
    return list(sampler)


@given(WEIGHTS, SEEDS, st.integers(0, 50))
def test_a_draw_follows_from_seed_and_epoch_alone(
    weights: list[float], seed: int, epoch: int
) -> None:
    used = BalancedSampler(weights, seed)
    list(used)
    used.set_epoch(epoch)
    assert list(used) == drawn(weights, seed, epoch)


@given(WEIGHTS, SEEDS)
def test_every_row_is_drawn_as_often_as_its_weight_asks_give_or_take_one(
    weights: list[float], seed: int
) -> None:
    counts = Counter(index for index, _ in drawn(weights, seed))
    expected = np.array(weights) / sum(weights) * len(weights)
    found = np.array([counts[i] for i in range(len(weights))])
    assert found.sum() == len(weights)
    assert (np.abs(found - expected) < 1 + 1e-6).all()


def test_epochs_and_seeds_differ_in_order_and_augmentation() -> None:
    draws = [drawn([1.0] * 20, seed, epoch) for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    assert all(sorted(i for i, _ in d) == list(range(20)) for d in draws)
    for part in (0, 1):
        assert len({tuple(key[part] for key in d) for d in draws}) == 3


@pytest.mark.parametrize(("rows", "world"), [(20, 2), (21, 2), (22, 4)])
def test_devices_draw_apart_and_together_the_whole(
    monkeypatch: pytest.MonkeyPatch, rows: int, world: int
) -> None:
    whole = drawn([1.0] * rows, 3)
    parts = []
    for rank in range(world):
        monkeypatch.setattr(datamodule, "_world", lambda rank=rank: (rank, world))
        parts.append(drawn([1.0] * rows, 3))
        assert len(parts[-1]) == len(BalancedSampler([1.0] * rows, 3)) == rows // world
    together = [key for part in parts for key in part]
    assert len(set(together)) == len(together)  # nothing twice
    assert set(together) == set(whole[: rows // world * world])


def test_class_weights_make_classes_as_equal_as_asked() -> None:
    frame = pd.DataFrame({"finding_truth": [1.0] * 2 + [0.0] * 8, "concern_truth": [np.nan] * 10})
    assert class_weights(frame, 0).tolist() == [1.0] * 10
    full = class_weights(frame, 1)
    assert full[:2].sum() == pytest.approx(full[2:].sum())
    half = class_weights(frame, 0.5)
    assert half[0] / half[-1] == pytest.approx(2.0)


def test_loader_processes_change_nothing(manifest: Path) -> None:
    none, two = (list(data(manifest, workers=workers).train_dataloader()) for workers in (0, 2))
    assert len(none) == len(two) > 2
    for a, b in zip(none, two, strict=True):
        assert all(torch.equal(a[name].nan_to_num(), b[name].nan_to_num()) for name in a)


def test_samples_come_out_of_cache_as_they_went_in(manifest: Path) -> None:
    cached, read = (data(manifest, cache_rate=rate).plain_sample(6) for rate in (1.0, 0.0))
    assert all(torch.equal(cached[name], read[name]) for name in cached)
    assert cached["pixels"].shape == (6, 3, 32, 32)
    assert (cached["box"][:, 2:] - cached["box"][:, :2] == 15).all()
    assert cached["extent_mm"][0].tolist() == pytest.approx([3.0, 10.5, 10.5])


def test_a_cached_patch_is_read_once(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []

    def counted(made: Manifest, row: dict[str, Any]) -> Any:
        reads.append(row["row_id"])
        return load_stack(made, row)

    monkeypatch.setattr(datamodule, "load_stack", counted)
    module = data(manifest)
    once = len(module.train) + len(module.val)
    for _ in range(2):
        list(module.train_dataloader())
    assert len(reads) == len(set(reads)) == once


def test_augmentation_leaves_the_cache_alone(manifest: Path) -> None:
    module = data(manifest)
    before = module.plain_sample(16)
    list(module.train_dataloader())
    after = module.plain_sample(16)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_validation_rows_come_in_order_and_not_augmented(manifest: Path) -> None:
    batches = [next(iter(data(manifest, seed=seed).val_dataloader())) for seed in (0, 1)]
    assert torch.equal(batches[0]["pixels"], batches[1]["pixels"])
    assert batches[0]["finding"].tolist() == [0, 1, 0, 1]


def test_a_fold_is_validated_on_and_the_others_trained_on(manifest: Path) -> None:
    frame = read_manifest(manifest).frame
    module = LesionData(manifest, fold=1)
    _, train, val = module.rows()
    assert set(val["row_id"]) == set(frame.loc[frame["fold"] == 1, "row_id"])
    assert set(train["row_id"]) == set(frame.loc[frame["fold"] != 1, "row_id"])


@pytest.mark.parametrize(("options", "part"), [({"fold": 9}, "validation"), ({}, "training")])
def test_an_empty_part_is_named_with_what_to_do(
    tmp_path: Path, options: dict[str, Any], part: str
) -> None:
    made = stacks(tmp_path, 6)
    made.frame["split"] = "val"
    path = saved(made, tmp_path / "m.parquet")
    with pytest.raises(ManifestError, match=f"expected {part} rows.*manifest split"):
        LesionData(path, **options).rows()


@pytest.mark.parametrize("fold", [None, 1])
def test_a_patient_on_both_sides_stops_training(tmp_path: Path, fold: int | None) -> None:
    made = stacks(tmp_path, 12)
    made.frame["patient_key"] = "a" * 16
    with pytest.raises(LeakageError, match="same patient"):
        data(saved(made, tmp_path / "m.parquet"), fold=fold)


def test_a_leak_between_folds_that_are_both_trained_on_is_none(tmp_path: Path) -> None:
    made = stacks(tmp_path, 12)
    others = made.frame["fold"] != 0
    made.frame.loc[others, "patient_key"] = "a" * 16
    assert len(data(saved(made, tmp_path / "m.parquet"), fold=0).train) == others.sum()


def test_a_box_outside_its_image_is_named_by_row(tmp_path: Path) -> None:
    made = stacks(tmp_path, 6)
    made.frame.loc[1, ["y0", "y1"]] = [400, 420]
    with pytest.raises(ManifestError, match="row stack-01: expected a box that meets the image"):
        LesionDataset(made, made.frame, SPEC)


def test_fewer_rows_than_a_batch_still_make_one(tmp_path: Path) -> None:
    path = saved(stacks(tmp_path, 12), tmp_path / "m.parquet")
    batches = list(data(path, batch_size=32).train_dataloader())
    assert [len(batch["box"]) for batch in batches] == [8]


def test_patches_of_two_sizes_are_stacked_at_the_same_corner() -> None:
    small = {"pixels": torch.rand(3, 4, 4), "box": torch.tensor([1.0, 1, 3, 3])}
    large = {"pixels": torch.rand(3, 6, 6), "box": torch.tensor([1.0, 1, 5, 5])}
    batch = collate([dict(small), dict(large)])
    assert batch["pixels"].shape == (2, 3, 6, 6)
    assert torch.equal(batch["pixels"][0, :, :4, :4], small["pixels"])
    assert torch.equal(batch["pixels"][0, :, 5, 5], small["pixels"][:, 3, 3])  # edge repeated
    assert torch.equal(batch["box"], torch.stack([small["box"], large["box"]]))
