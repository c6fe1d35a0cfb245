"""Calibration of the members of an ensemble: state only, fitted in training.

A network that reads Hounsfield units where they are known, and brightness relative to the patch
where they are not, is calibrated for each of the two apart.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Calibration(nn.Module):
    """Slope and offset of finding and concern, temperature of the patterns, for every member.

    Finding and concern follow Platt (1999), patterns Guo et al. (ICML 2017). Left as they are,
    they change nothing.

    Args:
        kinds: 2 for networks whose input may be in HU or not, else 1.
        members: How many.
    """

    slope: Tensor
    offset: Tensor
    temperature: Tensor

    def __init__(self, kinds: int, members: int) -> None:
        super().__init__()
        self.register_buffer("slope", torch.ones(kinds, members, 2))
        self.register_buffer("offset", torch.zeros(kinds, members, 2))
        self.register_buffer("temperature", torch.ones(kinds, members))

    def forward(self, logits: Tensor, kind: Tensor) -> Tensor:
        """Calibrate.

        Args:
            logits: (B, M, 20) of the members: finding, concern, patterns.
            kind: (B,) kind of each input.

        Returns:
            (B, M, 20): log-odds of finding and concern, log-probabilities of the patterns.
        """
        two = logits[:, :, :2] * self.slope[kind] + self.offset[kind]
        return torch.cat([two, self.patterns(logits, kind)], 2)

    def patterns(self, logits: Tensor, kind: Tensor) -> Tensor:
        """Return the log-probabilities (B, M, 18) of the patterns."""
        return (logits[:, :, 2:] / self.temperature[kind][:, :, None]).log_softmax(2)
