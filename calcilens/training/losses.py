"""One loss over three heads; what has no label teaches nothing."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from calcilens.models import views
from calcilens.models.classifier import PatternOutput

FINE = 2
"""Points along a cell of the attention map at which the mask is looked up."""


def lesion_loss(output: PatternOutput, targets: Mapping[str, Tensor]) -> Tensor:
    """Sum the masked losses of finding, concern and pattern.

    Args:
        output: Logits.
        targets: finding, concern (B,), NaN where unlabelled; pattern (B, 18), all 0 where
            unlabelled; weight (B,) of the other two, pattern_weight (B,).

    Returns:
        Scalar; 0 with a gradient of 0 where nothing is labelled.
    """
    weight = targets["weight"]
    finding = _masked_bce(output.finding, targets["finding"], weight)
    concern = _masked_bce(output.concern, targets["concern"], weight)
    pattern = -(targets["pattern"] * output.pattern.log_softmax(1)).sum(1)
    labelled = targets["pattern"].sum(1) > 0
    return finding + concern + _masked_mean(pattern * targets["pattern_weight"], labelled)


def attention_loss(logits: Tensor, window: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
    """Hold the attention map against the mask of the mineral: cross-entropy and Dice.

    The map is to be the root of the share of mineral in each cell: it ranks cells as the share
    does, and a speck still stands out. Where nothing is calcified the map is to stay dark.

    Args:
        logits: (B, 1, h, h) of the map.
        window: (B, 4) that the map covers, patch pixels.
        targets: mask (B, 1, S, S), NaN where it is not known; finding (B,), NaN where it is not.

    Returns:
        Scalar; 0 with a gradient of 0 where no row has either.
    """
    mask, absent = targets["mask"], targets["finding"] == 0
    seen = views.sample(mask.nan_to_num(), window, FINE * logits.shape[-1])
    wanted = F.avg_pool2d(seen, FINE).clamp(0, 1).sqrt()
    logits = logits.float()
    bce = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").mean((1, 2, 3))
    found = logits.sigmoid()
    both = found.square().sum((1, 2, 3)) + wanted.square().sum((1, 2, 3))
    dice = 1 - 2 * (found * wanted).sum((1, 2, 3)) / both.clamp(min=1e-6)
    masked = mask[:, 0, 0, 0].isfinite()  # a mask is known as a whole or not at all
    present = wanted.flatten(1).any(1)
    return _masked_mean(bce, masked | absent) + _masked_mean(dice, masked & present)


def _masked_bce(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    known = torch.isfinite(target)
    loss = F.binary_cross_entropy_with_logits(logits, target.nan_to_num(), reduction="none")
    return _masked_mean(loss * weight, known)


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum() / mask.sum().clamp(min=1)
