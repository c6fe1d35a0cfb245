"""Which dense pieces are one lesion."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from calcilens.imaging.pieces import Piece

GROUP_MM = (3.0, 7.0)
"""Two specks nearer than the first are one lesion. Farther, up to the second, are pieces of which
one is as long as the gap, and specks of which one has two others as near."""
_CROWD = 2


def group_pieces(pieces: list[Piece], spacing_mm: tuple[float, float, float]) -> list[list[Piece]]:
    """Put pieces that lie close to each other, for their size and number, into one group."""
    gaps = _gaps(pieces, np.asarray(spacing_mm))
    crowd = np.bincount(np.array(list(gaps), int).ravel(), minlength=len(pieces)) >= _CROWD
    length = [float((np.ptp(p.voxels, axis=0) * spacing_mm).max()) for p in pieces]
    group = np.arange(len(pieces))
    for (i, j), gap in gaps.items():
        limit = GROUP_MM[1] if crowd[i] or crowd[j] else max(length[i], length[j])
        if gap <= max(limit, GROUP_MM[0]):
            group[group == group[j]] = group[i]
    return [[pieces[i] for i in np.flatnonzero(group == g)] for g in np.unique(group)]


def _gaps(pieces: list[Piece], step: np.ndarray) -> dict[tuple[int, int], float]:
    """Return the distance of each two pieces that are not too far for one lesion, mm."""
    if not pieces:
        return {}
    far = GROUP_MM[1]
    trees = [cKDTree(p.voxels * step) for p in pieces]
    low = np.array([p.voxels.min(0) * step - far for p in pieces])
    high = np.array([p.voxels.max(0) * step for p in pieces])
    gaps = {}
    for i, tree in enumerate(trees):
        meets = ((low <= high[i]) & (low[i] <= high)).all(1)
        for j in (int(n) for n in np.flatnonzero(meets) if n > i):
            few, many = sorted((tree, trees[j]), key=lambda t: t.n)
            gap = float(np.min(many.query(few.data, distance_upper_bound=far)[0]))
            if gap <= far:
                gaps[i, j] = gap
    return gaps
