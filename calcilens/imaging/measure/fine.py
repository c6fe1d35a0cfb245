"""A CT finer than any figure needs, as of a specimen or an extremity, in blocks of voxels.

Distances of millimetres, over which mineral is deblurred and compared with what surrounds it, would
be hundreds of such voxels, and cost hours and all memory.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from calcilens.imaging.anatomy import anatomy
from calcilens.imaging.coarse import block_means
from calcilens.imaging.geometry import Affine
from calcilens.imaging.images import Volume
from calcilens.imaging.known import OncePerVolume
from calcilens.imaging.measure.lesion import Lesion

FINE_MM = 0.3
"""Side of a block, at most: what fine scanners of patients have as voxels."""


def coarser(lesion: Lesion) -> Lesion:
    """Return a lesion in blocks of voxels where these are needlessly fine, else as it is."""
    factor = _factor(lesion.volume)
    if max(factor) == 1:
        return lesion
    first = lesion.start // factor
    before = lesion.start - first * factor
    after = -(before + lesion.mask.shape) % factor
    mask = np.pad(lesion.mask, np.stack([before, after], 1))
    share = block_means(mask, factor)
    held = share >= min(0.5, float(share.max()))
    side = " x ".join(f"{s:.2g}" for s in _REDUCED(lesion.volume).spacing_mm)
    return Lesion(_REDUCED(lesion.volume), first, held, f"{lesion.of}, in blocks of {side} mm")


def _factor(volume: Volume) -> tuple[int, int, int]:
    z, y, x = (max(1, int(FINE_MM / s + 1e-6)) for s in volume.spacing_mm)
    return z, y, x


def _reduce(volume: Volume) -> Volume:
    factor = _factor(volume)
    matrix = volume.affine.shifted([(f - 1) / 2 for f in factor]).matrix.copy()
    matrix[:3, :3] *= factor
    hu = block_means(volume.hu, factor)
    small = replace(volume, hu=hu, affine=Affine(matrix), planes=volume.planes[:: factor[0]])
    anatomy(small, block_means(anatomy(volume).bone, factor) >= 0.5)  # bones may be given ones
    return small


_REDUCED = OncePerVolume(_reduce)
