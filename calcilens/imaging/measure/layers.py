"""Under what a lesion lies: skin, the fascia between fat and muscle, and in which of them."""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from calcilens.imaging.anatomy import AIR_HU, Mask, anatomy
from calcilens.imaging.coarse import block_means
from calcilens.imaging.images import Volume
from calcilens.imaging.known import OncePerVolume
from calcilens.imaging.measure.borders import crossed, pairs
from calcilens.imaging.measure.lesion import Field, Float, Lesion
from calcilens.imaging.measure.measurement import Measurement
from calcilens.imaging.measure.surfaces import cut, least_mm, nearest_mm, skin
from calcilens.imaging.morphology import filled

_GRID_MM = 2.0
_BORDER_HU = -25.0
"""Halfway between fat and muscle."""
_SKIN_DEPTH_MM, _CLOSED_MM, _LARGE = 3.0, 6.0, 0.15
"""Thickness that skin, veins and septa stay below; gaps between muscles; what a muscle mass has at
least of the largest one."""
_SKIN_BLOCKS = 3
"""Blocks of the coarse grid that skin is thinner than."""
_CROSS = ndimage.generate_binary_structure(2, 1)[None]
_SKIN_MM, _FASCIA_MM, _VOXELS, _FAR_MM = 0.4, 2.0, 0.35, 200.0


@dataclass(frozen=True, eq=False)
class Layers:
    """The body on a coarse grid.

    Args:
        step: (3,) voxels of the volume to one of this grid.
        deep: (Z, Y, X) what the fascia encloses: muscle, bone and the fat between them.
        border: (N, 3) where fat ends at the deep tissue, in voxels of the volume.
    """

    step: NDArray[np.int64]
    deep: Mask
    border: Float


def layers(volume: Volume) -> Layers:
    """Return the layers of a volume; worked out once for each volume."""
    return _KNOWN(volume)


def _find(volume: Volume) -> Layers:
    spacing = np.asarray(volume.spacing_mm)
    step = np.maximum(1, np.round(_GRID_MM / spacing)).astype(int)
    z, y, x = (int(n) for n in step)
    # What is left at the ends is not used.
    whole = tuple(slice(n // m * m) for n, m in zip(volume.hu.shape, (z, y, x), strict=True))
    hu = block_means(volume.hu[whole], (z, y, x))
    middle = tuple(
        slice(n // 2, n // 2 + (m - 1) * n + 1, n) for n, m in zip(step, hu.shape, strict=True)
    )
    body = anatomy(volume).body[middle]
    skin_side = np.asarray(ndimage.binary_dilation(~body, _CROSS, iterations=_SKIN_BLOCKS), bool)
    gas = (hu <= AIR_HU) & ~skin_side  # of lung and bowel: that lies deep too
    deep = _deep(body & ((hu >= _BORDER_HU) | gas), spacing * step) & body
    fat = _under_skin(body & ~deep & (hu < _BORDER_HU) & (hu > AIR_HU), skin_side)
    return Layers(step, deep, _border(hu, fat, deep) * step + (step - 1) / 2)


def _deep(inner: Mask, spacing: Float) -> Mask:
    """Return the large masses that are no fat, with the gaps between and inside them."""
    thin = max(1, round(_SKIN_DEPTH_MM / float(spacing[1:].mean())))
    core = ndimage.binary_opening(inner, _CROSS, iterations=thin)
    if not core.any():
        return np.asarray(core, bool)
    labels = cc3d.connected_components(core, connectivity=6)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    kept = np.isin(labels, np.flatnonzero(sizes >= max(1.0, _LARGE * sizes.max())))
    gap = max(1, round(_CLOSED_MM / 2 / float(spacing[1:].mean())))
    padded = np.pad(kept, ((0, 0), (gap, gap), (gap, gap)))
    closed = ndimage.binary_closing(padded, _CROSS, iterations=gap)[:, gap:-gap, gap:-gap]
    return filled(closed)


def measure_layers(lesion: Lesion, border_mm: Float, taken: Measurement) -> None:
    """Take the way to skin and fascia, and the layer that the lesion lies in."""
    to_skin = nearest_mm(lesion, border_mm, skin)
    to_cut = None if to_skin is None else nearest_mm(lesion, border_mm, cut, to_skin)
    if to_skin is None or (to_cut is not None and to_cut < to_skin):
        why = "the skin near the lesion lies outside the image"
        return taken.omit(("skin_distance_mm", "fascia_distance_mm", "depth"), why)
    how = "shortest way in 3D from the lesion's border to the air around the body"
    sd = float(np.hypot(_SKIN_MM, _VOXELS * lesion.spacing.mean()))
    taken.set("skin_distance_mm", to_skin, how, sd)
    return _fascia(lesion, border_mm, taken)


def _fascia(lesion: Lesion, border_mm: Float, taken: Measurement) -> None:
    found = layers(lesion.volume)
    points, middle = found.border * lesion.spacing, _middle(lesion)
    points = points[(np.abs(points - middle) < _FAR_MM).all(1)]
    if not len(points):
        why = f"no border between fat under the skin and muscle was found within {_FAR_MM:g} mm"
        return taken.omit(("fascia_distance_mm", "depth"), why)
    away = least_mm(cKDTree(border_mm), points)
    how = "shortest way in 3D from the lesion's border to where fat under the skin meets muscle"
    taken.set("fascia_distance_mm", away, how, _FASCIA_MM)
    if away < _FASCIA_MM:
        why = "within the error of the border between fat and muscle"
        return taken.set("depth", None, f"{why}: {away:.1f} ± {_FASCIA_MM:g} mm from it")
    kind = "deep" if _is_deep(found, middle / lesion.spacing) else "subcutaneous"
    return taken.set("depth", kind, "side of that border on which the lesion's middle lies")


def _is_deep(found: Layers, voxel: Float) -> bool:
    """Return whether a voxel (3,) of the volume lies in what the fascia encloses."""
    at = np.minimum(voxel.round() // found.step, np.array(found.deep.shape) - 1)
    return bool(found.deep[tuple(at.astype(int))])


def _middle(lesion: Lesion) -> Float:
    """Return the mask's voxel (3,) nearest to its centre, mm."""
    at = (np.argwhere(lesion.mask) + lesion.start) * lesion.spacing
    return np.asarray(at[int(np.argmin(((at - at.mean(0)) ** 2).sum(1)))])


def _under_skin(fat: Mask, skin_side: Mask) -> Mask:
    """Return the fat that reaches the skin: fat of the trunk, and lung at its rim, do not count."""
    labels = cc3d.connected_components(fat, connectivity=6)
    reached = np.zeros(int(labels.max()) + 1, bool)
    reached[labels[skin_side]] = True
    reached[0] = False
    return np.asarray(reached[labels])


def _border(hu: Field, fat: Mask, deep: Mask) -> Float:
    """Return the points (N, 3) where fat ends at the deep tissue, in voxels of the coarse grid."""
    points = []
    for axis in (1, 2):
        (inner, beyond), (under, above) = (pairs(mask, axis) for mask in (deep, fat))
        change = (inner & above) | (under & beyond)
        points.append(crossed(change, axis, hu, _BORDER_HU))
    return np.concatenate(points)


_KNOWN = OncePerVolume(_find)
