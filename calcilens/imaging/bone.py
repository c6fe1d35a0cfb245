"""Bones in a CT: long dense parts that enclose a less dense inside, the marrow."""

from __future__ import annotations

import numpy as np

from calcilens.imaging.attached import attached
from calcilens.imaging.coarse import Coarse, Mask
from calcilens.imaging.parts import Part, parts
from calcilens.imaging.shapes import VERTEBRA_MM3, Shape, has_marrow, is_long, shape_of

_LEAST_MM3 = 300.0
_DISC_MM, _INTERLOCKED, _STACKED = 9.0, 0.5, 0.4


def find_bone(grid: Coarse, body: Mask, level_hu: float) -> Mask:
    """Return the bones with their marrow, (Z, Y, X) blocks.

    A mass with a mineral rim encloses something less dense too. So bone is only what runs out of
    the image or is over 60 mm long, alone or, as vertebrae are, in a stack. Short bones stay
    candidates, and so does what lies on a bone.
    """
    dense = body & (grid.hu >= level_hu)
    likely = [s for p in parts(dense, grid, _LEAST_MM3) if has_marrow(s := shape_of(p, grid))]
    bone = np.zeros_like(body)
    for stack in _stacks(likely, grid):
        if is_long([s.part for s in stack], grid):
            for shape in stack:
                bone[shape.part.box] |= shape.filled & ~attached(shape, grid, level_hu)
    return bone


def _stacks(shapes: list[Shape], grid: Coarse) -> list[list[Shape]]:
    """Group bones that lie over each other with no more than a disc between, as vertebrae do."""
    group = np.arange(len(shapes))
    for i, a in enumerate(shapes):
        for j, b in enumerate(shapes[:i]):
            if _stacked(a.part, b.part, grid):
                group[group == group[j]] = group[i]
    return [[shapes[i] for i in np.flatnonzero(group == g)] for g in np.unique(group)]


def _stacked(a: Part, b: Part, grid: Coarse) -> bool:
    above, below = sorted((a.box[0], b.box[0]), key=lambda s: s.start)
    gap = (below.start - above.stop) * grid.spacing_mm[0]
    height = min(s.stop - s.start for s in (above, below)) * grid.spacing_mm[0]
    if not -_INTERLOCKED * height <= gap <= _DISC_MM:
        return False
    if np.prod([_shared(a.box[k], b.box[k]) for k in (1, 2)]) < _STACKED:
        return False
    return bool(min(p.mask.sum() for p in (a, b)) * grid.voxel_mm3 >= VERTEBRA_MM3)


def _shared(a: slice, b: slice) -> float:
    """Return the share of what two ranges cover together that they have in common."""
    common = min(a.stop, b.stop) - max(a.start, b.start)
    return max(0.0, float(common / (max(a.stop, b.stop) - min(a.start, b.start))))
