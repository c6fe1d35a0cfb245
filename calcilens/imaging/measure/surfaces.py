"""Skin, fascia and bone as points between voxels, and the way from a lesion to them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from calcilens.imaging.anatomy import anatomy
from calcilens.imaging.images import Volume
from calcilens.imaging.measure.borders import crossed, crossings, faces, pairs
from calcilens.imaging.measure.lesion import Float, Lesion, Part
from calcilens.imaging.parts import bounds

_REACHES_MM = (12.0, 30.0, 75.0, 180.0, 450.0)
_FEW = 200
_SKIN_HU = -450.0
"""Halfway from air to skin."""
_RIM = 2
"""Voxels around bone that its surface may need."""
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
            away = least_mm(tree, (points + start) * lesion.spacing)
        if reach >= within_mm or (away is not None and away <= reach):
            break
    return away


def least_mm(tree: cKDTree, points: Float) -> float:
    """Return the least distance between points (N, 3) and those of a tree.

    Some points first: they say how near the others have to be to count.
    """
    bound = float(np.min(tree.query(points[:: -(-len(points) // _FEW)])[0]))
    near = ((points >= tree.mins - bound) & (points <= tree.maxes + bound)).all(1)
    return min(bound, float(np.min(tree.query(points[near], distance_upper_bound=bound)[0])))


def skin(volume: Volume, part: Part) -> Float:
    """Return where the body ends in its planes and air begins."""
    hu, body = volume.hu[part], anatomy(volume).body[part]
    changes = [np.not_equal(*pairs(body, axis)) for axis in (1, 2)]
    return np.concatenate(
        [crossed(c, a, hu, _SKIN_HU) for a, c in zip((1, 2), changes, strict=True)]
    )


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
    whole = anatomy(volume).bone[part]
    box = bounds(whole)
    if box is None:
        return np.empty((0, 3))
    z, y, x = (slice(max(0, s.start - _RIM), s.stop + _RIM) for s in box)
    solid, hu = whole[z, y, x], volume.hu[part][z, y, x]
    near = ndimage.binary_dilation(solid)
    found = crossings(np.where(near, hu.astype(np.float32) - _BONE_HU, -1))
    return np.asarray((found if len(found) else faces(solid)) + [z.start, y.start, x.start])
