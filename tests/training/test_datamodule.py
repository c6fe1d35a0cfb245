from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch

from calcilens.data_manifests.pixels import load_stack
from calcilens.data_manifests.schema import Manifest, new_manifest, plain_rows, read_manifest
from calcilens.errors import LeakageError, ManifestError
from calcilens.imaging.patches import PatchSpec
from calcilens.training import datamodule, samples
from calcilens.training.datamodule import LesionData, LesionDataset, collate
from calcilens.training.samples import LoadLesion
from tests.data_manifests.made import row_of, save_png
from tests.training.made import saved, stacks

SPEC = PatchSpec(3, 32)


def data(path: Path, **options: Any) -> LesionData:
    module = LesionData(path, **{"batch_size": 4, **options})
    module.spec = SPEC
    module.setup("fit")
    return module


def test_loader_processes_change_nothing(manifest: Path) -> None:
    none, two = (list(data(manifest, workers=workers).train_dataloader()) for workers in (0, 2))
    assert len(none) == len(two) > 2
    for a, b in zip(none, two, strict=True):
        assert all(torch.equal(a[name].nan_to_num(-1), b[name].nan_to_num(-1)) for name in a)


def test_samples_come_out_of_cache_as_they_went_in(manifest: Path) -> None:
    cached, read = (data(manifest, cache_rate=rate).plain_sample(6) for rate in (1.0, 0.0))
    assert all(torch.equal(cached[n].nan_to_num(-1), read[n].nan_to_num(-1)) for n in cached)
    assert cached["pixels"].shape == (6, 3, 32, 32)
    assert (cached["box"][:, 2:] - cached["box"][:, :2] == 15).all()
    assert cached["extent_mm"][0].tolist() == pytest.approx([3.0, 10.5, 10.5])


def test_a_cached_patch_is_read_once(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []

    def counted(made: Manifest, row: dict[str, Any]) -> Any:
        reads.append(row["row_id"])
        return load_stack(made, row)

    monkeypatch.setattr(samples, "load_stack", counted)
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
    assert all(torch.equal(before[n].nan_to_num(-1), after[n].nan_to_num(-1)) for n in before)


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


def test_all_folds_are_held_apart_whichever_is_left_out(tmp_path: Path) -> None:
    made = stacks(tmp_path, 12)
    made.frame.loc[made.frame["fold"] != 0, "patient_key"] = "a" * 16
    with pytest.raises(LeakageError, match="same patient"):
        data(saved(made, tmp_path / "m.parquet"), fold=0)


def test_a_manifest_is_searched_for_leakage_once_and_again_when_it_was_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[int] = []
    monkeypatch.setattr(
        datamodule, "require_no_leakage", lambda manifest, _: searched.append(len(manifest))
    )
    path = saved(stacks(tmp_path, 12), tmp_path / "m.parquet")
    for fold in (0, 1):
        data(path, fold=fold)
    assert searched == [12]
    made = read_manifest(path)
    path.unlink()
    saved(Manifest(made.frame.iloc[:9], made.root), path)
    data(path, fold=0)
    assert searched == [12, 9]


def with_masks(root: Path, made: Manifest) -> Manifest:
    """Add masks in the grid of the stacks to every second row, 1 where its lesion is bright."""
    for index in range(1, len(made), 2):
        for plane in range(3):
            mask = np.zeros((48, 48), np.uint8)
            mask[18:29, 20:31] = 255 * (plane == 1)  # the key plane alone
            save_png(mask, root / f"mask-{index}" / f"{plane}.png")
        made.frame.loc[index, "mask"] = f"mask-{index}"
    return made


def test_the_mask_of_the_key_plane_comes_with_the_patch(tmp_path: Path) -> None:
    made = with_masks(tmp_path, stacks(tmp_path, 6))
    batch = collate([LesionDataset(made, made.frame, SPEC).plain(i) for i in range(6)])
    assert batch["mask"].shape == (6, 1, 32, 32)
    assert batch["mask"].dtype == torch.float32
    assert torch.isnan(batch["mask"][::2]).all()
    bright = (batch["pixels"][1::2, 1:2] * 250).round() >= 249
    assert torch.equal(batch["mask"][1::2], bright.float())


def test_a_mask_of_another_shape_is_named_by_row(tmp_path: Path) -> None:
    made = with_masks(tmp_path, stacks(tmp_path, 2))
    (tmp_path / "mask-1" / "2.png").unlink()
    with pytest.raises(ManifestError, match=r"row stack-01, column mask: .*\(3, 48, 48\), found"):
        LesionDataset(made, made.frame, SPEC)


def test_patches_are_kept_as_they_are_stored(tmp_path: Path) -> None:
    made = with_masks(tmp_path, stacks(tmp_path, 2))
    kept = LesionDataset(made, made.frame, PatchSpec(3, 32, "hu_and_relative")).patches[1]
    assert kept["pixels"].dtype == np.uint8
    assert kept["pixels"].nbytes == 3 * 32 * 32
    assert kept["pixels"].base is None  # not a view that keeps the whole image
    assert kept["mask"].nbytes == 32 * 32


@pytest.mark.parametrize(
    ("modality", "kind", "known"),
    [("CT", "nifti", True), ("CT", "png", False), ("DX", "nifti", False)],
)
def test_windows_of_hu_are_filled_for_ct_that_still_has_hu(
    modality: str, kind: str, known: bool, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).integers(-500, 900, (1, 48, 48)).astype(np.int16)
    name = f"a.{'nii' if kind == 'nifti' else 'png'}"
    if kind == "nifti":
        nibabel.save(nibabel.Nifti1Image(pixels.T, np.eye(4)), tmp_path / name)
    else:
        save_png((pixels[0] // 8 + 64).astype(np.uint8), tmp_path / name)
    cells = {"modality": modality, "image_kind": kind, "y0": 10, "y1": 20, "x0": 10, "x1": 20}
    made = new_manifest([row_of(name, tmp_path, 0, **cells)], tmp_path)
    sample = LoadLesion(made, PatchSpec(1, 32, "hu_and_relative"))(plain_rows(made.frame)[0])
    assert sample["pixels"].shape == (3, 32, 32)
    assert sample["pixels"][0].any()
    assert sample["pixels"][1:].any() == known
    assert np.isnan(sample["extent_mm"]).all()  # no spacing was given


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
    small["mask"], large["mask"] = torch.full((1, 4, 4), torch.nan), torch.ones(1, 6, 6)
    batch = collate([dict(small), dict(large)])
    assert batch["pixels"].shape == (2, 3, 6, 6)
    assert torch.equal(batch["pixels"][0, :, :4, :4], small["pixels"])
    assert torch.equal(batch["pixels"][0, :, 5, 5], small["pixels"][:, 3, 3])  # edge repeated
    assert torch.equal(batch["box"], torch.stack([small["box"], large["box"]]))
    assert torch.isnan(batch["mask"][0]).all()
    assert torch.equal(batch["mask"][1], large["mask"])
