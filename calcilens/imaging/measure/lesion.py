"""A lesion cut out of its volume, with as much around it as a figure needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from calcilens.imaging.anatomy import MINERAL_HU, Mask, anatomy
from calcilens.imaging.candidates import Candidate
from calcilens.imaging.images import Image, Radiograph, Volume

Float = NDArray[np.float64]
Field = NDArray[np.float32]
Part = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class Lesion:
    """A lesion of a CT.

    Args:
        volume: Where it lies.
        start: (3,) first voxel of the mask, (z, y, x).
        mask: (Z, Y, X) its voxels.
        of: What the mask is, in words.
    """

    volume: Volume
    start: NDArray[np.int64]
    mask: Mask
    of: str

    @cached_property
    def spacing(self) -> Float:
        """(3,) mm."""
        return np.asarray(self.volume.spacing_mm)

    @cached_property
    def voxel_mm3(self) -> float:
        """Volume of a voxel, also of a sheared one."""
        return float(abs(np.linalg.det(self.volume.affine.matrix[:3, :3])))

    @cached_property
    def hu(self) -> Float:
        """(Z, Y, X) HU in the box of the mask."""
        return self.volume.hu[self.part(0.0)].astype(np.float64)

    @cached_property
    def rim_mm(self) -> Float:
        """(N, 3) middles of the voxels at the mask's surface, mm along (z, y, x)."""
        inner = np.asarray(binary_erosion(self.mask), bool)
        return np.asarray((np.argwhere(self.mask & ~inner) + self.start) * self.spacing)

    def part(self, reach_mm: float) -> Part:
        """Return the part of the volume within a distance of the mask's box."""
        more = np.ceil(reach_mm / self.spacing).astype(int)
        low = np.maximum(self.start - more, 0)
        high = np.minimum(self.start + self.mask.shape + more, self.volume.hu.shape)
        z, y, x = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        return z, y, x

    def mask_in(self, part: Part) -> Mask:
        """Return the mask in a part that holds its box."""
        out = np.zeros([s.stop - s.start for s in part], bool)
        at = self.start - [s.start for s in part]
        out[tuple(slice(a, a + n) for a, n in zip(at, self.mask.shape, strict=True))] = self.mask
        return out


def lesion_mask(image: Image, candidate: Candidate) -> tuple[Mask, str]:
    """Return the box-shaped mask that a lesion's figures are taken from, and what it is."""
    if candidate.mask is not None and candidate.mask.any():
        return candidate.mask, "the lesion's mask"
    whole = np.ones(candidate.box[1] - candidate.box[0], bool)
    if isinstance(image, Radiograph):
        return whole, "the given box"
    part = tuple(slice(a, b) for a, b in candidate.box.T)
    dense = image.hu[part] >= MINERAL_HU
    free = dense & ~anatomy(image).covered[part]
    voxels = f"the voxels of at least {MINERAL_HU} HU in the given box"
    if free.any():
        return free, voxels if free.sum() == dense.sum() else f"{voxels}, without bone"
    if dense.any():
        return dense, f"{voxels}, all of them bone"
    return whole, "the given box, which holds no mineral"
