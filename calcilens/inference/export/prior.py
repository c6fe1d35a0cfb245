"""A lesion's place as the prior scan shows it, and what lies outside that scan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from calcilens.inference.export.codes import Grey, to_codes

if TYPE_CHECKING:  # it brings SimpleITK, which only a comparison needs
    from calcilens.imaging.paired import PriorView


def prior_codes(view: PriorView, plane: int, part: tuple[slice, slice]) -> Grey:
    """Return codes (Y, X) of the prior scan on a part of a current plane.

    Where the scan does not reach all of it, codes have an alpha (Y, X, 2), which is 0 beyond.
    """
    codes = to_codes(view.plane(plane, part))
    inside = _inside(view, plane, part)
    if inside.all():
        return codes
    return np.stack([np.where(inside, codes, 0), np.where(inside, 255, 0)], -1).astype(np.uint8)


def _inside(view: PriorView, plane: int, part: tuple[slice, slice]) -> NDArray[np.bool_]:
    """Return which pixels (Y, X) of a part of a current plane the prior scan reaches."""
    rows, columns = (np.arange(p.start, p.stop) for p in part)
    z, y, x = np.meshgrid([plane], rows, columns, indexing="ij")
    here = view.pair.current.affine.to_mm(np.stack([z, y, x], -1))
    there = view.pair.registration.near(view.middle_mm).to_prior(here)
    at = view.pair.prior.affine.to_voxel(there)[0]
    size = np.array(view.pair.prior.hu.shape)
    return np.asarray(((at > -0.5) & (at < size - 0.5)).all(-1))
