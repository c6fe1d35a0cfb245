from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch

from calcilens.errors import InputError, ModelError, UsageError
from calcilens.training.datamodule import LesionData
from calcilens.training.export import write_model
from calcilens.training.task import LesionTask
from tests.training.made import SMALL, patch_batch


def task(**network: Any) -> LesionTask:
    torch.manual_seed(0)
    return LesionTask(network=SMALL | network, imagenet=False)


def batch(finding: float) -> dict[str, torch.Tensor]:
    inputs = {name: torch.from_numpy(value) for name, value in patch_batch().items()}
    label = torch.full((4,), finding)
    return {
        **inputs,
        "finding": label,
        "concern": label,
        "pattern": torch.zeros(4, 18),
        "pattern_weight": torch.ones(4),
        "weight": torch.ones(4),
    }


def test_a_loss_that_is_not_finite_stops_with_a_clear_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = task()
    monkeypatch.setattr(made, "log", lambda *_, **__: None)
    made.training_step(batch(1.0), 0)
    with torch.no_grad():
        made.network.look.get_parameter("1.bias").fill_(torch.nan)
    with pytest.raises(InputError, match="training, step 0: expected a finite loss, found nan"):
        made.training_step(batch(1.0), 0)
    with pytest.raises(InputError, match="validation, epoch 0: expected a finite loss"):
        made.validation_step(batch(1.0), 0)


@pytest.mark.parametrize("masks", [0, 2])
def test_attention_earns_a_loss_and_every_parameter_a_gradient_with_masks_and_without(
    monkeypatch: pytest.MonkeyPatch, masks: int
) -> None:
    made, given = task(attention=True), batch(1.0)
    monkeypatch.setattr(made, "log", lambda *_, **__: None)
    given["mask"] = torch.full_like(given["pixels"][:, :1], torch.nan)
    given["mask"][:masks] = 0
    given["mask"][:masks, :, 12:20, 12:20] = 1
    torch.manual_seed(0)
    loss = made.training_step(given, 0)
    loss.backward()  # type: ignore[no-untyped-call]
    made.mask_loss = 0.0
    torch.manual_seed(0)
    assert (loss > made.training_step(given, 0)) == (masks > 0)
    assert all(p.grad is not None for p in made.network.parameters())


def test_a_step_in_bfloat16_is_close_to_one_in_full_precision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, given = task(attention=True, intensity="hu_and_relative", dropout=0.0), batch(1.0)
    monkeypatch.setattr(made, "log", lambda *_, **__: None)
    given["pixels"] = given["pixels"].repeat(1, 3, 1, 1)
    given["mask"] = (given["pixels"][:, :1] > 0.9).float()
    torch.manual_seed(0)
    full = made.training_step(given, 0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.manual_seed(0)
        half = made.training_step(given, 0)
    half.backward()  # type: ignore[no-untyped-call]
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, full, atol=0.05, rtol=0.05)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in made.network.parameters())


@pytest.mark.parametrize(("elsewhere", "logged"), [(0.0, 0), (3.0, 2)])
def test_a_device_that_saw_one_class_computes_auroc_if_another_saw_the_other(
    monkeypatch: pytest.MonkeyPatch, elsewhere: float, logged: int
) -> None:
    made, names = task(), []
    monkeypatch.setattr(made, "log", lambda name, *_, **__: names.append(name))
    monkeypatch.setattr(
        made, "all_gather", lambda mine: torch.stack([mine, torch.tensor([elsewhere, 5.0])])
    )
    for metric in (made.finding_auroc, made.concern_auroc):
        monkeypatch.setattr(metric, "compute", lambda: torch.tensor(0.5))
        metric.update(torch.rand(4), torch.zeros(4, dtype=torch.int))
    made.on_validation_epoch_end()
    assert len(names) == logged


def test_broken_weights_are_not_written(manifest: Path, tmp_path: Path) -> None:
    made = task()
    with torch.no_grad():
        made.network.heads.get_parameter("0.weight").fill_(torch.inf)
    weights = tmp_path / "model.safetensors"
    with pytest.raises(ModelError, match=r"expected finite weights.*heads\.0\.weight"):
        write_model(made, LesionData(manifest), weights)
    assert list(tmp_path.iterdir()) == []


def test_the_card_says_who_was_trained_on_and_what_is_known(manifest: Path, tmp_path: Path) -> None:
    made, data = task(), LesionData(manifest, fold=1)
    data.spec = made.network.spec
    data.setup("fit")
    file = write_model(made, data, tmp_path / "model.safetensors")
    _, train, held = data.rows()
    assert set(file.card["patients"]) == set(train["patient_key"])
    assert not set(file.card["patients"]) & set(held["patient_key"])
    assert file.card["patterns"] == ["diffuse"]
    assert file.card["patch"] == {"planes": 3, "size": 32, "intensity": "plane_minmax"}
    assert file.card["training_data"]["rows"] == len(train)
    assert file.card["training_data"]["calcified"] == (train["finding"] == 1).sum()


@pytest.mark.parametrize("network", [{"plane": 3}, {"planes": 4}])
def test_a_network_that_cannot_be_is_the_users_mistake(network: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="expected"):
        LesionTask(network=network, imagenet=False)


def test_the_encoder_learns_more_slowly_and_nothing_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = task()
    made.trainer = pl.Trainer(logger=False, enable_checkpointing=False, accelerator="cpu")
    monkeypatch.setattr("calcilens.training.task.total_steps", lambda _: 10)
    configured: Any = made.configure_optimizers()
    optimizer = configured["optimizer"]
    encoder, others = (group["max_lr"] for group in optimizer.param_groups)
    assert encoder == pytest.approx(0.3 * others)
    count = sum(len(group["params"]) for group in optimizer.param_groups)
    assert count == len(list(made.network.parameters()))
