"""Contrast medium in a CT: how dense vessels and organs filled with it are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calcilens.imaging.coarse import Coarse, Mask
from calcilens.imaging.morphology import grown, shrunk
from calcilens.imaging.parts import Part, leaves, parts

_POOL_HU, _POOL_MM3 = (130.0, 600.0), 5000.0
_SPREAD, _SPREADS = 0.7, 4.0
"""Widest spread of its values, 5th to 95th percentile, as a share of the median; and how many
standard deviations above the median hardly anything is."""
_WALL, _WALLED, _WALL_STEPS = 1.25, 0.15, 3
"""A wall is that many times as dense; bone has one on that share of the blocks within so many."""


@dataclass(frozen=True)
class Contrast:
    """Contrast medium.

    Args:
        median_hu: Of what is filled with it.
        top_hu: Value that hardly any voxel of it exceeds.
    """

    median_hu: float
    top_hu: float


def find_contrast(grid: Coarse, body: Mask, noise_hu: float) -> Contrast | None:
    """Return the densest contrast medium, or None without any.

    What is filled with it is large, even in density, runs out of the image, which keeps an even,
    calcified mass from being taken for it, and has no denser wall, which spongy bone has.

    Args:
        grid: The CT.
        body: (Z, Y, X) blocks of the patient.
        noise_hu: Of single voxels.
    """
    core = shrunk(body & (grid.hu >= _POOL_HU[0]))
    found = []
    for part in parts(core, grid, _POOL_MM3):
        low, lower, mid, upper, high = np.percentile(part.hu(grid), [5, 16, 50, 84, 95])
        even = mid < _POOL_HU[1] and high - low < _SPREAD * mid
        if even and leaves(part, grid) and not _walled(part, grid, mid):
            spread = float(np.hypot((upper - lower) / 2, noise_hu))
            found.append(Contrast(float(mid), float(mid + _SPREADS * spread)))
    return max(found, key=lambda pool: pool.top_hu) if found else None


def _walled(part: Part, grid: Coarse, mid: float) -> bool:
    """Say whether what lies around a part is denser than itself, as a cortex is."""
    near, mask = part.padded(grid, _WALL_STEPS)
    around = grown(mask, _WALL_STEPS) & ~mask
    return bool((grid.hu[near][around] > _WALL * mid).mean() > _WALLED)
