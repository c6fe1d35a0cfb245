"""A limb whose CT is known at every point: for tests of registration and of change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from calcilens.imaging.geometry import Affine
from calcilens.imaging.images import Plane, Volume

LESION_MM = np.array([22.0, -8.0, 10.0])


@dataclass(frozen=True)
class Pose:
    """A motion of points (x, y, z), mm: turned about z and x, then shifted."""

    turn: float = 0.0
    lean: float = 0.0
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def moved(self, points: np.ndarray) -> np.ndarray:
        return Rotation.from_euler("zx", [self.turn, self.lean]).apply(points) + self.shift

    def back(self, points: np.ndarray) -> np.ndarray:
        turn = Rotation.from_euler("zx", [self.turn, self.lean])
        return turn.apply(np.asarray(points) - self.shift, inverse=True)


def limb_hu(points: np.ndarray, volume_ratio: float, lesion_hu: float) -> np.ndarray:
    """HU at points (N, 3) of an upright limb: fat, muscle, a bone that widens, a lesion."""
    x, y, z = points.T
    hu = np.full(len(points), -1000.0)
    girth = 1 + 0.003 * z
    hu[(x / 45) ** 2 + (y / 40) ** 2 < girth] = -100
    hu[(x / 38) ** 2 + (y / 33) ** 2 < girth] = 55
    away = np.hypot(x + 8 + 0.05 * z, y - 5)
    wide = 8 + 5 * np.exp(-(((z - 35) / 18) ** 2))
    hu[away < wide] = 900
    hu[away < 0.6 * wide] = -20
    lesion = np.linalg.norm(points - LESION_MM, axis=1) < 6 * volume_ratio ** (1 / 3)
    hu[lesion] = lesion_hu
    return hu


def scan(
    pose: Pose,
    spacing: tuple[float, float, float],
    *,
    volume_ratio: float = 1.0,
    lesion_hu: float = 600.0,
    blur_mm: float = 0.5,
    seed: int = 0,
    name: str = "1",
) -> Volume:
    """Scan the limb in a pose: averaged over the planes, blurred, with noise of 10 HU."""
    extent = np.array([110.0, 110.0, 110.0])
    shape = np.round(extent / spacing).astype(int)
    middle = pose.moved(np.zeros((1, 3)))[0]
    start = middle - (shape[::-1] - 1) / 2 * np.array(spacing[::-1])
    affine = Affine.from_dicom(start, [1, 0, 0, 0, 1, 0], spacing[1:], [0, 0, spacing[0]])
    index = np.indices(tuple(int(n) for n in shape)).reshape(3, -1).T
    total = np.zeros(len(index))
    fine = max(1, round(spacing[0] / 0.75))
    for share in (np.arange(fine) + 0.5) / fine - 0.5:
        mm = affine.to_mm(index + np.array([share, 0, 0]))
        total += limb_hu(pose.back(mm), volume_ratio, lesion_hu) / fine
    seen = gaussian_filter(total.reshape(shape), [0, blur_mm / spacing[1], blur_mm / spacing[2]])
    noise = np.random.default_rng(seed).normal(0, 10, shape)
    planes = tuple(Plane(f"1.2.{name}.{k}") for k in range(shape[0]))
    hu = np.rint(seen + noise).astype(np.int16)
    return Volume(hu, affine, f"1.2.{name}", f"1.2.{name}.1", None, planes, kvp=120.0)


def lesion_mask_in(volume: Volume, pose: Pose, volume_ratio: float = 1.0) -> np.ndarray:
    """Voxels (Z, Y, X) of the lesion."""
    points = pose.back(volume.affine.to_mm(np.indices(volume.hu.shape).reshape(3, -1).T))
    radius = 6 * volume_ratio ** (1 / 3)
    inside = np.linalg.norm(points - LESION_MM, axis=1) < radius
    return np.asarray(inside.reshape(volume.hu.shape))
