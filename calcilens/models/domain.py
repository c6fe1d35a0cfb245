"""Is a lesion like those that a model was taught on? State only, learnt in training.

Two distances answer: of the order statistics of brightness, and of what the encoder of the first
member sees. Each is a squared Mahalanobis distance from the training set (Lee et al., NeurIPS
2018), taken apart for inputs in HU and others, and divided by what few held-out lesions exceed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Usual(nn.Module):
    """Mean and precision of features, for every kind of input.

    Args:
        kinds: 2 for networks whose input may be in HU or not, else 1.
        width: Number of features.
    """

    mean: Tensor
    precision: Tensor

    def __init__(self, kinds: int, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(kinds, width))
        self.register_buffer("precision", torch.eye(width).repeat(kinds, 1, 1))

    def forward(self, features: Tensor, kind: Tensor) -> Tensor:
        """Return (B,): squared Mahalanobis distance from the mean, a feature.

        Args:
            features: (B, width).
            kind: (B,) kind of each input.
        """
        found = torch.zeros(len(features), device=features.device)
        for k, (mean, precision) in enumerate(zip(self.mean, self.precision, strict=True)):
            off = features - mean
            found = torch.where(kind == k, ((off @ precision) * off).mean(1), found)
        return found


class Domain(nn.Module):
    """What is usual, and how far from it is too far.

    Args:
        kinds: 2 for networks whose input may be in HU or not, else 1.
        profile: Number of order statistics.
        pooled: Number of features of the encoder.
    """

    scale: Tensor
    limit: Tensor

    def __init__(self, kinds: int, profile: int, pooled: int) -> None:
        super().__init__()
        self.profile, self.pooled = Usual(kinds, profile), Usual(kinds, pooled)
        self.register_buffer("scale", torch.ones(kinds, 2))
        self.register_buffer("limit", torch.tensor(torch.inf))

    def distances(self, profile: Tensor, pooled: Tensor, kind: Tensor) -> Tensor:
        """Return both distances (B, 2), 1 being as far as few held-out lesions are.

        Args:
            profile: (B, W) standardised order statistics.
            pooled: (B, F) features of the encoder.
            kind: (B,) kind of each input.
        """
        both = torch.stack([self.profile(profile, kind), self.pooled(pooled, kind)], 1)
        return both / self.scale[kind]
