"""Solids of known size as a scanner shows them: averaged over voxels and blurred, in any pose."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from calcilens.imaging.anatomy import MINERAL_HU
from calcilens.imaging.candidates import Candidate, candidate
from calcilens.imaging.geometry import Affine
from calcilens.imaging.images import Plane, Volume

Inside = Callable[[np.ndarray], np.ndarray]
"""Says of points (..., 3) in mm around the middle which lie inside."""
BLUR_MM, FINE_MM, CORE_MM = 0.5, 0.25, 10.5
SOFT_HU, FAT_HU, AIR_HU = 50.0, -100.0, -1000.0


def ball(radius: float) -> Inside:
    return lambda p: np.asarray((p**2).sum(-1) < radius**2)


def ellipsoid(radii: tuple[float, float, float]) -> Inside:
    return lambda p: np.asarray(((p / np.array(radii)) ** 2).sum(-1) < 1)


def shell(outer: float, inner: float) -> Inside:
    return lambda p: ((p**2).sum(-1) < outer**2) & ((p**2).sum(-1) >= inner**2)


def turned(inside: Inside, rotation: np.ndarray, shift: np.ndarray) -> Inside:
    return lambda p: inside((p - shift) @ rotation.T)


def box(sides: tuple[float, float, float]) -> Inside:
    return lambda p: np.asarray((np.abs(p) < np.array(sides) / 2).all(-1))


def diagonal(spacing: tuple[float, float, float]) -> np.ndarray:
    """Axial affine: z to z, y to y, x to x."""
    m = np.eye(4)
    m[:3, :3] = np.diag(spacing)[::-1]
    return m


def volume(hu: np.ndarray, matrix: np.ndarray, **more: float | None) -> Volume:
    planes = tuple(Plane(f"1.2.3.{i}") for i in range(len(hu)))
    return Volume(hu, Affine(matrix), "1.2", "1.2.3", None, planes, **more)  # type: ignore[arg-type]


def share(inside: Inside, spacing: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """How much of every voxel lies inside, the middle of the array at 0."""
    fine = [max(2, int(np.ceil(s / FINE_MM))) for s in spacing]
    axes = [
        ((np.arange(n * k, dtype=np.float32) + 0.5) / k - n / 2) * np.float32(s)
        for n, k, s in zip(shape, fine, spacing, strict=True)
    ]
    there = inside(np.stack(np.meshgrid(*axes, indexing="ij"), -1))
    blocks = [k for pair in zip(shape, fine, strict=True) for k in pair]
    return np.asarray(there.reshape(blocks).mean((1, 3, 5)))


def _under(level: float, spacing: float, count: int) -> np.ndarray:
    """How much of every voxel of a line lies beyond a level, the middle of the line at 0."""
    ends = (np.arange(count) + 1 - count / 2) * spacing
    return np.asarray(np.clip((ends - level) / spacing, 0, 1))


def scan(
    inside: Inside,
    spacing: tuple[float, float, float],
    *,
    rise: float = 600.0,
    noise: float = 0.0,
    half_mm: float = 16.0,
    layers: tuple[float, float] = (12.0, 0.0),
    seed: int = 0,
) -> tuple[Volume, Candidate]:
    """A solid in a block of muscle under skin and fat: the surface faces lower y.

    Args:
        inside: The solid, around the middle.
        spacing: (z, y, x) mm.
        rise: HU of the solid over soft tissue.
        noise: Standard deviation, HU.
        half_mm: Half of the image's sides.
        layers: Depth of the middle under the skin, and under the fascia (0 for no fat), mm.
        seed: Of the noise.
    """
    z, y, x = (2 * int(np.ceil(half_mm / s)) for s in spacing)
    under_skin, under_fascia = layers
    skin = _under(-under_skin, spacing[1], y)[None, :, None]
    side = _under(3 - half_mm, spacing[2], x)
    body = skin * (side * side[::-1])[None, None]
    muscle = _under(-under_fascia, spacing[1], y)[None, :, None] if under_fascia else 1.0
    soft = FAT_HU + muscle * (SOFT_HU - FAT_HU)
    hu = np.broadcast_to(AIR_HU + body * (soft - AIR_HU), (z, y, x)).copy()
    core = [slice(n // 2 - k, n // 2 + k) for n, k in _core((z, y, x), spacing)]
    there = share(inside, np.array(spacing), tuple(s.stop - s.start for s in core))
    # The solid comes with soft tissue of its own, as mineral in fat does.
    hu[tuple(core)] += there * (SOFT_HU + rise - hu[tuple(core)])
    sd = [0, BLUR_MM / spacing[1], BLUR_MM / spacing[2]]
    hu = ndimage.gaussian_filter(hu, sd, mode="nearest")
    hu += noise * np.random.default_rng(seed).standard_normal(hu.shape)
    known = {"kvp": 120.0, "thickness_mm": spacing[0]}
    made = volume(np.rint(hu).astype(np.int16), diagonal(spacing), **known)
    return made, found(made)


def _core(shape: tuple[int, ...], spacing: tuple[float, float, float]) -> list[tuple[int, int]]:
    return [
        (n, min(n // 2, int(np.ceil(CORE_MM / s)))) for n, s in zip(shape, spacing, strict=True)
    ]


def found(made: Volume) -> Candidate:
    """What a threshold finds."""
    dense = made.hu >= MINERAL_HU
    at = np.argwhere(dense)
    ends = np.stack([at.min(0), at.max(0) + 1])
    return candidate(made, ends, dense[tuple(slice(*e) for e in ends.T)], "test")
