"""Skin, fascia and bone as points between voxels, and the way from a lesion to them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from calcilens.imaging.anatomy import Mask, anatomy
from calcilens.imaging.images import Volume
from calcilens.imaging.measure.lesion import Float, Lesion, Part
from calcilens.imaging.measure.mineral import crossings

_REACHES_MM = (12.0, 30.0, 75.0, 180.0, 450.0)
_FEW = 200
_SKIN_HU = -450.0
"""Halfway from air to skin."""
_BONE_HU = 400.0
"""About halfway from soft tissue to cortex that blur has thinned."""

Surface = Callable[[Volume, Part], Float]
"""Gives the points (N, 3) of a surface in a part of a volume, in voxels of that part."""


def nearest_mm(
    lesion: Lesion, border_mm: Float, surface: Surface, within_mm: float = np.inf
) -> float | None:
    """Return the shortest way from a lesion's border to a surface, mm; None where there is none.

    Looks near the lesion first: only what is farther than a part reaches needs a larger part.
    What is farther than `within_mm` may be passed over.
    """
    tree = cKDTree(border_mm)
    away: float | None = None
    for reach in _REACHES_MM:
        part = lesion.part(min(reach, within_mm))
        points = surface(lesion.volume, part)
        if len(points):
            start = np.array([s.start for s in part])
            away = _least(tree, (points + start) * lesion.spacing)
        if reach >= within_mm or (away is not None and away <= reach):
            break
    return away


def _least(tree: cKDTree, points: Float) -> float:
    """Return the least distance between points (N, 3) and those of a tree.

    Some points first: they say how near the others have to be to count.
    """
    bound = float(np.min(tree.query(points[:: -(-len(points) // _FEW)])[0]))
    near = ((points >= tree.mins - bound) & (points <= tree.maxes + bound)).all(1)
    return min(bound, float(np.min(tree.query(points[near], distance_upper_bound=bound)[0])))


def skin(volume: Volume, part: Part) -> Float:
    """Return where the body ends in its planes and air begins."""
    hu, body = volume.hu[part], anatomy(volume).body[part]
    found = []
    for axis in (1, 2):
        lines, values = np.moveaxis(body, axis, 0), np.moveaxis(hu, axis, 0)
        change = lines[:-1] != lines[1:]
        at = np.argwhere(change).astype(np.float64)
        before, after = (v[change].astype(np.float64) for v in (values[:-1], values[1:]))
        step = np.where(before == after, 1.0, after - before)
        at[:, 0] += np.clip((_SKIN_HU - before) / step, 0, 1)
        found.append(at[:, [1, 0, 2]] if axis == 1 else at[:, [1, 2, 0]])
    return np.concatenate(found)


def cut(volume: Volume, part: Part) -> Float:
    """Return where the body runs out of the image at the sides of its planes."""
    body = anatomy(volume).body
    found = [np.empty((0, 3))]
    for axis in (1, 2):
        lines, ends = np.moveaxis(body[part], axis, 0), (part[axis].start, part[axis].stop)
        for side, end, last in ((0, ends[0], 0), (-1, ends[1], body.shape[axis])):
            if end == last:
                at = np.argwhere(lines[side]).astype(np.float64)
                found.append(np.insert(at, axis, 0 if side == 0 else len(lines) - 1, axis=1))
    return np.concatenate(found)


def bone(volume: Volume, part: Part) -> Float:
    """Return the surface of dense bone, between voxels; the faces of bone where none is dense."""
    solid = anatomy(volume).bone[part]
    if not solid.any():
        return np.empty((0, 3))
    near = ndimage.binary_dilation(solid)
    over = np.where(near, volume.hu[part].astype(np.float32) - _BONE_HU, -1)
    found = crossings(over)
    return found if len(found) else faces(solid)


def faces(mask: Mask) -> Float:
    """Return the middles (N, 3) of the faces between set and unset voxels."""
    found = []
    for axis in range(3):
        lines = np.moveaxis(mask, axis, 0)
        at = np.argwhere(lines[:-1] != lines[1:]).astype(np.float64)
        at[:, 0] += 0.5
        order = [*range(1, axis + 1), 0, *range(axis + 1, 3)]
        found.append(at[:, order])
    return np.concatenate(found)
