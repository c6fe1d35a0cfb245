"""A segment of a body: tubes in painting order, and what lesions are placed by.

Coordinates are mm in the frame of the scanner, see `tubes`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from calcilens.phantoms.tubes import CORNERS, THETA, Float, Tube, ellipse

Rng = np.random.Generator
HALF_LENGTH_MM = 150.0
KNOTS = 21
Z: Float = np.linspace(-HALF_LENGTH_MM, HALF_LENGTH_MM, KNOTS)


@dataclass(frozen=True, eq=False)
class Segment:
    """A part of a body.

    Args:
        site: Its name.
        tubes: In painting order.
        skin, fascia: Outlines of the body and of its deep fascia.
        muscles, bones, vessels, tendons: Those of the tubes that lesions are placed by.
        veins, lungs: The same.
        joint: Whether it is cut through a joint, at height 0.
    """

    site: str
    tubes: tuple[Tube, ...]
    skin: Tube
    fascia: Tube
    muscles: tuple[Tube, ...] = ()
    bones: tuple[Tube, ...] = ()
    vessels: tuple[Tube, ...] = ()
    veins: tuple[Tube, ...] = ()
    tendons: tuple[Tube, ...] = ()
    lungs: tuple[Tube, ...] = ()
    joint: bool = False

    def bone_clearance(self, point: Float) -> float:
        """Return the distance, mm, from a point to the nearest bone's outline."""
        return min((-bone.depth(point) for bone in self.bones), default=np.inf)


@dataclass(frozen=True, eq=False)
class Shaft:
    """A long bone as drawn: its path (K, 2) as (y, x), its radius, and how angular it is."""

    path: Float
    radius_mm: float
    angular: float


@dataclass
class Parts:
    """Tubes as they are drawn: all of them in order, and those that lesions are placed by."""

    tubes: list[Tube] = field(default_factory=list)
    named: dict[str, list[Tube]] = field(default_factory=dict)

    def add(self, tube: Tube, *names: str) -> Tube:
        """Paint a tube next; `names` are the fields of `Segment` that hold it too."""
        self.tubes.append(tube)
        for name in names:
            self.named.setdefault(name, []).append(tube)
        return tube

    def segment(self, site: str, skin: Tube, fascia: Tube, *, joint: bool = False) -> Segment:
        """Return the finished segment."""
        named = {name: tuple(tubes) for name, tubes in self.named.items()}
        return Segment(site, tuple(self.tubes), skin, fascia, joint=joint, **named)


def posed(segment: Segment, turn: float, lean: Float, shift: Float) -> Segment:
    """Return a segment turned about z, leaning and shifted, as a patient lies in a scanner."""

    def move(tubes: tuple[Tube, ...]) -> tuple[Tube, ...]:
        return tuple(moved[id(t)] for t in tubes)

    moved = {id(t): t.posed(turn, lean, shift) for t in segment.tubes}
    names = ("tubes", "muscles", "bones", "vessels", "veins", "tendons", "lungs")
    parts = {name: move(getattr(segment, name)) for name in names}
    skin, fascia = (t.posed(turn, lean, shift) for t in (segment.skin, segment.fascia))
    return Segment(segment.site, skin=skin, fascia=fascia, joint=segment.joint, **parts)


def straight(y: float, x: float) -> Float:
    """Return a path (K, 2) upright through (y, x)."""
    return np.tile([y, x], (KNOTS, 1)).astype(float)


def curved(rng: Rng, y: float, x: float, drift_mm: float) -> Float:
    """Return a path (K, 2) through (y, x) that wanders along z."""
    slope, bend = rng.normal(0, drift_mm, 2), rng.normal(0, drift_mm / 2, 2)
    t = (Z / HALF_LENGTH_MM)[:, None]
    return np.asarray(np.array([y, x]) + slope * t + bend * (t**2 - 0.3))


def reach_of(tube: Tube, knot: int, start: Float) -> Float:
    """Return (CORNERS,): distance from a point inside a tube to its outline, by direction."""
    steps = np.linspace(0.02, 2.2, 48) * tube.radius[knot].mean()
    direction = np.stack([np.sin(THETA), np.cos(THETA)], -1)
    points = start - tube.centre[knot] + steps[:, None, None] * direction
    rho = np.hypot(points[..., 0], points[..., 1])
    limit = np.interp(
        np.arctan2(points[..., 0], points[..., 1]), THETA, tube.radius[knot], period=2 * np.pi
    )
    inside = rho < limit - 0.9
    last = np.where(inside.all(0), len(steps) - 1, np.argmin(inside, 0))
    return np.asarray(steps[last])


def shell(rng: Rng, parts: Parts, skin: Tube, fat_mm: float) -> Tube:
    """Add skin, the fat under it and the fascia; return the outline of the fascia."""
    parts.add(skin)
    thickness = rng.uniform(1.0, 2.4)
    parts.add(skin.grown(-thickness, "fat", "skin"))
    thick = 1 + 0.45 * np.cos(THETA + rng.uniform(0, 2 * np.pi)) * rng.uniform(0, 1)
    room = skin.radius.min() * 0.45
    inner = skin.grown(-thickness - np.minimum(fat_mm, room) * thick, "fascia", "fat")
    parts.add(inner)
    fascia_mm = rng.uniform(0.25, 0.9)
    parts.add(inner.grown(-fascia_mm, "fat", "fascia"))
    return inner


def veins(rng: Rng, parts: Parts, skin: Tube, fascia: Tube) -> None:
    """Add veins in the fat under the skin."""
    for _ in range(rng.integers(1, 5)):
        i, drift = int(rng.integers(CORNERS)), rng.integers(-6, 7)
        index = (i + np.round(drift * Z / HALF_LENGTH_MM).astype(int)) % CORNERS
        rows = np.arange(KNOTS)
        reach = (skin.radius[rows, index] * 0.6 + fascia.radius[rows, index] * 0.4) - 1.0
        path = skin.centre + reach[:, None] * np.stack(
            [np.sin(THETA[index]), np.cos(THETA[index])], 1
        )
        radius = np.full(KNOTS, rng.uniform(0.8, 2.2))
        parts.add(Tube("blood", Z, path, ellipse(radius, radius), "fat"), "veins")
