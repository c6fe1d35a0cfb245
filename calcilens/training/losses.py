"""One loss over three heads; what has no label teaches nothing."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from calcilens.models.classifier import PatternOutput


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


def _masked_bce(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    known = torch.isfinite(target)
    loss = F.binary_cross_entropy_with_logits(logits, target.nan_to_num(), reduction="none")
    return _masked_mean(loss * weight, known)


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum() / mask.sum().clamp(min=1)
