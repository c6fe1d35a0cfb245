"""The patient in a CT, without table and air."""

from __future__ import annotations

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from calcilens.imaging.coarse import Coarse, Mask

AIR_HU = -300
_OUTSIDE_HU = -930.0
"""Air around the body is below this; lungs, with vessels and noise in the mean, are not."""
_TABLE_MM = 3.0
"""Half of the thickness up to which something is table, blanket or clothing."""
_BODY_SHARE = 0.02
_SKIN_MM = 2.5
_CROSS = ndimage.generate_binary_structure(2, 1)[None]


def find_body(hu: NDArray[np.number], grid: Coarse) -> tuple[Mask, Mask]:
    """Return the patient (Z, Y, X), gas inside included, and the blocks that are skin.

    The table is told by its thickness on the coarse grid, the skin is taken from the voxels. Gas
    that an image cuts off at its side, as small fields of view do with lungs, counts as inside.
    """
    tissue = _large(_opened(grid.hu > AIR_HU, grid))
    inside = _filled(tissue, grid)
    times = max(1, round(_SKIN_MM / grid.spacing_mm[1]))
    core = ndimage.binary_erosion(inside, _CROSS, iterations=times, border_value=1)
    skin = ndimage.binary_dilation(inside, _CROSS) & ~core
    body = grid.fine(core)
    body |= grid.fine(skin) & (hu > AIR_HU)
    return body, skin


def _opened(tissue: Mask, grid: Coarse) -> Mask:
    times = max(1, round(_TABLE_MM / 2 / grid.spacing_mm[1]))
    opened = ndimage.binary_opening(tissue, _CROSS, iterations=times)
    return opened if opened.any() else tissue


def _large(tissue: Mask) -> Mask:
    labels = cc3d.connected_components(tissue, connectivity=6)
    sizes = np.asarray(cc3d.statistics(labels)["voxel_counts"], np.int64)
    sizes[0] = 0
    return np.asarray((sizes >= max(1.0, _BODY_SHARE * sizes.max(initial=0)))[labels])


def _filled(tissue: Mask, grid: Coarse) -> Mask:
    """Fill what no way through air leads out of, plane by plane."""
    air = ~tissue
    seeds = np.zeros_like(air)
    for edge in (np.s_[:, 0], np.s_[:, -1], np.s_[:, :, 0], np.s_[:, :, -1]):
        seeds[edge] = air[edge] & (grid.hu[edge] < _OUTSIDE_HU)
    for plane, seed in zip(air, seeds, strict=True):
        labels = cc3d.connected_components(plane, connectivity=4)
        outside = np.zeros(int(labels.max()) + 1, bool)
        outside[labels[seed]] = True
        plane &= outside[labels]
    return ~air
