"""Connected parts of a coarse mask."""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray

from calcilens.imaging.coarse import Coarse, Mask

Box = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class Part:
    """A connected part.

    Args:
        box: Its bounds in the coarse grid.
        mask: In them.
    """

    box: Box
    mask: Mask

    def hu(self, grid: Coarse) -> NDArray[np.float32]:
        """Return the HU (n,) of its blocks."""
        return np.asarray(grid.hu[self.box][self.mask])

    def sides_mm(self, grid: Coarse) -> NDArray[np.float64]:
        """Return how far it extends along (z, y, x), mm."""
        voxels = np.array([s.stop - s.start for s in self.box], float)
        return np.asarray(voxels * np.asarray(grid.spacing_mm))

    def padded(self, grid: Coarse, by: int) -> tuple[Box, Mask]:
        """Return wider bounds, no farther than the image, and the mask in them."""
        pairs = list(zip(self.box, grid.hu.shape, strict=True))
        z, y, x = (slice(max(0, s.start - by), min(n, s.stop + by)) for s, n in pairs)
        before = [s.start - w.start for s, w in zip(self.box, (z, y, x), strict=True)]
        after = [w.stop - s.stop for s, w in zip(self.box, (z, y, x), strict=True)]
        return (z, y, x), np.pad(self.mask, list(zip(before, after, strict=True)))

    def within(self, box: Box) -> Mask:
        """Return the mask in other bounds, False beyond its own."""
        cut = np.zeros([s.stop - s.start for s in box], bool)
        common = tuple(
            slice(max(a.start, b.start), min(a.stop, b.stop))
            for a, b in zip(self.box, box, strict=True)
        )
        if all(s.stop > s.start for s in common):
            cut[_shifted(common, box)] = self.mask[_shifted(common, self.box)]
        return cut


def parts(mask: Mask, grid: Coarse, least_mm3: float) -> list[Part]:
    """Return the connected parts of at least that volume."""
    whole = bounds(mask)
    if whole is None:
        return []
    labels = cc3d.connected_components(mask[whole], connectivity=26)
    stats = cc3d.statistics(labels)
    sizes, boxes = stats["voxel_counts"] * grid.voxel_mm3, stats["bounding_boxes"]
    large = [i for i in range(1, len(sizes)) if sizes[i] >= least_mm3]
    return [_moved(Part(boxes[i], labels[boxes[i]] == i), whole) for i in large]


def bounds(mask: Mask) -> Box | None:
    """Return the box outside of which nothing of a mask is set; None where nothing is."""
    sides = [np.flatnonzero(mask.any(tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    if not all(map(len, sides)):
        return None
    z, y, x = (slice(int(side[0]), int(side[-1]) + 1) for side in sides)
    return z, y, x


def leaves(part: Part, grid: Coarse) -> bool:
    """Say whether a part runs out of the image, at whichever side."""
    ends = zip(part.box, grid.hu.shape, strict=True)
    return any(side.start == 0 or side.stop == size for side, size in ends)


def inside(outer: Part, inner: Part) -> Part:
    """Return a part that was found within the box of another in the grid of the image."""
    return _moved(inner, outer.box)


def window(inner: Part, box: Box) -> tuple[slice, ...]:
    """Return the box of a part within wider bounds."""
    return _shifted(inner.box, box)


def _moved(part: Part, outer: Box) -> Part:
    z, y, x = (
        slice(o.start + i.start, o.start + i.stop) for o, i in zip(outer, part.box, strict=True)
    )
    return Part((z, y, x), part.mask)


def _shifted(inner: tuple[slice, ...], outer: Box) -> tuple[slice, ...]:
    pairs = zip(inner, outer, strict=True)
    return tuple(slice(i.start - o.start, i.stop - o.start) for i, o in pairs)
