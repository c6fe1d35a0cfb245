"""Lesions that are lines: the walls of arteries, and worms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calcilens.phantoms import places
from calcilens.phantoms.forms import View, log_uniform
from calcilens.phantoms.scene import Lesion
from calcilens.phantoms.segment import Rng, Segment
from calcilens.phantoms.solids import Float, Solids, joined, solids

_STEP_MM = 1.2
_TRIES = 16


def vascular_tram_track(rng: Rng, segment: Segment, size: float, view: View = "axial") -> Lesion:
    """Draw mineral in the wall of an artery: two parallel lines from the side, a ring across.

    In CT, two of five are branches that run in the plane of the image.
    """
    aside = view == "axial" and rng.random() < 0.4
    path, radius, blood = (_branch if aside else _trunk)(rng, segment, size)
    axes, wall = _frames(path), rng.uniform(0.5, 1.1)
    dense = _patches(rng, len(path))
    density = log_uniform(rng, 0.3, 0.95) * rng.uniform(0.7, 1.2, len(path))
    outer = _discs(path, 1.1, radius + wall / 2, axes, density=density).part(dense)
    lumen = _discs(path, 1.6, np.maximum(radius - wall / 2, 0.5), axes, tissue=blood)
    parts = [outer, *_gaps(rng, path[dense], radius[dense], axes[dense]), lumen]
    if aside:
        fat = _discs(path, 1.6, radius + rng.uniform(1.5, 3.0), axes, tissue="fat")
        parts.insert(0, fat)
    key = "vascular_tram_track"
    return Lesion((key,), key, joined(parts), outer.box(), rough_mm=0.2, grain=0.25)


def _trunk(rng: Rng, segment: Segment, size: float) -> tuple[Float, Float, str]:
    """Return the path (N, 3) of one of the segment's arteries, its radius (N,) and its tissue."""
    tube, z = places.on_vessel(rng, segment, size, vein=False)
    z = float(np.clip(z, -40, 40))
    heights = np.arange(z - size / 2, z + size / 2, _STEP_MM)
    path = np.stack([places.path_at(tube, float(h))[0] for h in heights])
    return path, np.maximum(tube.at(heights)[1].mean(1), 1.2), tube.tissue


def _branch(rng: Rng, segment: Segment, size: float) -> tuple[Float, Float, str]:
    """Return the same of a branch between the muscles, across the limb."""
    best = np.zeros((0, 3))
    for _ in range(_TRIES):
        start = places.in_muscle(rng, segment, 4.0).point
        steps = int(np.clip(size, 14, 70) / _STEP_MM)
        turn = (
            rng.uniform(0, 2 * np.pi)
            + np.cumsum(rng.normal(0, 0.05, steps))
            + np.cumsum(np.full(steps, rng.normal(0, 0.02)))
        )
        ahead = np.stack([rng.normal(0, 0.06) + 0 * turn, np.sin(turn), np.cos(turn)], 1)
        path = start + np.cumsum(ahead * _STEP_MM, 0)
        kept = path[_longest(np.array([_is_soft(segment, p, 4.0) for p in path]))]
        best = kept if len(kept) > len(best) else best
        if len(best) > 0.6 * steps:
            break
    if len(best) < 4:
        return _trunk(rng, segment, size)
    blood = segment.vessels[0].tissue if segment.vessels else "blood"
    return best, np.linspace(1, rng.uniform(0.6, 1), len(best)) * rng.uniform(1.6, 2.8), blood


def _is_soft(segment: Segment, point: Float, margin_mm: float) -> bool:
    """Return whether a point lies that far under the skin and outside bone."""
    deep = segment.skin.depth(point) > margin_mm
    return deep and segment.bone_clearance(point) > margin_mm


def _longest(there: NDArray[np.bool_]) -> slice:
    """Return the longest run that is there."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(int)))
    runs = edges.reshape(-1, 2)
    return slice(*runs[np.diff(runs, axis=1).argmax()]) if len(runs) else slice(0, 0)


def _frames(path: Float) -> Float:
    """Return axes (N, 3, 3) along a path (N, 3), the first one its direction."""
    across = np.array([0.31, 0.87, -0.38])
    return np.stack(
        [places.frame(np.asarray(ahead), across) for ahead in np.gradient(path, axis=0)]
    )


def _patches(rng: Rng, count: int) -> NDArray[np.bool_]:
    """Return where along a wall mineral lies: in patches, or all along."""
    at = np.arange(count) * _STEP_MM
    wave = np.sin(at / rng.uniform(3, 9) + rng.uniform(0, 6)) + rng.normal(0, 0.3, count)
    there = wave > rng.uniform(-1.0, -0.2)
    return np.asarray(there if there.sum() > 4 else np.ones(count, bool))


def _discs(
    path: Float,
    long: float,
    radius: Float,
    axes: Float,
    *,
    density: Float | float = 0.0,
    tissue: str | None = None,
) -> Solids:
    """Return discs across a path that make a tube; `long` is half a disc's length in steps."""
    radii = np.stack([np.full(len(path), long * _STEP_MM), radius, radius], 1)
    return solids(path, radii, density, tissue=tissue, axes=axes, edge=0.2)


def _gaps(rng: Rng, path: Float, radius: Float, axes: Float) -> list[Solids]:
    """Return holes in a wall, mostly on one side of it."""
    chosen = rng.random(len(path)) < 0.5
    if not chosen.any():
        return []
    angle = rng.uniform(0, 2 * np.pi) + rng.normal(0, 0.9, len(path))
    side = axes[:, 1] * np.cos(angle)[:, None] + axes[:, 2] * np.sin(angle)[:, None]
    at = (path + side * radius[:, None])[chosen]
    size = np.array([0.84, 0.54, 0.54]) * radius[chosen, None]
    return [solids(at, size, 0.0, axes=axes[chosen], edge=0.2)]


def crescentic(rng: Rng, segment: Segment, size: float, view: View = "axial") -> Lesion:
    """Draw a crescent or serpiginous line in the soft tissue, lying about in the image's plane."""
    best, most = np.zeros((0, 3)), -1.0
    for _ in range(_TRIES):
        points = _worm(rng, segment, size, view)
        kept = points[[_is_soft(segment, p, 1.5) for p in points]]
        share = len(kept) / len(points)
        best, most = (kept, share) if share > most else (best, most)
        if most > 0.9:
            break
    t = np.linspace(0, 1, len(best))
    thick = rng.uniform(0.5, 1.3) * (1 + 0.4 * np.sin(np.pi * t))
    ahead = np.gradient(best, axis=0)
    long = np.maximum(0.9 * np.linalg.norm(ahead, axis=1), thick)
    broken = np.sin(t * rng.uniform(6, 30) + rng.uniform(0, 6)) > rng.uniform(-1.4, -0.7)
    broken[: len(t) // 4] = True
    solid = solids(
        best, np.stack([long, thick, thick], 1), log_uniform(rng, 0.3, 0.9), axes=_frames(best),
        edge=0.3,
    ).part(broken)  # fmt: skip
    return Lesion(("crescentic",), "crescentic", solid, solid.box(), rough_mm=0.15, grain=0.2)


def _worm(rng: Rng, segment: Segment, size: float, view: View) -> Float:
    """Return the path (N, 3) of a worm."""
    near = places.under_skin if rng.random() < 0.3 else places.in_muscle
    middle = near(rng, segment, 6.0).point
    room = 1.3 * float(segment.skin.at(middle[0])[1].mean())
    flat = (_arc if rng.random() < 0.5 else _coil)(rng, min(size, room))
    flat += np.cumsum(rng.normal(0, 0.05, flat.shape), 0)
    plane = (1, 2) if view == "axial" else (0, 2)
    turn, tilt = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.06, 2)
    c, s = np.cos(turn), np.sin(turn)
    flat = (flat - flat.mean(0)) @ np.array([[c, s], [-s, c]])
    points = np.zeros((len(flat), 3))
    points[:, plane] = flat
    points[:, 0 if view == "axial" else 1] = flat @ tilt
    return np.asarray(middle + points)


def _arc(rng: Rng, size: float) -> Float:
    """Return (N, 2): a crescent of a chord in mm."""
    sweep = rng.uniform(1.5, 4.2)
    radius = size / 2 / np.sin(min(sweep, np.pi) / 2)
    angle = np.linspace(-sweep / 2, sweep / 2, int(np.clip(sweep * radius / 1.2, 12, 90)))
    return np.asarray(radius * np.stack([np.sin(angle), np.cos(angle)], 1))


def _coil(rng: Rng, size: float) -> Float:
    """Return (N, 2): a wavy line of a length in mm, its waves uneven."""
    waves, swing = rng.uniform(1.0, 3.0), rng.uniform(0.10, 0.24)
    count = int(np.clip(size * (1 + 6 * waves * swing) / 1.2, 16, 110))
    t = np.linspace(0, 1, count)
    uneven = rng.uniform(0.2, 0.9) * np.sin(2 * np.pi * t + rng.uniform(0, 6))
    phase = 2 * np.pi * waves * t + uneven
    height = swing * (0.65 + 0.35 * np.cos(rng.uniform(2, 7) * t + rng.uniform(0, 6)))
    return size * np.stack([t - 0.5, height * np.sin(phase)], 1)
