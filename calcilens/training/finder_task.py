"""What Lightning trains of a finder: the network, its loss, its optimiser."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR
from torchmetrics.classification import BinaryAveragePrecision

from calcilens.models.finder import Finder
from calcilens.models.finder_file import load_finder
from calcilens.models.loading import load_model
from calcilens.models.pretrained import load_imagenet
from calcilens.models.registry import FINDS, find
from calcilens.training.finder_loss import cells, finder_loss
from calcilens.training.task import require_finite, total_steps

Batch = dict[str, Tensor]


class FinderTask(pl.LightningModule):
    """Train a `Finder`.

    Args:
        width: Channels where its scales meet.
        start: What goes on learning: a finder, by name or path; the encoder of a classifier, by
            name or path, or of `imagenet` (extra `pretrained`); or `nothing`.
        frozen: Stages of the encoder, finest first, that stay as they start: a classifier of
            lesions has taught them enough, and they take half of the time. 0 for none.
        lr: Highest learning rate of what starts from scratch.
        encoder_lr: The same for the encoder, as a share of `lr`.
        weight_decay: Of AdamW.
        warmup: Share of the steps over which the rate grows.
    """

    def __init__(
        self,
        width: int = 48,
        start: str = "imagenet",
        *,
        frozen: int = 0,
        lr: float = 2e-3,
        encoder_lr: float = 0.3,
        weight_decay: float = 0.02,
        warmup: float = 0.15,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.network = Finder(width)
        _start(self.network, start)
        self.network.to(memory_format=torch.channels_last)
        self.kept = _kept(self.network, frozen)
        self.lr, self.encoder_lr = lr, encoder_lr
        self.weight_decay, self.warmup = weight_decay, warmup
        self.precision_of_cells = BinaryAveragePrecision(thresholds=200)

    def on_train_batch_start(self, batch: Batch, index: int) -> None:
        """Seed what is random in the network, so that a resumed run equals an uninterrupted one."""
        for module in self.kept:
            module.eval()  # statistics of the batch must not change what is kept
        place = [self.current_epoch, index, self.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Return the loss of a batch of crops."""
        loss = finder_loss(self.network(batch["film"]), batch["mask"])
        self._log("train/loss", loss.detach(), len(batch["mask"]))
        require_finite(loss, f"training, step {self.global_step}")
        return loss

    def validation_step(self, batch: Batch, index: int) -> None:
        """Collect the loss, and the average precision of cells."""
        logits = self.network(batch["film"])
        self._log("val/loss", finder_loss(logits, batch["mask"]), len(batch["mask"]))
        lesion, clear = cells(batch["mask"])
        known = lesion | clear
        self.precision_of_cells.update(logits[known].sigmoid(), lesion[known].int())
        self.log("val/cell_ap", self.precision_of_cells, on_epoch=True, prog_bar=True)

    def _log(self, name: str, value: Tensor, count: int) -> None:
        options: dict[str, Any] = {"prog_bar": True, "sync_dist": True, "batch_size": count}
        self.log(name, value, on_step=False, on_epoch=True, **options)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW with one cycle; the encoder, which has learned before, learns more slowly."""
        encoder = [p for p in self.network.encoder.parameters() if p.requires_grad]
        inside = {id(p) for p in self.network.encoder.parameters()}
        others = [p for p in self.parameters() if id(p) not in inside]
        rates = [self.lr * self.encoder_lr, self.lr]
        groups = [{"params": p, "lr": r} for p, r in zip((encoder, others), rates, strict=True)]
        optimizer = AdamW(groups, weight_decay=self.weight_decay)
        steps = total_steps(self.trainer)
        cycle = OneCycleLR(optimizer, rates, total_steps=steps, pct_start=self.warmup)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}


def _kept(network: Finder, stages: int) -> list[nn.Module]:
    """Return the parts of the encoder that do not learn, and keep them from it."""
    encoder = network.encoder
    parts = [encoder.mix, encoder._conv_stem, encoder._bn0, *encoder._blocks[:stages]]
    kept: list[nn.Module] = parts if stages else []
    for module in kept:
        module.requires_grad_(False)
    return kept


def _start(network: Finder, start: str) -> None:
    """Give a network what another one has learned.

    Of a classifier that is the encoder; how channels are mixed is the finder's own.
    """
    if start == "nothing":
        return
    if start == "imagenet":
        load_imagenet(network.encoder)
        return
    if find(start).card.get("task") == FINDS:
        network.load_state_dict(load_finder(start).network.state_dict())
        return
    taught = load_model(start).network.first.encoder.state_dict()
    kept = {k: v for k, v in taught.items() if not k.startswith("mix.")}
    network.encoder.load_state_dict(network.encoder.state_dict() | kept)
