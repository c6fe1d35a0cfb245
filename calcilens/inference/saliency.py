"""Where a model looked: HiResCAM, put back into the image's grid, with a test of its worth.

HiResCAM (Draelos and Carin 2020, arXiv:2011.08891) is the member of the Grad-CAM family that
multiplies features and gradients place by place, so that a place without influence on the
answer stays dark. The test is weight randomisation (Adebayo et al., NeurIPS 2018): a map that
looks the same for a network with shuffled weights tells nothing about the trained one.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from captum.attr import LayerGradientXActivation
from monai.metrics.regression import SSIMMetric
from numpy.typing import NDArray
from torch import Tensor, nn

from calcilens.inference.lesions import SaliencyMap
from calcilens.inference.predictor import PatchInput
from calcilens.models import views

METHOD = "HiResCAM of the image encoder, for 'calcified'"
TRUSTED = 0.5
"""Least trust of a map that is shown."""
VISIBLE = 0.1
"""Share of its maximum from which a map can be seen."""
_SSIM_SIZE, _SEED = 48, 0


class _Tapped(nn.Module):
    """A network whose encoder outputs pass through modules that captum can watch.

    The encoder is one module that looks through several windows, one call each; captum
    watches modules. Tap i stands for call i.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        self.taps = nn.ModuleList()

    def forward(self, pixels: Tensor, box: Tensor, extent_mm: Tensor) -> Tensor:
        calls = iter(self.taps)
        handle = self.network.encoder.register_forward_hook(lambda m, i, out: next(calls)(out))
        try:
            finding: Tensor = self.network(pixels, box, extent_mm).finding
            return finding
        finally:
            handle.remove()


class Explainer:
    """Makes saliency maps of one network.

    Args:
        network: A classifier with `encoder` and `windows` (see models.classifier), or an
            ensemble with such `members`.
    """

    def __init__(self, network: nn.Module) -> None:
        self._trained = _members(network)
        self._shuffled = _shuffled(self._trained[0])

    def explain(self, given: PatchInput) -> SaliencyMap:
        """Make the map of one lesion and test it."""
        maps = [cam(member, given) for member in self._trained]
        control = cam(self._shuffled, given)
        trust = 1 - max(0.0, likeness(maps[0], control))
        total = np.mean([_positive(m) for m in maps], axis=0).astype(np.float32)
        values = _positive(total)
        why = None
        if not values.any():
            why = "no place in the patch speaks for 'calcified'"
        elif trust < TRUSTED:
            why = (
                f"a network with shuffled weights gives nearly the same map "
                f"(trust {trust:.2f}, at least {TRUSTED} needed)"
            )
        return SaliencyMap(values, given.location, METHOD, trust, why is None, why)


def cam(network: Any, given: PatchInput) -> NDArray[np.float32]:
    """Return the influence of every patch pixel (S, S) on the finding, signed, per pixel.

    What a window's features contribute is spread over the pixels that the window covers, so
    that maps of several windows add up.
    """
    windows = network.windows(given.box, given.extent_mm)
    tapped = _Tapped(network)
    tapped.taps.extend(nn.Identity() for _ in windows)
    watch = LayerGradientXActivation(tapped, list(tapped.taps))
    with torch.enable_grad():
        pixels = given.pixels.clone().requires_grad_()
        parts = watch.attribute((pixels, given.box, given.extent_mm))
    size = given.pixels.shape[-1]
    total = torch.zeros(size, size)
    for part, window in zip(parts, windows, strict=True):
        part = part.detach().sum(1, keepdim=True)
        area = (window[:, 2:] - window[:, :2]).prod() / part[0, 0].numel()
        total += views.put_back(part, window, size)[0, 0] / area
    return total.numpy()


def likeness(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return the structural similarity of two maps (S, S); -1..1.

    Only the rows and columns count where one of them can be seen: far-off darkness, which any
    two maps share, would make all alike.
    """
    pair = np.stack([_positive(m) for m in (a, b)])
    visible = np.asarray((pair > VISIBLE).any(0))
    rows, cols = (np.flatnonzero(visible.any(axis)) for axis in (1, 0))
    if not len(rows):
        return 1.0
    part = slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
    small = nn.functional.interpolate(
        torch.from_numpy(pair[:, None, *part]), size=(_SSIM_SIZE, _SSIM_SIZE), mode="bilinear"
    )
    ssim = SSIMMetric(spatial_dims=2, data_range=1.0)
    return float(ssim(small[:1], small[1:]).mean())


def _positive(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Keep what speaks for the finding and scale it to 0..1."""
    kept = np.maximum(values, 0)
    top = kept.max()
    return kept / top if top > 0 else kept


def _members(network: nn.Module) -> list[nn.Module]:
    members = getattr(network, "members", None)
    return [network] if members is None else list(members)


def _shuffled(network: nn.Module) -> nn.Module:
    """Return a copy with the numbers of every weight tensor in random order."""
    copied = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(_SEED)
    with torch.no_grad():
        for weight in _weights(copied):
            order = torch.randperm(weight.numel(), generator=generator)
            weight.copy_(weight.flatten()[order].view_as(weight))
    return copied


def _weights(network: nn.Module) -> Iterator[Tensor]:
    yield from network.parameters()
