"""Maps of where a network looked, and how much they owe to what it learnt.

A network with attention is asked for its attention map, which is part of its answer. Any other
is explained by HiResCAM (Draelos and Carin 2020, arXiv:2011.08891), the member of the Grad-CAM
family that multiplies features and gradients place by place, so that a place without influence
on the answer stays dark. Either is tested by weight randomisation (Adebayo et al., NeurIPS
2018): a map that looks the same for a network with shuffled weights tells nothing about the
trained one.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from calcilens.models import views

ATTENTION = "attention map of the image encoder, taught by masks of the mineral"
HIRESCAM = "HiResCAM of the image encoder, for 'calcified'"
TRUSTED = 0.5
"""Least trust of a map that is shown."""
FAINT = 0.1
"""An attention map that is nowhere brighter sees no mineral."""
VISIBLE = 0.1
"""Share of its maximum from which a map can be seen."""
_SSIM_SIZE, _SEED = 48, 0

Inputs = tuple[Tensor, Tensor, Tensor]
"""Pixels (B, C, S, S), box (B, 4) and extent_mm (B, 3), as for `LesionClassifier.forward`."""


def method_of(network: Any) -> str:
    """Return the name of the method that explains a network."""
    return HIRESCAM if getattr(network, "attention", None) is None else ATTENTION


def saliency(networks: Sequence[Any], inputs: Inputs) -> Tensor:
    """Return one map for the networks together, (B, S, S), at least 0; all 0 where none speaks."""
    return torch.stack([_map(network, inputs) for network in networks]).mean(0)


def _map(network: Any, inputs: Inputs) -> Tensor:
    if method_of(network) == HIRESCAM:
        return positive(cam(network, inputs))
    seen = attention_map(network, inputs)
    return seen * (seen.amax((1, 2), keepdim=True) > FAINT)


def attention_map(network: Any, inputs: Inputs) -> Tensor:
    """Return where a network sees mineral, (B, S, S) in 0..1; 0 outside the lesion's window."""
    with torch.inference_mode():
        found = network.branches(*inputs)
        size = inputs[0].shape[-1]
        return views.put_back(found.attention.sigmoid(), found.window, size)[:, 0]


def cam(network: Any, inputs: Inputs) -> Tensor:
    """Return the influence of every patch pixel (B, S, S) on the finding, signed, per pixel.

    What a window's features contribute is spread over the pixels that the window covers, so
    that maps of several windows add up.

    Args:
        network: With `deepest`, called once for each of its `windows`.
        inputs: Of B lesions.
    """
    pixels, box, extent_mm = inputs
    watched: list[Tensor] = []
    handle = network.deepest.register_forward_hook(lambda *call: watched.append(call[-1]))
    try:
        with torch.enable_grad():
            finding = network(pixels.clone().requires_grad_(), box, extent_mm).finding
            slopes = torch.autograd.grad(finding.sum(), watched)
    finally:
        handle.remove()
    size = pixels.shape[-1]
    total = torch.zeros(len(pixels), size, size, device=pixels.device)
    windows = network.windows(box, extent_mm)
    for features, slope, window in zip(watched, slopes, windows, strict=True):
        part = (features * slope).detach().sum(1, keepdim=True)
        area = (window[:, 2:] - window[:, :2]).prod(1) / part[0, 0].numel()
        total += views.put_back(part, window, size)[:, 0] / area[:, None, None]
    return total


def positive(maps: Tensor) -> Tensor:
    """Keep what speaks for the finding in maps (B, S, S) and scale each to 0..1."""
    kept = maps.clamp(min=0)
    top = kept.amax((1, 2), keepdim=True)
    return kept / torch.where(top > 0, top, 1)


def likeness(first: Tensor, second: Tensor) -> float:
    """Return the structural similarity of two maps (S, S); -1..1.

    Only the rows and columns count where one of them can be seen: far-off darkness, which any
    two maps share, would make all alike.
    """
    pair = positive(torch.stack([first, second]))
    visible = (pair > VISIBLE).any(0)
    rows, cols = (visible.any(axis).nonzero()[:, 0].tolist() for axis in (1, 0))
    if not rows:
        return 1.0
    part = pair[:, None, rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    small = F.interpolate(part, size=(_SSIM_SIZE, _SSIM_SIZE), mode="bilinear")
    return float(_ssim(small[:1], small[1:]))


def _ssim(first: Tensor, second: Tensor) -> Tensor:
    """Return the mean structural similarity of maps (1, 1, S, S) in 0..1.

    Wang et al., IEEE Trans Image Process 2004;13:600: a Gaussian window of 11 pixels with a
    standard deviation of 1.5, K1 0.01 and K2 0.03. Held against MONAI's by a test.
    """
    axis = torch.arange(11.0) - 5
    bell = torch.exp(-((axis / 1.5) ** 2) / 2)
    window = torch.outer(bell, bell)[None, None].to(first) / bell.sum() ** 2

    def mean(values: Tensor) -> Tensor:
        return F.conv2d(values, window)

    a, b = mean(first), mean(second)
    var_a, var_b = mean(first**2) - a**2, mean(second**2) - b**2
    both = mean(first * second) - a * b
    light = (2 * a * b + 1e-4) / (a**2 + b**2 + 1e-4)
    return torch.mean(light * (2 * both + 9e-4) / (var_a + var_b + 9e-4))


def shuffled(network: nn.Module) -> nn.Module:
    """Return a copy with the numbers of every weight tensor in random order."""
    copied = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(_SEED)
    with torch.no_grad():
        for weight in copied.parameters():
            order = torch.randperm(weight.numel(), generator=generator).to(weight.device)
            weight.copy_(weight.flatten()[order].view_as(weight))
    return copied


class Explainer:
    """Explains a network, or the members of an ensemble together.

    Args:
        network: A classifier (see models.classifier), or an ensemble with such `members`.

    Example:
        >>> explainer = Explainer(load_model("lidc-ct").network)  # doctest: +SKIP
        >>> maps = explainer.maps((pixels, box, extent_mm))  # doctest: +SKIP
    """

    def __init__(self, network: nn.Module) -> None:
        members = getattr(network, "members", None)
        self.members: list[Any] = [network] if members is None else list(members)
        self.method = method_of(self.members[0])
        self.stated_trust = float(getattr(network, "saliency_trust", torch.nan))
        self._shuffled = shuffled(self.members[0])

    @property
    def failed(self) -> bool:
        """Whether the maps of this network failed their test on held-out lesions."""
        return self.stated_trust < TRUSTED

    def maps(self, inputs: Inputs, members: Sequence[Any] | None = None) -> Tensor:
        """Return maps (B, S, S) in 0..1, each with a maximum of 1 unless nothing speaks.

        Args:
            inputs: Of B lesions.
            members: Those to ask; by default all.
        """
        return positive(saliency(members or self.members, inputs))

    def trust(self, inputs: Inputs, found: Tensor) -> float:
        """Return 1 minus the likeness of the map `found` (S, S) to one by shuffled weights."""
        control = saliency([self._shuffled], inputs)[0]
        return 1 - max(0.0, likeness(found, control))
