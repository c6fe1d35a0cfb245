"""Sizes, densities and distances of one lesion, each with how it was measured."""

from __future__ import annotations

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt
from scipy.spatial import cKDTree

from calcilens.imaging.anatomy import MINERAL_HU, Mask, anatomy
from calcilens.imaging.candidates import Candidate
from calcilens.imaging.images import Image, Radiograph
from calcilens.imaging.measure.extent import diameter_mm, measure_extent
from calcilens.imaging.measure.lesion import Lesion, lesion_mask
from calcilens.imaging.measure.measurement import FIGURES, Measurement
from calcilens.imaging.measure.mineral import find_mineral

__all__ = ["FIGURES", "Measurement", "diameter_mm", "lesion_mask", "measure"]

AGATSTON_SLICE_MM = (2.5, 3.0)
AGATSTON_WEIGHTS = ((400, 4), (300, 3), (200, 2), (130, 1))
"""Weight by the densest voxel of a plane's piece (Agatston et al., JACC 1990;15:827)."""
_SHELL_MM = 1.0
_SHELLS = 8
_NO_HU = "a radiograph has no Hounsfield units"
_FLAT = "a radiograph has no depth"


def measure(image: Image, candidate: Candidate) -> Measurement:
    """Measure a lesion.

    Args:
        image: CT volume or radiograph.
        candidate: The lesion; without a mask, its mineral in the box is measured, or the box
            where there is none.
    """
    if isinstance(image, Radiograph):
        return _measure_radiograph(image, candidate)
    mask, of = lesion_mask(image, candidate)
    lesion = Lesion(image, candidate.box[0], mask, of)
    taken = Measurement()
    measure_extent(lesion, find_mineral(lesion), taken)
    for take in (_density, _agatston, _profile, _skin, _bone):
        take(lesion, taken)
    return taken


def _measure_radiograph(image: Radiograph, candidate: Candidate) -> Measurement:
    taken = Measurement()
    if image.spacing_mm is None:
        taken.set("max_diameter_mm", None, f"not in mm: {image.spacing_how}; see box_px")
    else:
        sides = (candidate.box[1] - candidate.box[0])[1:] * np.asarray(image.spacing_mm)
        how = f"longest side of the box, projected; spacing: {image.spacing_how}"
        taken.set("max_diameter_mm", float(sides.max()), how)
    for name in ("volume_mm3", "skin_distance_mm", "bone_distance_mm"):
        taken.set(name, None, _FLAT)
    for name in ("mean_hu", "max_hu", "agatston", "radial_profile"):
        taken.set(name, None, _NO_HU)
    return taken


def _interior(mask: Mask) -> Mask:
    return np.asarray(binary_erosion(mask), bool)


def _density(lesion: Lesion, taken: Measurement) -> None:
    inside = lesion.hu[lesion.mask]
    taken.set("mean_hu", float(inside.mean()), f"mean over {lesion.of}")
    taken.set("max_hu", float(inside.max()), f"largest value in {lesion.of}")


def _agatston(lesion: Lesion, taken: Measurement) -> None:
    """Score as defined: planes 2.5-3 mm apart and axial; pieces of at least 1 mm2."""
    z, y, x = lesion.spacing
    normal = np.abs(lesion.volume.affine.matrix[:3, 0]) / z
    low, high = AGATSTON_SLICE_MM
    if normal[2] < 0.99:
        return taken.set("agatston", None, "defined for axial planes only")
    if not low - 0.05 <= z <= high + 0.05:
        why = f"defined for planes {low}-{high} mm apart; here {z:.2f} mm"
        return taken.set("agatston", None, why)
    area = float(y * x)
    planes = zip(lesion.hu, lesion.mask, strict=True)
    score = sum(_plane_score(hu, mask, area) for hu, mask in planes) * z / high
    how = "area times density weight of each plane (Agatston 1990), scaled to 3 mm planes; "
    taken.set("agatston", float(score), how + "validated for coronary arteries without contrast")
    return None


def _plane_score(hu: NDArray[np.float64], mask: Mask, area_mm2: float) -> float:
    labels, n = cc3d.connected_components(mask & (hu >= MINERAL_HU), connectivity=8, return_N=True)
    score = 0.0
    for label in range(1, n + 1):
        piece = labels == label
        if piece.sum() * area_mm2 >= 1.0:
            peak = hu[piece].max()
            score += piece.sum() * area_mm2 * next(w for t, w in AGATSTON_WEIGHTS if peak >= t)
    return score


def _profile(lesion: Lesion, taken: Measurement) -> None:
    """Mean HU by depth under the rim."""
    padded = np.pad(lesion.mask, 1)
    depth = distance_transform_edt(padded, sampling=lesion.spacing)[1:-1, 1:-1, 1:-1]
    depth = depth[lesion.mask] - lesion.spacing.min() / 2
    hu = lesion.hu[lesion.mask]
    shell = np.minimum(depth // _SHELL_MM, _SHELLS - 1).astype(int).clip(0)
    sums, counts = np.bincount(shell, hu), np.bincount(shell)
    profile = [float(s / n) for s, n in zip(sums, counts, strict=True) if n]
    how = f"mean HU of shells {_SHELL_MM:.0f} mm thick, from the rim of {lesion.of} inwards"
    taken.set("radial_profile", profile, how)


def _skin(lesion: Lesion, taken: Measurement) -> None:
    """Distance to the skin; unknown where the edge of the image is nearer than the skin."""
    body = anatomy(lesion.volume).body
    skin, cut = _outline(body)
    to_skin, to_cut = _distance(lesion, skin), _distance(lesion, cut)
    if to_skin is None or (to_cut is not None and to_cut < to_skin):
        return taken.set(
            "skin_distance_mm", None, "the skin near the lesion lies outside the image"
        )
    how = f"shortest way in 3D from {lesion.of} to the air around the body"
    return taken.set("skin_distance_mm", to_skin, how)


def _outline(body: Mask) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return air voxels next to the body in their plane, and body voxels at the image's edge."""
    near = np.zeros_like(body)
    near[:, 1:] |= body[:, :-1]
    near[:, :-1] |= body[:, 1:]
    near[:, :, 1:] |= body[:, :, :-1]
    near[:, :, :-1] |= body[:, :, 1:]
    edge = np.zeros_like(body)
    edge[:, [0, -1], :] = edge[:, :, [0, -1]] = True
    return np.argwhere(near & ~body), np.argwhere(body & edge)


def _bone(lesion: Lesion, taken: Measurement) -> None:
    bone = anatomy(lesion.volume).bone
    distance = _distance(lesion, np.argwhere(bone & ~_interior(bone)))
    if distance is None:
        return taken.set("bone_distance_mm", None, "no bone was found in the image")
    how = f"shortest way in 3D from {lesion.of} to bone found in the image; 0 where they touch"
    return taken.set("bone_distance_mm", distance, how)


def _distance(lesion: Lesion, points: NDArray[np.int64]) -> float | None:
    """Return the gap between the faces of the lesion and of voxels (n, 3), mm; None without any."""
    if not len(points):
        return None
    rim = (np.argwhere(lesion.mask & ~_interior(lesion.mask)) + lesion.start) * lesion.spacing
    away, nearest = cKDTree(points * lesion.spacing).query(rim)
    i = int(np.argmin(away))
    gap = np.abs(rim[i] - points[np.asarray(nearest)[i]] * lesion.spacing) - lesion.spacing
    return float(np.linalg.norm(np.maximum(gap, 0)))
