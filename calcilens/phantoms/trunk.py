"""Pelvis and thorax, drawn at random."""

from __future__ import annotations

import numpy as np

from calcilens.phantoms.segment import KNOTS, Parts, Rng, Segment, Z, shell, straight, veins
from calcilens.phantoms.tubes import CORNERS, THETA, Float, Tube, ellipse, uneven


def pelvis(rng: Rng) -> Segment:
    """Draw a segment of the pelvis."""
    parts = Parts()
    skin, fascia, inside = _trunk(rng, parts, (8, 45))
    parts.add(inside)
    half, back = float(fascia.radius[0, 0]), float(fascia.radius[0, CORNERS // 4])
    for side in (-1, 1):
        _hip_wall(rng, parts, side, half, back)
    _bowel(rng, parts, half, back)
    _spine(rng, parts, back)
    blood = "contrast_blood" if rng.random() < 0.3 else "blood"
    for side in (-1, 1):
        radius = rng.uniform(4, 8)
        x = side * rng.uniform(0.1, 0.25) * half
        parts.add(_oval(blood, 0.15 * back, x, (radius, radius), within="fat"), "vessels")
    veins(rng, parts, skin, fascia)
    return parts.segment("pelvis", skin, fascia)


def _hip_wall(rng: Rng, parts: Parts, side: int, half: float, back: float) -> None:
    """Add the muscles and the wing of the ilium of one side."""
    muscles = (
        (0.45, 0.48, 0.3 * half, 0.34 * half),
        (0.1, 0.6, 0.2 * half, 0.16 * half),
        (0.35, 0.22, 20, 22),
    )
    for y, x, tall, wide in muscles:
        oval = _oval("muscle", y * back, side * x * half, (tall, wide), within="fat")
        parts.add(oval, "muscles")
    wing = _oval(
        "cortex", 0.25 * back, side * 0.5 * half, (rng.uniform(38, 52), rng.uniform(5, 9)),
        turn=side * rng.uniform(0.3, 0.8), within="muscle",
    )  # fmt: skip
    parts.add(wing, "bones")
    parts.add(wing.grown(-rng.uniform(1.2, 2.2), "trabecular", "cortex"))


def thorax(rng: Rng) -> Segment:
    """Draw a segment of the thorax."""
    parts = Parts()
    skin, fascia, inside = _trunk(rng, parts, (4, 30))
    parts.add(inside)
    half, back = float(fascia.radius[0, 0]), float(fascia.radius[0, CORNERS // 4])
    for side in (-1, 1):
        _lung(rng, parts, side, half, back)
    parts.add(_oval("organ", -0.15 * back, -8.0, (0.4 * back, 0.22 * half), within="fat"))
    blood = "contrast_blood" if rng.random() < 0.4 else "blood"
    parts.add(_oval(blood, 0.3 * back, 14.0, (12, 12), within="fat"), "vessels")
    _ribs(rng, parts, inside)
    _spine(rng, parts, back)
    veins(rng, parts, skin, fascia)
    return parts.segment("thorax", skin, fascia)


def _lung(rng: Rng, parts: Parts, side: int, half: float, back: float) -> None:
    """Add a lung with its vessels."""
    y, x = 0.02 * back, side * 0.42 * half
    lung = _oval("lung", y, x, (0.68 * back, 0.36 * half), within="organ")
    lung = lung.grown((uneven(rng, KNOTS, 0.1) - 1) * lung.radius, "lung", "organ")
    parts.add(lung, "lungs")
    hilum = np.array([0.0, y, x - side * 0.2 * half])
    for _ in range(rng.integers(60, 120)):
        away = np.sqrt(rng.uniform(0.03, 0.85)) * np.array([0.66 * back, 0.33 * half])
        angle = rng.uniform(0, 2 * np.pi)
        at = [rng.uniform(-75, 75), y + away[0] * np.sin(angle), x + away[1] * np.cos(angle)]
        parts.add(_branch(rng, np.array(at), hilum))


def _branch(rng: Rng, point: Float, hilum: Float) -> Tube:
    """Return a piece of a lung vessel, running roughly away from the hilum.

    A plane cuts what runs along it as a long ellipse.
    """
    out = point - hilum
    towards = out / np.linalg.norm(out) + rng.normal(0, 0.45, 3)
    towards /= np.linalg.norm(towards)
    towards[0] += np.copysign(0.08, towards[0])
    radius = max(0.5, rng.lognormal(0.4, 0.5) * np.exp(-np.linalg.norm(out[1:]) / 90))
    half = rng.uniform(6, 22) * abs(towards[0]) + radius
    z = point[0] + np.array([-half, 0.0, half])
    slope = towards[1:] / towards[0]
    path = point[1:] + (z - point[0])[:, None] * slope + rng.normal(0, 0.8, (3, 2))
    long = min(np.hypot(1, np.hypot(*slope)), 14.0)
    turn = np.arctan2(slope[0], slope[1])
    outline = ellipse(np.full(3, radius), np.full(3, radius * long), np.full(3, turn))
    return Tube("blood", z, path, outline * np.array([[1.0], [0.9], [0.7]]), "lung")


def _trunk(rng: Rng, parts: Parts, fat_mm: tuple[float, float]) -> tuple[Tube, Tube, Tube]:
    """Add the wall of the trunk; return skin, fascia and the inside of the wall."""
    half, deep = rng.uniform(135, 195), rng.uniform(0.62, 0.78)
    base = ellipse(np.full(KNOTS, half * deep), np.full(KNOTS, half))
    skin = Tube("skin", Z, straight(0, 0), base * uneven(rng, KNOTS, 0.02), "air")
    fascia = shell(rng, parts, skin, rng.uniform(*fat_mm))
    muscle = fascia.grown(-rng.uniform(1.0, 2.0), "muscle", "fat")
    parts.add(muscle, "muscles")
    wall = rng.uniform(9, 22)
    return skin, fascia, muscle.grown(-wall, "fat", "muscle")


def _oval(
    tissue: str, y: float, x: float, radius: tuple[float, float], *, turn: float = 0.0, within: str
) -> Tube:
    """Return an upright tube with an oval outline: its middle (y, x), half axes along y and x."""
    shape = ellipse(np.full(KNOTS, radius[0]), np.full(KNOTS, radius[1]), np.full(KNOTS, turn))
    return Tube(tissue, Z, straight(y, x), shape, within)


def _spine(rng: Rng, parts: Parts, back_mm: float) -> None:
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


def _bowel(rng: Rng, parts: Parts, half: float, back: float) -> None:
    """Add loops of bowel, some with gas."""
    for _ in range(rng.integers(5, 11)):
        y, x = -rng.uniform(0.05, 0.55) * back, rng.uniform(-0.45, 0.45) * half
        radius = rng.uniform(10, 22)
        loop = _oval("organ", y, x, (radius, radius * rng.uniform(0.8, 1.4)), within="fat")
        parts.add(loop)
        if rng.random() < 0.4:
            parts.add(loop.grown(-rng.uniform(3, 6), "gas", "organ"))


def _ribs(rng: Rng, parts: Parts, wall: Tube) -> None:
    """Add ribs that slope through the plane: each is cut as an oval that moves along z."""
    count = int(rng.integers(8, 15))
    for i in range(count):
        start = 2 * np.pi * (i + rng.uniform(0, 0.6)) / count
        index = (
            np.round((start + 0.012 * (Z + 40 * i)) / (2 * np.pi) * CORNERS).astype(int) % CORNERS
        )
        rows = np.arange(KNOTS)
        reach = wall.radius[rows, index] + 4.0
        towards = np.stack([np.sin(THETA[index]), np.cos(THETA[index])], 1)
        long, thick = rng.uniform(7, 19), rng.uniform(3.0, 4.2)
        radius = ellipse(np.full(KNOTS, long), np.full(KNOTS, thick), THETA[index])
        rib = Tube("cortex", Z, wall.centre + reach[:, None] * towards, radius, "muscle")
        parts.add(rib, "bones")
        parts.add(rib.grown(-1.1, "trabecular", "cortex"))
