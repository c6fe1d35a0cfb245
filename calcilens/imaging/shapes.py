"""Shapes of dense parts: what they enclose, how dense their rim is, how long they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calcilens.imaging.coarse import Coarse, Mask
from calcilens.imaging.morphology import filled, grown, shrunk
from calcilens.imaging.parts import Part, leaves

VERTEBRA_MM3 = 3000.0
"""Less than the smallest vertebra of an adult holds of dense bone."""
_LONG_MM, _CORTEX_HU = 60.0, 280.0
_MARROW_SHARE, _CUT_SHARE = 0.2, 0.1
"""Least share of marrow; the end of a bone that the image cuts off shows less of it."""
_GAP_MM = 2.6
"""Widest gap in a cortex that is closed."""


@dataclass(frozen=True, eq=False)
class Shape:
    """What tells a bone.

    Args:
        part: Dense blocks.
        filled: With what they enclose, in the part's box.
        cortex_hu: 95th percentile.
        marrow: Share of the inside that is less than half as dense as the cortex.
        cut: Whether it runs out of the image.
    """

    part: Part
    filled: Mask
    cortex_hu: float
    marrow: float
    cut: bool


def shape_of(part: Part, grid: Coarse) -> Shape:
    """Fill a part and look at its inside."""
    solid = _closed(part, grid)
    cortex = float(np.percentile(part.hu(grid), 95))
    inner = shrunk(solid)
    less = inner & (grid.hu[part.box] < 0.5 * cortex)
    share = float(less.sum() / max(1, inner.sum()))
    return Shape(part, solid, cortex, share, leaves(part, grid))


def has_marrow(shape: Shape) -> bool:
    """Say whether a part is built as bones are: a dense rim around a less dense inside."""
    least = _CUT_SHARE if shape.cut else _MARROW_SHARE
    return shape.cortex_hu >= _CORTEX_HU and shape.marrow >= least


def is_long(group: list[Part], grid: Coarse) -> bool:
    """Say whether parts together are as long as a bone, or run out of the image."""
    bounds = np.array([[[s.start, s.stop] for s in p.box] for p in group])
    low, high = bounds[:, :, 0].min(0), bounds[:, :, 1].max(0)
    length = float(((high - low) * np.asarray(grid.spacing_mm)).max())
    return length >= _LONG_MM or any(leaves(p, grid) for p in group)


def is_bony(shape: Shape, grid: Coarse) -> bool:
    """Say whether a part alone is told to be bone."""
    return has_marrow(shape) and is_long([shape.part], grid)


def _closed(part: Part, grid: Coarse) -> Mask:
    """Close gaps in every plane and fill what is enclosed, by the edge of the image too."""
    times = max(1, round(_GAP_MM / 2 / grid.spacing_mm[1]))
    pad = times + 1
    padded = np.pad(part.mask, ((0, 0), (pad, pad), (pad, pad)))
    closed = shrunk(grown(padded, times), times)[:, pad:-pad, pad:-pad]
    for axis in (1, 2):
        side, size = part.box[axis], grid.hu.shape[axis]
        for end, at_edge in ((0, side.start == 0), (-1, side.stop == size)):
            if at_edge:
                _bridge(np.moveaxis(closed, axis, 1)[:, end])
    return filled(closed)


def _bridge(edge: Mask) -> None:
    """Close a part along the edge (Z, side) of the image that cuts it off, in place."""
    for z in np.flatnonzero(edge.any(1)):
        where = np.flatnonzero(edge[z])
        edge[z, where[0] : where[-1] + 1] = True
