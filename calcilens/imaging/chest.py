"""What looks like calcification in a chest: vessels in the lung, and cartilage of the ribs."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation, distance_transform_edt, label, uniform_filter

from calcilens.imaging.anatomy import Anatomy, Mask
from calcilens.imaging.parts import Box
from calcilens.imaging.pieces import Piece

_NODE_MM3, _NODE_HU = 20.0, 400.0
"""A calcified node of the lung is larger or denser than this, or is part of nothing long."""
_THREAD_HU, _VESSEL_MM, _THIN_MM = -500.0, 9.0, 4.0
"""What is denser than this in lung is vessel or node; a vessel is longer than that, and half of
its thickness is less than that, which heart and chest wall are not."""
_AIRY_HU, _CARTILAGE_HU, _DENSER_HU = -300.0, 75.0, 20.0
"""What is lung, the lowest value of cartilage, and how much denser than soft tissue it is."""
_CARTILAGE_SHARE, _DENSE = 0.05, 1.5
"""Least share of the soft tissue around a piece that is cartilage; what is denser than that
multiple of the floor has a blur that looks like it."""
_MOSTLY_MM3, _MOSTLY = 200.0, 1.2
"""A piece that large, most of which is hardly denser than the level, is itself cartilage."""
_MEAN_OVER, _KNOWN_SHARE = (3, 5, 5), 0.3
"""Blocks that soft tissue is averaged over, and how many of them must be soft tissue."""


def is_on_vessel(piece: Piece, ground: Anatomy) -> bool:
    """Say whether a small piece in lung is part of something long, as vessels are.

    Sharp kernels overshoot where vessels cross or bend; a calcified node ends where it is dense.
    """
    if len(piece.voxels) * ground.voxel_mm3 > _NODE_MM3 or piece.peak_hu >= _NODE_HU:
        return False
    grid, at = ground.grid, piece.voxels // ground.grid.factor
    reach = np.ceil(_VESSEL_MM / np.asarray(grid.spacing_mm)).astype(int)
    low = np.maximum(at.min(0) - reach, 0)
    near = tuple(slice(a, b) for a, b in zip(low, at.max(0) + reach + 1, strict=True))
    labels, _ = label(grid.hu[near] >= _THREAD_HU, np.ones((3, 3, 3)))
    own = labels == labels[tuple((at[piece.hu.argmax()] - low).T)]
    long = (np.ptp(np.argwhere(own), axis=0) * grid.spacing_mm).max() >= _VESSEL_MM
    return bool(long and distance_transform_edt(own, sampling=grid.spacing_mm).max() <= _THIN_MM)


def in_cartilage(piece: Piece, ground: Anatomy, near: Box, others: Mask) -> bool:
    """Say whether some of the soft tissue around a piece is as dense as cartilage.

    Cartilage is denser than muscle and blood. Means over some blocks tell them apart in noise; the
    blur of what is dense is left out. In much noise, or with age, cartilage itself is a piece.

    Args:
        piece: The piece.
        ground: Its anatomy: contrast medium in the blood is as dense as cartilage.
        near: A box of blocks around the piece.
        others: Its blocks that are neither the piece nor bone.
    """
    if ground.contrast_hu is not None:
        return False
    large = len(piece.voxels) * ground.voxel_mm3 >= _MOSTLY_MM3
    if large and np.median(piece.hu) < _MOSTLY * ground.floor_hu:
        return True
    hu = ground.grid.hu[near]
    dense = ~others | (hu >= _DENSE * ground.floor_hu)
    soft = ~binary_dilation(dense, np.ones((3, 3, 3), bool)) & (hu > _AIRY_HU)
    share = uniform_filter(soft.astype(np.float32), _MEAN_OVER)
    total = uniform_filter(np.where(soft, hu, np.float32(0)), _MEAN_OVER)
    known = soft & (share >= _KNOWN_SHARE)
    if not known.any():
        return False
    least = max(_CARTILAGE_HU, ground.noise.tissue_hu + _DENSER_HU)
    return bool((total[known] >= least * share[known]).mean() >= _CARTILAGE_SHARE)
