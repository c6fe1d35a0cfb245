"""Which dense pieces are one lesion."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from calcilens.imaging.pieces import Piece

GROUP_MM = 3.0
"""Pieces nearer to each other than this are one lesion."""


def group_pieces(pieces: list[Piece], spacing_mm: tuple[float, float, float]) -> list[list[Piece]]:
    """Put pieces that lie close to each other into one group."""
    if not pieces:
        return []
    step = np.asarray(spacing_mm)
    trees = [cKDTree(p.voxels * step) for p in pieces]
    boxes = np.array(
        [[p.voxels.min(0) * step - GROUP_MM, p.voxels.max(0) * step] for p in pieces]
    )
    group = np.arange(len(pieces))
    for i in range(len(pieces)):
        meets = (boxes[:, 0] <= boxes[i, 1]) & (boxes[i, 0] <= boxes[:, 1])
        for j in np.flatnonzero(meets.all(1)):
            if j > i and np.min(trees[i].query(trees[j].data)[0]) <= GROUP_MM:
                group[group == group[j]] = group[i]
    return [[pieces[i] for i in np.flatnonzero(group == g)] for g in np.unique(group)]
