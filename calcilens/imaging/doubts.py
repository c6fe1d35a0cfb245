"""Why a dense piece of a CT is no calcification: what bones, skin and table look like in bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, distance_transform_edt, label
from scipy.spatial import ConvexHull

from calcilens.imaging.anatomy import Anatomy, Mask
from calcilens.imaging.chest import in_cartilage, is_on_vessel
from calcilens.imaging.parts import Box
from calcilens.imaging.pieces import Piece

_FEW, _FAINT = 4, 1.25
"""Fewer voxels than this must be that many times as dense as the level."""
_SURFACE_MM, _BLUR_MM, _BLURRED = 2.0, 5.0, 1.5
"""Distances from bone of its surface and of its blur, which is below that multiple of the level."""
_ENDS_MM, _END_MM, _CUT_MM = 8.0, 15.0, 30.0
"""Height of the first and last planes, distance from bone where others begin there, and the same
for what the first or last plane cuts."""
_TIP_MM, _TIP_MM2, _TIP_MM3 = 10.0, (10.0, 300.0), 150.0
"""Distance of a tip from its bone in the next plane, that bone's section, and the tip's volume."""
_WIDE_MM, _BESIDE = 20.0, 0.5
"""How far the outline of a thin bone is followed, and blocks that a bit may lie beside it."""
_SKIN_HU, _SKIN_SHARE = 200.0, 0.9
_AROUND_MM, _ABOVE = 4.0, 1.5
"""What surrounds a piece, and how many times as dense the piece must be."""
_LUNG_HU, _VESSEL_HU = -300.0, 200.0
_COMPACT, _COMPACT_MM = 2.0, 12.0
"""A piece that no vessel looks like is no longer than that many times its thickness, and this."""
_WALL_MM = 40.0
"""Farthest that bone and lung are from the cartilage of a rib."""


def is_mimic(piece: Piece, ground: Anatomy) -> bool:
    """Say whether a piece is a bit of bone, its blur, skin or table, or too faint for its size."""
    few = len(piece.voxels) < _FEW and piece.hu.max() < _FAINT * ground.level_hu
    tests = (_is_explained, _is_skin, _is_bone)
    return bool(few or any(test(piece, ground) for test in tests))


def may_be_vessel(piece: Piece, ground: Anatomy) -> bool:
    """Say whether contrast medium may fill a piece: less dense than it, and long or not alone."""
    sides = (np.ptp(piece.voxels, axis=0) + 1) * ground.spacing_mm
    around = _around(piece, ground)
    if sides.max() > min(_COMPACT_MM, _COMPACT * sides.min()) or not around.size:
        return True
    median, upper = np.percentile(around, [50, 90])
    above = max(_ABOVE * upper, _ABOVE * ground.floor_hu)
    return bool(median < _LUNG_HU or piece.peak_hu < above)


def _is_explained(piece: Piece, ground: Anatomy) -> bool:
    """Say whether what surrounds a piece explains it.

    Mixing contrast medium and blur are nearly as dense around it; sharp kernels overshoot vessels
    in the lung; the cartilage of ribs, denser than muscle, calcifies with age as bones do.
    """
    hu = _around(piece, ground)
    if not hu.size:
        return False
    median, upper = np.percentile(hu, [50, 75])
    if median < _LUNG_HU and is_on_vessel(piece, ground):
        return True
    if upper < _LUNG_HU:
        return piece.peak_hu < _VESSEL_HU
    faint = piece.peak_hu < max(upper + 5 * ground.noise.mean_hu, _ABOVE * upper)
    if faint:
        return True
    cartilage = in_cartilage(piece, ground, *_beside(piece, ground))
    return bool(cartilage and _is_by_rib(piece, ground))


def _around(piece: Piece, ground: Anatomy) -> NDArray[np.float32]:
    """Return the HU (n,) of the blocks around a piece, without bone."""
    near, others = _beside(piece, ground)
    return np.asarray(ground.grid.hu[near][others])


def _beside(piece: Piece, ground: Anatomy) -> tuple[Box, Mask]:
    """Return a box around a piece, and its blocks that are neither the piece nor bone."""
    grid, at = ground.grid, piece.voxels // ground.grid.factor
    reach = np.ceil(_AROUND_MM / np.asarray(grid.spacing_mm)).astype(int)
    low, high = np.maximum(at.min(0) - reach, 0), at.max(0) + reach + 1
    z, y, x = (slice(a, b) for a, b in zip(low, high, strict=True))
    own = np.zeros(grid.hu[z, y, x].shape, bool)
    own[tuple((at - low).T)] = True
    others = ~binary_dilation(own, np.ones((1, 3, 3), bool)) & ~ground.blocks[z, y, x]
    return (z, y, x), others


def _is_by_rib(piece: Piece, ground: Anatomy) -> bool:
    """Say whether both bone and lung are near a piece, as they are in the wall of the chest."""
    kinds = (ground.blocks, ground.lung)
    return all(distances(piece, ground, kind, _WALL_MM).min() <= _WALL_MM for kind in kinds)


def _is_skin(piece: Piece, ground: Anatomy) -> bool:
    """Say whether a faint piece lies in the skin, where its folds and the table are too."""
    if piece.peak_hu >= _SKIN_HU:
        return False
    at = tuple((piece.voxels // ground.grid.factor).T)
    return bool(ground.skin[at].mean() >= _SKIN_SHARE)


def _is_bone(piece: Piece, ground: Anatomy) -> bool:
    """Say whether a piece lies on bone, is its blur or its tip, or is cut off by the image."""
    side, end = _at_edge(piece, ground)
    z, last = piece.voxels[:, 0], len(ground.body) - 1
    reach = _CUT_MM if z.min() == 0 or z.max() == last else _END_MM
    away = distances(piece, ground, ground.blocks, reach if end else _BLUR_MM)
    on_surface = (away <= _SURFACE_MM).mean() >= 0.5
    blurred = (away <= _BLUR_MM).mean() >= 0.5 and piece.peak_hu < _BLURRED * ground.level_hu
    cut = side or (end and away.min() <= reach)
    return bool(on_surface or blurred or cut or _is_tip(piece, ground) or _is_inside(piece, ground))


def _at_edge(piece: Piece, ground: Anatomy) -> tuple[bool, bool]:
    """Say whether a piece touches a side of the image, and lies in its first or last planes."""
    low, high = piece.voxels.min(0), piece.voxels.max(0)
    last = np.array(ground.body.shape) - 1
    side = (low[1:] == 0).any() or (high[1:] == last[1:]).any()
    planes = max(2, round(_ENDS_MM * ground.grid.factor[0] / ground.grid.spacing_mm[0]))
    return bool(side), bool(high[0] < planes or low[0] > last[0] - planes)


def _is_tip(piece: Piece, ground: Anatomy) -> bool:
    """Say whether a thin bone that slopes through the planes, as ribs do, ends by a piece."""
    grid, blocks = ground.grid, ground.blocks
    if len(piece.voxels) * ground.voxel_mm3 > _TIP_MM3:
        return False
    at = piece.voxels // grid.factor
    reach = np.ceil(_TIP_MM / np.asarray(grid.spacing_mm[1:])).astype(int)
    low = np.maximum(at[:, 1:].min(0) - 2 * reach, 0)
    window = tuple(slice(a, b) for a, b in zip(low, at[:, 1:].max(0) + 2 * reach, strict=True))
    for own, beside in ((at[:, 0].min(), -1), (at[:, 0].max(), 1)):
        if not 0 <= own + beside < len(blocks):
            continue
        labels, _ = label(blocks[own + beside][window], np.ones((3, 3)))
        area = np.bincount(labels.ravel()) * np.prod(grid.spacing_mm[1:])
        ends = (area >= _TIP_MM2[0]) & (area <= _TIP_MM2[1])
        ends[labels[binary_dilation(blocks[own][window])]] = False
        labels *= ends[labels]
        if not labels.any():
            continue
        gap = distance_transform_edt(labels == 0, sampling=grid.spacing_mm[1:])
        mine = at[at[:, 0] == own][:, 1:] - low
        if gap[tuple(mine.T)].min() <= _TIP_MM:
            return True
    return False


def _is_inside(piece: Piece, ground: Anatomy) -> bool:
    """Say whether a piece is a bit of the far cortex of a thin bone, which is full of gaps.

    It lies within the convex outline of that bone in its plane.
    """
    grid = ground.grid
    if len(piece.voxels) * ground.voxel_mm3 > _TIP_MM3:
        return False
    at = piece.voxels // grid.factor
    z = int(np.bincount(at[:, 0]).argmax())
    mine = np.unique(at[at[:, 0] == z][:, 1:], axis=0)
    reach = np.ceil(_WIDE_MM / np.asarray(grid.spacing_mm[1:])).astype(int)
    low = np.maximum(mine.min(0) - reach, 0)
    window = tuple(slice(a, b) for a, b in zip(low, mine.max(0) + reach + 1, strict=True))
    labels, count = label(ground.blocks[z][window], np.ones((3, 3)))
    for own in range(1, count + 1):
        section = np.argwhere(labels == own)
        area = len(section) * np.prod(grid.spacing_mm[1:])
        if not _TIP_MM2[0] <= area <= _TIP_MM2[1] or np.ptp(section, axis=0).min() < 2:
            continue
        sides = ConvexHull(section).equations
        beyond = ((mine - low) @ sides[:, :2].T + sides[:, 2]).max(1)
        if np.mean(beyond <= _BESIDE) >= 0.5:
            return True
    return False


def distances(piece: Piece, ground: Anatomy, blocks: Mask, reach_mm: float) -> NDArray[np.float64]:
    """Return the distance (n,) of a piece's voxels to some blocks, mm; infinite beyond a reach."""
    grid = ground.grid
    at = piece.voxels // grid.factor
    reach = np.ceil(reach_mm / np.asarray(grid.spacing_mm)).astype(int)
    low = np.maximum(at.min(0) - reach, 0)
    near = tuple(slice(a, b) for a, b in zip(low, at.max(0) + reach + 1, strict=True))
    if not blocks[near].any():
        return np.full(len(at), np.inf)
    away = distance_transform_edt(~blocks[near], sampling=grid.spacing_mm)[tuple((at - low).T)]
    return np.where(away <= reach_mm, away, np.inf)
