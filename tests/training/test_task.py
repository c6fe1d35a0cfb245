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


def task() -> LesionTask:
    torch.manual_seed(0)
    return LesionTask(network=SMALL, imagenet=False)


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
    monkeypatch.setattr("calcilens.training.task._steps", lambda _: 10)
    configured: Any = made.configure_optimizers()
    optimizer = configured["optimizer"]
    encoder, others = (group["max_lr"] for group in optimizer.param_groups)
    assert encoder == pytest.approx(0.3 * others)
    count = sum(len(group["params"]) for group in optimizer.param_groups)
    assert count == len(list(made.network.parameters()))
