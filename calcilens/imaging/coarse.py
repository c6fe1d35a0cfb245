"""A CT at about 1 mm: fine enough for the shape of bones, small enough to be quick."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calcilens.imaging.images import Volume

Mask = NDArray[np.bool_]
STEP_MM = 1.0
MOST_BLOCKS = 320
"""Along a side of a plane."""


@dataclass(frozen=True, eq=False)
class Coarse:
    """Means of blocks of voxels.

    Args:
        hu: (Z, Y, X) float32.
        factor: Voxels of the volume in a block, along (z, y, x); fewer in the last block.
        spacing_mm: Of the blocks, (z, y, x).
        shape: Of the volume.
    """

    hu: NDArray[np.float32]
    factor: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    shape: tuple[int, int, int]

    @property
    def voxel_mm3(self) -> float:
        """Size of a block."""
        return float(np.prod(self.spacing_mm))

    def fine(self, mask: Mask) -> Mask:
        """Return a mask of blocks (Z, Y, X) in the voxels of the volume."""
        z, y, x = self.shape
        for axis in (2, 1, 0):  # what is slowest, along a row, while the mask is small
            times = self.factor[axis]
            mask = mask if times == 1 else np.repeat(mask, times, axis)
        return mask[:z, :y, :x]

    def reduced(self, mask: Mask) -> Mask:
        """Return the blocks of which a mask of the volume (Z, Y, X) holds a half or more."""
        return np.asarray(block_means(mask, self.factor) >= 0.5)


def coarse(volume: Volume) -> Coarse:
    """Reduce a volume to blocks of about `STEP_MM` a side, larger in planes of many pixels."""
    z, y, x = volume.hu.shape
    least = (1, -(-y // MOST_BLOCKS), -(-x // MOST_BLOCKS))
    sides = zip(volume.spacing_mm, least, strict=True)
    fz, fy, fx = (max(n, round(STEP_MM / s)) for s, n in sides)
    dz, dy, dx = (s * f for s, f in zip(volume.spacing_mm, (fz, fy, fx), strict=True))
    return Coarse(block_means(volume.hu, (fz, fy, fx)), (fz, fy, fx), (dz, dy, dx), (z, y, x))


def block_means(values: NDArray[np.generic], factor: tuple[int, int, int]) -> NDArray[np.float32]:
    """Return block means (Z, Y, X), slab by slab to spare memory.

    The last blocks, where voxels are missing, repeat those at the edge.
    """
    fz, fy, fx = factor
    size = [-(-n // f) for n, f in zip(values.shape, factor, strict=True)]
    means = np.zeros(size, np.float32)
    rows, columns = (np.arange(f * n) for f, n in zip(factor[1:], size[1:], strict=True))
    whole = len(rows) == values.shape[1] and len(columns) == values.shape[2]
    for z, total in enumerate(means):
        for k in range(z * fz, z * fz + fz):
            plane = values[min(k, len(values) - 1)]
            if not whole:
                plane = plane.take(rows, 0, mode="clip").take(columns, 1, mode="clip")
            for i, j in np.ndindex(fy, fx):
                total += plane[i::fy, j::fx]
    means /= fz * fy * fx
    return means
