"""How large a lesion is: diameter, axes, volume, pieces and their spread."""

from __future__ import annotations

import cc3d
import numpy as np
from scipy.ndimage import binary_erosion
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist

from calcilens.imaging.anatomy import Mask
from calcilens.imaging.measure.lesion import Float, Lesion
from calcilens.imaging.measure.measurement import Measurement
from calcilens.imaging.measure.mineral import Mineral


def measure_extent(lesion: Lesion, mineral: Mineral, taken: Measurement) -> None:
    """Take the figures of size."""
    _volume(lesion, mineral, taken)
    _diameter(lesion, taken)
    _members(lesion, taken)


def _volume(lesion: Lesion, mineral: Mineral, taken: Measurement) -> None:
    if not mineral.share.any():
        how = f"voxel count times voxel size of {lesion.of}: nothing in it is as dense as mineral"
        return taken.set("volume_mm3", float(lesion.mask.sum() * lesion.voxel_mm3), how)
    volume = float(mineral.share.sum(dtype=np.float64)) * lesion.voxel_mm3
    how = f"sum of the mineral's share of each voxel around {lesion.of}; {mineral.blur.how}"
    taken.set("volume_mm3", volume, how, 0.12 * volume)
    taken.uncertainty["volume_repeat_mm3"] = 0.05 * volume
    return None


def _diameter(lesion: Lesion, taken: Measurement) -> None:
    how = f"largest distance in 3D between voxel faces of {lesion.of}"
    sd = float(np.linalg.norm(lesion.spacing)) / 3
    taken.set("max_diameter_mm", diameter_mm(lesion.mask, lesion.spacing), how, sd)


def diameter_mm(mask: Mask, spacing: Float) -> float:
    """Return the largest distance between two voxel faces of a mask (Z, Y, X), mm.

    The maximum 3D diameter of the Image Biomarker Standardisation Initiative (definition L0JK),
    on the faces' middles; on a ball it is up to one voxel too long.
    """
    inside = np.argwhere(mask & ~np.asarray(binary_erosion(mask), bool))
    steps = np.concatenate([np.eye(3), -np.eye(3)]) / 2
    faces = ((inside[:, None] + steps) * spacing).reshape(-1, 3)
    return longest_mm(faces)


def longest_mm(points: Float) -> float:
    """Return the largest distance between two of some points (N, 3), mm."""
    try:
        points = points[ConvexHull(points).vertices]
    except QhullError:
        points = np.unique(points, axis=0)
    return float(pdist(points).max())


def _members(lesion: Lesion, taken: Measurement) -> None:
    labels, count = cc3d.connected_components(lesion.mask, connectivity=26, return_N=True)
    how = f"pieces of {lesion.of} that touch nowhere, not by a corner"
    taken.set("members", int(count), how)
    stats = cc3d.statistics(labels)
    weight = np.asarray(stats["voxel_counts"][1:], float)
    at = np.asarray(stats["centroids"][1:], float) * lesion.spacing
    middle = (at * weight[:, None]).sum(0) / weight.sum()
    spread = float(np.sqrt((((at - middle) ** 2).sum(1) * weight).sum() / weight.sum()))
    how = "root mean square distance of the pieces from their common centre, weighted by volume"
    taken.set("spread_mm", spread, how)
