"""Uneven outlines and density of lesions, as solids: what follows from them stays exact.

Patches displace the grid that a lesion is painted on, which no second rendering repeats. Here
large ellipsoids get bumps and patches of other density instead, which pose and grow with them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from calcilens.phantoms.forms import within
from calcilens.phantoms.scene import Lesion
from calcilens.phantoms.segment import Rng
from calcilens.phantoms.solids import Float, Solids, joined

_LEAST_MM = 2.0
"""Ellipsoids with a smaller half axis stay smooth."""
_BUMPS, _SPOTS = 16, 24
_ROUGH, _UNEVEN = 2.2, 0.8
"""Heights of bumps over the roughness asked for, and contrast of spots over the grain."""


def weathered(rng: Rng, lesion: Lesion) -> Lesion:
    """Return a lesion with its roughness and grain made of solids."""
    parts = lesion.parts
    painted = []
    for i in range(len(parts)):
        one = parts.part(np.arange(len(parts)) == i)
        painted.append(one)
        if one.radii.min() >= _LEAST_MM and not np.isfinite(one.level[0]):
            painted += _bumps(rng, one, lesion.rough_mm) + _spots(rng, one, lesion.grain)
    return replace(lesion, parts=joined(painted), rough_mm=0.0, grain=0.0)


def _bumps(rng: Rng, one: Solids, rough_mm: float) -> list[Solids]:
    """Return pieces that stick out of an ellipsoid by up to a few times `rough_mm`."""
    if rough_mm <= 0:
        return []
    size = rng.uniform(0.3, 0.5, (_BUMPS, 1))
    out = _ROUGH * rough_mm / one.radii.mean() * rng.uniform(0, 1, (_BUMPS, 1))
    at = within(rng, _BUMPS, 0.999) * (1 + out - size)
    return [_pieces(one, at, size, np.ones(_BUMPS), one.edge[0] / size[:, 0])]


def _spots(rng: Rng, one: Solids, grain: float) -> list[Solids]:
    """Return pieces inside an ellipsoid whose density differs by about `grain`."""
    if grain <= 0 or one.density[0] <= 0:
        return []
    size = rng.uniform(0.15, 0.4, (_SPOTS, 1))
    at = within(rng, _SPOTS) * (1 - 1.3 * size)
    factor = np.clip(1 + _UNEVEN * grain * rng.normal(size=_SPOTS), 0.2, 2)
    return [_pieces(one, at, size, factor, np.full(_SPOTS, 0.6))]


def _pieces(one: Solids, at: Float, size: Float, factor: Float, edge: Float) -> Solids:
    """Return smaller copies of an ellipsoid at points (N, 3) of the unit ball."""
    count = len(at)
    centre = one.centre + (at * one.radii) @ one.axes[0]
    return Solids(
        centre,
        np.repeat(one.axes, count, 0),
        one.radii * size,
        one.density * factor,
        np.repeat(one.tissue, count),
        np.minimum(edge, 0.9),
        np.repeat(one.level, count),
    )
