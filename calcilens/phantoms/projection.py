"""Projection: how much of every material the rays through a body pass.

A tube's outline is a polygon, so that the length of a ray inside it is a piecewise linear
function of x: it bends at the corners only. Bends are scattered onto the nodes of a raster and
summed twice along x, which is exact there, and adds up any number of tubes at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from calcilens.phantoms.frames import Raster
from calcilens.phantoms.materials import BASE_NAMES, INDEX, TISSUES, composition
from calcilens.phantoms.solids import Field, Float
from calcilens.phantoms.tubes import CORNERS, THETA, Tube

TEXTURED = ("trabecular", "lung")
"""Tissues whose thickness is kept beside the base materials', since their texture shows."""
CHANNELS = (*BASE_NAMES, *TEXTURED)
_MM_PER_CM = 10.0
_JITTER = 1e-5
_LEAST_CHANGE = 2e-3
"""Changes of a channel below this, g/cm3, are chance of the sampling."""
_SAMPLE_HEIGHTS, _SHARES, _SPOKES = np.array([0.15, 0.5, 0.85]), np.array([0.4, 0.85]), 6
"""Where in a tube it is looked up what lies beneath it: heights, radii, directions."""
_SPOKE = np.arange(0, CORNERS, CORNERS // _SPOKES)
_VESSELS, _SMALL_MM = ("blood", "contrast_blood"), 6.0
_STEEP, _SLOW_MM = 0.4, 2.0
"""Tubes whose outline moves less than this, mm per mm, are integrated every 2 mm only."""


def _amounts() -> Float:
    """Return (tissues, channels): g/cm3 of every base, and 1 for a textured tissue itself."""
    own = np.zeros((len(TISSUES), len(TEXTURED)))
    for i, name in enumerate(TEXTURED):
        own[INDEX[name], i] = 1.0
    return np.hstack([composition(), own])


AMOUNTS = _amounts()


def masses(tubes: Sequence[Tube], raster: Raster) -> Field:
    """Integrate tubes along y.

    Tubes are in painting order: each takes the place of what lies beneath it, on average over
    its part in reach. That is exact where one tube lies wholly inside another, as nearly all
    do. Above and below its first tube, the body goes on as it is there.

    Args:
        tubes: The body.
        raster: Where the rays pass.

    Returns:
        (channels, Z, X): g/cm2 of each base material, then cm of each textured tissue.
    """
    heights = np.clip(raster.axis(0), *tubes[0].z[[0, -1]])
    left, right = raster.axis(1)[[0, -1]]
    first, last, steep = _extents(tuple(tubes))
    kept = (first[:, 0] <= heights.max()) & (last[:, 0] >= heights.min())
    kept &= (first[:, 2] < right) & (last[:, 2] > left)
    if not kept.any():
        return np.zeros((len(CHANNELS), *raster.shape), np.float32)
    body = [tubes[int(i)] for i in np.flatnonzero(kept)]
    # What a small vessel lies in, it says itself, and nothing lies in it.
    wide = np.array([t.tissue not in _VESSELS or t.radius.max() > _SMALL_MM for t in body])
    beneath = AMOUNTS[[INDEX[t.within] for t in body]]
    beneath[wide] = _beneath(
        [t for t, large in zip(body, wide, strict=True) if large],
        first[kept][wide], last[kept][wide], heights, (left, right),
    )  # fmt: skip
    change = AMOUNTS[[INDEX[t.tissue] for t in body]] - beneath
    quick = steep[kept]
    out = _slow([body[i] for i in np.flatnonzero(~quick)], change[~quick], heights, raster)
    out += _integrated([body[i] for i in np.flatnonzero(quick)], change[quick], heights, raster)
    return np.maximum(out, 0)


@lru_cache(maxsize=2)
def _extents(tubes: tuple[Tube, ...]) -> tuple[Float, Float, NDArray[np.bool_]]:
    """Return the least and the greatest (z, y, x) of tubes, each (T, 3), and which are steep.

    A steep tube's outline changes too quickly along z to be drawn out between few heights.
    """
    first, last, steep = [], [], []
    for tube in tubes:
        reach = tube.radius.max(1)[:, None]
        first.append([tube.z[0], *(tube.centre - reach).min(0)])
        last.append([tube.z[-1], *(tube.centre + reach).max(0)])
        shape = np.hstack([tube.centre, tube.radius[:, :: CORNERS // _SPOKES]])
        moved = np.abs(shape[1:] - shape[:-1]).max(1)
        steep.append(bool((moved > _STEEP * (tube.z[1:] - tube.z[:-1])).any()))
    return np.array(first), np.array(last), np.array(steep)


def _slow(tubes: Sequence[Tube], change: Float, heights: Float, raster: Raster) -> Field:
    """Integrate tubes that change slowly along z at few heights, and draw them out."""
    count = int(np.clip(np.ceil(np.ptp(heights) / _SLOW_MM) + 1, 2, max(raster.shape[0], 2)))
    some = np.linspace(heights.min(), heights.max(), count)
    drawn = _integrated(tubes, change, some, raster)
    place = np.interp(heights, some, np.arange(count))
    low = np.minimum(place.astype(int), count - 2)
    share = (place - low).astype(np.float32)[:, None]
    out = np.zeros((len(CHANNELS), *raster.shape), np.float32)
    for channel in np.flatnonzero(drawn.any((1, 2))):
        out[channel] = drawn[channel, low] * (1 - share) + drawn[channel, low + 1] * share
    return out


def _beneath(
    tubes: Sequence[Tube], first: Float, last: Float, heights: Float, sides: tuple[float, float]
) -> Float:
    """Return (T, channels): what each tube takes the place of, on average in reach.

    Args:
        tubes: In painting order.
        first: (T, 3) least (z, y, x) of each.
        last: (T, 3) greatest.
        heights: Of the rays.
        sides: Least and greatest x of the rays.
    """
    z, y, x = np.stack([_points(tube, heights) for tube in tubes], 1)
    low, high = (np.stack([f(part, 1) for part in (z, y, x)], 1) for f in (np.min, np.max))
    label = np.full(y.shape, INDEX["air"])
    for i, tube in enumerate(tubes[:-1]):
        near = np.asarray((last[i] >= low).all(1) & (first[i] <= high).all(1))
        near[: i + 1] = False
        if near.any():
            there = inside(tube, z[near], y[near], x[near])
            label[near] = np.where(there, INDEX[tube.tissue], label[near])
    share = np.tile(np.repeat(_SHARES, _SPOKES), len(_SAMPLE_HEIGHTS))
    weight = share * ((x > sides[0]) & (x < sides[1])) + 1e-6
    total = (AMOUNTS[label] * weight[..., None]).sum(1)
    return np.asarray(total / weight.sum(1)[:, None])


def _points(tube: Tube, heights: Float) -> Float:
    """Return points (3, N) as (z, y, x) spread in the part of a tube that is in reach."""
    low, high = max(tube.z[0], heights.min()), min(tube.z[-1], heights.max())
    z = low + (high - low) * _SAMPLE_HEIGHTS
    centre, radius = tube.at(z)
    reach = radius[:, None, _SPOKE] * _SHARES[:, None]
    y = centre[:, 0, None, None] + reach * np.sin(THETA[_SPOKE])
    x = centre[:, 1, None, None] + reach * np.cos(THETA[_SPOKE])
    return np.stack([np.broadcast_to(z[:, None, None], y.shape), y, x]).reshape(3, -1)


def inside(tube: Tube, z: Float, y: Float, x: Float) -> NDArray[np.bool_]:
    """Return which points lie in a tube; the coordinates broadcast."""
    place = np.interp(z, tube.z, np.arange(len(tube.z)))
    low = np.minimum(place.astype(int), len(tube.z) - 2)
    up = place - low
    centre = [c[low] + (c[low + 1] - c[low]) * up for c in tube.centre.T]
    off_y, off_x = y - centre[0], x - centre[1]
    turn = np.arctan2(off_y, off_x) / (THETA[1] - THETA[0]) % CORNERS
    here = np.minimum(turn.astype(int), CORNERS - 1)
    ahead, on = (here + 1) % CORNERS, turn - here
    flat, row = tube.radius.ravel(), low * CORNERS
    below = flat[row + here] * (1 - on) + flat[row + ahead] * on
    row = row + CORNERS
    above = flat[row + here] * (1 - on) + flat[row + ahead] * on
    limit = below + (above - below) * up
    there = (z >= tube.z[0]) & (z <= tube.z[-1])
    return np.asarray(there & (off_y**2 + off_x**2 < limit**2))


def _integrated(tubes: Sequence[Tube], change: Float, heights: Float, raster: Raster) -> Field:
    """Sum chords of tubes at heights (Z,), weighted by `change` (T, channels): (channels, Z, X)."""
    rows, columns = len(heights), raster.shape[1]
    out = np.zeros((len(CHANNELS), rows, columns), np.float32)
    where = [np.flatnonzero((heights >= t.z[0]) & (heights <= t.z[-1])) for t in tubes]
    if not sum(len(part) for part in where):
        return out
    outlines = [t.outlines(heights[part]) for t, part in zip(tubes, where, strict=True)]
    at, bends = _bends(np.concatenate(outlines), raster)
    # A bend left of the raster is extrapolated onto its first two nodes: index 0 is node -1.
    wide = columns + 2
    low = np.clip(np.floor(at), -1, columns - 1)
    node = (low + 1).astype(np.int64) + np.concatenate(where)[:, None] * wide
    ahead = bends * (at - low)
    here = bends - ahead
    owner = np.repeat(np.arange(len(tubes)), [len(part) for part in where])
    for channel, factor in enumerate(change.T):
        used = np.abs(factor[owner]) > _LEAST_CHANGE
        if not used.any():
            continue
        place, weight = node[used].ravel(), factor[owner[used], None]
        bins = np.bincount(place, (here[used] * weight).ravel(), rows * wide)
        bins[1:] += np.bincount(place, (ahead[used] * weight).ravel(), rows * wide)[:-1]
        out[channel] = np.cumsum(np.cumsum(bins.reshape(rows, wide), 1), 1)[:, :columns]
    return out


def _bends(corners: Float, raster: Raster) -> tuple[Float, Float]:
    """Return where chords of outlines (N, CORNERS, 2) bend, in nodes, and by how many cm a node."""
    # Two corners never share a column, so that every slope is finite.
    at = (corners[..., 1] - raster.start[1]) / raster.step[1] + _JITTER * (np.arange(CORNERS) % 2)
    along = np.roll(at, -1, 1) - at
    rise = np.roll(corners[..., 0], -1, 1) - corners[..., 0]
    slope = rise / np.where(np.abs(along) < _JITTER / 10, _JITTER / 10, along)
    return at, (np.roll(slope, 1, 1) - slope) / _MM_PER_CM


def tissues(tubes: Sequence[Tube], z: Float, y: Float, x: Float) -> NDArray[np.uint8]:
    """Return the tissue (Z, Y, X) at the points of a lattice."""
    heights = np.clip(z, *tubes[0].z[[0, -1]])
    lower, upper = (np.array([f(a) for a in (heights, y, x)]) for f in (np.min, np.max))
    out = np.full((len(z), len(y), len(x)), INDEX["air"], np.uint8)
    first, last, _ = _extents(tuple(tubes))
    near = np.asarray((first <= upper).all(1) & (last >= lower).all(1))
    for tube in (tubes[int(i)] for i in np.flatnonzero(near)):
        there = inside(tube, heights[:, None, None], y[None, :, None], x[None, None, :])
        out[there] = INDEX[tube.tissue]
    return out
