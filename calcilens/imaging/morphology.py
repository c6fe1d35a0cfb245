"""Morphology in the planes of a mask (Z, Y, X), by whole shifts: many times as quick as scipy's."""

from __future__ import annotations

import cc3d
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def grown(mask: Mask, times: int = 1) -> Mask:
    """Add the four neighbours of every voxel, so many times."""
    for _ in range(times):
        more = mask.copy()
        more[:, 1:] |= mask[:, :-1]
        more[:, :-1] |= mask[:, 1:]
        more[:, :, 1:] |= mask[:, :, :-1]
        more[:, :, :-1] |= mask[:, :, 1:]
        mask = more
    return mask


def shrunk(mask: Mask, times: int = 1) -> Mask:
    """Take away what has a neighbour outside the mask; the edge of the image is no outside."""
    return ~grown(~mask, times)


def filled(mask: Mask) -> Mask:
    """Fill what is enclosed in each plane."""
    return ~reached(~mask, _edges(mask.shape))


def reached(room: Mask, start: Mask) -> Mask:
    """Return what is connected in its plane, within `room`, to a start (Z, Y, X)."""
    found = np.zeros_like(room)
    for plane, seeds, out in zip(room, start, found, strict=True):
        labels, count = cc3d.connected_components(plane, connectivity=4, return_N=True)
        wanted = np.zeros(count + 1, bool)
        wanted[labels[seeds]] = True
        wanted[0] = False
        out[:] = wanted[labels]
    return found


def _edges(shape: tuple[int, ...]) -> Mask:
    edges = np.zeros(shape, bool)
    edges[:, [0, -1], :] = edges[:, :, [0, -1]] = True
    return edges
