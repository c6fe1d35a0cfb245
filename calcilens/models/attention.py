"""Where the mineral is, finer than the encoder's last stage; what is there feeds the heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from calcilens.models.encoder import WIDTHS


class Attended(NamedTuple):
    """What attention found in a view."""

    logits: Tensor
    """(B, 1, h / 2, w / 2): of the share of mineral in each cell; see `training.losses`."""
    features: Tensor
    """(B, width): what lies where the map is bright, and how much of the view that is."""


class Attention(nn.Module):
    """A map over the encoder's stages at 1/2 to 1/16, and the features that it picks.

    The stages meet at the finest grid, as in a feature pyramid (Lin et al., CVPR 2017). The map
    weighs the features that the heads get, so that it is part of the answer and not beside it.
    """

    STAGES = (0, 1, 2, 4)
    CHANNELS = 32
    START = -2.0
    """Logit of the map before training: most of a view holds no mineral."""
    width = 2 * CHANNELS + 1

    def __init__(self) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(WIDTHS[i], self.CHANNELS, 1) for i in self.STAGES)
        self.blend = nn.Conv2d(self.CHANNELS, self.CHANNELS, 3, padding=1)
        self.score = nn.Conv2d(self.CHANNELS, 1, 1)
        nn.init.constant_(self.score.bias, self.START)  # type: ignore[arg-type]

    def forward(self, stages: Sequence[Tensor]) -> Attended:
        """Attend to one view.

        Args:
            stages: What `Encoder.stages` returns for it.
        """
        parts = [conv(stages[i]) for conv, i in zip(self.lateral, self.STAGES, strict=True)]
        shape = parts[0].shape[-2:]
        coarse = [F.interpolate(part, shape, mode="bilinear") for part in parts[1:]]
        features = self.blend((parts[0] + sum(coarse)).relu()).relu()
        logits = self.score(features)
        weight, features = logits.float().sigmoid(), features.float()
        share = weight.mean((2, 3))
        mean = (weight * features).mean((2, 3)) / (share + 1e-3)
        peak = (weight * features).amax((2, 3))
        return Attended(logits, torch.cat([mean, peak, share], 1))
