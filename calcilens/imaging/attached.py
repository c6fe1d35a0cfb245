"""Lesions that lie on a bone, told from it by the dip in density between the two."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from calcilens.imaging.coarse import Coarse, Mask
from calcilens.imaging.parts import Part, inside, parts, window
from calcilens.imaging.shapes import Shape, has_marrow, is_bony, shape_of

_DIPS = (1.3, 1.6, 2.0, 2.5, 3.5, 4.6, 5.4)
"""Values to look for a dip at, as multiples of that above which everything is dense."""
_SURE, _SPECK_MM3, _LUMP_MM3 = 1.8, 15.0, 150.0
"""Below the first multiple bone does not fall apart, so that specks count; above it, only lumps."""
_BROKEN = 0.2
"""Bone is broken where more than this share of it is neither whole bone nor lesion."""
_LONG_MM, _COMPACT, _DIP = 60.0, 0.3, 0.75
"""A lump is no longer, fills that share of its box, and the dip is below that share of its rim."""
_OUTSIDE, _RIM, _REACH, _CONTACT = 0.7, 1, 3, 0.3
"""It lies outside bone by that share, and of the blocks within reach, beyond its own rim, fewer
than that are bone."""
_VERTEBRA_MM3 = 6000.0
_NEAR = ndimage.generate_binary_structure(3, 1)


def attached(shape: Shape, grid: Coarse, level_hu: float) -> Mask:
    """Return what lies on a bone, (Z, Y, X) in the box of its part.

    Above some value the part falls into bone, still whole, and pieces outside it that it touches
    with little of their surface. Each dense block then belongs to what it is nearer to.
    """
    dense = shape.part.mask
    lesions, bones = np.zeros_like(dense), dense
    for level in (times * level_hu for times in _DIPS):
        found = _split(shape, grid, level, _SPECK_MM3 if level < _SURE * level_hu else _LUMP_MM3)
        if found is None:
            break
        lesions |= found[0]
        bones = found[1]
    if not lesions.any():
        return lesions
    to_lesion = ndimage.distance_transform_edt(~lesions, sampling=grid.spacing_mm)
    to_bone = ndimage.distance_transform_edt(~(bones & ~lesions), sampling=grid.spacing_mm)
    return np.asarray(shape.filled & (to_lesion < to_bone))


def _split(whole: Shape, grid: Coarse, level: float, least_mm3: float) -> tuple[Mask, Mask] | None:
    """Return the lesions and the bones above a value, or None where the bone breaks apart."""
    part = whole.part
    dense = part.mask & (grid.hu[part.box] >= level)
    shapes = [shape_of(inside(part, p), grid) for p in parts(dense, grid, _SPECK_MM3)]
    half = 0.5 * dense.sum()
    bony = [s for s in shapes if is_bony(s, grid) or _is_large(s, grid) or s.part.mask.sum() > half]
    bones, solid, lesions = (np.zeros_like(dense) for _ in range(3))
    for s in bony:
        bones[window(s.part, part.box)] |= s.part.mask
        solid[window(s.part, part.box)] |= s.filled
    for s in shapes:
        large = s.part.mask.sum() * grid.voxel_mm3 >= least_mm3
        if large and s not in bony and _is_lump(s, grid, level) and _lies_on(s, solid, whole, grid):
            lesions[window(s.part, part.box)] |= s.part.mask
    if (dense & ~bones & ~lesions).sum() > _BROKEN * bones.sum():
        return None
    return lesions, bones


def _is_large(shape: Shape, grid: Coarse) -> bool:
    """Say whether a piece is a whole vertebra, of a column that falls apart at its discs."""
    return has_marrow(shape) and shape.filled.sum() * grid.voxel_mm3 >= _VERTEBRA_MM3


def _is_lump(shape: Shape, grid: Coarse, level: float) -> bool:
    """Say whether a piece is compact, whole in the image and far denser than the dip."""
    long = shape.part.sides_mm(grid).max() > _LONG_MM
    compact = shape.filled.mean() >= _COMPACT
    return bool(compact and not shape.cut and not long and level <= _DIP * shape.cortex_hu)


def _lies_on(shape: Shape, solid: Mask, whole: Shape, grid: Coarse) -> bool:
    """Say whether a piece lies outside the solid bone and borders little on all that is bone."""
    box, mask = shape.part.padded(grid, _REACH)
    if (mask & ~Part(whole.part.box, solid).within(box)).sum() < _OUTSIDE * mask.sum():
        return False
    own = ndimage.binary_dilation(mask, _NEAR, iterations=_RIM)
    around = ndimage.binary_dilation(own, _NEAR, iterations=_REACH - _RIM) & ~own
    bordering = around & Part(whole.part.box, whole.filled).within(box)
    return bool(bordering.sum() < _CONTACT * around.sum())
