"""Several classifiers of one shape that answer as one, calibrated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from calcilens.models.classifier import LesionClassifier, PatternOutput
from calcilens.vocabulary import PATTERN_KEYS

SHRINKAGE = 0.2
"""Of the profile's covariance towards independence: its order statistics are nearly collinear."""
USUAL_SHARE = 0.95
"""Share of known lesions that count as usual; what lies further out is out of domain."""


class Prediction(NamedTuple):
    """Calibrated probabilities."""

    finding: Tensor
    """(B,)"""
    pattern: Tensor
    """(B, 18), given a calcification; sums to one over the patterns that the model knows;
    all 0 where it knows none."""
    concern: Tensor
    """(B,)"""
    out_of_domain: Tensor
    """(B,) squared Mahalanobis distance of the profile from the training set, a feature."""


class Ensemble(nn.Module):
    """Members with their own calibration; their calibrated log-odds are averaged.

    All state that a prediction depends on is a buffer, so that it travels with the weights.

    Args:
        network: Keyword arguments of `LesionClassifier`.
        members: How many.
        known: Patterns that the training data carried; others get probability 0.
    """

    slope: Tensor
    offset: Tensor
    known: Tensor
    usual: Tensor
    precision: Tensor

    def __init__(
        self, network: Mapping[str, Any], members: int = 1, known: Sequence[str] = PATTERN_KEYS
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(LesionClassifier(**network) for _ in range(members))
        self.register_buffer("slope", torch.ones(members, 2))
        self.register_buffer("offset", torch.zeros(members, 2))
        self.register_buffer("known", torch.tensor([key in known for key in PATTERN_KEYS]))
        width = self.first.profile.width
        self.register_buffer("usual", torch.zeros(width))
        self.register_buffer("precision", torch.eye(width))

    @torch.no_grad()
    def learn_usual(self, features: Tensor) -> float:
        """Learn what is usual from raw profile features (N, width) of the training set.

        Returns:
            The distance that 95 of 100 of them stay within.
        """
        z = self.first.profile.standardised(features)
        self.usual.copy_(z.mean(0))
        width = z.shape[1]
        covariance = (1 - SHRINKAGE) * torch.cov(z.T) + SHRINKAGE * torch.eye(width)
        self.precision.copy_(torch.linalg.inv(covariance))
        return float(self._distance(features).quantile(USUAL_SHARE))

    def _distance(self, features: Tensor) -> Tensor:
        """Return (N,): squared Mahalanobis distance from the usual, a feature."""
        off = self.first.profile.standardised(features) - self.usual
        return ((off @ self.precision) * off).mean(1)

    @property
    def first(self) -> LesionClassifier:
        """A member; all have the same specification and windows."""
        member = self.members[0]
        if not isinstance(member, LesionClassifier):
            raise TypeError(f"expected a LesionClassifier, found {type(member).__name__}")
        return member

    def forward(
        self,
        pixels: Tensor,
        box: Tensor,
        extent_mm: Tensor,
        trusted: Tensor | None = None,
    ) -> PatternOutput:
        """Return calibrated log-odds, averaged over members.

        Args:
            pixels: (B, P, S, S), as for `LesionClassifier.forward`.
            box: (B, 4).
            extent_mm: (B, 3).
            trusted: (B, members) bool: which members answer for which lesion; by default all.
                A lesion without any gets NaN.
        """
        rows = [self._member(i, pixels, box, extent_mm) for i in range(len(self.members))]
        stacked = torch.stack(rows, 1)
        if trusted is None:
            mean = stacked.mean(1)
        else:
            weight = trusted.to(stacked.dtype)[:, :, None]
            mean = (stacked * weight).sum(1) / weight.sum(1)
        return PatternOutput(mean[:, 0], mean[:, 2:], mean[:, 1])

    def _member(self, index: int, pixels: Tensor, box: Tensor, extent_mm: Tensor) -> Tensor:
        raw = self.members[index](pixels, box, extent_mm)
        two = torch.stack([raw.finding, raw.concern], 1) * self.slope[index] + self.offset[index]
        return torch.cat([two, raw.pattern.log_softmax(1)], 1)

    def predict(
        self,
        pixels: Tensor,
        box: Tensor,
        extent_mm: Tensor,
        trusted: Tensor | None = None,
    ) -> Prediction:
        """Return calibrated probabilities; arguments as for `forward`."""
        with torch.inference_mode():
            logits = self(pixels, box, extent_mm, trusted)
            masked = logits.pattern.masked_fill(~self.known, -torch.inf)
            pattern = torch.where(self.known, masked.softmax(1), 0.0)  # none known: all 0
            unusual = self._distance(self.first.profile.raw(pixels, box, extent_mm))
        return Prediction(logits.finding.sigmoid(), pattern, logits.concern.sigmoid(), unusual)
