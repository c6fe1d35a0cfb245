"""The image encoder: EfficientNet-Lite0 to a sixteenth of the resolution.

Written out in torch, held against MONAI's EfficientNet by a test: importing MONAI takes longer
than a whole report on a radiograph may.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

STAGES = (  # kernel, stride, expansion, channels in and out, blocks (Tan & Le 2019; no squeeze)
    (3, 1, 1, 32, 16, 1),
    (3, 2, 6, 16, 24, 2),
    (5, 2, 6, 24, 40, 2),
    (3, 2, 6, 40, 80, 3),
    (5, 1, 6, 80, 112, 3),
)
WIDTHS = tuple(stage[4] for stage in STAGES)
"""Channels of the encoder's stages, finest first."""
HU_SHARE = 0.1
"""Weight of the groups in HU at the start, where the relative group counts 1."""
_DROP = 0.2
"""Chance that the last block is skipped in training; it falls linearly to 0 at the first."""


class Encoder(nn.Module):
    """EfficientNet-Lite0 without its last two stages.

    Modules have the names of the published weights.

    Args:
        planes: Number of neighbouring planes in a group of the input.
        groups: Number of groups; a 1 x 1 convolution makes three channels of them all.
    """

    def __init__(self, planes: int, groups: int = 1) -> None:
        super().__init__()
        self._conv_stem = _same(3, 32, 3, stride=2)
        self._bn0 = _norm(32)
        self._blocks = _blocks()
        self._initialise()
        self.mix = nn.Conv2d(planes * groups, 3, 1)
        with torch.no_grad():
            for parameter in self.mix.parameters():
                parameter.zero_()
            for channel in range(3):
                plane = min(max(planes // 2 + channel - 1, 0), planes - 1)
                self.mix.weight[channel, plane::planes] = HU_SHARE
                self.mix.weight[channel, plane] = 1.0

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                width = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
                nn.init.normal_(module.weight, 0, (2.0 / width) ** 0.5)

    def forward(self, planes: Tensor) -> Tensor:
        """Map views (B, C, h, w) in 0..1 to features (B, 112, h / 16, w / 16)."""
        return self.stages(planes)[-1]

    def stages(self, planes: Tensor) -> list[Tensor]:
        """Return the features of every stage (see `WIDTHS`): at 1/2, 1/4, 1/8, 1/16, 1/16."""
        x = self.mix((planes - 0.45) / 0.25)
        x = nn.functional.relu6(self._bn0(self._conv_stem(x)))
        features = []
        for stage in self._blocks:
            x = stage(x)
            features.append(x)
        return features


def _blocks() -> nn.Sequential:
    """Return the stages; blocks are numbered through, as in the published weights."""
    stages, number, last = nn.Sequential(), 0, sum(stage[5] for stage in STAGES)
    for kernel, stride, expansion, inside, out, count in STAGES:
        stage = nn.Sequential()
        for k in range(count):
            first = k == 0
            block = Block(
                inside if first else out,
                out,
                kernel,
                stride=stride if first else 1,
                expansion=expansion,
                drop=_DROP * number / last,
            )
            stage.add_module(str(number), block)
            number += 1
        stages.append(stage)
    return stages


class Block(nn.Module):
    """An inverted residual: widen, filter each channel by itself, narrow, add.

    Args:
        inside, out: Channels.
        kernel: Side of the filter.
        drop: Chance that a sample skips the block in training (stochastic depth).
    """

    def __init__(
        self, inside: int, out: int, kernel: int, *, stride: int, expansion: int, drop: float
    ) -> None:
        super().__init__()
        wide = inside * expansion
        if expansion > 1:
            self._expand_conv = nn.Conv2d(inside, wide, 1, bias=False)
            self._bn0 = _norm(wide)
        self._depthwise_conv = _same(wide, wide, kernel, stride=stride, groups=wide)
        self._bn1 = _norm(wide)
        self._project_conv = nn.Conv2d(wide, out, 1, bias=False)
        self._bn2 = _norm(out)
        self.widens = expansion > 1
        self.drop, self.adds = drop, stride == 1 and inside == out

    def forward(self, given: Tensor) -> Tensor:
        """Map (B, inside, h, w) to (B, out, h / stride, w / stride)."""
        wide = given
        if self.widens:
            wide = nn.functional.relu6(self._bn0(self._expand_conv(given)))
        wide = nn.functional.relu6(self._bn1(self._depthwise_conv(wide)))
        x: Tensor = self._bn2(self._project_conv(wide))
        if not self.adds:
            return x
        if self.training and self.drop:
            kept = torch.rand(len(x), 1, 1, 1, device=x.device, dtype=x.dtype) >= self.drop
            x = x / (1 - self.drop) * kept
        return x + given


class _Same(nn.Conv2d):
    """A convolution of stride 2 that pads as TensorFlow does: more at the end."""

    def forward(self, given: Tensor) -> Tensor:
        total = self.kernel_size[0] - self.stride[0]
        low, high = total // 2, total - total // 2
        return super().forward(nn.functional.pad(given, (low, high, low, high)))


def _same(inside: int, out: int, kernel: int, *, stride: int, groups: int = 1) -> nn.Conv2d:
    """Return a convolution whose output has the input's sides divided by the stride."""
    if stride == 1:
        return nn.Conv2d(inside, out, kernel, padding=kernel // 2, groups=groups, bias=False)
    return _Same(inside, out, kernel, stride=stride, groups=groups, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)
