"""What a reader measures with a region-of-interest tool: order statistics of brightness."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from calcilens.imaging.patches import MARGIN
from calcilens.models import views

SIZE_FEATURES = 8


class Profile(nn.Module):
    """Order statistics of brightness in zones of the box, in its rim and in the patch.

    Zones are ellipses of the box: core, inside, whole, edge and ring. Of the first group of
    planes up to three in the middle are read; of further groups (brightness in HU) the middle
    one. Features of these are 0 once standardised, which is their mean, where HU are not known.

    Args:
        planes: Number of planes of a group.
        groups: Number of groups: 1, or 3 for pixels that are relative, soft and wide.
        size: Smallest patch side, pixels; what a larger patch shows beyond its lesion's margin
            is padding of the batch and not read.
    """

    ZONES = ((0.0, 0.5), (0.0, 0.8), (0.0, 1.0), (0.8, 1.2), (1.2, 1.7))
    LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
    PATCH_LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
    GRID = 32
    ZOOM = 1.75
    LIMIT = 4.0
    """Standardised features are clipped here: a rare value must not decide alone."""
    MIN_SPREAD = 1e-3
    ENOUGH = 16
    """Rows from which a kind of input has a mean and spread of its own."""
    STEP = 2
    """Of the patch in HU every second pixel is read: sorting them all takes too long."""

    centre: Tensor
    spread: Tensor

    def __init__(self, planes: int, groups: int = 1, size: int = 128) -> None:
        super().__init__()
        self.planes, self.groups, self.size = planes, groups, size
        near = range(max(planes // 2 - 1, 0), min(planes // 2 + 2, planes))
        self.relative, self.key = list(near), len(near) // 2
        self.in_hu = [group * planes + planes // 2 for group in range(1, groups)]
        axis = ((torch.arange(self.GRID) + 0.5) / self.GRID * 2 - 1) * self.ZOOM
        radius = torch.hypot(axis[:, None], axis[None, :]).flatten()
        self._zones = [((radius >= a) & (radius <= b)).nonzero()[:, 0] for a, b in self.ZONES]
        a_plane = len(self.ZONES) * (len(self.LEVELS) + 2)
        patch = len(self.PATCH_LEVELS)
        self.width = len(self.relative) * a_plane + patch + 3 + SIZE_FEATURES
        self.hu_from = self.width
        self.width += len(self.in_hu) * a_plane + patch + 1 if self.in_hu else 0
        shape = (2, self.width) if self.in_hu else (self.width,)
        self.register_buffer("centre", torch.zeros(shape))
        self.register_buffer("spread", torch.ones(shape))

    @torch.no_grad()
    def standardise_by(self, features: Tensor) -> None:
        """Take mean and spread from raw `features` (N, width) of the training set.

        Where some of it is in HU and some not, each kind has its own; a kind with fewer than
        `ENOUGH` rows takes those of all.
        """
        if not self.in_hu:
            self._learn(self.centre, self.spread, features)
            return
        known = features[:, -1] > 0
        for kind, own in enumerate((~known, known)):
            rows = features[own] if own.sum() >= self.ENOUGH else features
            self._learn(self.centre[kind], self.spread[kind], rows)

    def _learn(self, centre: Tensor, spread: Tensor, features: Tensor) -> None:
        if len(features) > 1:
            centre.copy_(features.mean(0))
            spread.copy_(features.std(0).clamp(min=self.MIN_SPREAD))

    def standardised(self, features: Tensor) -> Tensor:
        """Return raw `features` (B, width) by mean and spread; not clipped."""
        if not self.in_hu:
            return (features - self.centre) / self.spread
        known = features[:, -1:]
        kind = known[:, 0].long()
        z = (features - self.centre[kind]) / self.spread[kind]
        return torch.cat([z[:, : self.hu_from], z[:, self.hu_from : -1] * known, known * 2 - 1], 1)

    def forward(self, pixels: Tensor, box: Tensor, extent_mm: Tensor) -> Tensor:
        """Return standardised features (B, width), clipped."""
        features = self.raw(pixels, box, extent_mm)
        return self.standardised(features).clamp(-self.LIMIT, self.LIMIT)

    def raw(self, pixels: Tensor, box: Tensor, extent_mm: Tensor) -> Tensor:
        """Return (B, width) features before standardising.

        Args:
            pixels: (B, groups * planes, S, S) float32 in 0..1.
            box: (B, 4) patch pixels.
            extent_mm: (B, 3) mm, NaN where not calibrated.
        """
        window = views.stretched_window(box, self.ZOOM)
        seen = pixels[:, self.relative + self.in_hu]
        flat = views.sample(seen, window, self.GRID).flatten(2)
        count = len(self.relative)
        patch = self._own_part(pixels[:, self.planes // 2], box)
        marks = self._marks(flat[:, self.key])
        rows = [*self._in_zones(flat[:, :count]), self._levels(patch), _brighter(patch, marks)]
        rows.append(_size_features(box, extent_mm))
        if self.in_hu:
            wide = self._own_part(pixels[:, self.in_hu[-1]], box, self.STEP)
            known = pixels[:, self.in_hu[-1]].flatten(1).amax(1, keepdim=True) > 0
            rows += [*self._in_zones(flat[:, count:]), self._levels(wide), known.float()]
        return torch.cat(rows, 1)

    def _in_zones(self, flat: Tensor) -> list[Tensor]:
        """Return levels, mean and spread of (B, C, n) in every zone."""
        return [self._statistics(flat[:, :, zone.to(flat.device)]) for zone in self._zones]

    def _statistics(self, values: Tensor) -> Tensor:
        levels = torch.tensor(self.LEVELS, device=values.device, dtype=values.dtype)
        quantiles = torch.quantile(values, levels, dim=2).permute(1, 2, 0).flatten(1)
        return torch.cat([quantiles, values.mean(2), values.std(2)], 1)

    def _own_part(self, plane: Tensor, box: Tensor, step: int = 1) -> Tensor:
        """Flatten every `step`-th pixel of (B, S, S) to (B, n), NaN where the batch was padded.

        A patch is padded behind its last row and column, where another lesion of the batch has
        a larger patch; see `PatchSpec.locate` for its own side.
        """
        longest = (box[:, 2:] - box[:, :2]).amax(1)
        side = (torch.ceil(MARGIN * longest / 2) * 2).clamp(min=self.size)
        inside = torch.arange(0, plane.shape[-1], step, device=plane.device) < side[:, None]
        own = inside[:, :, None] & inside[:, None, :]
        return plane[:, ::step, ::step].masked_fill(~own, torch.nan).flatten(1)

    def _levels(self, patch: Tensor) -> Tensor:
        levels = torch.tensor(self.PATCH_LEVELS, device=patch.device, dtype=patch.dtype)
        return torch.nanquantile(patch, levels, dim=1).T

    def _marks(self, flat: Tensor) -> Tensor:
        """Return (B, 3): mean, 95th percentile and maximum inside the box."""
        inside = flat[:, self._zones[1].to(flat.device)]
        return torch.stack([inside.mean(1), inside.quantile(0.95, 1), inside.amax(1)], 1)


def _brighter(patch: Tensor, marks: Tensor) -> Tensor:
    """Return (B, 3): log share of the patch (B, n) that is brighter than each mark."""
    brighter = (patch[:, :, None] > marks[:, None, :]).float().sum(1)
    return torch.log(brighter / patch.isfinite().sum(1, keepdim=True) + 1e-3) / 5


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
