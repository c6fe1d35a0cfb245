"""How much of each voxel is mineral: the lesion with the scanner's blur taken off.

A threshold makes what is dense too large and what is thin or faint too small. Here the rise over
the soft tissue around is deblurred, and each voxel's share of mineral is its rise over that of
the mineral nearby, or all of it where the mineral is wide enough to be seen as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from calcilens.imaging.anatomy import MINERAL_HU, Mask, anatomy
from calcilens.imaging.measure.blur import Blur, blur
from calcilens.imaging.measure.borders import crossings
from calcilens.imaging.measure.lesion import Field, Float, Lesion, Part

LEAST_RISE_HU = 80.0
"""Rise over soft tissue that makes MINERAL_HU: muscle has about 50 HU."""
REACH_MM = 2.0
"""How far beyond the mask blur may carry a lesion's mineral."""
_MARGIN_MM = 5.0
_TISSUE_MM, _TISSUE_HU = 3.0, (-250, MINERAL_HU)
_ROUNDS, _OFFSET_HU = 30, 60.0
_NEAR_MM, _POWER = 1.5, 4
_WIDE_MM, _EDGE = 1.5, 0.3
"""Half the width from which mineral shows its own density, and the share of the density nearby
at which its border lies: a little outside half of it, since mineral fades out."""
_GAP_MM, _GAP = 2.0, 0.15
"""Half the width of gaps that blur fills, and how deep they look, as a share of what is nearby."""
_BORDER = 0.4
"""The border that lengths go by, as a share of the density nearby."""


@dataclass(frozen=True, eq=False)
class Mineral:
    """A lesion's mineral, voxel by voxel.

    Args:
        part: Of the volume.
        share: (Z, Y, X) 0..1: how much of the voxel is mineral.
        wide: (Z, Y, X) where it is wide enough to show its own density.
        rise: (Z, Y, X) HU over the soft tissue around, without blur.
        plateau: (Z, Y, X) rise of the mineral nearby.
        tissue: (Z, Y, X) HU of the soft tissue around.
        other: (Z, Y, X) bone, and what is as dense as mineral away from the mask.
        blur: Of the volume.
        noise_hu: Standard deviation of noise.
        spacing: (3,) mm.
    """

    part: Part
    share: Field
    wide: Mask
    rise: Field
    plateau: Field
    tissue: Field
    other: Mask
    blur: Blur
    noise_hu: float
    spacing: Float

    @property
    def there(self) -> bool:
        """Whether anything is as dense as mineral."""
        return bool((self.over > 0).any())

    @cached_property
    def border_mm(self) -> Float:
        """(N, 3) points of the border, between voxels, mm along (z, y, x) of the whole volume."""
        start = np.array([s.start for s in self.part])
        padded = np.pad(self.over, 1, constant_values=-1.0)
        return np.asarray((crossings(padded) - 1 + start) * self.spacing)

    @property
    def over(self) -> Field:
        """(Z, Y, X) HU over the border's level: above 0 inside the border."""
        level = np.maximum(LEAST_RISE_HU, _BORDER * self.plateau)
        return np.asarray(np.where(self.share > 0, self.rise - level, -level), np.float32)


def find_mineral(lesion: Lesion) -> Mineral:
    """Return the mineral of a lesion."""
    part = lesion.part(_MARGIN_MM)
    mask = lesion.mask_in(part)
    seen = lesion.volume.hu[part].astype(np.float32)
    away = ndimage.distance_transform_edt(~mask, sampling=lesion.spacing)
    bone = ndimage.binary_dilation(anatomy(lesion.volume).bone[part] & ~mask)
    other = bone | ((seen >= MINERAL_HU) & (away > REACH_MM))
    near = (away <= REACH_MM) & ~other
    tissue = _soft_tissue(seen, ~near & ~other, lesion.spacing)
    spread = blur(lesion.volume)
    # Bone and other lesions are deblurred too: what they spill is taken back to them.
    rise = _deblurred(seen - tissue, spread, lesion.spacing)
    rise[other] = 0
    plateau = _plateau(rise, lesion.spacing)
    wide = _wide(rise, plateau, lesion.spacing) & near
    share = np.where(wide, 1, np.minimum(rise / plateau, 1)) * near
    if float(rise[mask].max()) < LEAST_RISE_HU:
        share[:] = 0
    noise = anatomy(lesion.volume).noise_hu
    return Mineral(part, share, wide, rise, plateau, tissue, other, spread, noise, lesion.spacing)


def _wide(rise: Field, plateau: Field, spacing: Float) -> Mask:
    """Return where mineral is wide enough to show its own density, however little that is.

    A gap between denser pieces does not count: blur fills it.
    """
    opened = ndimage.grey_opening(rise, footprint=ball(_WIDE_MM, spacing))
    dense = opened >= np.maximum(LEAST_RISE_HU, _EDGE * plateau)
    gap = ndimage.grey_closing(rise, footprint=ball(_GAP_MM, spacing)) - rise
    return np.asarray(dense & ((gap < _GAP * plateau) | (opened >= plateau / 2)), bool)


def _soft_tissue(hu: Field, outside: Mask, spacing: Float) -> Field:
    """Return HU (Z, Y, X) of soft tissue, also where mineral hides it: the mean of that nearby."""
    low, high = _TISSUE_HU
    counts = outside & (hu > low) & (hu < high)
    usual = float(np.median(hu[counts])) if counts.any() else 40.0
    near = _TISSUE_MM / spacing
    total = ndimage.gaussian_filter(np.where(counts, hu, 0), near, truncate=3)
    weight = ndimage.gaussian_filter(counts.astype(np.float32), near, truncate=3)
    return np.asarray((total + 1e-3 * usual) / (weight + 1e-3), np.float32)


def _deblurred(rise: Field, spread: Blur, spacing: Float) -> Field:
    """Return the rise without blur (Richardson 1972, Lucy 1974), over a constant offset.

    The offset keeps noise below zero from being cut off, which would leave a bias.
    """
    depth = 0.9 * spread.thickness_mm / np.sqrt(12)
    sd = np.array([depth, spread.plane_mm, spread.plane_mm]) / spacing

    def blurred(field: Field) -> Field:
        return np.asarray(ndimage.gaussian_filter(field, sd, mode="nearest", truncate=3.5))

    seen = np.maximum(rise + _OFFSET_HU, 1).astype(np.float32)
    found = np.maximum(rise, 1).astype(np.float32)
    for _ in range(_ROUNDS):
        found = found * blurred(seen / (blurred(found) + np.float32(_OFFSET_HU)))
    return found


def _plateau(rise: Field, spacing: Float) -> Field:
    """Return the rise of the mineral nearby: a mean that weighs what is densest most."""
    near = _NEAR_MM / spacing
    scaled = rise / max(float(rise.max()), 1.0)
    top = ndimage.gaussian_filter(scaled**_POWER, near)
    base = ndimage.gaussian_filter(scaled ** (_POWER - 1), near)
    plateau = (top / np.maximum(base, 1e-12)) * max(float(rise.max()), 1.0)
    return np.asarray(np.maximum(plateau, LEAST_RISE_HU), np.float32)


def ball(radius_mm: float, spacing: Float) -> Mask:
    """Return a ball as a footprint; at least one voxel to every side."""
    reach = np.maximum(np.floor(radius_mm / spacing + 0.3), 1)
    z, y, x = (np.arange(-n, n + 1) for n in reach)
    square = [(a * s / max(radius_mm, s)) ** 2 for a, s in zip((z, y, x), spacing, strict=True)]
    return np.asarray(np.add.outer(np.add.outer(square[0], square[1]), square[2]) <= 1.0001)
