"""The patient in a CT, without table and air."""

from __future__ import annotations

import cc3d
import numpy as np
from numpy.typing import NDArray

from calcilens.imaging.coarse import Coarse, Mask
from calcilens.imaging.morphology import grown, reached, shrunk

AIR_HU = -300
_OUTSIDE_HU = -930.0
"""Air around the body is below this; lungs, with vessels and noise in the mean, are not."""
_TABLE_MM = 3.0
"""Half of the thickness up to which something is table, blanket or clothing."""
_BODY_SHARE = 0.02
_SKIN_MM = 2.5


def find_body(hu: NDArray[np.number], grid: Coarse) -> tuple[Mask, Mask, Mask]:
    """Return the patient (Z, Y, X), gas inside included.

    The table is told by its thickness on the coarse grid, the skin is taken from the voxels. Gas
    that an image cuts off at its side, as small fields of view do with lungs, counts as inside.

    Returns:
        Voxels of the patient, blocks of the patient, and blocks that are skin.
    """
    inside = _with_gas(_large(_opened(grid.hu > AIR_HU, grid)), grid)
    core = shrunk(inside, max(1, round(_SKIN_MM / grid.spacing_mm[1])))
    skin = grown(inside) & ~core
    body = grid.fine(skin) & (hu > AIR_HU)
    body |= grid.fine(core)
    return body, inside, skin


def _opened(tissue: Mask, grid: Coarse) -> Mask:
    times = max(1, round(_TABLE_MM / 2 / grid.spacing_mm[1]))
    opened = grown(shrunk(tissue, times), times)
    return opened if opened.any() else tissue


def _large(tissue: Mask) -> Mask:
    labels = cc3d.connected_components(tissue, connectivity=6)
    most = int(labels.max())
    sizes = np.sum([np.bincount(plane.ravel(), minlength=most + 1) for plane in labels], 0)
    sizes[0] = 0
    return np.asarray((sizes >= max(1.0, _BODY_SHARE * sizes.max(initial=0)))[labels])


def _with_gas(tissue: Mask, grid: Coarse) -> Mask:
    """Add what no way through air leads out of, plane by plane."""
    start = np.zeros_like(tissue)
    for edge in (np.s_[:, 0], np.s_[:, -1], np.s_[:, :, 0], np.s_[:, :, -1]):
        start[edge] = grid.hu[edge] < _OUTSIDE_HU
    return ~reached(~tissue, start & ~tissue)
