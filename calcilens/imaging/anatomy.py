"""What of a CT is body, bone and contrast medium: the ground that lesions are sought on.

Thresholds and morphology only, so that every decision can be followed. Levels adapt to the
noise of the image and to contrast medium in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from calcilens.errors import SeriesError, compose
from calcilens.imaging.body import AIR_HU, find_body
from calcilens.imaging.bone import find_bone
from calcilens.imaging.coarse import Coarse, Mask, coarse
from calcilens.imaging.contrast import find_contrast
from calcilens.imaging.images import Volume
from calcilens.imaging.known import OncePerVolume
from calcilens.imaging.morphology import grown
from calcilens.imaging.noise import Noise, measure_noise

__all__ = ["AIR_HU", "MINERAL_HU", "Anatomy", "Mask", "anatomy"]

MINERAL_HU = 130
"""Lowest value of mineral in soft tissue (Agatston et al., JACC 1990)."""
LUNG_HU = (-950, -600)
_NOISES = 2.5
_POOL_SHARE = 0.9


@dataclass(frozen=True, eq=False)
class Anatomy:
    """The ground of one CT.

    Args:
        body: (Z, Y, X) the patient, lungs and bowel gas included; no table.
        bone: (Z, Y, X) bones with their marrow.
        noise: Of soft tissue.
        floor_hu: Value above which a voxel is denser than tissue; in much noise, single voxels of
            tissue are above it too.
        level_hu: The same, and denser than contrast medium where there is any.
        contrast_hu: Median of the contrast-filled vessels, or None where none were found.
        grid: The CT in blocks.
        blocks: (Z, Y, X) blocks of `grid` that are bone.
        skin: (Z, Y, X) blocks of `grid` that are skin, where the table may touch it too.
        lung: (Z, Y, X) blocks of `grid` that are lung.
    """

    body: Mask
    bone: Mask
    noise: Noise
    floor_hu: float
    level_hu: float
    contrast_hu: float | None
    grid: Coarse
    blocks: Mask
    skin: Mask
    lung: Mask

    @property
    def spacing_mm(self) -> NDArray[np.float64]:
        """Of voxels, (z, y, x)."""
        return np.divide(self.grid.spacing_mm, self.grid.factor, dtype=np.float64)

    @cached_property
    def covered(self) -> Mask:
        """(Z, Y, X) bones with what a coarse outline leaves of their surface."""
        return self.grid.fine(grown(self.blocks))

    @property
    def voxel_mm3(self) -> float:
        """Size of a voxel."""
        return float(np.prod(self.spacing_mm))

    @property
    def noise_hu(self) -> float:
        """Standard deviation of noise in soft tissue."""
        return self.noise.voxel_hu


def anatomy(volume: Volume, bone: Mask | None = None) -> Anatomy:
    """Return the anatomy of a volume; worked out once for each volume.

    Args:
        volume: The CT.
        bone: (Z, Y, X) bones from elsewhere, taken from now on in place of those found here.

    Raises:
        SeriesError: `bone` is not in the grid of the volume.
    """
    if bone is not None and bone.shape != volume.hu.shape:
        raise SeriesError(compose(f"bones of {volume.hu.shape}", f"{bone.shape}"))
    if bone is not None:
        _KNOWN.replace(volume, _find(volume, bone))
    return _KNOWN(volume)


def _find(volume: Volume, bone: Mask | None = None) -> Anatomy:
    grid = coarse(volume)
    body, blocks, skin = find_body(volume.hu, grid)
    noise = measure_noise(volume, body)
    floor = max(float(MINERAL_HU), noise.tissue_hu + _NOISES * noise.voxel_hu)
    pool = find_contrast(grid, blocks, noise.voxel_hu)
    top = floor if pool is None else max(floor, pool.top_hu)
    bone_level = floor if pool is None else max(floor, _POOL_SHARE * pool.median_hu)
    bones = find_bone(grid, blocks, bone_level) if bone is None else grid.reduced(bone)
    whole = grid.fine(bones) if bone is None else bone
    lung = blocks & (grid.hu > LUNG_HU[0]) & (grid.hu < LUNG_HU[1])
    median = None if pool is None else pool.median_hu
    return Anatomy(body, whole, noise, floor, top, median, grid, bones, skin, lung)


_KNOWN = OncePerVolume(_find)
