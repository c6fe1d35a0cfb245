"""Shadows of lesions: what their solids add to and take from the rays that pass.

Each ellipsoid's chord along y is known exactly. A ray is cut into a few cells, and the solids
are laid into them in painting order, each by the share of the cell that its chord fills: one
painted later replaces what it covers, as in `solids.paint`, at a small part of its cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calcilens.phantoms.frames import Frame, Raster, sampled
from calcilens.phantoms.materials import BASE_NAMES, BONES, INDEX, composition
from calcilens.phantoms.projection import tissues
from calcilens.phantoms.scene import Lesion
from calcilens.phantoms.solids import KEEP, Field, Float, Solids, smooth
from calcilens.phantoms.tubes import Tube

_LEAST_CELLS, _MOST_CELLS = 10, 40
_EFFORT, _ROOM = 1_500_000, 1_600_000
"""Cells that may be filled for one lesion in all, and that there may be."""
_LEAST_SIDE, _MOST_SIDE = 72, 300
_SOFT_EDGE = 0.25
_NODES = (0.5 - 0.375 * 0.5, 0.5, 0.5 + 0.375 * 0.5)
_LOOK = (12, 16, 12)
"""Points along z, y and x at which it is looked up what a lesion lies in."""


@dataclass(frozen=True, eq=False)
class Shadow:
    """What a lesion does to the rays of an image.

    Args:
        mineral: (Y, X) g/cm2 of the lesion's own mineral.
        change: (bases, Y, X) g/cm2 by which all the other material changes.
    """

    mineral: Field
    change: Field


def shadow(lesion: Lesion, body: Sequence[Tube], frame: Frame, rng: np.random.Generator) -> Shadow:
    """Project a lesion onto the pixels of a frame.

    Args:
        lesion: What is projected.
        body: Tubes that it lies in, in painting order.
        frame: Where the pixels are.
        rng: Draws how its outlines wander and how uneven its mineral is.
    """
    nothing = np.zeros(frame.shape, np.float32)
    empty = np.zeros((len(BASE_NAMES), *frame.shape), np.float32)
    box = lesion.parts.box() + np.array([[-1.0], [1.0]]) * (1 + 2 * lesion.rough_mm)
    depth = _depth(lesion.parts, box)
    raster = _raster(lesion.parts, box, len(depth) - 1, frame)
    if raster is None or not (lesion.parts.density.any() or (lesion.parts.tissue != KEEP).any()):
        return Shadow(nothing, empty)
    wander = _wander(rng, raster, lesion)
    cells = _Cells(raster, depth, lesion.parts)
    for i in range(len(lesion.parts)):
        cells.lay(lesion.parts, i, wander)
    mineral, change = cells.seen(body, erosion=lesion.erosion)
    if lesion.grain > 0:
        mineral = mineral * np.clip(1 + lesion.grain * _clouds(rng, raster), 0.1, 2)
    for base in np.flatnonzero(np.abs(change).max((1, 2)) > 0):
        empty[base] = sampled(change[base], raster, frame)
    return Shadow(sampled(mineral, raster, frame), empty)


def _depth(parts: Solids, box: Float) -> Float:
    """Return where the cells begin along y (K + 1,): about as deep as the slim solids."""
    half = np.sqrt(((parts.axes * parts.radii[:, :, None]) ** 2).sum(1))[:, 1]
    first, last = box[:, 1]
    slim = max(float(np.quantile(half, 0.2)), 1e-3)
    count = int(np.clip(np.ceil(1.5 * (last - first) / slim), _LEAST_CELLS, _MOST_CELLS))
    return np.linspace(first, last, count + 1)


def _raster(parts: Solids, box: Float, cells: int, frame: Frame) -> Raster | None:
    """Return the raster on which a lesion is projected; None where it misses the frame."""
    sight = frame.bounds() + np.array([[-2.0], [2.0]]) * frame.spacing_mm
    low = np.maximum(box[0, [0, 2]], sight[0])
    high = np.minimum(box[1, [0, 2]], sight[1])
    if (high <= low).any():
        return None
    half = np.sqrt(((parts.axes * parts.radii[:, :, None]) ** 2).sum(1))
    share = float((np.prod(2 * half, 1) / np.prod(box[1] - box[0])).sum())
    # Large solids, which fill many cells, and many cells make the raster coarser.
    side = min(np.sqrt(_EFFORT / cells / max(share, 0.05)), np.sqrt(_ROOM / cells))
    finest = float((high - low).max()) / float(np.clip(side, _LEAST_SIDE, _MOST_SIDE))
    step = max(finest, 0.8 * frame.spacing_mm)
    count = np.ceil((high - low) / step).astype(int) + 1
    return Raster(low, np.full(2, step), (int(count[0]), int(count[1])))


def _wander(rng: np.random.Generator, raster: Raster, lesion: Lesion) -> Field:
    """Return (2, Z, X): smooth displacements along z and x, mm."""
    if lesion.rough_mm <= 0:
        return np.zeros((2, *raster.shape), np.float32)
    coarse = _coarse(raster, max(4.0, lesion.size_mm / 4))
    fields = [rng.normal(0, lesion.rough_mm, coarse) for _ in range(2)]
    return np.stack([smooth(field, raster.shape) for field in fields])


def _clouds(rng: np.random.Generator, raster: Raster) -> Field:
    """Return (Z, X) smooth variation around 0, of about unit size, in two scales."""
    sizes = ((14.0, 0.5), (3.5, 0.5), (1.2, 0.5))
    fields = [
        np.float32(size) * smooth(rng.standard_normal(_coarse(raster, scale)), raster.shape)
        for scale, size in sizes
    ]
    return np.asarray(sum(fields), np.float32)


def _coarse(raster: Raster, scale_mm: float) -> tuple[int, int]:
    extent = np.array(raster.shape) * raster.step
    z, x = np.clip(np.ceil(extent / scale_mm).astype(int) + 2, 3, 96)
    return int(z), int(x)


class _Cells:
    """Rays cut into cells (K, Z, X), which solids fill one after the other."""

    def __init__(self, raster: Raster, depth: Float, parts: Solids) -> None:
        self.raster = raster
        self.step = float(depth[1] - depth[0])
        self.low = depth[:-1]
        self.axes = [raster.axis(i).astype(np.float32) for i in range(2)]
        shape = (len(self.low), *raster.shape)
        self.mineral = np.zeros(shape, np.float32)
        kinds = sorted(set(parts.tissue.tolist()) - {KEEP})
        self.table = composition()
        self.bases = np.flatnonzero(self.table[kinds].any(0)) if kinds else np.zeros(0, int)
        self.filled = np.zeros(shape if kinds else (0, 0, 0), np.float32)
        self.soft = {int(b): np.zeros(shape, np.float32) for b in self.bases}

    def lay(self, parts: Solids, i: int, wander: Field) -> None:
        """Lay one solid over what is there."""
        radii = np.maximum(parts.radii[i], 0.55 * self.raster.step[0])
        diluted = float(np.prod(parts.radii[i] / radii))
        half = np.sqrt(((parts.axes[i] * radii[:, None]) ** 2).sum(0)) * (1 + parts.edge[i] / 2)
        window = self._window(parts.centre[i], half, float(np.abs(wander).max(initial=0.0)))
        if any(s.stop <= s.start for s in window):
            return
        share = self._share(parts, i, radii, window, wander)
        view = self.mineral[window]
        view += share * (np.float32(parts.density[i] * diluted) - view)
        kind = int(parts.tissue[i])
        if kind == KEEP:
            return
        share *= np.float32(diluted)
        for array, value in (
            (self.filled, 1.0),
            *((self.soft[b], self.table[kind, b]) for b in self.soft),
        ):
            view = array[window]
            view += share * (np.float32(value) - view)

    def _window(self, centre: Float, half: Float, slack: float) -> tuple[slice, slice, slice]:
        """Return the cells that a solid may fill."""
        cells = (np.array([-1, 1]) * half[1] + centre[1] - self.low[0]) / self.step
        first = np.clip([np.floor(cells[0]), np.ceil(cells[1])], 0, len(self.low)).astype(int)
        reach = np.array([[-1.0], [1.0]]) * (half[[0, 2]] + slack) + centre[[0, 2]]
        at = (reach - self.raster.start) / self.raster.step
        low = np.clip(np.ceil(at[0]), 0, self.raster.shape).astype(int)
        high = np.clip(np.floor(at[1]) + 1, 0, self.raster.shape).astype(int)
        return slice(first[0], first[1]), slice(low[0], high[0]), slice(low[1], high[1])

    def _share(
        self, parts: Solids, i: int, radii: Float, window: tuple[slice, slice, slice], wander: Field
    ) -> Field:
        """Return the share of each cell of a window that an ellipsoid's chord fills."""
        where = window[1:]
        u = self.axes[0][where[0], None] - np.float32(parts.centre[i, 0]) + wander[0][where]
        w = self.axes[1][None, where[1]] - np.float32(parts.centre[i, 2]) + wander[1][where]
        frame = parts.axes[i] / radii[:, None]
        (zz, zy, zx), (_, yy, yx), (_, _, xx) = (frame.T @ frame).astype(np.float32)
        middle = (zy * u + yx * w) / -yy
        square = (zz * u + 2 * zx * w) * u + xx * w * w - yy * middle * middle
        middle += np.float32(parts.centre[i, 1])
        edge = max(float(parts.edge[i]), 0.02)
        scales = [1.0] if edge <= _SOFT_EDGE else [1 + edge * (2 * n - 1) for n in _NODES]
        total: Field = np.zeros((), np.float32)
        low = self.low[window[0]].astype(np.float32)[:, None, None]
        step = np.float32(self.step)
        for scale in scales:
            half = np.sqrt(np.maximum(np.float32(scale**2) - square, 0) / yy)
            start, stop = middle - half, middle + half
            if np.isfinite(parts.level[i]):
                start = np.maximum(start, np.float32(parts.centre[i, 1] + parts.level[i]))
            total = total + np.maximum(np.minimum(stop, low + step) - np.maximum(start, low), 0)
        return np.asarray(total / (step * np.float32(len(scales))), np.float32)

    def seen(self, body: Sequence[Tube], *, erosion: bool) -> tuple[Field, Field]:
        """Return the mineral (Z, X) and the change of the bases (B, Z, X), g/cm2.

        A lesion spares bone unless it erodes it. What it lies in is looked up on a few points
        and weighed by what fills them.
        """
        every = [
            np.linspace(0, n - 1, min(n, k)).astype(int)
            for n, k in zip(self.mineral.shape, _per_axis(), strict=True)
        ]
        some = np.ix_(*every)
        y = self.low[every[0]] + self.step / 2
        around = tissues(body, self.axes[0][every[1]], y, self.axes[1][every[2]]).transpose(1, 0, 2)
        bone = np.isin(around, [INDEX[name] for name in BONES])
        room = np.asarray(1.0 - bone * (not erosion))
        cm = self.step / 10
        mineral = self.mineral.sum(0) * cm * self._mean(room, self.mineral[some])
        change = np.zeros((len(BASE_NAMES), *self.raster.shape), np.float32)
        if not len(self.filled):
            return np.asarray(mineral, np.float32), change
        weight = self.filled[some]
        whole = self.filled.sum(0) * cm
        free = self._mean(room, weight)
        for base in range(len(BASE_NAMES)):
            if base in self.soft:
                change[base] += self.soft[base].sum(0) * cm * free
            host = self.table[around, base] * room
            if host.any():
                change[base] -= whole * self._mean(host, weight)
        return np.asarray(mineral, np.float32), change

    def _mean(self, values: Float, weight: Field) -> Field | float:
        """Return values (K, Z, X) of the few points averaged along y and drawn out: (Z, X)."""
        if values.min() == values.max():
            return float(values.flat[0])
        mean = (values * (weight + 1e-4)).sum(0) / (weight + 1e-4).sum(0)
        return smooth(mean, self.raster.shape)


def _per_axis() -> tuple[int, int, int]:
    return _LOOK[1], _LOOK[0], _LOOK[2]
