"""Under what a lesion lies: skin, the fascia between fat and muscle, and in which of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from calcilens.imaging.anatomy import AIR_HU, Mask, anatomy
from calcilens.imaging.images import Volume
from calcilens.imaging.measure.lesion import Field, Float, Lesion
from calcilens.imaging.measure.measurement import Measurement
from calcilens.imaging.measure.surfaces import cut, nearest_mm, skin

_GRID_MM = 2.0
_BORDER_HU = -25.0
"""Halfway between fat and muscle."""
_SKIN_DEPTH_MM, _CLOSED_MM, _LARGE = 3.0, 8.0, 0.15
"""Thickness that skin, veins and septa stay below; gaps between muscles; what a muscle mass has at
least of the largest one."""
_CROSS = ndimage.generate_binary_structure(2, 1)[None]
_SKIN_MM, _FASCIA_MM, _VOXELS = 0.4, 1.0, 0.35


@dataclass(frozen=True, eq=False)
class Layers:
    """The body on a coarse grid.

    Args:
        step: (3,) voxels of the volume to one of this grid.
        hu: (Z, Y, X) means.
        body: (Z, Y, X) of the patient.
        deep: (Z, Y, X) what the fascia encloses: muscle, bone and the fat between them.
    """

    step: Float
    hu: Field
    body: Mask
    deep: Mask


_KNOWN: WeakKeyDictionary[Volume, Layers] = WeakKeyDictionary()


def layers(volume: Volume) -> Layers:
    """Return the layers of a volume; worked out once for each volume."""
    if volume not in _KNOWN:
        _KNOWN[volume] = _find(volume)
    return _KNOWN[volume]


def _find(volume: Volume) -> Layers:
    step = np.maximum(1, np.round(_GRID_MM / np.asarray(volume.spacing_mm))).astype(int)
    hu = _coarse(volume.hu, step)
    body = _coarse(anatomy(volume).body, step) > 0.5
    dense = body & (hu >= _BORDER_HU)
    spacing = np.asarray(volume.spacing_mm) * step
    return Layers(step.astype(float), hu, body, _deep(dense, spacing) & body)


def _coarse(values: NDArray[Any], step: NDArray[np.int64]) -> Field:
    """Return means over blocks; what is left at the ends is not used."""
    planes = []
    z, y, x = step
    rows, columns = values.shape[1] // y * y, values.shape[2] // x * x
    for start in range(0, len(values) // z * z, z):
        block = values[start : start + z, :rows, :columns].mean(0, dtype=np.float32)
        planes.append(block.reshape(rows // y, y, columns // x, x).mean((1, 3)))
    return np.asarray(planes, np.float32)


def _deep(dense: Mask, spacing: Float) -> Mask:
    """Return the large masses that are denser than fat, with the gaps between and inside them."""
    thin = max(1, round(_SKIN_DEPTH_MM / float(spacing[1:].mean())))
    core = ndimage.binary_opening(dense, _CROSS, iterations=thin)
    labels = cc3d.connected_components(core, connectivity=6)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    kept = np.isin(labels, np.flatnonzero(sizes >= max(1.0, _LARGE * sizes.max())))
    gap = max(1, round(_CLOSED_MM / 2 / float(spacing[1:].mean())))
    padded = np.pad(kept, ((0, 0), (gap, gap), (gap, gap)))
    closed = ndimage.binary_closing(padded, _CROSS, iterations=gap)[:, gap:-gap, gap:-gap]
    return np.stack([ndimage.binary_fill_holes(plane) for plane in closed])


def measure_layers(lesion: Lesion, border_mm: Float, taken: Measurement) -> None:
    """Take the way to skin and fascia, and the layer that the lesion lies in."""
    to_skin = nearest_mm(lesion, border_mm, skin)
    to_cut = nearest_mm(lesion, border_mm, cut)
    if to_skin is None or (to_cut is not None and to_cut < to_skin):
        why = "the skin near the lesion lies outside the image"
        return taken.omit(("skin_distance_mm", "fascia_distance_mm", "depth"), why)
    how = "shortest way in 3D from the lesion's border to the air around the body"
    sd = float(np.hypot(_SKIN_MM, _VOXELS * lesion.spacing.mean()))
    taken.set("skin_distance_mm", to_skin, how, sd)
    return _fascia(lesion, border_mm, taken)


def _fascia(lesion: Lesion, border_mm: Float, taken: Measurement) -> None:
    names = ("fascia_distance_mm", "depth")
    found = layers(lesion.volume)
    spacing = lesion.spacing * found.step
    # Blocks' middles lie half a block, less half a voxel, behind their first voxel's.
    shift = (found.step - 1) / 2 * lesion.spacing
    points = _border(found) * spacing + shift
    if not len(points):
        return taken.omit(names, "no border between fat under the skin and muscle was found")
    middle = _middle(lesion)
    at = np.clip(np.round((middle - shift) / spacing), 0, np.array(found.deep.shape) - 1)
    deep = bool(found.deep[tuple(at.astype(int))])
    near = points[(np.abs(points - middle) < 200.0).all(1)]
    if not len(near):
        return taken.omit(names, "no border between fat and muscle lies within 200 mm")
    away = float(np.min(cKDTree(border_mm).query(near)[0]))
    how = "shortest way in 3D from the lesion's border to where fat under the skin meets muscle"
    taken.set("fascia_distance_mm", away, how, float(np.hypot(_FASCIA_MM, spacing.max() / 4)))
    kind = "deep" if deep else "subcutaneous"
    return taken.set("depth", kind, "side of that border on which the lesion's middle lies")


def _middle(lesion: Lesion) -> Float:
    """Return the mask's voxel (3,) nearest to its centre, mm."""
    at = (np.argwhere(lesion.mask) + lesion.start) * lesion.spacing
    return np.asarray(at[int(np.argmin(((at - at.mean(0)) ** 2).sum(1)))])


def _border(found: Layers) -> Float:
    """Return the points (N, 3) where fat ends at the deep tissue, in voxels of the coarse grid."""
    fat = found.body & ~found.deep & (found.hu < _BORDER_HU) & (found.hu > AIR_HU)
    points = []
    for axis in (1, 2):
        deep, under = (np.moveaxis(mask, axis, 0) for mask in (found.deep, fat))
        hu = np.moveaxis(found.hu, axis, 0)
        change = (deep[:-1] & under[1:]) | (under[:-1] & deep[1:])
        at = np.argwhere(change).astype(np.float64)
        before, after = hu[:-1][change], hu[1:][change]
        step = np.where(before == after, 1.0, after - before)
        at[:, 0] += np.clip((_BORDER_HU - before) / step, 0, 1)
        points.append(at[:, [1, 0, 2]] if axis == 1 else at[:, [1, 2, 0]])
    return np.concatenate(points)
