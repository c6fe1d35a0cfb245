"""What a picture is judged real or simulated by: a network's features, edges, grain, brightness."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from calcilens.models.encoder import Encoder
from calcilens.models.pretrained import load_imagenet

Float = NDArray[np.float64]
LEVELS = (1, 5, 10, 25, 50, 75, 90, 95, 99)
BANDS = (0.04, 0.08, 0.12, 0.16, 0.2, 0.25, 0.3, 0.36, 0.43, 0.5)
"""Spatial frequencies, cycles a pixel."""
EDGE_PX = (1.0, 3.0)
_BATCH = 32
_LEAST_PX = 128
FAMILIES = ("network", "edges", "spectrum", "brightness")


def features(pixels: NDArray[np.float32]) -> dict[str, Float]:
    """Return the features of pictures (N, S, S) in 0..1, a table (N, width) a family."""
    return {
        "network": network(pixels),
        "edges": np.concatenate([_edges(pixels, scale) for scale in EDGE_PX], 1),
        "spectrum": _spectrum(pixels),
        "brightness": np.percentile(pixels, LEVELS, axis=(1, 2)).T,
    }


def names() -> dict[str, list[str]]:
    """Return the names of the features of each family that has names."""
    return {
        "edges": [f"gradient over {px:g} px, percentile {q}" for px in EDGE_PX for q in LEVELS],
        "spectrum": [f"power at {low:g} to {high:g} cycles/px" for low, high in pairwise(BANDS)],
        "brightness": [f"brightness, percentile {q}" for q in LEVELS],
    }


@torch.no_grad()
def network(pixels: NDArray[np.float32]) -> Float:
    """Return the mean activations of an encoder trained on photographs, all its stages."""
    encoder = Encoder(planes=1)
    load_imagenet(encoder)
    encoder.mix.weight.fill_(1.0)
    encoder.eval()
    rows = []
    for batch in torch.split(torch.from_numpy(pixels)[:, None], _BATCH):
        if batch.shape[-1] < _LEAST_PX:
            batch = torch.nn.functional.interpolate(batch, (_LEAST_PX, _LEAST_PX), mode="bilinear")
        rows.append(torch.cat([stage.mean((2, 3)) for stage in encoder.stages(batch)], 1))
    return torch.cat(rows).double().numpy()


def _edges(pixels: NDArray[np.float32], scale_px: float) -> Float:
    slope = [ndimage.gaussian_gradient_magnitude(picture, scale_px) for picture in pixels]
    return np.asarray(np.percentile(slope, LEVELS, axis=(1, 2)).T)


def _spectrum(pixels: NDArray[np.float32]) -> Float:
    """Return the logarithm of the power in rings of the spectrum."""
    side = pixels.shape[-1]
    taper = np.hanning(side)
    centred = pixels - pixels.mean((1, 2), keepdims=True)
    power = np.abs(np.fft.fft2(centred * taper * taper[:, None])) ** 2
    at = np.fft.fftfreq(side)
    radius = np.hypot(at[:, None], at[None])
    rings = [(radius >= low) & (radius < high) for low, high in pairwise(BANDS)]
    return np.stack([np.log(power[:, ring].mean(1) + 1e-6) for ring in rings], 1)
