"""Points between neighbouring voxels: where a mask ends, or a field passes a level."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from calcilens.imaging.anatomy import Mask
from calcilens.imaging.measure.lesion import Float


def pairs(values: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return all neighbours along an axis: the first of each pair, and the second."""
    before = (slice(None),) * axis
    return values[(*before, slice(None, -1))], values[(*before, slice(1, None))]


def faces(mask: Mask) -> Float:
    """Return the middles (N, 3) of the faces between set and unset voxels."""
    found = []
    for axis in range(3):
        at = _places(np.not_equal(*pairs(mask, axis)))
        at[:, axis] += 0.5
        found.append(at)
    return np.concatenate(found)


def crossings(field: NDArray[Any]) -> Float:
    """Return the points (N, 3) between neighbouring voxels where a field changes its sign."""
    above = field > 0
    changes = [np.not_equal(*pairs(above, axis)) for axis in range(3)]
    return np.concatenate([crossed(c, axis, field, 0.0) for axis, c in enumerate(changes)])


def crossed(change: Mask, axis: int, field: NDArray[Any], level: float) -> Float:
    """Return the points (N, 3) at which a field passes a level between certain neighbours.

    Args:
        change: Which pairs along the axis; shorter along it by one than the field.
        axis: Along which they are neighbours.
        field: (Z, Y, X).
        level: Where both lie on one side of it, the point is the voxel nearer to it.
    """
    at = _places(change)
    first = tuple(at.T.astype(np.intp))
    second = tuple(i + (k == axis) for k, i in enumerate(first))
    before, after = (field[i].astype(np.float64) for i in (first, second))
    step = np.where(before == after, 1.0, after - before)
    at[:, axis] += np.clip((level - before) / step, 0, 1)
    return at


def _places(change: Mask) -> Float:
    """Return the indices (N, 3) of what is set; many times as quick as argwhere."""
    return np.stack(np.unravel_index(np.flatnonzero(change), change.shape), 1).astype(np.float64)
