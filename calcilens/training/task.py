"""What Lightning trains: a network, its losses, its optimiser and the figures on the way."""

from __future__ import annotations

import math
from typing import Any, Literal

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import OneCycleLR
from torchmetrics.classification import BinaryAUROC

from calcilens.errors import InputError, UsageError, compose
from calcilens.models.classifier import LesionClassifier
from calcilens.models.pretrained import load_imagenet
from calcilens.models.profile import Profile
from calcilens.training.datamodule import LesionData
from calcilens.training.losses import attention_loss, lesion_loss
from calcilens.training.samples import spread

Batch = dict[str, Tensor]
INPUTS = ("pixels", "box", "extent_mm")
PROFILE_SAMPLE = 1024
"""Lesions that the profile is standardised by."""


class LesionTask(pl.LightningModule):
    """Train a `LesionClassifier`.

    Args:
        modality: What the model is for; goes onto its card.
        network: Keyword arguments of `LesionClassifier`.
        imagenet: Start the encoder from ImageNet weights (extra `pretrained`).
        lr: Highest learning rate of what starts from scratch.
        encoder_lr: The same for the encoder, as a share of `lr`.
        weight_decay: Of AdamW.
        warmup: Share of the steps over which the rate grows.
        side_loss: Weight of the losses that each branch earns alone, so that neither leans on
            the other.
        mask_loss: Weight of the loss that holds attention against the masks of the mineral.
    """

    def __init__(
        self,
        modality: Literal["CT", "radiograph"] = "CT",
        network: dict[str, Any] | None = None,
        *,
        imagenet: bool = True,
        lr: float = 1e-3,
        encoder_lr: float = 0.3,
        weight_decay: float = 0.05,
        warmup: float = 0.2,
        side_loss: float = 0.4,
        mask_loss: float = 1.0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.network = _network(network or {})
        if imagenet:
            load_imagenet(self.network.encoder)
        self.network.to(memory_format=torch.channels_last)
        self.lr, self.encoder_lr = lr, encoder_lr
        self.side_loss, self.mask_loss = side_loss, mask_loss
        self.weight_decay, self.warmup = weight_decay, warmup
        self._cycle: OneCycleLR | None = None
        self.finding_auroc, self.concern_auroc = BinaryAUROC(), BinaryAUROC()

    def on_fit_start(self) -> None:
        """Standardise the profile by a sample of the training set, not augmented."""
        data = getattr(self.trainer, "datamodule", None)
        if isinstance(data, LesionData):
            profile = self.network.profile
            profile.standardise_by(profile_features(profile, data))

    def on_train_start(self) -> None:
        """Refuse to resume with another number of steps: the learning rate follows one cycle.

        Raises:
            UsageError: The run that is resumed was planned for fewer or more steps.
        """
        now = total_steps(self.trainer)
        planned = self._cycle.total_steps if self._cycle else now
        if planned != now:
            raise UsageError(
                compose(
                    f"the {planned} steps that the run was planned for",
                    f"{now}",
                    where="--ckpt_path",
                    fix="resume with the same epochs, batch size and devices, or start anew",
                )
            )

    def on_train_batch_start(self, batch: Batch, index: int) -> None:
        """Seed dropout batch by batch, so that a resumed run equals an uninterrupted one.

        An epoch's seed would not do: Lightning draws from it, or not, on the way to a batch.
        """
        place = [self.seed, self.current_epoch, index, self.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))

    @property
    def seed(self) -> int:
        """Seed of the data module."""
        data = getattr(self.trainer, "datamodule", None)
        return int(getattr(data, "seed", 0))

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Return the loss of the whole, of each branch alone and of attention."""
        branches = self.network.branches(batch["pixels"], batch["box"], batch["extent_mm"])
        both, *sides = (lesion_loss(answer, batch) for answer in self.network.answers(branches))
        parts = {"loss": both}
        total: Tensor = both + self.side_loss * sum(sides)
        if branches.attention is not None:
            parts["mask_loss"] = attention_loss(branches.attention, branches.window, batch)
            total = total + self.mask_loss * parts["mask_loss"]
        self._log_parts(parts, len(batch["box"]))
        require_finite(total, f"training, step {self.global_step}")
        return total

    def _log_parts(self, parts: dict[str, Tensor], count: int) -> None:
        for name, value in parts.items():
            self.log(
                f"train/{name}",
                value.detach(),
                prog_bar=True,
                on_step=False,
                on_epoch=True,
                sync_dist=True,
                batch_size=count,
            )

    def _figures(self) -> list[tuple[str, BinaryAUROC]]:
        return [("finding", self.finding_auroc), ("concern", self.concern_auroc)]

    def validation_step(self, batch: Batch, index: int) -> None:
        """Collect loss and AUROC against the readers' opinion, undecided ones left out."""
        output = self.network(batch["pixels"], batch["box"], batch["extent_mm"])
        loss = lesion_loss(output, batch)
        require_finite(loss, f"validation, epoch {self.current_epoch}")
        self.log("val/loss", loss, on_epoch=True, sync_dist=True, batch_size=len(batch["box"]))
        for name, metric in self._figures():
            target = batch[name]
            decided = torch.isfinite(target) & (target != 0.5)
            metric.update(getattr(output, name)[decided], (target[decided] > 0.5).int())

    def on_validation_epoch_end(self) -> None:
        """Log AUROC where both classes were there, on whichever device."""
        for name, metric in self._figures():
            positive = torch.cat([torch.zeros(0, device=self.device), *metric.target])
            counts = torch.stack([positive.sum(), (1 - positive).sum()])
            everywhere = torch.as_tensor(self.all_gather(counts)).reshape(-1, 2)
            if (everywhere.sum(0) > 0).all():
                # All devices must take this branch or none: computing waits for the others.
                self.log(f"val/{name}_auroc", metric.compute(), prog_bar=True, sync_dist=True)
            metric.reset()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW with one cycle; the pretrained encoder learns more slowly."""
        encoder = list(self.network.encoder.parameters())
        inside = {id(p) for p in encoder}
        others = [p for p in self.parameters() if id(p) not in inside]
        rates = [self.lr * self.encoder_lr, self.lr]
        groups = [{"params": p, "lr": r} for p, r in zip((encoder, others), rates, strict=True)]
        optimizer: Optimizer = AdamW(groups, weight_decay=self.weight_decay)
        steps = total_steps(self.trainer)
        self._cycle = OneCycleLR(optimizer, rates, total_steps=steps, pct_start=self.warmup)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self._cycle, "interval": "step"},
        }


def profile_features(profile: Profile, data: LesionData) -> Tensor:
    """Return raw features (N, width) of a sample of the training set, not augmented.

    One lesion at a time: the patches of large lesions would make all others as large.
    """
    rows = spread(len(data.train), PROFILE_SAMPLE)
    device = profile.centre.device
    samples = (data.train.plain(int(row)) for row in rows)
    inputs = ([sample[name][None].to(device) for name in INPUTS] for sample in samples)
    with torch.no_grad():
        return torch.cat([profile.raw(*three) for three in inputs])


def _network(arguments: dict[str, Any]) -> LesionClassifier:
    try:
        return LesionClassifier(**arguments)
    except TypeError as error:
        raise UsageError(
            compose("arguments of LesionClassifier", str(error), where="--model.network")
        ) from error


def total_steps(trainer: pl.Trainer) -> int:
    steps = trainer.estimated_stepping_batches
    if not math.isfinite(steps):
        raise UsageError(compose("a number of epochs", "none", where="--trainer.max_epochs"))
    return max(int(steps), 2)


def require_finite(loss: Tensor, when: str) -> None:
    if not torch.isfinite(loss):
        raise InputError(
            compose(
                "a finite loss",
                str(loss.item()),
                where=when,
                fix="a lower --model.lr may help; the last checkpoint is kept",
            )
        )
