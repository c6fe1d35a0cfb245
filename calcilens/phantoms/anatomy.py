"""Segments of limbs and trunk, drawn at random: skin, fat, fascia, muscles, bones, vessels.

A segment is a list of tubes in painting order and the places where calcifications occur.
Sizes are those of adults and larger children; they are drawn wide, since generality counts
for more than the average body.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from calcilens.phantoms.tubes import CORNERS, THETA, Float, Tube, ellipse, uneven

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
        joints: (z, tube) of joint surfaces: the height of the joint and the bone's end.
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


@dataclass
class _Parts:
    """Tubes as they are drawn."""

    tubes: list[Tube] = field(default_factory=list)
    named: dict[str, list[Tube]] = field(default_factory=dict)

    def add(self, tube: Tube, *names: str) -> Tube:
        self.tubes.append(tube)
        for name in names:
            self.named.setdefault(name, []).append(tube)
        return tube

    def segment(self, site: str, skin: Tube, fascia: Tube, *, joint: bool = False) -> Segment:
        named = {name: tuple(tubes) for name, tubes in self.named.items()}
        return Segment(site, tuple(self.tubes), skin, fascia, joint=joint, **named)


@dataclass(frozen=True)
class Bone:
    """A long bone: where it lies (as a share of the limb's radius) and how thick it is, mm."""

    place: tuple[float, float]
    radius_mm: float
    angular: float = 0.05


@dataclass(frozen=True)
class Limb:
    """What a kind of limb looks like.

    Args:
        radius_mm: Range of its radius.
        fat_mm: Range of the thickness of the fat under the skin.
        bones: Its long bones.
        muscles: Range of the number of muscles in a cross-section.
        joint: Whether it is cut through a joint.
    """

    radius_mm: tuple[float, float]
    fat_mm: tuple[float, float]
    bones: tuple[Bone, ...]
    muscles: tuple[int, int] = (6, 12)
    joint: bool = False


LIMBS: dict[str, Limb] = {
    "calf": Limb((42, 68), (2, 18), (Bone((-0.25, -0.3), 13, 0.12), Bone((0.1, 0.5), 6.5))),
    "thigh": Limb((60, 105), (4, 35), (Bone((0.0, 0.05), 15),), (8, 14)),
    "forearm": Limb((28, 46), (2, 12), (Bone((0.0, -0.38), 7.5), Bone((0.1, 0.38), 7))),
    "upper arm": Limb((36, 62), (3, 22), (Bone((0.0, 0.0), 11.5),), (4, 8)),
    "knee": Limb((50, 72), (3, 20), (Bone((-0.1, 0.0), 16),), (3, 6), joint=True),
    "elbow": Limb((34, 50), (2, 12), (Bone((0.05, 0.0), 12),), (3, 6), joint=True),
    "ankle": Limb((32, 44), (2, 8), (Bone((-0.1, 0.0), 13),), (3, 5), joint=True),
    "shoulder": Limb((60, 85), (4, 25), (Bone((0.0, 0.05), 13),), (5, 9), joint=True),
    "hip": Limb((75, 115), (6, 45), (Bone((0.0, 0.1), 16),), (6, 10), joint=True),
}
SITES = (*LIMBS, "pelvis", "thorax")


def draw_segment(rng: Rng, site: str) -> Segment:
    """Draw a segment of that site, upright and centred; `posed` moves it."""
    if site == "pelvis":
        return _pelvis(rng)
    return _thorax(rng) if site == "thorax" else _limb(rng, site, LIMBS[site])


def posed(segment: Segment, turn: float, lean: Float, shift: Float) -> Segment:
    """Return a segment turned about z, leaning and shifted, as a patient lies in a scanner."""

    def move(tubes: tuple[Tube, ...]) -> tuple[Tube, ...]:
        return tuple(moved[id(t)] for t in tubes)

    moved = {id(t): t.posed(turn, lean, shift) for t in segment.tubes}
    names = ("tubes", "muscles", "bones", "vessels", "veins", "tendons", "lungs")
    parts = {name: move(getattr(segment, name)) for name in names}
    skin, fascia = (t.posed(turn, lean, shift) for t in (segment.skin, segment.fascia))
    return Segment(segment.site, skin=skin, fascia=fascia, joint=segment.joint, **parts)


def _straight(y: float, x: float) -> Float:
    return np.tile([y, x], (KNOTS, 1)).astype(float)


def _curved(rng: Rng, y: float, x: float, drift_mm: float) -> Float:
    """Return a path (K, 2) through (y, x) that wanders along z."""
    slope, bend = rng.normal(0, drift_mm, 2), rng.normal(0, drift_mm / 2, 2)
    t = (Z / HALF_LENGTH_MM)[:, None]
    return np.array([y, x]) + slope * t + bend * (t**2 - 0.3)


def _limb(rng: Rng, site: str, limb: Limb) -> Segment:
    parts = _Parts()
    radius = rng.uniform(*limb.radius_mm)
    taper = 1 + rng.uniform(-0.15, 0.35) * Z / HALF_LENGTH_MM / 2
    aspect = rng.uniform(0.85, 1.15)
    base = ellipse(radius * taper * aspect, radius * taper / aspect)
    skin = Tube("skin", Z, _straight(0, 0), base * uneven(rng, KNOTS, 0.05), "air")
    fascia = _shell(rng, parts, skin, rng.uniform(*limb.fat_mm))
    bones = [_place(rng, bone, radius) for bone in limb.bones]
    _muscles(rng, parts, fascia, bones, int(rng.integers(*limb.muscles)))
    _vessels(rng, parts, fascia, bones)
    if limb.joint:
        _joint(rng, parts, fascia, bones[0], radius)
    else:
        for bone in bones:
            _shaft(rng, parts, bone)
    _veins(rng, parts, skin, fascia)
    return parts.segment(site, skin, fascia, joint=limb.joint)


def _place(rng: Rng, bone: Bone, radius: float) -> tuple[Float, float, float]:
    """Return where a bone runs, its radius and how angular it is."""
    y, x = np.array(bone.place) * radius * rng.uniform(0.85, 1.15, 2)
    return _curved(rng, y, x, 2.0), bone.radius_mm * rng.uniform(0.8, 1.2), bone.angular


def _shell(rng: Rng, parts: _Parts, skin: Tube, fat_mm: float) -> Tube:
    """Add skin, the fat under it and the fascia; return the outline of the fascia."""
    parts.add(skin)
    thickness = rng.uniform(1.0, 2.4)
    parts.add(skin.grown(-thickness, "fat", "skin"))
    thick = 1 + 0.45 * np.cos(THETA + rng.uniform(0, 2 * np.pi)) * rng.uniform(0, 1)
    room = skin.radius.min() * 0.45
    inner = skin.grown(-thickness - np.minimum(fat_mm, room) * thick, "fascia", "fat")
    parts.add(inner)
    fascia_mm = rng.uniform(0.5, 1.1)
    parts.add(inner.grown(-fascia_mm, "fat", "fascia"))
    return inner


def _muscles(
    rng: Rng, parts: _Parts, fascia: Tube, bones: list[tuple[Float, float, float]], count: int
) -> None:
    """Fill the fascia with muscles: cells of a power diagram, fat between them."""
    middle = fascia.radius.mean(1)
    turn, gap = rng.uniform(0, 2 * np.pi), rng.uniform(0.4, 1.6) + max(0.0, rng.normal(0, 0.8))
    order = np.arange(count) + 0.5
    angle = turn + order * 2.39996 + rng.normal(0, 0.15, count)
    share = np.sqrt(order / count) * 0.92
    twist = rng.normal(0, 0.2, count)
    t = Z / HALF_LENGTH_MM
    seeds = np.stack(
        [
            fascia.centre[:, :1] + middle[:, None] * share * np.sin(angle + twist * t[:, None]),
            fascia.centre[:, 1:] + middle[:, None] * share * np.cos(angle + twist * t[:, None]),
        ],
        -1,
    )
    some = np.arange(0, KNOTS, 5)  # a muscle changes slowly: five cross-sections tell its shape
    for i in range(count):
        cell = _rounded(np.stack([_cell(seeds[k], i, fascia, k) for k in some]))
        radius = np.maximum(cell * uneven(rng, len(some), 0.02) - gap * rng.uniform(0.4, 1.8), 0.0)
        parts.add(Tube("muscle", Z[some], seeds[some, i], radius, "fat"), "muscles")


def _cell(seeds: Float, index: int, fascia: Tube, knot: int) -> Float:
    """Return (CORNERS,): reach of the seed's cell, up to its neighbours and to the fascia."""
    off = np.delete(seeds, index, 0) - seeds[index]
    distance, towards = np.hypot(*off.T), np.arctan2(off[:, 0], off[:, 1])
    cosine = np.cos(THETA[None] - towards[:, None])
    with np.errstate(divide="ignore"):
        reach = np.where(cosine > 0.02, distance[:, None] / 2 / np.maximum(cosine, 0.02), np.inf)
    wall = _reach(fascia, knot, seeds[index])
    return np.minimum(reach.min(0, initial=np.inf), wall)


def _rounded(cell: Float) -> Float:
    """Return cells (K, CORNERS) with their corners rounded off."""
    near = np.stack([np.roll(1 / np.maximum(cell, 0.5), step, 1) for step in range(-4, 5)])
    return np.asarray(1 / np.average(near, 0, weights=[1, 2, 3, 4, 4, 4, 3, 2, 1]))


def _reach(tube: Tube, knot: int, start: Float) -> Float:
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


def _shaft(rng: Rng, parts: _Parts, bone: tuple[Float, float, float]) -> None:
    centre, radius, angular = bone
    corner = 1 + angular * np.cos(3 * (THETA - rng.uniform(0, 2 * np.pi)))
    outer = Tube("cortex", Z, centre, radius * corner * uneven(rng, KNOTS, 0.06), "muscle")
    _bone(rng, parts, outer, np.full(KNOTS, radius * rng.uniform(0.22, 0.42)))


def _bone(rng: Rng, parts: _Parts, outer: Tube, cortex_mm: Float) -> None:
    """Add a bone with its cortex and what is inside it."""
    parts.add(outer, "bones")
    inner = outer.grown(-cortex_mm[:, None] * uneven(rng, len(outer.z), 0.08), "marrow", "cortex")
    parts.add(inner)


def _joint(
    rng: Rng, parts: _Parts, fascia: Tube, bone: tuple[Float, float, float], limb_mm: float
) -> None:
    """Add two bones that flare towards a joint, cartilage between them, tendons over it."""
    centre, shaft, _ = bone
    wide = min(shaft * rng.uniform(1.9, 2.5), 0.5 * limb_mm)
    gap = rng.uniform(3.0, 6.0)
    middle = centre[KNOTS // 2]
    turn = rng.uniform(0, np.pi)
    notch = rng.uniform(0.0, 0.22)
    shape = ellipse(0.85, 1.15, turn)[0] * (1 + notch * np.cos(2 * (THETA - turn - 1.2)))
    fluid = Tube(
        "cartilage", np.array([-gap, gap]) * 0.9, np.tile(middle, (2, 1)),
        np.tile(0.97 * wide * shape, (2, 1)), "fat",
    )  # fmt: skip
    capsule = Tube(
        "fluid", np.array([-18.0, 0.0, 18.0]), np.tile(middle, (3, 1)),
        np.outer([0.8, 1.08, 0.8], wide * shape), "fat",
    )  # fmt: skip
    parts.add(capsule)
    ends = []
    for side in (1, -1):
        cap = rng.uniform(7, 14) if side > 0 else rng.uniform(2.5, 5)
        ends.append(
            _end(rng, side, gap / 2, cap, wide * rng.uniform(0.95, 1.05), shaft, shape, centre)
        )
    parts.add(fluid)
    _tendons(rng, parts, fascia, middle, wide * shape.max())
    for outer in ends:
        away = np.abs(outer.z)
        cortex = np.interp(away, [0, 25, 70], [1.1, 1.4, shaft * 0.33])
        parts.add(outer, "bones")
        # The plate of bone over the end is as thick as the wall beside it.
        inside = replace(
            outer.grown(-cortex[:, None], "marrow", "cortex"), z=outer.z + 1.2 * np.sign(outer.z)
        )
        parts.add(inside)
        near = away < 65
        parts.add(
            Tube(
                "trabecular",
                inside.z[near],
                inside.centre[near],
                inside.radius[near] - 0.2,
                "cortex",
            )
        )


def _end(
    rng: Rng,
    side: int,
    gap_mm: float,
    cap_mm: float,
    wide: float,
    shaft: float,
    shape: Float,
    centre: Float,
) -> Tube:
    """Return one bone of a joint: `side` 1 lies above it, -1 below."""
    away = np.concatenate([np.linspace(0.02, 1, 9) ** 2 * cap_mm, np.linspace(cap_mm + 4, 148, 18)])
    rounding = np.sqrt(np.clip(1 - ((cap_mm - away) / cap_mm) ** 2, 0, 1))
    rounding[away > cap_mm] = 1.0
    flare = rng.uniform(28, 45)
    radius = shaft + (wide - shaft) * np.exp(-((np.maximum(away - 14, 0) / flare) ** 2))
    blend = np.exp(-((away / 60) ** 2))[:, None]
    outline = (shape * blend + 1 - blend) * (radius * np.maximum(rounding, 0.05))[:, None]
    z = side * (gap_mm + away)
    order = np.argsort(z)
    path = np.stack([np.interp(z, Z, centre[:, i]) for i in (0, 1)], 1)
    return Tube("cortex", z[order], path[order], outline[order], "muscle")


def _tendons(rng: Rng, parts: _Parts, fascia: Tube, middle: Float, wide: float) -> None:
    """Add two to four tendons that run over the joint and end on bone."""
    z = np.linspace(-70, 70, 9)
    for _ in range(rng.integers(2, 5)):
        angle = rng.uniform(0, 2 * np.pi)
        room = _reach(fascia, KNOTS // 2, middle)[int(angle / (2 * np.pi) * CORNERS)]
        away = min(wide * 1.08 + rng.uniform(2, 6), room - 4.0)
        path = away + 0.25 * wide * (z / 70) ** 2 * rng.uniform(-1, 0.2)
        centre = middle + path[:, None] * np.array([np.sin(angle), np.cos(angle)])
        thick, broad = rng.uniform(1.8, 4.5), rng.uniform(4, 9)
        radius = ellipse(np.full(9, broad), np.full(9, thick), angle)
        parts.add(Tube("tendon", z, centre, radius, "fat"), "tendons")


def _vessels(
    rng: Rng, parts: _Parts, fascia: Tube, bones: list[tuple[Float, float, float]]
) -> None:
    """Add bundles of an artery and veins in their fat, beside the bones."""
    blood = "contrast_blood" if rng.random() < 0.2 else "blood"
    middle = bones[0][0][KNOTS // 2]
    for _ in range(rng.integers(1, 4)):
        angle = rng.uniform(0, 2 * np.pi)
        size = rng.uniform(1.4, 3.6)
        away = bones[0][1] * 2.3 + rng.uniform(0, 0.25) * fascia.radius.mean()
        room = _reach(fascia, KNOTS // 2, middle)[int(angle / (2 * np.pi) * CORNERS)]
        away = min(away, room - 3.5 * size - 3)
        y, x = middle + away * np.array([np.sin(angle), np.cos(angle)])
        path = _curved(rng, y, x, 4.0)
        broad, turn = rng.uniform(1.7, 2.6) * size + 1, rng.uniform(0, np.pi)
        sheath = ellipse(np.full(KNOTS, broad * 0.7), np.full(KNOTS, broad), np.full(KNOTS, turn))
        parts.add(Tube("fat", Z, path, sheath * uneven(rng, KNOTS, 0.15), "muscle"))
        side = np.array([np.sin(turn), np.cos(turn)])
        for i in range(rng.integers(2, 4)):
            shift = (0.0, 1.9, -1.8)[i] * size * side + rng.normal(0, 0.3, 2)
            radius = np.full(KNOTS, size * (1 if i == 0 else rng.uniform(0.6, 1.1)))
            shape = (
                ellipse(radius, radius * rng.uniform(0.7, 1.2)) if i else ellipse(radius, radius)
            )
            tube = Tube(blood if i == 0 else "blood", Z, path + shift, shape, "fat")
            parts.add(tube, "vessels" if i == 0 else "veins")


def _veins(rng: Rng, parts: _Parts, skin: Tube, fascia: Tube) -> None:
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


def _trunk(rng: Rng, parts: _Parts, fat_mm: tuple[float, float]) -> tuple[Tube, Tube, Tube]:
    """Add the wall of the trunk; return skin, fascia and the inside of the wall."""
    half, deep = rng.uniform(135, 195), rng.uniform(0.62, 0.78)
    base = ellipse(np.full(KNOTS, half * deep), np.full(KNOTS, half))
    skin = Tube("skin", Z, _straight(0, 0), base * uneven(rng, KNOTS, 0.02), "air")
    fascia = _shell(rng, parts, skin, rng.uniform(*fat_mm))
    muscle = fascia.grown(-rng.uniform(1.0, 2.0), "muscle", "fat")
    parts.add(muscle, "muscles")
    wall = rng.uniform(9, 22)
    return skin, fascia, muscle.grown(-wall, "fat", "muscle")


def _oval(
    tissue: str, y: float, x: float, radius: tuple[float, float], *, turn: float = 0.0, within: str
) -> Tube:
    shape = ellipse(np.full(KNOTS, radius[0]), np.full(KNOTS, radius[1]), np.full(KNOTS, turn))
    return Tube(tissue, Z, _straight(y, x), shape, within)


def _spine(rng: Rng, parts: _Parts, back_mm: float) -> None:
    """Add back muscles and a vertebra with its arch."""
    size = rng.uniform(19, 26)
    y = back_mm - size * rng.uniform(2.2, 2.8)
    for side in (-1, 1):
        muscle = _oval(
            "muscle", y + 1.7 * size, side * 1.35 * size, (size, 1.2 * size), within="fat"
        )
        parts.add(muscle, "muscles")
    outlines = [
        (y, 0.0, (size * 0.8, size)),
        (y + 1.5 * size, 0.0, (size * 0.75, size * 0.2)),
        (y + 0.95 * size, 0.8 * size, (size * 0.2, size * 0.75)),
        (y + 0.95 * size, -0.8 * size, (size * 0.2, size * 0.75)),
    ]
    for cy, cx, radius in outlines:
        bone = _oval("cortex", cy, cx, radius, within="muscle")
        parts.add(bone, "bones")
        parts.add(bone.grown(-rng.uniform(0.8, 1.4), "trabecular", "cortex"))
    parts.add(_oval("fluid", y + 1.12 * size, 0.0, (size * 0.3, size * 0.42), within="fat"))


def _pelvis(rng: Rng) -> Segment:
    parts = _Parts()
    skin, fascia, inside = _trunk(rng, parts, (8, 45))
    parts.add(inside)
    half, back = fascia.radius[0, 0], float(fascia.radius[0, CORNERS // 4])
    for side in (-1, 1):
        for y, x, radius in ((0.45, 0.48, (0.3, 0.34)), (0.1, 0.6, (0.2, 0.16))):
            muscle = _oval(
                "muscle",
                y * back,
                side * x * half,
                (radius[0] * half, radius[1] * half),
                within="fat",
            )
            parts.add(muscle, "muscles")
        parts.add(
            _oval("muscle", 0.35 * back, side * 0.22 * half, (20, 22), within="fat"), "muscles"
        )
        wing = _oval(
            "cortex", 0.25 * back, side * 0.5 * half, (rng.uniform(38, 52), rng.uniform(5, 9)),
            turn=side * rng.uniform(0.3, 0.8), within="muscle",
        )  # fmt: skip
        parts.add(wing, "bones")
        parts.add(wing.grown(-rng.uniform(1.2, 2.2), "trabecular", "cortex"))
    _bowel(rng, parts, half, back)
    _spine(rng, parts, back)
    blood = "contrast_blood" if rng.random() < 0.3 else "blood"
    for side in (-1, 1):
        radius = rng.uniform(4, 8)
        tube = _oval(
            blood, 0.15 * back, side * rng.uniform(0.1, 0.25) * half, (radius, radius), within="fat"
        )
        parts.add(tube, "vessels")
    _veins(rng, parts, skin, fascia)
    return parts.segment("pelvis", skin, fascia)


def _bowel(rng: Rng, parts: _Parts, half: float, back: float) -> None:
    for _ in range(rng.integers(5, 11)):
        y, x = -rng.uniform(0.05, 0.55) * back, rng.uniform(-0.45, 0.45) * half
        radius = rng.uniform(10, 22)
        loop = _oval("organ", y, x, (radius, radius * rng.uniform(0.8, 1.4)), within="fat")
        parts.add(loop)
        if rng.random() < 0.4:
            parts.add(loop.grown(-rng.uniform(3, 6), "gas", "organ"))


def _thorax(rng: Rng) -> Segment:
    parts = _Parts()
    skin, fascia, inside = _trunk(rng, parts, (4, 30))
    parts.add(inside)
    half, back = fascia.radius[0, 0], float(fascia.radius[0, CORNERS // 4])
    for side in (-1, 1):
        y, x = 0.02 * back, side * 0.42 * half
        lung = _oval("lung", y, x, (0.68 * back, 0.36 * half), within="organ")
        lung = lung.grown((uneven(rng, KNOTS, 0.1) - 1) * lung.radius, "lung", "organ")
        parts.add(lung, "lungs")
        for _ in range(rng.integers(8, 18)):
            reach, angle = rng.uniform(0.1, 0.85), rng.uniform(0, 2 * np.pi)
            cy = y + reach * 0.66 * back * np.sin(angle)
            cx = x + reach * 0.33 * half * np.cos(angle)
            radius = rng.uniform(0.8, 3.2) * (1.2 - reach)
            path = _curved(rng, cy, cx, 25.0)
            parts.add(Tube("blood", Z, path, ellipse(*[np.full(KNOTS, radius)] * 2), "lung"))
    heart = _oval("organ", -0.15 * back, -8.0, (0.4 * back, 0.22 * half), within="fat")
    parts.add(heart)
    blood = "contrast_blood" if rng.random() < 0.4 else "blood"
    parts.add(_oval(blood, 0.3 * back, 14.0, (12, 12), within="fat"), "vessels")
    _ribs(rng, parts, inside)
    _spine(rng, parts, back)
    _veins(rng, parts, skin, fascia)
    return parts.segment("thorax", skin, fascia)


def _ribs(rng: Rng, parts: _Parts, wall: Tube) -> None:
    """Add ribs that slope through the plane: each is cut as an oval that moves along z."""
    for i in range(rng.integers(8, 15)):
        start = rng.uniform(0, 2 * np.pi)
        index = (
            np.round((start + 0.012 * (Z + 40 * i)) / (2 * np.pi) * CORNERS).astype(int) % CORNERS
        )
        rows = np.arange(KNOTS)
        reach = wall.radius[rows, index] + 4.0
        towards = np.stack([np.sin(THETA[index]), np.cos(THETA[index])], 1)
        radius = ellipse(np.full(KNOTS, 7.0), np.full(KNOTS, 3.6), THETA[index])
        rib = Tube("cortex", Z, wall.centre + reach[:, None] * towards, radius, "muscle")
        parts.add(rib, "bones")
        parts.add(rib.grown(-1.1, "trabecular", "cortex"))
