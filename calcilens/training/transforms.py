"""Augmentation of lesions as MONAI transforms: the box moves with the pixels."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from monai.transforms import (
    Compose,
    MapTransform,
    RandAdjustContrastd,
    RandGaussianNoised,
    RandomizableTransform,
    RandScaleIntensityd,
)

Sample = dict[Hashable, Any]


class RandLesionFlipd(RandomizableTransform, MapTransform):  # type: ignore[misc] # untyped
    """Mirror, transpose and reverse planes at random.

    Reversing planes (head to foot) is as harmless as mirroring: lesions have no handedness.
    """

    def __init__(self, prob: float = 0.5, plane_prob: float = 0.3) -> None:
        MapTransform.__init__(self, ["pixels", "box", "extent_mm"])
        RandomizableTransform.__init__(self, 1.0)
        self.prob, self.plane_prob = prob, plane_prob

    def randomize(self, data: Any = None) -> None:
        """Draw which of the four happen."""
        draws = self.R.random(4)
        self.flip_y, self.flip_x, self.swap = (bool(d < self.prob) for d in draws[:3])
        self.flip_z = bool(draws[3] < self.plane_prob)

    def __call__(self, data: Mapping[Hashable, Any]) -> Sample:
        """Apply what was drawn to pixels (P, S, S), box (4,) and extent_mm (3,)."""
        self.randomize()
        d = dict(data)
        pixels, (y0, x0, y1, x1), (ez, ey, ex) = d["pixels"], d["box"], d["extent_mm"]
        side = pixels.shape[-1]
        if self.flip_z:
            pixels = pixels[::-1]
        if self.flip_y:
            pixels, y0, y1 = pixels[:, ::-1], side - y1, side - y0
        if self.flip_x:
            pixels, x0, x1 = pixels[:, :, ::-1], side - x1, side - x0
        if self.swap:
            pixels, (y0, x0, y1, x1) = pixels.transpose(0, 2, 1), (x0, y0, x1, y1)
            ey, ex = ex, ey
        d["pixels"] = np.ascontiguousarray(pixels)
        d["box"] = np.array([y0, x0, y1, x1], np.float32)
        d["extent_mm"] = np.array([ez, ey, ex], np.float32)
        return d


class RandBoxJitterd(RandomizableTransform, MapTransform):  # type: ignore[misc] # untyped
    """Draw the box a little elsewhere, as another reader or a detector would.

    Args:
        shift: Largest shift, in units of the box.
        scale: Largest change of each side, as a fraction.
    """

    LEAST_PX = 2.0

    def __init__(self, shift: float = 0.08, scale: float = 0.15) -> None:
        MapTransform.__init__(self, ["box", "extent_mm"])
        RandomizableTransform.__init__(self, 1.0)
        self.shift, self.scale = shift, scale

    def randomize(self, data: Any = None) -> None:
        """Draw shift and scale along (y, x)."""
        self.shifts = self.R.uniform(-self.shift, self.shift, 2)
        self.scales = 1 + self.R.uniform(-self.scale, self.scale, 2)

    def __call__(self, data: Mapping[Hashable, Any]) -> Sample:
        """Move box (4,); extent_mm (3,) grows with it."""
        self.randomize()
        d = dict(data)
        box = np.asarray(d["box"], np.float64)
        size, centre = box[2:] - box[:2], (box[2:] + box[:2]) / 2
        new_size = np.maximum(size * self.scales, self.LEAST_PX)
        centre = centre + self.shifts * size
        d["box"] = np.concatenate([centre - new_size / 2, centre + new_size / 2]).astype(np.float32)
        grown = np.concatenate([[1.0], new_size / size])
        d["extent_mm"] = (d["extent_mm"] * grown).astype(np.float32)
        return d


class ClipUnitd(MapTransform):  # type: ignore[misc] # monai is untyped
    """Keep pixels in 0..1 after changes of brightness."""

    def __call__(self, data: Mapping[Hashable, Any]) -> Sample:
        """Clip pixels (P, S, S)."""
        d = dict(data)
        d["pixels"] = np.clip(np.asarray(d["pixels"], np.float32), 0, 1)
        return d


def augmentation() -> Compose:
    """Return the augmentation of training: place, contrast, brightness and noise."""
    return Compose(
        [
            RandBoxJitterd(),
            RandLesionFlipd(),
            RandAdjustContrastd("pixels", prob=0.7, gamma=(0.86, 1.16)),
            RandScaleIntensityd("pixels", factors=0.08, prob=0.7),
            RandGaussianNoised("pixels", prob=0.5, std=0.02),
            ClipUnitd("pixels"),
        ]
    )
