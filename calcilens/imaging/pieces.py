"""Connected dense pieces of a CT that stand out from its noise."""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray

from calcilens.imaging.anatomy import Anatomy, Mask
from calcilens.imaging.images import Volume
from calcilens.imaging.noise import means_at
from calcilens.imaging.parts import bounds

LEAST_MM3, LEAST_VOXELS = 1.0, 2
_SEED_NOISES, _SEED_HU = 4.5, 100.0
"""A mean of tissue and noise reaches 4.5 deviations once in 300,000."""
_METAL_HU, _METAL_SHARE = 2500.0, 0.1
_MOST = 2000


@dataclass(frozen=True, eq=False)
class Piece:
    """A connected piece.

    Args:
        voxels: (n, 3) indices.
        hu: (n,) values.
        peak_hu: Highest mean over a voxel's surroundings.
    """

    voxels: NDArray[np.int64]
    hu: NDArray[np.float32]
    peak_hu: float


def find_pieces(volume: Volume, ground: Anatomy, where: Mask, level_hu: float) -> list[Piece]:
    """Return the pieces above a level that are large enough and no noise, the largest first.

    Args:
        volume: The CT.
        ground: Its anatomy.
        where: (Z, Y, X) where to look.
        level_hu: Lowest value of a voxel.
    """
    dense = volume.hu >= level_hu
    dense &= where
    part = bounds(dense)
    if part is None:
        return []
    labels = cc3d.connected_components(dense[part], connectivity=26)
    start = np.array([s.start for s in part])
    stats = cc3d.statistics(labels)
    counts = np.asarray(stats["voxel_counts"], np.int64)
    least = max(LEAST_VOXELS, np.ceil(LEAST_MM3 / np.prod(volume.spacing_mm)))
    order = [i for i in np.argsort(-counts[1:], kind="stable") + 1 if counts[i] >= least]
    seed = max(_SEED_HU, ground.noise.tissue_hu + _SEED_NOISES * ground.noise.mean_hu)
    found = []
    for i in order:
        piece = _piece(volume, ground, _indices(labels, stats["bounding_boxes"][i], i) + start)
        if piece.peak_hu >= seed and not _is_metal(piece):
            found.append(piece)
        if len(found) == _MOST:
            break
    return found


def _piece(volume: Volume, ground: Anatomy, voxels: NDArray[np.int64]) -> Piece:
    hu = volume.hu[tuple(voxels.T)].astype(np.float32)
    best = voxels[np.argsort(hu)[-20:]]
    peak = float(means_at(volume, best, ground.noise.offsets).max())
    return Piece(voxels, hu, peak)


def _is_metal(piece: Piece) -> bool:
    """Say whether much of a piece is denser than any mineral of the body."""
    return bool((piece.hu >= _METAL_HU).mean() >= _METAL_SHARE)


def _indices(
    labels: NDArray[np.generic], box: tuple[slice, slice, slice], label: int
) -> NDArray[np.int64]:
    start = np.array([s.start for s in box], np.int64)
    return np.asarray(np.argwhere(labels[box] == label) + start)
