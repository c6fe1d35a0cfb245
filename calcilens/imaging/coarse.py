"""A CT at about 1.25 mm: fine enough for the shape of bones, small enough to be quick."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calcilens.imaging.images import Volume

Mask = NDArray[np.bool_]
STEP_MM = 1.25


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
        for axis, (times, size) in enumerate(zip(self.factor, self.shape, strict=True)):
            if times > 1:
                mask = np.repeat(mask, times, axis).take(np.arange(size), axis)
        return mask

    def reduced(self, mask: Mask) -> Mask:
        """Return the blocks of which a mask of the volume (Z, Y, X) holds a half or more."""
        z, y, x = self._starts()
        planes = [_sums(mask[a : a + self.factor[0]], y, x) for a in z]
        return np.asarray(np.stack(planes) * 2 >= _counts(self.shape, self.factor))

    def _starts(self) -> list[NDArray[np.int64]]:
        pairs = zip(self.shape, self.factor, strict=True)
        return [np.arange(0, size, times) for size, times in pairs]


def coarse(volume: Volume) -> Coarse:
    """Reduce a volume to blocks of about `STEP_MM` a side, plane by plane to spare memory."""
    fz, fy, fx = (max(1, round(STEP_MM / s)) for s in volume.spacing_mm)
    z, y, x = volume.hu.shape
    shape, factor = (z, y, x), (fz, fy, fx)
    rows, columns = np.arange(0, y, fy), np.arange(0, x, fx)
    slabs = [_sums(volume.hu[a : a + fz], rows, columns) for a in range(0, z, fz)]
    hu = (np.stack(slabs) / _counts(shape, factor)).astype(np.float32)
    dz, dy, dx = (s * f for s, f in zip(volume.spacing_mm, factor, strict=True))
    return Coarse(hu, factor, (dz, dy, dx), shape)


def _sums(
    slab: NDArray[np.generic], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the sums (Y, X) of the blocks that start at some rows and columns."""
    plane = slab.sum(0, dtype=np.float32)
    return np.asarray(np.add.reduceat(np.add.reduceat(plane, rows, 0), columns, 1))


def _counts(shape: tuple[int, int, int], factor: tuple[int, int, int]) -> NDArray[np.float32]:
    """Return how many voxels each block (Z, Y, X) holds."""
    sizes = [
        np.minimum(times, size - np.arange(0, size, times)).astype(np.float32)
        for size, times in zip(shape, factor, strict=True)
    ]
    return np.asarray(sizes[0][:, None, None] * sizes[1][:, None] * sizes[2])
