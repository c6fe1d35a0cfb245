"""A simulated person: a segment with lesions that lie inside it, clear of each other.

The person is drawn upright and centred; poses and scanners come later (`study`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from calcilens.errors import InputError, UsageError, compose
from calcilens.phantoms.anatomy import SITES, draw_segment
from calcilens.phantoms.patterns import JOINTS, PATTERN_KINDS, draw_lesion, sites_of
from calcilens.phantoms.scene import Lesion, Scene
from calcilens.phantoms.segment import HALF_LENGTH_MM, Rng, Segment
from calcilens.phantoms.solids import Solids
from calcilens.phantoms.tubes import CORNERS, Float, Tube
from calcilens.phantoms.weathering import weathered
from calcilens.vocabulary import PATTERN_KEYS

SIZE_MM = (10.0, 35.0)
LESIONS = 2
"""Lesions of a person for whom no pattern was asked for."""
_MOST = 6
_TRIES, _PEOPLE = 60, 6
_APART_MM, _BONE_MM, _SKIN_MM = 12.0, 3.0, 0.8
_REACH_MM = 60.0
"""Lesions lie within this height of the segment's middle, so that a short scan holds them."""
_AT_BONE = ("lobulated", "cloud_like", "linear_chondral", "rings_and_arcs")
"""Patterns that lie on bone or nearly so."""


@dataclass(frozen=True, eq=False)
class Person:
    """A segment with its lesions, upright and centred.

    Args:
        scene: What there is.
        grown: The same after growth: lesion by lesion, its mineral's volume times a factor.
    """

    scene: Scene
    grown: Scene


def choose(rng: Rng, site: str | None, patterns: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Return the site and the patterns of a person, drawn where they are not given.

    Raises:
        UsageError: A name is unknown, or the patterns do not occur together at the site.
    """
    for name in patterns:
        if name not in PATTERN_KEYS:
            fix = f"choose of {', '.join(PATTERN_KEYS)}"
            raise UsageError(compose("a pattern", name, where="--pattern", fix=fix))
    if len(patterns) > _MOST:
        raise UsageError(
            compose(f"at most {_MOST} patterns", str(len(patterns)), where="--pattern")
        )
    if site is not None and site not in SITES:
        fix = f"choose of {', '.join(SITES)}"
        raise UsageError(compose("a site", site, where="--site", fix=fix))
    where = site or (sites_of(patterns) or ("",))[0]
    missing = [name for name in patterns if where not in PATTERN_KINDS[name].sites]
    if missing:
        fits = ", ".join(sites_of((missing[0],)))
        found = f"{missing[0]}, which occurs in: {fits}" if site else "none"
        raise UsageError(compose(f"patterns that occur at one site ({where or 'any'})", found))
    if patterns:
        return where, patterns
    possible = [
        name for name, kind in PATTERN_KINDS.items() if _is_usual(name, where, kind.size_mm)
    ]
    drawn = rng.choice(possible, LESIONS, replace=False)
    return where, tuple(str(name) for name in drawn)


def _is_usual(name: str, site: str, size_mm: tuple[float, float]) -> bool:
    """Return whether a pattern may be drawn: of the usual size, and clear of bone."""
    fits = size_mm[0] <= SIZE_MM[1] / 1.5 and size_mm[1] >= SIZE_MM[0]
    return fits and site in PATTERN_KINDS[name].sites and name not in _AT_BONE


def draw_person(rng: Rng, site: str, patterns: tuple[str, ...], growth: float = 1.0) -> Person:
    """Draw a person.

    Args:
        rng: Draws it.
        site: Name of the segment.
        patterns: One lesion for each.
        growth: Factor of the mineral's volume in the follow-up; the lesions have room for it.

    Raises:
        InputError: No place was found for a lesion.
    """
    for _ in range(_PEOPLE):
        segment = _native(rng, site)
        pairs: list[tuple[Lesion, Lesion]] = []
        for name in patterns:
            pair = _draw_pair(rng, segment, name, growth, [later for _, later in pairs])
            if pair is None:
                break
            pairs.append(pair)
        else:
            before, after = zip(*pairs, strict=True)
            return Person(Scene(segment, before), Scene(segment, after))
    expected = f"room for {', '.join(patterns)} in the {site}, also when grown {growth:g} times"
    fix = "try another --seed, --site, fewer patterns or a smaller factor"
    raise InputError(compose(expected, "none after many tries", fix=fix))


def _native(rng: Rng, site: str) -> Segment:
    """Draw a segment without contrast medium in its vessels."""
    while True:
        segment = draw_segment(rng, site)
        if not any(tube.tissue == "contrast_blood" for tube in segment.tubes):
            return segment


def _draw_pair(
    rng: Rng, segment: Segment, name: str, growth: float, others: list[Lesion]
) -> tuple[Lesion, Lesion] | None:
    """Draw a lesion, and itself grown, until it fits; None where it never does."""
    low, high = PATTERN_KINDS[name].size_mm
    for _ in range(_TRIES):
        size = float(np.clip(rng.uniform(*SIZE_MM), low, high))
        drawn = draw_lesion(rng, segment, (name,), size)
        lesion = weathered(rng, drawn)
        later = grown(lesion, growth)
        least = 0.6 * min(size, SIZE_MM[0])
        if least <= _longest(lesion) <= SIZE_MM[1] * 1.2 and _fits(segment, later, others):
            return lesion, later
    return None


def grown(lesion: Lesion, factor: float) -> Lesion:
    """Return a lesion with that many times the volume, about the middle of its box."""
    about, scale = lesion.box.mean(0), factor ** (1 / 3)
    box = (lesion.box - about) * scale + about
    return replace(lesion, parts=lesion.parts.scaled(scale, about), box=box)


def mineral(lesion: Lesion) -> Solids:
    """Return the parts of a lesion that hold mineral."""
    return lesion.parts.part(lesion.parts.density > 0)


def _longest(lesion: Lesion) -> float:
    low, high = mineral(lesion).box()
    return float((high - low).max())


def _fits(segment: Segment, lesion: Lesion, others: list[Lesion]) -> bool:
    dense = mineral(lesion)
    low, high = dense.box()
    limit = _REACH_MM if segment.site != "thorax" else HALF_LENGTH_MM / 2
    if low[0] < -limit or high[0] > limit:
        return False
    for other in others:
        start, stop = mineral(other).box()
        if ((low < stop + _APART_MM) & (high > start - _APART_MM)).all():
            return False
    tips = _tips(dense)
    if depth_mm(segment.skin, tips).min() < _SKIN_MM:
        return False
    near = 0.0 if set(lesion.patterns) & set(_AT_BONE) and segment.site in JOINTS else _BONE_MM
    return all((-depth_mm(bone, tips)).min() >= near for bone in segment.bones)


def _tips(parts: Solids) -> Float:
    """Return the middle and the ends of the axes of all ellipsoids, (N, 3)."""
    reach = parts.axes * parts.radii[:, :, None]
    centre = parts.centre[:, None]
    return np.concatenate([centre, centre + reach, centre - reach], 1).reshape(-1, 3)


def depth_mm(tube: Tube, points: Float) -> Float:
    """Return how deep points (N, 3) lie under a tube's outline, mm; negative outside."""
    centre, radius = tube.at(points[:, 0])
    off = points[:, 1:] - centre
    place = np.arctan2(off[:, 0], off[:, 1]) / (2 * np.pi) * CORNERS % CORNERS
    low = place.astype(int) % CORNERS
    share, row = place % 1, np.arange(len(points))
    reach = radius[row, low] * (1 - share) + radius[row, (low + 1) % CORNERS] * share
    return np.asarray(reach - np.hypot(off[:, 0], off[:, 1]))
