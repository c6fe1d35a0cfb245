"""From a film to the places where a finder sees calcification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, find_objects, label

from calcilens.imaging.films import reduced
from calcilens.models.finder import STRIDE, Finder, heat_map

REACH = 0.7
"""A place reaches as far as this share of the threshold."""
GAP_CELLS = 2
"""Pieces are one place where fewer cells than twice this, and one, lie between them."""
LEAST_CELLS = 2
_AROUND = np.ones((3, 3), bool)


class Eye(Protocol):
    """What is needed of a loaded finder."""

    @property
    def network(self) -> Finder:
        """In evaluation mode."""

    @property
    def longest_px(self) -> int:
        """Longest side of a film that it looks at."""

    @property
    def threshold(self) -> float:
        """Probability at its brightest from which a place is reported."""


@dataclass(frozen=True, eq=False)
class Place:
    """Where something may be calcified.

    Args:
        box: (2, 2) half-open, start and stop in (row, column), pixels of the film.
        mask: The pixels of the film in the box where it is.
        score: Probability where it is brightest.
    """

    box: NDArray[np.int64]
    mask: NDArray[np.bool_]
    score: float


def look(eye: Eye, pixels: NDArray[np.float32]) -> list[Place]:
    """Return the places of a film (Y, X), the likeliest first.

    Args:
        eye: The finder.
        pixels: Finite, bright is dense.
    """
    small = reduced(pixels, eye.longest_px)
    numbers, scores = groups(heat_map(eye.network, small), eye.threshold)
    steps = [STRIDE * whole / part for whole, part in zip(pixels.shape, small.shape, strict=True)]
    found = zip(find_objects(numbers), scores, strict=True)
    return [
        _place(numbers, i, at, score, steps, pixels.shape) for i, (at, score) in enumerate(found, 1)
    ]


def _place(
    numbers: NDArray[np.int32],
    number: int,
    at: tuple[slice, ...],
    score: float,
    steps: Sequence[float],
    shape: tuple[int, ...],
) -> Place:
    """Return one group of cells as pixels of the film; a cell has `steps` pixels a side."""
    ends = [
        (int(s.start * step), min(int(np.ceil(s.stop * step)), n))
        for s, step, n in zip(at, steps, shape, strict=True)
    ]
    rows, columns = (
        np.minimum((np.arange(low, high) + 0.5) / step, numbers.shape[axis] - 1e-6).astype(int)
        for axis, ((low, high), step) in enumerate(zip(ends, steps, strict=True))
    )
    mask = numbers[np.ix_(rows, columns)] == number
    return Place(np.array(ends, np.int64).T, mask, score)


def groups(heat: NDArray[np.float32], threshold: float) -> tuple[NDArray[np.int32], list[float]]:
    """Group cells of a heat map.

    Args:
        heat: (Y, X) probabilities.
        threshold: A group's brightest cell is at least as bright.

    Returns:
        (Y, X) number of the group of each cell, 0 for none; brightness of group 1, 2 and so on,
        the brightest first.
    """
    bright = heat >= REACH * threshold
    joined, count = label(binary_dilation(bright, _AROUND, GAP_CELLS), _AROUND)
    joined = np.where(bright, joined, 0)
    kept = []
    for i in range(1, count + 1):
        there = heat[joined == i]
        if len(there) >= LEAST_CELLS and there.max() >= threshold:
            kept.append((-float(there.max()), i))
    out = np.zeros(heat.shape, np.int32)
    for number, (_, i) in enumerate(sorted(kept), 1):
        out[joined == i] = number
    return out, [-score for score, _ in sorted(kept)]
