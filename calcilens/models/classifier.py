"""The lesion classifier: patch and box in, finding, pattern and concern out.

Three things look at a lesion: a MONAI encoder at the lesion itself, the same encoder at its
surroundings, and the order statistics of the brightness inside and around the box. The last
is what a reader does with a region-of-interest tool; it costs nothing and is hard to learn
from few images.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from monai.networks.nets.efficientnet import EfficientNet
from torch import Tensor, nn

from calcilens.imaging.patches import PatchSpec
from calcilens.models import views
from calcilens.vocabulary import PATTERN_KEYS


class PatternOutput(NamedTuple):
    """Logits of the three heads."""

    finding: Tensor
    """(B,) calcified or not."""
    pattern: Tensor
    """(B, 18) one a pattern of the vocabulary, given that the lesion is calcified."""
    concern: Tensor
    """(B,) the lesion asks for evaluation."""

    @classmethod
    def of(cls, logits: Tensor) -> PatternOutput:
        """Split logits (B, 20) as the heads give them: finding, concern, patterns."""
        return cls(logits[:, 0], logits[:, 2:], logits[:, 1])


BLOCKS = (  # EfficientNet-Lite0 up to a sixteenth of the resolution (Tan & Le 2019; no squeeze)
    "r1_k3_s11_e1_i32_o16",
    "r2_k3_s22_e6_i16_o24",
    "r2_k5_s22_e6_i24_o40",
    "r3_k3_s22_e6_i40_o80",
    "r3_k5_s11_e6_i80_o112",
)
WIDTH = 112
"""Channels of the encoder's last stage."""


class Encoder(EfficientNet):  # type: ignore[misc] # monai is untyped
    """EfficientNet-Lite0 without its last two stages, on MONAI's EfficientNet.

    Args:
        planes: Number of input planes; a 1 x 1 convolution makes three channels of them.
    """

    def __init__(self, planes: int) -> None:
        super().__init__(list(BLOCKS), spatial_dims=2, in_channels=3, num_classes=1, image_size=64)
        for unused in ("_conv_head", "_conv_head_padding", "_bn1", "_avg_pooling", "_dropout"):
            delattr(self, unused)
        del self._fc
        for module in self.modules():
            if hasattr(module, "_swish"):
                module._swish = nn.ReLU6()
        self.mix = nn.Conv2d(planes, 3, 1)
        with torch.no_grad():
            for parameter in self.mix.parameters():
                parameter.zero_()
            for channel in range(3):
                plane = min(max(planes // 2 + channel - 1, 0), planes - 1)
                self.mix.weight[channel, plane] = 1.0

    def forward(self, planes: Tensor) -> Tensor:
        """Map views (B, P, h, w) in 0..1 to features (B, 112, h / 16, w / 16)."""
        x = self.mix((planes - 0.45) / 0.25)
        x = self._swish(self._bn0(self._conv_stem(self._conv_stem_padding(x))))
        features: Tensor = self._blocks(x)
        return features


SIZE_FEATURES = 8


class Profile(nn.Module):
    """Order statistics of brightness in zones of the box, in its rim and in the patch.

    Zones are ellipses of the box: core, inside, whole, edge and ring.
    """

    ZONES = ((0.0, 0.5), (0.0, 0.8), (0.0, 1.0), (0.8, 1.2), (1.2, 1.7))
    LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
    PATCH_LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
    GRID = 32
    ZOOM = 1.75
    LIMIT = 4.0
    """Standardised features are clipped here: a rare value must not decide alone."""
    MIN_SPREAD = 1e-3

    centre: Tensor
    spread: Tensor

    def __init__(self, planes: int) -> None:
        super().__init__()
        self.middle = slice(max(planes // 2 - 1, 0), planes // 2 + 2)
        axis = ((torch.arange(self.GRID) + 0.5) / self.GRID * 2 - 1) * self.ZOOM
        radius = torch.hypot(axis[:, None], axis[None, :]).flatten()
        self._zones = [((radius >= a) & (radius <= b)).nonzero()[:, 0] for a, b in self.ZONES]
        planes_used = min(planes, 3)
        self.width = planes_used * len(self.ZONES) * (len(self.LEVELS) + 2)
        self.width += len(self.PATCH_LEVELS) + 3 + SIZE_FEATURES
        self.register_buffer("centre", torch.zeros(self.width))
        self.register_buffer("spread", torch.ones(self.width))

    @torch.no_grad()
    def standardise_by(self, features: Tensor) -> None:
        """Take mean and spread from `features` (N, width) of the training set."""
        self.centre.copy_(features.mean(0))
        self.spread.copy_(features.std(0).clamp(min=self.MIN_SPREAD))

    def forward(self, pixels: Tensor, box: Tensor, extent_mm: Tensor) -> Tensor:
        """Return standardised features (B, width), clipped."""
        features = self.raw(pixels, box, extent_mm)
        return ((features - self.centre) / self.spread).clamp(-self.LIMIT, self.LIMIT)

    def raw(self, pixels: Tensor, box: Tensor, extent_mm: Tensor) -> Tensor:
        """Return (B, width) features before standardising."""
        seen = pixels[:, self.middle]
        stretched = views.sample(seen, views.stretched_window(box, self.ZOOM), self.GRID)
        flat = stretched.flatten(2)
        rows = [self._statistics(flat[:, :, zone.to(flat.device)]) for zone in self._zones]
        patch = pixels[:, pixels.shape[1] // 2].flatten(1)
        inside = flat[:, flat.shape[1] // 2, self._zones[1].to(flat.device)]
        marks = torch.stack([inside.mean(1), inside.quantile(0.95, 1), inside.amax(1)], 1)
        brighter = (patch[:, :, None] > marks[:, None, :]).float().mean(1)
        levels = torch.tensor(self.PATCH_LEVELS, device=patch.device, dtype=patch.dtype)
        rows += [torch.quantile(patch, levels, dim=1).T, torch.log(brighter + 1e-3) / 5]
        return torch.cat([*rows, _size_features(box, extent_mm)], 1)

    def _statistics(self, values: Tensor) -> Tensor:
        levels = torch.tensor(self.LEVELS, device=values.device, dtype=values.dtype)
        quantiles = torch.quantile(values, levels, dim=2).permute(1, 2, 0).flatten(1)
        return torch.cat([quantiles, values.mean(2), values.std(2)], 1)


def _size_features(box: Tensor, extent_mm: Tensor) -> Tensor:
    """Return (B, 8): log size in mm (0 where unknown, with a flag) and in pixels, elongation."""
    known = torch.isfinite(extent_mm)
    log_mm = torch.where(known, extent_mm.clamp(min=0.1).log() - 2, 0.0)
    plane = log_mm[:, 1:]
    log_px = (box[:, 2:] - box[:, :2]).clamp(min=1).log() - 2
    features = [
        log_mm[:, 0],
        known[:, 0].float(),
        plane.amax(1),
        plane.amin(1),
        known[:, 1:].all(1).float(),
        log_px.amax(1),
        log_px.amin(1),
        (log_px[:, 0] - log_px[:, 1]).abs(),
    ]
    return torch.stack(features, 1)


class LesionClassifier(nn.Module):
    """Classify lesions given by their boxes.

    Args:
        planes: Neighbouring planes of a patch; 1 for radiographs.
        size: Smallest patch side, pixels.
        intensity: How patches are scaled; see `PatchSpec`.
        lesion_px: Side of the view of the lesion.
        context_px: Side of the view of the surroundings.
        context_mm: What that view shows, mm.
        dropout: Dropout before the heads.

    Example:
        >>> network = LesionClassifier()
        >>> pixels, box = torch.rand(2, 5, 128, 128), torch.tensor([[50.0, 50, 70, 80]] * 2)
        >>> network.eval()(pixels, box, torch.full((2, 3), 14.0)).pattern.shape
        torch.Size([2, 18])
    """

    LESION_ZOOM = 1.5
    LESION_LEAST_PX = 12.0
    branch_width = 64
    outputs = 2 + len(PATTERN_KEYS)

    def __init__(
        self,
        planes: int = 5,
        size: int = 128,
        *,
        intensity: str = "plane_minmax",
        lesion_px: int = 64,
        context_px: int = 64,
        context_mm: float = 64.0,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.spec = PatchSpec(planes, size, intensity)  # type: ignore[arg-type]
        self.lesion_px, self.context_px, self.context_mm = lesion_px, context_px, context_mm
        self.encoder = Encoder(planes)
        self.profile = Profile(planes)
        self.measure = nn.Sequential(
            nn.Dropout(0.1),
            nn.Linear(self.profile.width, 96),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(96, self.branch_width),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.look = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(4 * WIDTH, self.branch_width), nn.ReLU()
        )
        widths = (2 * self.branch_width, self.branch_width, self.branch_width)
        self.heads = nn.ModuleList(nn.Linear(width, self.outputs) for width in widths)

    def windows(self, box: Tensor, extent_mm: Tensor) -> tuple[Tensor, Tensor]:
        """Return the windows (B, 4) of the lesion view and of the context view."""
        near = views.lesion_window(box, self.LESION_ZOOM, self.LESION_LEAST_PX)
        far = views.context_window(box, extent_mm, self.context_mm, self.spec.size * 0.75)
        return near, far

    def forward(self, pixels: Tensor, box: Tensor, extent_mm: Tensor) -> PatternOutput:
        """Classify.

        Args:
            pixels: (B, P, S, S) float32 in 0..1, as `PatchSpec.scale` gives them.
            box: (B, 4) lesion boxes (y0, x0, y1, x1), patch pixels.
            extent_mm: (B, 3) size of the box along (z, y, x), mm; NaN where not calibrated.
        """
        answers = self.answers(self.branches(pixels, box, extent_mm))
        return PatternOutput(
            *(torch.stack(logits).mean(0) for logits in zip(*answers, strict=True))
        )

    def branches(self, pixels: Tensor, box: Tensor, extent_mm: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the encoder saw and what the profile measured, (B, branch_width) each."""
        near, far = self.windows(box, extent_mm)
        seen = [
            self._see(pixels, near, self.lesion_px),
            self._see(pixels, far, self.context_px),
        ]
        return self.look(torch.cat(seen, 1)), self.measure(self.profile(pixels, box, extent_mm))

    def answers(self, branches: tuple[Tensor, Tensor]) -> list[PatternOutput]:
        """Return the logits of both branches together, and of each alone."""
        inputs = (torch.cat(branches, 1), *branches)
        return [PatternOutput.of(h(x)) for h, x in zip(self.heads, inputs, strict=True)]

    def _see(self, pixels: Tensor, window: Tensor, size: int) -> Tensor:
        view = views.sample(pixels, window, size).contiguous(memory_format=torch.channels_last)
        return _pool(self.encoder(view))


def _pool(features: Tensor) -> Tensor:
    """Mean and maximum over the map: (B, C, h, w) -> (B, 2C)."""
    return torch.cat([features.mean((2, 3)), features.amax((2, 3))], 1)
