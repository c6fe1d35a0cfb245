"""Is a lesion like those that a model was taught on? State only, learnt in training.

The squared Mahalanobis distance from the training set (Lee et al., NeurIPS 2018). For patches in
HU: of what an early stage of the first member's encoder sees, and of how HU are spread. An early
stage tells another modality, a photograph or noise better than a late one, which was trained to
look past such things. Without HU: of the texture of the patch; beside it a small network that
was taught strangers (outlier exposure, Hendrycks et al., ICLR 2019) reads both, and the larger
distance counts.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from calcilens.imaging.patches import HU_RANGE, SOFT_RANGE

HU_EDGES = (-900.0, -200.0, -150.0, -30.0, 20.0, 100.0, 200.0, 400.0, 1000.0, 2000.0)
"""Bands of HU: air, lung, mixed, fat, fluid, muscle, and ever denser mineral."""
BANDS = len(HU_EDGES) + 1
_METAL_SHARE = 0.05
_LEAST = 1e-3
"""Share of a patch that is not told from none."""


def hu_bands(pixels: Tensor, planes: int) -> Tensor:
    """Return the log of the share of a patch in each band of HU.

    Args:
        pixels: (B, 3 * planes, S, S) relative, soft and wide, as `PatchSpec.scale` gives them.
        planes: Number of planes of a group.

    Returns:
        (B, BANDS).
    """
    soft, wide = pixels[:, planes + planes // 2], pixels[:, 2 * planes + planes // 2]
    fine = SOFT_RANGE[0] + soft * (SOFT_RANGE[1] - SOFT_RANGE[0])
    coarse = HU_RANGE[0] + wide * (HU_RANGE[1] - HU_RANGE[0])
    hu = torch.where((soft > 0) & (soft < 1), fine, coarse).flatten(1)
    band = torch.bucketize(hu, torch.tensor(HU_EDGES, device=hu.device), right=True)
    share = torch.stack([(band == i).float().mean(1) for i in range(BANDS)], 1)
    return torch.log(share + _LEAST)


def is_metal(bands: Tensor) -> Tensor:
    """Tell (B,) whether much of a patch is as dense as metal, by its `hu_bands`."""
    return bands[:, -1].exp() > _METAL_SHARE


class Domain(nn.Module):
    """What is usual for every kind of input, and how far from it is too far.

    Args:
        kinds: 2 for networks whose input may be in HU or not, else 1.
        width: Number of features that have a usual place.
        beside: Number of features before these that only `Strangers` read; without any there
            are none.
    """

    mean: Tensor
    precision: Tensor
    scale: Tensor
    limit: Tensor

    def __init__(self, kinds: int, width: int, beside: int = 0) -> None:
        super().__init__()
        self.width, self.beside = width, beside
        self.strangers = Strangers(width + beside) if beside else None
        self.register_buffer("mean", torch.zeros(kinds, width))
        self.register_buffer("precision", torch.eye(width).repeat(kinds, 1, 1))
        self.register_buffer("scale", torch.ones(kinds))
        self.register_buffer("limit", torch.tensor(torch.inf))

    def forward(self, features: Tensor, kind: Tensor) -> Tensor:
        """Return (B,) distances; what lies beyond `limit` is out of domain.

        Args:
            features: (B, beside + width).
            kind: (B,) kind of each input.
        """
        found = self.away(features, kind)
        return found if self.strangers is None else torch.maximum(found, self.strangers(features))

    def away(self, features: Tensor, kind: Tensor) -> Tensor:
        """Return (B,) distances from what is usual; arguments as for `forward`."""
        placed = features[:, -self.width :]
        found = torch.zeros(len(features), device=features.device)
        for k, (mean, precision) in enumerate(zip(self.mean, self.precision, strict=True)):
            off = placed - mean
            found = torch.where(kind == k, ((off @ precision) * off).mean(1), found)
        return found / self.scale[kind]


class Strangers(nn.Module):
    """Tells lessons from strangers that it was taught.

    Args:
        width: Number of features.
    """

    HIDDEN = 64
    FURTHEST = 6.0
    """Standard deviations beyond which a feature counts no more: none may carry all away."""
    centre: Tensor
    spread: Tensor
    slope: Tensor
    offset: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(width, self.HIDDEN), nn.Linear(self.HIDDEN, 1)
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))
        self.register_buffer("slope", torch.tensor(0.0))
        self.register_buffer("offset", torch.tensor(-torch.inf))

    def forward(self, features: Tensor) -> Tensor:
        """Return (B,) distances of features (B, width): 1 at the limit; 0 before it was taught."""
        return torch.exp(self.slope * self.logit(features) + self.offset)

    def logit(self, features: Tensor) -> Tensor:
        """Return the (B,) log-odds that features (B, width) are a stranger's."""
        found: Tensor = self.out(self.hidden(self.standardised(features)).relu())[:, 0]
        return found

    def standardised(self, features: Tensor) -> Tensor:
        """Return features (B, width) in standard deviations from their usual mean."""
        off = (features - self.centre) / self.spread
        return off.clamp(-self.FURTHEST, self.FURTHEST)
