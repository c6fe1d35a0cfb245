"""Places in a segment where calcifications occur."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from calcilens.phantoms.segment import Rng, Segment
from calcilens.phantoms.tubes import Float, Tube

_TRIES = 24
_REACH_MM = 55.0
"""Lesions lie within this height of the segment's middle."""


@dataclass(frozen=True, eq=False)
class Place:
    """A point to put something, with directions.

    Args:
        point: (3,) (z, y, x) mm.
        axes: (3, 3): unit vectors, one a row: along the fibres or the vessel, outward, and
            across.
        room_mm: Largest radius that stays clear of skin and bone, about.
    """

    point: Float
    axes: Float
    room_mm: float


def frame(fibre: Float, outward: Float) -> Float:
    """Return three unit vectors made orthogonal, the first kept."""
    f = fibre / math.sqrt(fibre @ fibre)
    o = outward - f * (outward @ f)
    if o @ o < 1e-12:
        o = np.array(_cross(f, np.array([0.3, 0.5, 0.8])))
    o = o / math.sqrt(o @ o)
    return np.array([f, o, _cross(f, o)])


def _cross(a: Float, b: Float) -> tuple[float, float, float]:
    """Return the cross product of two vectors: for one pair, far faster than numpy's."""
    (a0, a1, a2), (b0, b1, b2) = a.tolist(), b.tolist()
    return a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0


def turned(rng: Rng) -> Float:
    """Return a random rotation matrix (3, 3)."""
    return np.asarray(Rotation.random(random_state=rng).as_matrix())


def _best(draw: Callable[[], Place], wanted_mm: float) -> Place:
    """Return the first place with enough room, or the roomiest of several."""
    best = draw()
    for _ in range(_TRIES):
        if best.room_mm >= wanted_mm:
            break
        other = draw()
        best = other if other.room_mm > best.room_mm else best
    return best


def path_at(tube: Tube, z: float) -> tuple[Float, Float]:
    """Return a tube's centre (z, y, x) at a height and its direction."""
    (low, middle, high), _ = tube.at([z - 4, z, z + 4])
    return np.array([z, *middle]), np.array([8.0, *(high - low)])


def under_skin(rng: Rng, segment: Segment, wanted_mm: float) -> Place:
    """Return a place in the fat under the skin."""

    def draw() -> Place:
        z, angle = rng.uniform(-_REACH_MM, _REACH_MM), rng.uniform(0, 2 * np.pi)
        outer, normal = segment.skin.surface(z, angle)
        inner, _ = segment.fascia.surface(z, angle)
        share = rng.uniform(0.25, 0.75)
        point = outer * share + inner * (1 - share)
        room = np.linalg.norm(outer - inner) * min(share, 1 - share)
        return Place(point, frame(np.array([1.0, 0, 0]), normal), float(room))

    return _best(draw, wanted_mm)


def in_muscle(rng: Rng, segment: Segment, wanted_mm: float) -> Place:
    """Return a place inside a muscle."""

    def draw() -> Place:
        z = rng.uniform(-_REACH_MM, _REACH_MM)
        muscle = segment.muscles[rng.integers(len(segment.muscles))]
        point, fibre = path_at(muscle, z)
        reach = float(muscle.at(z)[1].mean())
        point = point + np.array([0, *rng.normal(0, 0.3, 2)]) * reach
        outward = point - np.array([z, *segment.skin.at(z)[0][0]])
        tilt = np.array([0.0, *rng.normal(0, 2.0, 2)])
        room = min(segment.bone_clearance(point), segment.skin.depth(point) - 3)
        return Place(point, frame(fibre + tilt, outward), room)

    return _best(draw, wanted_mm)


def in_lung(rng: Rng, segment: Segment, wanted_mm: float) -> Place:
    """Return a place inside a lung."""

    def draw() -> Place:
        z = rng.uniform(-_REACH_MM, _REACH_MM)
        lung = segment.lungs[rng.integers(len(segment.lungs))]
        centre, radius = lung.at(z)
        angle, share = rng.uniform(0, 2 * np.pi), np.sqrt(rng.uniform(0.02, 0.9))
        reach = radius[0][int(angle / (2 * np.pi) * radius.shape[1])] * share
        point = np.array([z, *(centre[0] + reach * np.array([np.sin(angle), np.cos(angle)]))])
        return Place(point, frame(np.array([1.0, 0, 0]), point), lung.depth(point) + 4)

    return _best(draw, wanted_mm)


def anywhere(rng: Rng, segment: Segment, wanted_mm: float) -> Place:
    """Return a place in lung, fat or muscle, whichever the segment has."""
    if segment.lungs and rng.random() < 0.75:
        return in_lung(rng, segment, wanted_mm)
    if rng.random() < 0.25:
        return under_skin(rng, segment, wanted_mm)
    return in_muscle(rng, segment, wanted_mm)


def by_joint(rng: Rng, segment: Segment, wanted_mm: float) -> Place:
    """Return a place beside a joint, between the bone's end and the skin."""

    def draw() -> Place:
        z, angle = rng.uniform(-22, 22), rng.uniform(0, 2 * np.pi)
        end = _nearest_end(segment, z)
        surface, normal = end.surface(float(np.clip(z, end.z[0] + 3, end.z[-1] - 3)), angle)
        skin = segment.skin.depth(np.array([z, *surface[1:]]))
        away = np.clip(rng.uniform(0.35, 0.6) * skin, 4.0, None)
        point = np.array([z, *(surface + normal * away)[1:]])
        room = min(segment.bone_clearance(point), segment.skin.depth(point) - 2)
        return Place(point, frame(np.array([1.0, 0, 0]), normal), room)

    return _best(draw, wanted_mm)


def _nearest_end(segment: Segment, z: float) -> Tube:
    """Return the bone whose heights hold z, or the nearest one."""
    return min(segment.bones, key=lambda b: max(b.z[0] - z, z - b.z[-1], 0.0))


def in_tendon(rng: Rng, segment: Segment) -> Place:
    """Return a place in a tendon, near where it ends on bone."""
    tendon = segment.tendons[rng.integers(len(segment.tendons))]
    z = rng.uniform(-45, 45)
    point, fibre = path_at(tendon, z)
    outward = point - np.array([z, *segment.skin.at(z)[0][0]])
    return Place(point, frame(fibre, outward), float(tendon.at(z)[1].max()))


def on_bone(rng: Rng, segment: Segment, away_mm: float) -> Place:
    """Return a place at a distance from a bone's surface, its second axis outward."""
    bone = segment.bones[rng.integers(len(segment.bones))]
    z = float(np.clip(rng.uniform(-40, 40), bone.z[0] + 4, bone.z[-1] - 4))
    surface, normal = bone.surface(z, rng.uniform(0, 2 * np.pi))
    axes = frame(np.array([1.0, 0, 0]), normal)
    return Place(surface + normal * away_mm, axes, away_mm)


def on_vessel(rng: Rng, segment: Segment, long_mm: float, *, vein: bool) -> tuple[Tube, float]:
    """Return a vessel and a height, such that it lies outside bone over a length about there."""
    tubes = (segment.veins if vein else segment.vessels) or segment.vessels or segment.veins
    ends = (-long_mm / 2, 0.0, long_mm / 2)

    def draw() -> tuple[float, Tube, float]:
        tube = tubes[rng.integers(len(tubes))]
        z = float(rng.uniform(-_REACH_MM, _REACH_MM))
        clear = [segment.bone_clearance(path_at(tube, z + end)[0]) for end in ends]
        return min(clear) - float(tube.at(z)[1].mean()), tube, z

    drawn = draw()
    for _ in range(_TRIES):
        if drawn[0] >= 0:
            break
        drawn = max(drawn, draw(), key=lambda found: found[0])
    return drawn[1], drawn[2]
