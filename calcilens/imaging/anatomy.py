"""What of a CT is body, bone and contrast medium: the ground that lesions are sought on.

Thresholds and morphology only, so that every decision can be followed. Levels adapt to the
noise of the image and to contrast medium in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from calcilens.imaging.images import Volume

Mask = NDArray[np.bool_]
MINERAL_HU = 130
"""Lowest value of mineral in soft tissue (Agatston et al., JACC 1990)."""
AIR_HU = -300
_TABLE_PX = 2
_BODY_SHARE = 0.1
_POOL_MM3, _POOL_SPREAD, _POOL_HU, _POOL_SPREADS = 5000.0, 0.7, 600.0, 4.0
_BONE_MM3, _BONE_MM, _BONE_HU, _MARROW_SHARE = 300.0, 60.0, 350.0, 0.2
_CROSS = ndimage.generate_binary_structure(2, 1)[None]
_GAP_MM = 3.0


@dataclass(frozen=True, eq=False)
class Anatomy:
    """The ground of one CT.

    Args:
        body: (Z, Y, X) the patient, lungs and bowel gas included; no table.
        bone: (Z, Y, X) bones with their marrow.
        noise_hu: Standard deviation of noise in soft tissue.
        level_hu: Value above which a voxel is denser than tissue, noise and contrast medium.
        contrast_hu: Median of the contrast-filled vessels, or None where none were found.
    """

    body: Mask
    bone: Mask
    noise_hu: float
    level_hu: float
    contrast_hu: float | None


_KNOWN: WeakKeyDictionary[Volume, Anatomy] = WeakKeyDictionary()


def anatomy(volume: Volume) -> Anatomy:
    """Return the anatomy of a volume; worked out once for each volume."""
    if volume not in _KNOWN:
        _KNOWN[volume] = _find(volume)
    return _KNOWN[volume]


def _find(volume: Volume) -> Anatomy:
    body = _body(volume.hu)
    noise, tissue = _tissue(volume.hu, body)
    floor = max(float(MINERAL_HU), tissue + 5 * noise)
    pool = _contrast(volume, body)
    median, top = (None, floor) if pool is None else (pool[0], max(floor, pool[1] + 2 * noise))
    bone_level = floor if median is None else max(floor, 0.9 * median)
    return Anatomy(body, _bone(volume, body, bone_level), noise, top, median)


def _body(hu: NDArray[np.number]) -> Mask:
    """Return the patient: the large pieces of tissue, without the table, gas inside filled."""
    tissue = hu > AIR_HU
    opened = ndimage.binary_opening(tissue, _CROSS, iterations=_TABLE_PX)
    if not opened.any():
        opened = tissue
    labels = cc3d.connected_components(opened, connectivity=6)
    sizes = np.asarray(cc3d.statistics(labels)["voxel_counts"], np.int64)
    sizes[0] = 0
    kept = np.flatnonzero(sizes >= max(1.0, _BODY_SHARE * sizes.max()))
    body = np.isin(labels, kept)
    return np.stack([ndimage.binary_fill_holes(plane) for plane in body])


def _tissue(hu: NDArray[np.number], body: Mask) -> tuple[float, float]:
    """Return noise and median of soft tissue, HU; noise from differences of neighbours."""
    soft = body & (np.abs(hu.astype(np.float32) - 50) < 100)
    if not soft.any():
        return 0.0, 0.0
    pairs = soft[:, :, 1:] & soft[:, :, :-1]
    steps = np.diff(hu.astype(np.float32), axis=2)[pairs]
    noise = 1.4826 * float(np.median(np.abs(steps))) / np.sqrt(2) if steps.size else 0.0
    return float(noise), float(np.median(hu[soft]))


def _contrast(volume: Volume, body: Mask) -> tuple[float, float] | None:
    """Return median and upper end, HU, of contrast-filled vessels or organs; None without any.

    They are large, even in density, and run out of the volume at its first or last plane,
    which keeps an even, calcified mass from being taken for one.
    """
    core = ndimage.binary_erosion(body & (volume.hu >= MINERAL_HU), _CROSS)
    found = []
    for box, mask in _pieces(core, volume, _POOL_MM3):
        low, lower, mid, upper, high = np.percentile(volume.hu[box][mask], [5, 16, 50, 84, 95])
        if _leaves(box, volume) and mid < _POOL_HU and high - low < _POOL_SPREAD * mid:
            found.append((float(mid), float(mid + _POOL_SPREADS * (upper - lower) / 2)))
    return max(found, key=lambda pool: pool[1]) if found else None


def _bone(volume: Volume, body: Mask, level: float) -> Mask:
    """Return bones: long dense pieces that enclose a less dense inside, the marrow.

    Long is what runs out of the volume at its first or last plane, or is over 60 mm: a mass with
    a mineral rim encloses something less dense too. Short bones stay candidates.
    """
    bone = np.zeros_like(body)
    for box, mask in _pieces(body & (volume.hu >= level), volume, _BONE_MM3):
        sides = np.array([s.stop - s.start for s in box]) * volume.spacing_mm
        if not _leaves(box, volume) and sides.max() < _BONE_MM:
            continue
        hu = volume.hu[box]
        cortex = float(np.percentile(hu[mask], 95))
        filled = _filled(mask, volume.spacing_mm)
        inner = filled & ndimage.binary_erosion(filled, _CROSS)
        marrow = (inner & (hu < 0.5 * cortex)).sum() / max(1, inner.sum())
        if cortex >= _BONE_HU and marrow >= _MARROW_SHARE:
            bone[box] |= filled
    return bone


def _leaves(box: tuple[slice, slice, slice], volume: Volume) -> bool:
    """Say whether a piece runs out of the volume at its first or last plane."""
    return bool(box[0].start == 0 or box[0].stop == len(volume.hu))


def _filled(mask: Mask, spacing_mm: tuple[float, float, float]) -> Mask:
    """Close gaps in every plane and fill what is enclosed."""
    y, x = (max(1, int(_GAP_MM / s)) for s in spacing_mm[1:])
    dy, dx = np.ogrid[-y : y + 1, -x : x + 1]
    disc = (dy / y) ** 2 + (dx / x) ** 2 <= 1
    padded = np.pad(mask, ((0, 0), (y, y), (x, x)))
    planes = [ndimage.binary_fill_holes(ndimage.binary_closing(p, disc)) for p in padded]
    return np.stack(planes)[:, y:-y, x:-x]


def _pieces(
    mask: Mask, volume: Volume, least_mm3: float
) -> list[tuple[tuple[slice, slice, slice], Mask]]:
    """Return connected pieces of at least that volume as (bounding slices, mask in them)."""
    labels = cc3d.connected_components(mask, connectivity=26)
    stats = cc3d.statistics(labels)
    sizes = stats["voxel_counts"] * float(np.prod(volume.spacing_mm))
    boxes = stats["bounding_boxes"]
    large = [i for i in range(1, len(sizes)) if sizes[i] >= least_mm3]
    return [(boxes[i], labels[boxes[i]] == i) for i in large]
