"""How a picture is made, whatever it shows: how fast brightness changes, and how it is spread.

A film, a photograph, an MR image and a drawing differ in their texture more than in what an
encoder trained on films alone makes of them.
"""

from __future__ import annotations

import torch
from torch import Tensor

STEPS = (1, 2, 4, 8, 16)
"""Distances, pixels, over which brightness is compared."""
_CHANGE = (0.5, 0.9, 0.99)
_CURVATURE = (0.25, 0.5, 0.9, 0.99)
_BRIGHTNESS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
TEXTURES = 2 * len(STEPS) * (len(_CHANGE) + 1) + len(_CURVATURE) + len(_BRIGHTNESS) + 2
_LEAST = 1e-3
"""Difference, or share of a picture, that is not told from none."""


def texture(picture: Tensor) -> Tensor:
    """Describe the texture of pictures.

    Args:
        picture: (B, S, S) in 0..1; on smaller ones than the longest of `STEPS` that is S - 1.

    Returns:
        (B, TEXTURES): logs of quantiles and means of differences along both axes at several
        distances, of quantiles of the Laplacian, quantiles of brightness, logs of the shares of
        pixels at the lowest and at the highest value.
    """
    found = []
    for step in (min(step, picture.shape[-1] - 1) for step in STEPS):
        down = picture[:, step:] - picture[:, :-step]
        across = picture[..., step:] - picture[..., :-step]
        for change in (down.abs().flatten(1), across.abs().flatten(1)):
            found += [_log(_quantiles(change, _CHANGE)), _log(change.mean(1, keepdim=True))]
    inner = picture[:, 1:-1, 1:-1]
    beside = picture[:, :-2, 1:-1] + picture[:, 2:, 1:-1]
    beside = beside + picture[:, 1:-1, :-2] + picture[:, 1:-1, 2:]
    found.append(_log(_quantiles((4 * inner - beside).abs().flatten(1), _CURVATURE)))
    flat = picture.flatten(1)
    found.append(_quantiles(flat, _BRIGHTNESS))
    low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
    for extreme in (flat <= low + _LEAST, flat >= high - _LEAST):
        found.append(_log(extreme.float().mean(1, keepdim=True)))
    return torch.cat(found, 1)


def _quantiles(values: Tensor, shares: tuple[float, ...]) -> Tensor:
    """Return quantiles (B, len(shares)) of values (B, N), of which torch.quantile takes few."""
    ordered, last = values.sort(1).values, values.shape[1] - 1
    return ordered[:, [round(share * last) for share in shares]]


def _log(values: Tensor) -> Tensor:
    return torch.log(values + _LEAST)
