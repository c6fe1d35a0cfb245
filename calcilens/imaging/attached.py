"""Lesions that lie on a bone, told from it by the dip in density between the two."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from calcilens.imaging.coarse import Coarse, Mask
from calcilens.imaging.parts import Part, inside, parts
from calcilens.imaging.shapes import Shape, is_bony, shape_of

_DIPS = (1.6, 2.5, 4.0)
"""Values to look for a dip at, as multiples of that above which everything is dense."""
_SPECK_MM3, _WHOLE, _OUTSIDE, _STEEP = 15.0, 0.75, 0.7, 1.25


def attached(shape: Shape, grid: Coarse, level_hu: float) -> Mask:
    """Return what lies on a bone, (Z, Y, X) in the box of its part.

    Above some value the part falls into bone, still whole, and pieces outside it. Each dense
    block then belongs to what it is nearer to.
    """
    dense = shape.part.mask
    lesions, bones = np.zeros_like(dense), dense
    for level in (times * level_hu for times in _DIPS):
        found = _split(shape.part, grid, level)
        if found is None:
            break
        more, bones = found
        lesions |= more
    if not lesions.any():
        return lesions
    bones = bones & ~lesions
    to_lesion = ndimage.distance_transform_edt(~lesions, sampling=grid.spacing_mm)
    to_bone = ndimage.distance_transform_edt(~bones, sampling=grid.spacing_mm)
    return np.asarray(dense & (to_lesion < to_bone))


def _split(part: Part, grid: Coarse, level: float) -> tuple[Mask, Mask] | None:
    """Return the lesions and the bones above a value, or None where the bone breaks apart."""
    dense = part.mask & (grid.hu[part.box] >= level)
    pieces = [inside(part, p) for p in parts(dense, grid, _SPECK_MM3)]
    shapes = [shape_of(p, grid) for p in pieces]
    bony = [s for s in shapes if is_bony(s, grid)]
    if sum(s.part.mask.sum() for s in bony) < _WHOLE * dense.sum():
        return None
    bones, solid = np.zeros_like(dense), np.zeros_like(dense)
    for s in bony:
        window = _window(part, s.part)
        bones[window] |= s.part.mask
        solid[window] |= s.filled
    lesions = np.zeros_like(dense)
    for s in shapes:
        window = _window(part, s.part)
        beyond = s.part.mask & ~solid[window]
        clear = np.percentile(s.part.hu(grid), 90) >= _STEEP * level
        if not is_bony(s, grid) and clear and beyond.sum() >= _OUTSIDE * s.part.mask.sum():
            lesions[window] |= s.part.mask
    return lesions, bones


def _window(outer: Part, inner: Part) -> tuple[slice, ...]:
    """Return the box of a part within that of another."""
    return tuple(
        slice(i.start - o.start, i.stop - o.start)
        for i, o in zip(inner.box, outer.box, strict=True)
    )
