"""The image encoder: EfficientNet-Lite0 to a sixteenth of the resolution, on MONAI's."""

from __future__ import annotations

import torch
from monai.networks.nets.efficientnet import EfficientNet
from torch import Tensor, nn

BLOCKS = (  # EfficientNet-Lite0 up to a sixteenth of the resolution (Tan & Le 2019; no squeeze)
    "r1_k3_s11_e1_i32_o16",
    "r2_k3_s22_e6_i16_o24",
    "r2_k5_s22_e6_i24_o40",
    "r3_k3_s22_e6_i40_o80",
    "r3_k5_s11_e6_i80_o112",
)
WIDTHS = (16, 24, 40, 80, 112)
"""Channels of the encoder's stages, finest first."""
HU_SHARE = 0.1
"""Weight of the groups in HU at the start, where the relative group counts 1."""


class Encoder(EfficientNet):  # type: ignore[misc] # monai is untyped
    """EfficientNet-Lite0 without its last two stages.

    Args:
        planes: Number of neighbouring planes in a group of the input.
        groups: Number of groups; a 1 x 1 convolution makes three channels of them all.
    """

    def __init__(self, planes: int, groups: int = 1) -> None:
        super().__init__(list(BLOCKS), spatial_dims=2, in_channels=3, num_classes=1, image_size=64)
        for unused in ("_conv_head", "_conv_head_padding", "_bn1", "_avg_pooling", "_dropout"):
            delattr(self, unused)
        del self._fc
        for module in self.modules():
            if hasattr(module, "_swish"):
                module._swish = nn.ReLU6()
        self.mix = nn.Conv2d(planes * groups, 3, 1)
        with torch.no_grad():
            for parameter in self.mix.parameters():
                parameter.zero_()
            for channel in range(3):
                plane = min(max(planes // 2 + channel - 1, 0), planes - 1)
                self.mix.weight[channel, plane::planes] = HU_SHARE
                self.mix.weight[channel, plane] = 1.0

    def forward(self, planes: Tensor) -> Tensor:
        """Map views (B, C, h, w) in 0..1 to features (B, 112, h / 16, w / 16)."""
        return self.stages(planes)[-1]

    def stages(self, planes: Tensor) -> list[Tensor]:
        """Return the features of every stage (see `WIDTHS`): at 1/2, 1/4, 1/8, 1/16, 1/16."""
        x = self.mix((planes - 0.45) / 0.25)
        x = self._swish(self._bn0(self._conv_stem(self._conv_stem_padding(x))))
        features = []
        for stage in self._blocks:
            x = stage(x)
            features.append(x)
        return features
