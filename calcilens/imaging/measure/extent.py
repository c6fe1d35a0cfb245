"""How large a lesion is: diameter, axes, volume, pieces and their spread."""

from __future__ import annotations

from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist, squareform

from calcilens.imaging.anatomy import Mask
from calcilens.imaging.measure.lesion import Float, Lesion
from calcilens.imaging.measure.measurement import Measurement
from calcilens.imaging.measure.mineral import Mineral

_SHARP, _THIN = 0.05, 0.25
"""Relative error of the volume of what is wide, and added where nothing is: `docs/measure.md`."""
_SHARP_AGAIN, _THIN_AGAIN = 0.012, 0.07
"""The same between two scans."""
_EDGE_MM, _EDGE_VOXELS = 0.6, 0.35
"""Error of where a border lies, mm and share of a voxel."""


def measure_extent(lesion: Lesion, mineral: Mineral, taken: Measurement) -> None:
    """Take the figures of size."""
    _volume(lesion, mineral, taken)
    _diameter(lesion, mineral, taken)
    _axes(lesion, mineral, taken)
    _members(lesion, taken)


def _volume(lesion: Lesion, mineral: Mineral, taken: Measurement) -> None:
    if not mineral.there:
        how = f"voxel count times voxel size of {lesion.of}: nothing in it is as dense as mineral"
        return taken.set("volume_mm3", float(lesion.mask.sum() * lesion.voxel_mm3), how)
    share = mineral.share.astype(np.float64)
    volume = float(share.sum()) * lesion.voxel_mm3
    thin = 1 - float(share[mineral.wide].sum()) / float(share.sum())
    noise = mineral.noise_hu * np.sqrt((share / mineral.plateau**2).sum()) * lesion.voxel_mm3
    absolute = np.hypot(_SHARP, _THIN * np.sqrt(thin)) * volume
    again = np.hypot(_SHARP_AGAIN, _THIN_AGAIN * np.sqrt(thin)) * volume
    how = (
        f"sum of the mineral's share of each voxel around {lesion.of}; {mineral.blur.how}; "
        f"{100 * thin:.0f} % of it is too thin to show its own density"
    )
    taken.set("volume_mm3", volume, how, np.hypot(absolute, noise))
    taken.uncertainty["volume_repeat_mm3"] = float(np.hypot(again, noise))
    return None


def _diameter(lesion: Lesion, mineral: Mineral, taken: Measurement) -> None:
    if not mineral.there:
        how = f"largest distance in 3D between voxel faces of {lesion.of}"
        sd = float(np.linalg.norm(lesion.spacing)) / 3
        return taken.set("max_diameter_mm", diameter_mm(lesion.mask, lesion.spacing), how, sd)
    ends = farthest(mineral.border_mm)
    along = (ends[1] - ends[0]) / max(float(np.linalg.norm(ends[1] - ends[0])), 1e-6)
    sd = np.hypot(_EDGE_MM, _EDGE_VOXELS * np.linalg.norm(along * lesion.spacing))
    how = "largest distance in 3D within the border of the mineral, between voxels, without blur"
    taken.set("max_diameter_mm", float(np.linalg.norm(ends[1] - ends[0])), how, float(sd))
    return None


def _axes(lesion: Lesion, mineral: Mineral, taken: Measurement) -> None:
    """Lengths along the principal axes of the mineral's spread."""
    if not mineral.there:
        return taken.set("axes_mm", None, "nothing is as dense as mineral")
    at = np.argwhere(mineral.share > 0) * lesion.spacing
    axes = np.linalg.eigh(np.cov(at.T, aweights=mineral.share[mineral.share > 0], ddof=0))[1]
    lengths = np.ptp(mineral.border_mm @ axes, axis=0)
    how = "extent of the mineral's border along the principal axes of its volume"
    sd = float(np.hypot(_EDGE_MM, _EDGE_VOXELS * lesion.spacing.max()))
    return taken.set("axes_mm", sorted(map(float, lengths), reverse=True), how, sd)


def diameter_mm(mask: Mask, spacing: Float) -> float:
    """Return the largest distance between two voxel faces of a mask (Z, Y, X), mm.

    The maximum 3D diameter of the Image Biomarker Standardisation Initiative (definition L0JK),
    on the faces' middles; on a ball it is up to one voxel too long.
    """
    inside = np.argwhere(mask & ~np.asarray(binary_erosion(mask), bool))
    steps = np.concatenate([np.eye(3), -np.eye(3)]) / 2
    faces = ((inside[:, None] + steps) * spacing).reshape(-1, 3)
    ends = farthest(faces)
    return float(np.linalg.norm(ends[1] - ends[0]))


def farthest(points: Float) -> Float:
    """Return the two (2, 3) of some points (N, 3) that lie farthest from each other."""
    try:
        points = points[ConvexHull(points).vertices]
    except QhullError:
        points = np.unique(points, axis=0)
    away = squareform(pdist(points))
    return points[list(np.unravel_index(int(away.argmax()), away.shape))]


def _members(lesion: Lesion, taken: Measurement) -> None:
    labels, count = cc3d.connected_components(lesion.mask, connectivity=26, return_N=True)
    taken.set("members", int(count), f"pieces of {lesion.of} that touch nowhere, not by a corner")
    how = "root mean square distance of the pieces from their common centre, weighted by volume"
    taken.set("spread_mm", spread_of(labels, lesion.spacing), how)


def spread_of(labels: NDArray[np.integer[Any]], spacing: Float) -> float:
    """Return the root mean square distance, mm, of pieces (Y, X) or (Z, Y, X) from their centre."""
    stats = cc3d.statistics(labels)
    weight = np.asarray(stats["voxel_counts"][1:], float)
    at = np.asarray(stats["centroids"][1:], float)[:, -len(spacing) :] * spacing
    middle = (at * weight[:, None]).sum(0) / weight.sum()
    return float(np.sqrt((((at - middle) ** 2).sum(1) * weight).sum() / weight.sum()))
