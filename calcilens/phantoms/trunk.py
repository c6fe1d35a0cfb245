"""Pelvis and thorax, drawn at random."""

from __future__ import annotations

import numpy as np

from calcilens.phantoms.segment import KNOTS, Parts, Rng, Segment, Z, shell, straight, veins
from calcilens.phantoms.skeleton import (
    LUMBAR,
    THORACIC,
    add_hip_bone,
    add_ribs,
    add_sacrum,
    add_spine,
)
from calcilens.phantoms.tubes import CORNERS, Float, Tube, ellipse, uneven


def pelvis(rng: Rng) -> Segment:
    """Draw a segment of the pelvis."""
    parts = Parts()
    skin, fascia, inside = _trunk(rng, parts, (8, 45))
    parts.add(inside)
    half, back = float(fascia.radius[0, 0]), float(fascia.radius[0, CORNERS // 4])
    for side in (-1, 1):
        _hip_wall(rng, parts, side, half, back)
    _bowel(rng, parts, half, back)
    sacrum = rng.uniform(5, 45)
    add_spine(rng, parts, LUMBAR, back, lowest_mm=sacrum)
    add_sacrum(rng, parts, back, sacrum)
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
    add_hip_bone(rng, parts, side, half, back)


def thorax(rng: Rng) -> Segment:
    """Draw a segment of the thorax."""
    parts = Parts()
    skin, fascia, inside = _trunk(rng, parts, (4, 30))
    parts.add(inside)
    half, back = float(fascia.radius[0, 0]), float(fascia.radius[0, CORNERS // 4])
    for side in (-1, 1):
        _lung(rng, parts, side, half, back)
    _heart(rng, parts, half, back)
    blood = "contrast_blood" if rng.random() < 0.4 else "blood"
    parts.add(_oval(blood, 0.3 * back, 14.0, (12, 12), within="fat"), "vessels")
    add_ribs(rng, parts, inside)
    add_spine(rng, parts, THORACIC, back)
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


def _heart(rng: Rng, parts: Parts, half: float, back: float) -> None:
    """Add heart, mediastinum, and the domes under the lungs."""
    wide = rng.uniform(0.1, 0.15) * half
    parts.add(_oval("organ", 0.05 * back, 4.0, (0.5 * back, wide), within="fat"))
    t = np.sin(np.linspace(-1.5, 1.5, 15))
    z = rng.uniform(-65, -45) + 70 * t
    shape = np.sqrt(1 - t**2)
    path = np.stack([np.full(15, -0.2 * back), (0.13 - 0.09 * t) * half], 1)
    heart = ellipse(0.42 * back * shape, rng.uniform(0.28, 0.36) * half * shape)
    parts.add(Tube("organ", z, path, heart, "lung"))
    for side in (-1, 1):
        top = rng.uniform(-105, -80) - 8 * side
        t = np.sin(np.linspace(0, 1.5, 11))
        dome = ellipse(0.72 * back * np.sqrt(1 - t**2), 0.38 * half * np.sqrt(1 - t**2))
        path = straight(0.02 * back, side * 0.42 * half)[:11]
        parts.add(Tube("organ", -150 + (top + 150) * t, path, dome, "lung"))


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


def _bowel(rng: Rng, parts: Parts, half: float, back: float) -> None:
    """Add loops of bowel, some with gas: short pieces of tubes."""
    for _ in range(rng.integers(14, 30)):
        y, x = -rng.uniform(0.05, 0.55) * back, rng.uniform(-0.45, 0.45) * half
        radius, long = rng.uniform(9, 20), rng.uniform(14, 38)
        z = np.clip(rng.uniform(-140, 140) + long * np.sin(np.linspace(-1.55, 1.55, 11)), -149, 149)
        rounded = radius * np.sqrt(np.clip(1 - np.sin(np.linspace(-1.55, 1.55, 11)) ** 2, 0, 1))
        wide = rounded * rng.uniform(0.8, 1.6)
        path = np.array([y, x]) + np.linspace(-1, 1, 11)[:, None] * rng.normal(0, 12, 2)
        loop = Tube("organ", z, path, ellipse(rounded, wide) * uneven(rng, 11, 0.1), "fat")
        parts.add(loop)
        if rng.random() < 0.45:
            parts.add(loop.grown(-rng.uniform(2, 4), "gas", "organ"))
