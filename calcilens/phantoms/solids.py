"""Solids: ellipsoids of mineral and soft tissue, painted into a grid in order.

Every lesion is a list of ellipsoids. One painted later replaces what it covers, so that a
shell is a dense ellipsoid with a lucent one inside. Coordinates are (z, y, x), mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calcilens.phantoms.materials import INDEX

Float = NDArray[np.float64]
Field = NDArray[np.float32]
KEEP = 255
"""Tissue index of a solid that leaves the tissue around it as it is."""


@dataclass(frozen=True, eq=False)
class Solids:
    """N ellipsoids.

    Args:
        centre: (N, 3) mm.
        axes: (N, 3, 3): unit vectors of the half axes, one a row.
        radii: (N, 3) half axes, mm.
        density: (N,) mineral, g/cm3 hydroxyapatite.
        tissue: (N,) index of the soft tissue that fills it, or KEEP.
        edge: (N,) width of its border as a share of its smallest half axis.
        level: (N,) mm: only what lies behind y = centre + level is painted (sediment);
            -inf for a whole ellipsoid.
    """

    centre: Float
    axes: Float
    radii: Float
    density: Float
    tissue: NDArray[np.uint8]
    edge: Float
    level: Float

    def __len__(self) -> int:
        return len(self.centre)

    def box(self) -> Float:
        """Return (2, 3): bounds of all of them, mm."""
        half = np.sqrt(((self.axes * self.radii[:, :, None]) ** 2).sum(1))
        return np.stack([(self.centre - half).min(0), (self.centre + half).max(0)])

    def part(self, kept: NDArray[np.bool_]) -> Solids:
        """Return some of them."""
        return Solids(*(getattr(self, name)[kept] for name in _FIELDS))

    def posed(self, matrix: ArrayLike, shift: ArrayLike, about: ArrayLike = (0, 0, 0)) -> Solids:
        """Return them turned by a matrix (3, 3) of (z, y, x) about a point, then shifted."""
        m, origin = np.asarray(matrix, float), np.asarray(about, float)
        centre = (self.centre - origin) @ m.T + origin + np.asarray(shift, float)
        return replace(self, centre=centre, axes=self.axes @ m.T)

    def scaled(self, factor: float, about: ArrayLike) -> Solids:
        """Return them grown by a factor about a point (z, y, x)."""
        origin = np.asarray(about, float)
        centre = (self.centre - origin) * factor + origin
        return replace(self, centre=centre, radii=self.radii * factor, level=self.level * factor)

    def denser(self, factor: float) -> Solids:
        """Return them with their mineral multiplied."""
        return replace(self, density=self.density * factor)


_FIELDS = ("centre", "axes", "radii", "density", "tissue", "edge", "level")


def solids(
    centre: ArrayLike,
    radii: ArrayLike,
    density: ArrayLike,
    *,
    tissue: str | None = None,
    axes: ArrayLike | None = None,
    edge: ArrayLike = 0.15,
    level: ArrayLike = -np.inf,
) -> Solids:
    """Make solids; every argument broadcasts over them.

    Args:
        centre: (N, 3) or (3,) mm.
        radii: (N, 3), (N, 1) or (1,), mm.
        density: (N,) or () g/cm3 of mineral.
        tissue: Soft tissue that fills them; None keeps what is there.
        axes: (N, 3, 3) or (3, 3); without it they stand along (z, y, x).
        edge: Softness of the border, share of the smallest half axis.
        level: Surface of a sediment above the centre's y, mm.
    """
    c = np.atleast_2d(np.asarray(centre, float))
    n = len(c)
    r = np.asarray(radii, float)
    r = np.broadcast_to(r if r.ndim == 2 else np.atleast_1d(r)[None], (n, 3))
    a = np.broadcast_to(np.eye(3) if axes is None else np.asarray(axes, float), (n, 3, 3))
    index = KEEP if tissue is None else INDEX[tissue]
    full = [np.broadcast_to(np.asarray(v, float), (n,)) for v in (density, edge, level)]
    return Solids(c, a, np.maximum(r, 1e-3), full[0], np.full(n, index, np.uint8), *full[1:])


def joined(parts: Sequence[Solids]) -> Solids:
    """Put solids together, painted in the order given."""
    return Solids(*(np.concatenate([getattr(p, name) for p in parts]) for name in _FIELDS))


@dataclass(frozen=True, eq=False)
class Grid:
    """An axis-aligned grid of points.

    Args:
        start: (3,) centre of voxel (0, 0, 0), mm.
        step: (3,) mm.
        shape: Number of voxels.
    """

    start: Float
    step: Float
    shape: tuple[int, int, int]

    def axis(self, i: int) -> Float:
        """Return the coordinates along one axis, mm."""
        return np.asarray(self.start[i] + np.arange(self.shape[i]) * self.step[i])

    def window(self, box: Float) -> tuple[slice, slice, slice]:
        """Return the part of the grid inside bounds (2, 3), mm; may be empty."""
        lo = np.ceil((box[0] - self.start) / self.step).astype(int)
        hi = np.floor((box[1] - self.start) / self.step).astype(int) + 1
        lo, hi = np.clip(lo, 0, self.shape), np.clip(hi, 0, self.shape)
        return slice(lo[0], hi[0]), slice(lo[1], hi[1]), slice(lo[2], hi[2])


def warp(rng: np.random.Generator, grid: Grid, amount_mm: float, scale_mm: float) -> Field | None:
    """Return smooth displacements (3, Z, Y, X), mm, that make outlines organic."""
    if amount_mm <= 0:
        return None
    extent = np.array(grid.shape) * grid.step
    coarse = np.clip(np.ceil(extent / scale_mm).astype(int) + 2, 3, 40)
    fields = [smooth(rng.normal(0, amount_mm, coarse), grid.shape) for _ in range(3)]
    return np.stack(fields)


def smooth(coarse: NDArray[np.floating], shape: tuple[int, ...]) -> Field:
    """Return a coarse field (any axes) drawn out over a grid by quadratic B-splines."""
    out = coarse.astype(np.float32)
    for i, n in enumerate(shape):
        out = np.moveaxis(np.tensordot(_spline(coarse.shape[i], n), out, axes=(1, i)), 0, i)
    return np.ascontiguousarray(out)


@lru_cache(maxsize=256)
def _spline(knots: int, points: int) -> Field:
    """Return the weights (points, knots) of quadratic B-splines; the outermost knots repeat."""
    at = (np.arange(points) + 0.5) / points * knots - 0.5
    weights = np.zeros((points, knots), np.float32)
    nearest = np.floor(at + 0.5).astype(int)
    t = at - nearest
    for step, value in ((-1, (0.5 - t) ** 2 / 2), (0, 0.75 - t**2), (1, (0.5 + t) ** 2 / 2)):
        np.add.at(weights, (np.arange(points), np.clip(nearest + step, 0, knots - 1)), value)
    return weights


def paint(parts: Solids, grid: Grid, shift: Field | None = None) -> tuple[Field, NDArray[np.uint8]]:
    """Paint solids into a grid.

    Args:
        parts: What to paint, in order.
        grid: Where.
        shift: (3, Z, Y, X) displacement of every point, mm.

    Returns:
        mineral (Z, Y, X), g/cm3, and the index of the soft tissue there, KEEP where untouched.
    """
    mineral = np.zeros(grid.shape, np.float32)
    tissue = np.full(grid.shape, KEEP, np.uint8)
    axes = [grid.axis(i).astype(np.float32) for i in range(3)]
    slack = 0.0 if shift is None else float(np.abs(shift).max())
    # Nothing may slip between the points of the grid: thin ones are widened and diluted.
    radii = np.maximum(parts.radii, 0.9 * np.linalg.norm(parts.axes * grid.step, axis=2))
    diluted = np.prod(parts.radii / radii, axis=1)
    for i in range(len(parts)):
        half = np.sqrt(((parts.axes[i] * radii[i][:, None]) ** 2).sum(0)) * (1 + parts.edge[i])
        box = np.stack([parts.centre[i] - half - slack, parts.centre[i] + half + slack])
        window = grid.window(box)
        if any(s.stop <= s.start for s in window):
            continue
        share = _share(parts, i, radii[i], axes, window, shift)
        view = mineral[window]
        view += share * (np.float32(parts.density[i] * diluted[i]) - view)
        if parts.tissue[i] != KEEP:
            tissue[window][share > 0.5] = parts.tissue[i]
    return mineral, tissue


def _share(
    parts: Solids,
    i: int,
    radii: Float,
    axes: list[Field],
    window: tuple[slice, slice, slice],
    shift: Field | None,
) -> Field:
    """Return how much of each point of a window an ellipsoid covers, 0..1."""
    offsets = [
        (axes[k][window[k]] - np.float32(parts.centre[i, k])).reshape(
            [-1 if j == k else 1 for j in range(3)]
        )
        for k in range(3)
    ]
    height = offsets[1]  # sediment lies level, however the outline wanders
    if shift is not None:
        offsets = [o + shift[(k, *window)] for k, o in enumerate(offsets)]
    frame = (parts.axes[i] / radii[:, None]).astype(np.float32)
    square: Field = np.zeros((), np.float32)
    for row in frame:
        along = sum(np.float32(c) * o for c, o in zip(row, offsets, strict=True) if abs(c) > 1e-7)
        square = square + along * along
    edge = np.float32(max(parts.edge[i], 0.02))
    share = np.clip((1 - np.sqrt(square)) / edge + np.float32(0.5), 0, 1)
    if np.isfinite(parts.level[i]):
        share = share * (height >= np.float32(parts.level[i]))
    return np.asarray(np.broadcast_to(share, [s.stop - s.start for s in window]), np.float32)
