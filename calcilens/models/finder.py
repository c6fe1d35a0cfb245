"""The finder: a whole radiograph in, a heat map of calcification out.

The encoder is the classifier's, so that a finder may start from a classifier that has learned
what mineral looks like. What it found at a quarter, an eighth and a sixteenth of the resolution
meets at a quarter, as in a feature pyramid (Lin et al., CVPR 2017).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from torch import Tensor, nn
from torch.nn import functional as F

from calcilens.errors import ModelError, compose
from calcilens.models.encoder import WIDTHS, Encoder

STRIDE = 4
"""Pixels a side of a cell of the heat map."""
LARGEST_STRIDE = 16
"""Sides of the input are multiples of this."""
CHANNELS = 2
MIXED = (0.3, 1.5)
"""How much each channel counts at the start: local contrast looks most like a lesion's patch."""
_AROUND_PX = 97
"""Side of the surroundings that a pixel is compared with."""
_LEAST_SPREAD = 0.02
_STEADY = 4.0
"""Differences from the surroundings are told apart up to this many standard deviations."""


class Finder(nn.Module):
    """Say where a film is calcified.

    Args:
        width: Channels where the scales meet.

    Example:
        >>> Finder().eval()(torch.rand(1, 2, 64, 96)).shape
        torch.Size([1, 1, 16, 24])
    """

    STAGES = (1, 2, 4)
    START = -3.0
    """Logit of the map before training: most of a film holds no mineral."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.encoder = Encoder(1, CHANNELS)
        with torch.no_grad():
            self.encoder.mix.weight[:, :, 0, 0] = torch.tensor(MIXED)
        self.lateral = nn.ModuleList(nn.Conv2d(WIDTHS[i], width, 1) for i in self.STAGES)
        self.blend = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
        )
        self.score = nn.Conv2d(width, 1, 1)
        nn.init.constant_(self.score.bias, self.START)  # type: ignore[arg-type]

    def forward(self, film: Tensor) -> Tensor:
        """Return logits (B, 1, Y / 4, X / 4).

        Args:
            film: (B, 2, Y, X) as `film_channels` gives them; sides are multiples of 16.
        """
        stages = self.encoder.stages(film)
        parts = [conv(stages[i]) for conv, i in zip(self.lateral, self.STAGES, strict=True)]
        shape = parts[0].shape[-2:]
        coarse = [F.interpolate(p, shape, mode="bilinear", align_corners=False) for p in parts[1:]]
        joined: Tensor = parts[0] + sum(coarse)
        logits: Tensor = self.score(self.blend(joined.relu()))
        return logits


def film_channels(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a film (Y, X) as a finder sees it: (2, Y, X) in 0..1.

    The first channel is brightness between the film's own black and white; the second is
    brightness relative to what lies around, in standard deviations, which no processing of the
    whole film changes much.

    Args:
        pixels: Bright is dense; finite.
    """
    low, high = np.percentile(pixels, (1, 99))
    grey = np.clip((pixels - low) / max(float(high - low), 1e-6), 0, 1).astype(np.float32)
    mean = uniform_filter(grey, _AROUND_PX, mode="nearest")
    power = uniform_filter(grey * grey, _AROUND_PX, mode="nearest")
    spread = np.sqrt(np.maximum(power - mean * mean, 0)) + np.float32(_LEAST_SPREAD)
    off = np.clip((grey - mean) / spread, -_STEADY, _STEADY) / (2 * _STEADY) + 0.5
    return np.stack([grey, off]).astype(np.float32)


def heat_map(network: Finder, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the probability (ceil(Y / 4), ceil(X / 4)) that a film is calcified, cell by cell.

    Args:
        network: In evaluation mode.
        pixels: (Y, X) finite, at the resolution that the network was trained for.

    Raises:
        ModelError: The network gives NaN, which would read as a film without a lesion.
    """
    film = torch.from_numpy(film_channels(pixels))[None]
    height, width = pixels.shape
    margin = (0, -width % LARGEST_STRIDE, 0, -height % LARGEST_STRIDE)
    with torch.inference_mode():
        logits = network(F.pad(film, margin, mode="replicate"))
    cells = logits[0, 0, : -(-height // STRIDE), : -(-width // STRIDE)].sigmoid()
    heat = np.asarray(cells.float().numpy())
    if not np.isfinite(heat).all():
        raise ModelError(compose("a finder that gives numbers", "NaN", fix="train it again"))
    return heat
