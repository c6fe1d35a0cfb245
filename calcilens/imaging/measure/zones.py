"""How density runs from the rim of a lesion to its centre."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from calcilens.imaging.anatomy import Mask
from calcilens.imaging.measure.lesion import Float, Lesion, Part
from calcilens.imaging.measure.measurement import Measurement
from calcilens.imaging.measure.mineral import Mineral

_VOXELS = 200_000
"""About as many voxels of an outline are looked at: every so-manieth of a large one."""
_SHELL_MM, _SHELLS = 1.0, 8
_LEAST_DEPTH_MM = 2.5
_SURFACE, _CLOSED, _OTHER = 1 / 8, 0.9, 0.05
"""Share of the depth that is surface; of the surface that has mineral under it, and of the inside
that is bone or another lesion, for rim and centre to be told."""
_ZONAL, _REVERSE, _LEAST_HU = 1.5, 0.6, 20.0


def _directions(most: int) -> Float:
    """Return unit vectors (N, 3) that flips and exchanges of axes map onto each other or back."""
    steps = itertools.product(range(-most, most + 1), repeat=3)
    whole = np.array([s for s in steps if s > (0, 0, 0) and np.gcd.reduce(s) == 1], float)
    return np.asarray(whole / np.linalg.norm(whole, axis=1, keepdims=True))


_DIRECTIONS = _directions(3)


@dataclass(frozen=True, eq=False)
class Inside:
    """The voxels (N,) within the convex outline of a lesion's mineral, bone and others left out.

    Args:
        depth: mm under the outline.
        hu: Of the image.
        rise: HU over soft tissue, without blur.
        dense: Where there is mineral.
        closed: Share of the outline with mineral under it, within a third of the greatest depth.
        other: Share of the inside that is bone or another lesion.
        step: Distance of the voxels along the widest spaced axis, mm.
    """

    depth: Float
    hu: Float
    rise: Float
    dense: Mask
    closed: float
    other: float
    step: float

    @property
    def deepest(self) -> float:
        """Greatest depth, mm."""
        return float(self.depth.max())


def measure_zones(lesion: Lesion, mineral: Mineral, taken: Measurement) -> None:
    """Take the figures of rim and centre."""
    inside = _inside(lesion, mineral) if mineral.there else None
    why = "nothing is as dense as mineral" if inside is None else _unclear(inside)
    if inside is None or why:
        return taken.omit(("radial_profile", "rim_ratio", "zoning"), why)
    _profile(inside, taken)
    return _zones(inside, taken)


def _inside(lesion: Lesion, mineral: Mineral) -> Inside | None:
    """Return what lies within the outline; None where that is thinner than the voxels looked at."""
    cut, at, step = _lattice(lesion, mineral)
    depth = _depth(at.reshape(-1, 3) * lesion.spacing, mineral.border_mm).reshape(at.shape[:3])
    own = (depth > 0) & ~mineral.other[cut]
    if not own.any():
        return None
    dense = mineral.over[cut] > 0
    return Inside(
        depth[own],
        lesion.volume.hu[mineral.part][cut][own].astype(np.float64),
        mineral.rise[cut][own].astype(np.float64),
        dense[own],
        closed=_closed(np.where(own, depth, 0.0), dense, step),
        other=float(1 - own.sum() / (depth > 0).sum()),
        step=float(step.max()),
    )


def _lattice(lesion: Lesion, mineral: Mineral) -> tuple[Part, NDArray[np.int64], Float]:
    """Return the voxels that are looked at.

    Returns:
        What they are of the mineral's part; (Z, Y, X, 3) their indices in the volume; and (3,)
        their distances, mm.
    """
    border, start = mineral.border_mm, np.array([s.start for s in mineral.part])
    room = np.ptp(border, axis=0)
    stride = np.maximum(1, (room.prod() / _VOXELS) ** (1 / 3) // lesion.spacing).astype(int)
    low = np.floor(border.min(0) / lesion.spacing - start).astype(int).clip(0)
    high = np.ceil(border.max(0) / lesion.spacing - start).astype(int) + 1
    z, y, x = (slice(*ends) for ends in zip(low, high, stride, strict=True))
    shape = mineral.rise[z, y, x].shape
    at = np.moveaxis(np.indices(shape), 0, -1) * stride + low + start
    return (z, y, x), at, stride * lesion.spacing


def _closed(depth: Float, dense: Mask, step: Float) -> float:
    """Return the share of the surface under which mineral lies within a third of the depth."""
    deepest = float(depth.max())
    surface = (depth > 0) & (depth <= max(0.75 * step.max(), _SURFACE * deepest))
    if not surface.any():
        return 0.0
    away = np.asarray(ndimage.distance_transform_edt(~dense, sampling=step))
    return float((away[surface] <= deepest / 3).mean())


def _depth(points: Float, border: Float) -> Float:
    """Return how deep points (N, 3) lie under the planes that touch a border (M, 3), mm."""
    depth = np.full(len(points), np.inf)
    for direction in _DIRECTIONS:
        ends, along = border @ direction, points @ direction
        np.minimum(depth, np.minimum(ends.max() - along, along - ends.min()), out=depth)
    return depth


def _unclear(inside: Inside) -> str:
    """Return why rim and centre are not told, or nothing."""
    if inside.other > _OTHER:
        return f"{100 * inside.other:.0f} % within its outline is bone or another lesion"
    if inside.closed < _CLOSED:
        return (
            f"mineral lies under {100 * inside.closed:.0f} % of its convex outline: rim and centre "
            f"need {100 * _CLOSED:.0f} %"
        )
    return ""


def _profile(inside: Inside, taken: Measurement) -> None:
    """Mean HU by depth under the outline."""
    shell = np.minimum(inside.depth // _SHELL_MM, _SHELLS - 1).astype(int)
    sums, counts = np.bincount(shell, inside.hu), np.bincount(shell)
    profile = [float(s / n) for s, n in zip(sums, counts, strict=True) if n]
    how = f"mean HU of shells {_SHELL_MM:.0f} mm thick, from the convex outline inwards"
    taken.set("radial_profile", profile, f"{how}, hollows and gaps filled")


def _zones(inside: Inside, taken: Measurement) -> None:
    """Compare the outer third of the depth with the inner third."""
    deepest, least = inside.deepest, max(_LEAST_DEPTH_MM, 1.5 * inside.step)
    outer, inner = inside.depth <= deepest / 3, inside.depth > 2 * deepest / 3
    if deepest < least or not (outer & inside.dense).any():
        why = f"the lesion is {2 * deepest:.1f} mm thick; rim and centre need {2 * least:.1f} mm"
        return taken.omit(("rim_ratio", "zoning"), why)
    rim = [float(inside.rise[part].mean()) for part in (outer, outer & inside.dense)]
    centre = float(inside.rise[inner].mean())
    low, high = sorted(max(r, _LEAST_HU) / max(centre, _LEAST_HU) for r in rim)
    # Gaps in a rim make no centre dense, and points that fill a rim half make none lucent.
    ratio = min(max(1.0, low), high)
    how = (
        "rise over soft tissue, without blur, of the outer third of the depth under its convex "
        f"outline over that of the inner third: {rim[0]:.0f} HU with the gaps of the rim, "
        f"{rim[1]:.0f} without, whichever is nearer to {centre:.0f} HU inside"
    )
    kind = "zonal" if ratio > _ZONAL else "reverse-zonal" if ratio < _REVERSE else "even"
    taken.set("rim_ratio", ratio, how)
    how = f"zonal above a ratio of {_ZONAL:g}, reverse-zonal below {_REVERSE:g}"
    return taken.set("zoning", kind, how)
