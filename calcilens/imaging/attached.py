"""Lesions that lie on a bone, told from it by the dip in density between the two."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from calcilens.imaging.coarse import Coarse, Mask
from calcilens.imaging.parts import Part, inside, parts, window
from calcilens.imaging.shapes import VERTEBRA_MM3, Shape, has_marrow, is_bony, shape_of

_DIPS = (1.3, 1.6)
"""Values to look for a dip at, as multiples of that above which everything is dense."""
_SPECK_MM3, _BROKEN, _OUTSIDE, _PEAK_HU, _CONTACT = 15.0, 0.2, 0.7, 300.0, 0.3
_NEAR = ndimage.generate_binary_structure(3, 1)
_REACH = 2


def attached(shape: Shape, grid: Coarse, level_hu: float) -> Mask:
    """Return what lies on a bone, (Z, Y, X) in the box of its part.

    Above some value the part falls into bone, still whole, and pieces outside it that it touches
    with little of their surface. Each dense block then belongs to what it is nearer to.
    """
    dense = shape.part.mask
    lesions, bones = np.zeros_like(dense), dense
    for level in (times * level_hu for times in _DIPS):
        found = _split(shape.part, grid, level)
        if found is None:
            break
        lesions |= found[0]
        bones = found[1]
    if not lesions.any():
        return lesions
    to_lesion = ndimage.distance_transform_edt(~lesions, sampling=grid.spacing_mm)
    to_bone = ndimage.distance_transform_edt(~(bones & ~lesions), sampling=grid.spacing_mm)
    return np.asarray(shape.filled & (to_lesion < to_bone))


def _split(part: Part, grid: Coarse, level: float) -> tuple[Mask, Mask] | None:
    """Return the lesions and the bones above a value, or None where the bone breaks apart."""
    dense = part.mask & (grid.hu[part.box] >= level)
    shapes = [shape_of(inside(part, p), grid) for p in parts(dense, grid, _SPECK_MM3)]
    bony = [s for s in shapes if is_bony(s, grid) or _is_large(s, grid)]
    bones, solid, lesions = (np.zeros_like(dense) for _ in range(3))
    for s in bony:
        bones[window(s.part, part.box)] |= s.part.mask
        solid[window(s.part, part.box)] |= s.filled
    for s in shapes:
        if s not in bony and _lies_on(s, Part(part.box, solid), grid):
            lesions[window(s.part, part.box)] |= s.part.mask
    if (dense & ~bones & ~lesions).sum() > _BROKEN * bones.sum():
        return None
    return lesions, bones


def _is_large(shape: Shape, grid: Coarse) -> bool:
    """Say whether a piece is a whole vertebra, of a column that falls apart at its discs."""
    return has_marrow(shape) and shape.part.mask.sum() * grid.voxel_mm3 >= VERTEBRA_MM3


def _lies_on(shape: Shape, solid: Part, grid: Coarse) -> bool:
    """Say whether a piece is a lesion: dense, whole in the image, clear of the solid bone."""
    if shape.cut or shape.cortex_hu < _PEAK_HU:
        return False
    box, mask = shape.part.padded(grid, _REACH)
    bone = solid.within(box)
    if (mask & ~bone).sum() < _OUTSIDE * mask.sum():
        return False
    around = ndimage.binary_dilation(mask, _NEAR, iterations=_REACH) & ~mask
    return bool((around & bone).sum() < _CONTACT * around.sum())
