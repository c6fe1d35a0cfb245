"""How much mineral two CTs of one patient show at the same place.

Volumes taken from each scan alone carry the scanner into the ratio: thick planes, a soft kernel
or another tube voltage make a lesion look larger or denser. Here the rise over the tissue around
is added up over one region of the patient, the same in both scans and wider than their blur.
Blur moves density about but keeps its sum. Tube voltage scales it by a known factor; where the
files do not state it, the bones do, measured in the same way: they do not grow in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, map_coordinates

from calcilens.imaging.anatomy import Mask, anatomy
from calcilens.imaging.candidates import Candidate
from calcilens.imaging.geometry import Affine
from calcilens.imaging.images import Volume
from calcilens.imaging.measure import lesion_mask
from calcilens.imaging.registration import Registration

Float = NDArray[np.float64]
REGION_MM, _REGION_PLANES = 2.0, 0.6
"""How far the region reaches beyond the masks, at least, and in planes: what blur carries out."""
_GAP_MM, _SHELL_MM, _BONE_MM = 0.4, 2.0, 1.5
_STEP_MM, _MOST_POINTS = 0.75, 800_000
_TISSUE_HU = (-150.0, 150.0)
"""What counts as tissue around a lesion; beyond, it is air or something else that is dense."""
_CORTEX_HU, _AIR_HU, _AIR_MM = 250.0, -300.0, 6.0
_LEAST_BONE_MM3 = 1000.0
_OFF_HU = 5.0
"""Standard deviation of how much the tissue in a region differs between two registered scans."""
_RATIO_SD = 0.035
"""Standard deviation of a logarithm of the ratio where the rise is high: shape, registration."""
_VOLTAGE_SD, _BONE_SD, _UNKNOWN_SD = 0.025, 0.07, 0.15
"""The same of the scale, by what tells it: tube voltage, bone, or nothing (100 against 120 kV)."""
_KILOVOLTS = (80.0, 90.0, 100.0, 110.0, 120.0, 130.0, 140.0)
_HU_PER_G_CM3 = (2300.0, 2126.0, 1952.0, 1851.0, 1751.0, 1682.0, 1614.0)
"""Rise of HU by hydroxyapatite in water: NIST XCOM attenuation over the spectra of SpekPy."""


@dataclass(frozen=True)
class Scale:
    """How much higher mineral stands in the current scan than in the prior one.

    Args:
        log: Natural logarithm of the ratio of rises.
        sd: Its standard deviation.
        how: How it was found.
    """

    log: float
    sd: float
    how: str


@dataclass(frozen=True)
class Mineral:
    """What both scans show in one region.

    Args:
        prior_hu, current_hu: Mean rise over the tissue around, in the region.
        region_mm3: Its volume.
        shown: Share of the lesion that lies in both scans.
    """

    prior_hu: float
    current_hu: float
    region_mm3: float
    shown: float
    LEAST_HU: ClassVar[float] = 2 * _OFF_HU
    """Rise below which there is no mineral for certain."""

    def log_ratio(self, scale: Scale) -> tuple[float, float] | None:
        """Return the logarithm of current over prior and its standard deviation, or None.

        None where one of the scans shows no mineral for certain.
        """
        rises = np.array([self.prior_hu, self.current_hu])
        if (rises <= self.LEAST_HU).any():
            return None
        variance = _RATIO_SD**2 + scale.sd**2 + float(((_OFF_HU / rises) ** 2).sum()) / 2
        return float(np.log(rises[1] / rises[0]) - scale.log), float(np.sqrt(variance))


@dataclass(frozen=True, eq=False)
class Pair:
    """Two registered CTs."""

    prior: Volume
    current: Volume
    registration: Registration

    def mineral(
        self,
        before: Sequence[Candidate],
        after: Sequence[Candidate],
        *,
        apart: tuple[Sequence[Candidate], Sequence[Candidate]] = ((), ()),
    ) -> Mineral:
        """Measure one lesion in both scans.

        Args:
            before: Its candidates in the prior scan, perhaps none.
            after: Its candidates in the current scan, perhaps none; one at least in either.
            apart: Other lesions of each scan, which do not count.
        """
        margin = self.reach_mm + _GAP_MM + _SHELL_MM + _STEP_MM
        boxes = [self._box(c, prior=True) for c in before] + [self._box(c) for c in after]
        middle = np.mean([box.mean(0) for box in boxes], 0)
        near = replace(self, registration=self.registration.near(middle))
        sight = _Sight(near, _Grid.around(boxes, _STEP_MM, margin))
        lesion = sight.masks(before, after)
        others = sight.masks(*apart)
        bone = _within(sight.bone, _BONE_MM, sight.step_mm) & ~lesion
        return sight.rise(lesion, bone | (others & ~lesion), self.reach_mm)

    @cached_property
    def reach_mm(self) -> float:
        """How far blur may carry mineral out of a mask in either scan."""
        planes = max(self.prior.spacing_mm[0], self.current.spacing_mm[0])
        return max(REGION_MM, _REGION_PLANES * planes)

    @cached_property
    def scale(self) -> Scale:
        """How the scanners compare: by their tube voltages, or else by the bones."""
        before, after = self.prior.kvp, self.current.kvp
        if before and after:
            rise = np.interp([before, after], _KILOVOLTS, _HU_PER_G_CM3)
            how = f"density of mineral at {before:g} and {after:g} kV"
            return Scale(float(np.log(rise[1] / rise[0])), _VOLTAGE_SD, how)
        return self._by_bone() or Scale(0.0, _UNKNOWN_SD, "how the scanners compare is not known")

    def _by_bone(self) -> Scale | None:
        """Compare dense bone, away from air, as a lesion is compared."""
        corners = [[0, 0, 0], list(self.current.hu.shape)]
        sight = _Sight(self, _Grid.around([self.current.affine.box_mm(corners)], 1.5, 0.0))
        highest, lowest = np.maximum(*sight.hu), np.minimum(*sight.hu)
        air = _within(lowest < _AIR_HU, _AIR_MM, sight.step_mm)
        dense = sight.bone & (highest >= _CORTEX_HU) & sight.seen & ~air
        if dense.sum() * sight.step_mm**3 < _LEAST_BONE_MM3:
            return None
        found = sight.rise(dense, air, self.reach_mm)
        if min(found.prior_hu, found.current_hu) < 10 * _OFF_HU:
            return None
        log = float(np.log(found.current_hu / found.prior_hu))
        return Scale(log, _BONE_SD, "density of the bones that both scans show")

    def _box(self, one: Candidate, *, prior: bool = False) -> Float:
        """Return the bounds (2, 3) of a candidate in the current scan, mm."""
        if not prior:
            return self.current.affine.box_mm(one.box)
        corners = np.stack(np.meshgrid(*(one.box - 0.5).T, indexing="ij"), -1).reshape(-1, 3)
        moved = self.registration.to_current(self.prior.affine.to_mm(corners))
        return np.stack([moved.min(0), moved.max(0)])


@dataclass(frozen=True, eq=False)
class PriorView:
    """A lesion's place as the prior scan shows it.

    Args:
        pair: The scans.
        middle_mm: Middle of the lesion in the current scan, (x, y, z) LPS.
    """

    pair: Pair
    middle_mm: Float

    def plane(self, index: int, part: tuple[slice, slice]) -> NDArray[np.float32]:
        """Return HU (rows, columns) of the prior scan on a part of a current plane; air beyond."""
        current, prior = self.pair.current, self.pair.prior
        sides = zip(part, current.hu.shape[1:], strict=True)
        rows, columns = (np.arange(n)[own] for own, n in sides)
        z, y, x = np.meshgrid([index], rows, columns, indexing="ij")
        points = current.affine.to_mm(np.stack([z, y, x], -1))
        there = self.pair.registration.near(self.middle_mm).to_prior(points)
        at = _index(prior.affine, there)
        hu = _sample(prior.hu, at, order=1, mode="nearest")
        return np.asarray(np.where(_inside(at, prior), hu, np.float32(-1024))[0])


@dataclass(frozen=True, eq=False)
class _Grid:
    """Points (Z, Y, X) along the axes of the current scan's patient coordinates."""

    origin: Float
    step_mm: float
    shape: tuple[int, int, int]

    @classmethod
    def around(cls, boxes: Sequence[Float], step_mm: float, margin_mm: float) -> _Grid:
        """Return a grid that holds boxes (2, 3), mm, with a margin."""
        low = np.min([b[0] for b in boxes], 0) - margin_mm
        side = np.max([b[1] for b in boxes], 0) + margin_mm - low
        step = max(step_mm, float(np.cbrt(np.prod(side) / _MOST_POINTS)))
        x, y, z = (int(np.ceil(s / step)) + 1 for s in side)
        return cls(low, step, (z, y, x))

    def points(self) -> Float:
        """Return (Z, Y, X, 3) as (x, y, z), mm."""
        axes = [self.origin[2 - k] + self.step_mm * np.arange(n) for k, n in enumerate(self.shape)]
        return np.stack(np.meshgrid(*axes, indexing="ij")[::-1], -1)


class _Sight:
    """Both scans on one grid."""

    def __init__(self, pair: Pair, grid: _Grid) -> None:
        self.step_mm = grid.step_mm
        current = grid.points()
        self._index = tuple(
            _index(volume.affine, points)
            for volume, points in (
                (pair.prior, pair.registration.to_prior(current)),
                (pair.current, current),
            )
        )
        self._volumes = (pair.prior, pair.current)
        self.hu = tuple(
            _sample(v.hu, i, order=1, mode="nearest")
            for v, i in zip(self._volumes, self._index, strict=True)
        )
        inside = [_inside(i, v) for v, i in zip(self._volumes, self._index, strict=True)]
        self.seen: Mask = inside[0] & inside[1]

    @cached_property
    def bone(self) -> Mask:
        """Bone of either scan."""
        either = [
            _sample(anatomy(v).bone, i, order=0, mode="constant") > 0
            for v, i in zip(self._volumes, self._index, strict=True)
        ]
        return np.asarray(either[0] | either[1])

    def masks(self, before: Sequence[Candidate], after: Sequence[Candidate]) -> Mask:
        """Return where candidates of either scan are."""
        out = np.zeros(self.seen.shape, bool)
        for volume, index, group in zip(self._volumes, self._index, (before, after), strict=True):
            for one in group:
                mask, _ = lesion_mask(volume, one)
                at = index - one.box[0].reshape(3, 1, 1, 1)
                out |= _sample(np.pad(mask, 1), at + 1, order=1, mode="constant") >= 0.5
        return out

    def rise(self, lesion: Mask, without: Mask, reach_mm: float) -> Mineral:
        """Return how far both scans rise over the tissue around, in a lesion's region."""
        away = distance_transform_edt(~lesion) * self.step_mm if lesion.any() else np.inf
        allowed = self.seen & ~without
        region = (away <= reach_mm) & allowed
        beyond = away - reach_mm - _GAP_MM
        shell = (beyond > 0) & (beyond <= _SHELL_MM) & allowed
        shown = float(self.seen[lesion].mean()) if lesion.any() else 0.0
        if not region.any() or not shell.any():
            return Mineral(0.0, 0.0, 0.0, shown)
        low, high = _TISSUE_HU
        rises = [
            float(np.maximum(hu[region], low).mean() - np.clip(hu[shell], low, high).mean())
            for hu in self.hu
        ]
        return Mineral(rises[0], rises[1], float(region.sum()) * self.step_mm**3, shown)


def _within(mask: Mask, reach_mm: float, step_mm: float) -> Mask:
    if not mask.any():
        return mask
    return np.asarray(distance_transform_edt(~mask) * step_mm <= reach_mm)


def _inside(index: NDArray[np.float32], volume: Volume) -> Mask:
    """Return which voxel indices (3, Z, Y, X) lie in a volume."""
    sides = [(i > -0.5) & (i < n - 0.5) for i, n in zip(index, volume.hu.shape, strict=True)]
    return np.asarray(sides[0] & sides[1] & sides[2])


def _index(affine: Affine, points: Float) -> NDArray[np.float32]:
    """Return voxel indices (3, Z, Y, X) of points (Z, Y, X, 3), mm."""
    turn = np.linalg.inv(affine.matrix[:3, :3])
    return np.moveaxis((points - affine.matrix[:3, 3]) @ turn.T, -1, 0).astype(np.float32)


def _sample(
    array: NDArray[np.generic],
    index: NDArray[np.floating],
    *,
    order: Literal[0, 1],
    mode: Literal["nearest", "constant"],
) -> NDArray[np.float32]:
    """Return values at fractional indices, 0 outside or the nearest ones."""
    flat, size = index.reshape(3, -1), np.array(array.shape)
    low = np.clip(np.floor(flat.min(1)).astype(int) - 1, 0, size - 1)
    high = np.clip(np.ceil(flat.max(1)).astype(int) + 2, low + 1, size)
    part = array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))].astype(np.float32)
    at = index - low.reshape(3, 1, 1, 1)
    return np.asarray(map_coordinates(part, at, order=order, mode=mode, output=np.float32))
