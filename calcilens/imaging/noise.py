"""Noise of a CT, measured in its soft tissue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calcilens.imaging.images import Volume

Mask = NDArray[np.bool_]
AVERAGE_MM = 0.75
"""Radius that a voxel is averaged over to tell it from noise: no less than 1.5 mm2 in a plane."""
_APART_MM = 2.0
"""Noise of voxels this far from each other is independent."""
_SOFT_HU = (-50, 150)
_SAMPLES, _PLANES = 40_000, 24
_MOST_OFFSETS = 600
"""Of voxels that a mean is taken over: in finer images these, spread evenly, stand for all."""
_TO_SIGMA = 1.4826


@dataclass(frozen=True, eq=False)
class Noise:
    """Noise in soft tissue.

    Args:
        tissue_hu: Median of soft tissue.
        voxel_hu: Standard deviation of single voxels.
        mean_hu: The same of means over `AVERAGE_MM`.
        offsets: (n, 3) voxels (z, y, x) that such a mean is taken over.
    """

    tissue_hu: float
    voxel_hu: float
    mean_hu: float
    offsets: NDArray[np.int64]


def measure_noise(volume: Volume, body: Mask) -> Noise:
    """Measure noise by differences of voxels 2 mm apart, which organs hardly change."""
    offsets = ball(volume.spacing_mm, AVERAGE_MM)
    at = _soft(volume, body)
    lag = max(1, round(_APART_MM / volume.spacing_mm[2]))
    beside = at + np.array([0, 0, lag])
    both = beside[:, 2] < volume.hu.shape[2]
    at, beside = at[both], beside[both]
    values, others = values_at(volume, at), values_at(volume, beside)
    soft = (others > _SOFT_HU[0]) & (others < _SOFT_HU[1])
    if not soft.any():
        return Noise(0.0, 0.0, 0.0, offsets)
    at, beside = at[soft], beside[soft]
    means = (means_at(volume, at, offsets), means_at(volume, beside, offsets))
    return Noise(
        float(np.median(values[soft])),
        _sigma(values[soft] - others[soft]),
        _sigma(means[0] - means[1]),
        offsets,
    )


def ball(spacing_mm: tuple[float, float, float], radius_mm: float) -> NDArray[np.int64]:
    """Return the offsets (n, 3) of voxels within a radius of one, itself always among them."""
    step = np.asarray(spacing_mm)
    reach = np.floor(radius_mm / step).astype(int)
    grid = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"), -1)
    offsets = grid.reshape(-1, 3)
    inside = np.asarray(offsets[np.linalg.norm(offsets * step, axis=1) <= radius_mm], np.int64)
    every = -(-len(inside) // _MOST_OFFSETS)
    return inside[len(inside) // 2 % every :: every]  # from the middle, which is the voxel itself


def values_at(volume: Volume, at: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return HU (n,) at voxels (n, 3); beyond the image, of its nearest voxel."""
    inside = np.clip(at, 0, np.array(volume.hu.shape) - 1)
    return np.asarray(volume.hu[tuple(inside.T)], np.float32)


def means_at(
    volume: Volume, at: NDArray[np.int64], offsets: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the mean HU (n,) around voxels (n, 3)."""
    total = np.zeros(len(at), np.float32)
    for offset in offsets:
        total += values_at(volume, at + offset)
    return total / np.float32(len(offsets))


def _soft(volume: Volume, body: Mask) -> NDArray[np.int64]:
    """Return voxels (n, 3) of soft tissue, evenly taken from some planes."""
    found = []
    for z in np.unique(np.linspace(0, len(body) - 1, _PLANES).astype(int)):
        hu = volume.hu[z]
        rows, columns = np.nonzero(body[z] & (hu > _SOFT_HU[0]) & (hu < _SOFT_HU[1]))
        every = max(1, len(rows) * _PLANES // _SAMPLES)
        plane = np.full(len(rows[::every]), z)
        found.append(np.stack([plane, rows[::every], columns[::every]], 1))
    return np.concatenate(found).astype(np.int64)


def _sigma(differences: NDArray[np.float32]) -> float:
    """Return the deviation of one of two values whose differences are given; robust."""
    return float(_TO_SIGMA * np.median(np.abs(differences)) / np.sqrt(2))
