"""Registration of two CTs of one patient: rigid from many starts, then soft tissue.

Intensities are HU within `RANGE_HU`, so that dense bone, mineral and another tube voltage weigh
little. Everything runs on one thread and without drawn samples: the same pair gives the same
result.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk  # noqa: N813 - its usual name
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import map_coordinates

from calcilens.errors import InputError
from calcilens.imaging.images import Volume
from calcilens.imaging.registration.agreement import (
    best,
    length_mm,
    likeness,
    why_mirrored,
    why_too_short,
    why_unlike,
    worth,
)
from calcilens.imaging.registration.coarse import RANGE_HU, Coarse, coarse
from calcilens.imaging.registration.starts import starts

Points = NDArray[np.float64]
_START_MM, _STEP_MM = 6.0, 3.0
_TRIED, _FINE = 5, 2
_SAMPLED, _SEED = 0.25, 1
_DEMONS, _SMOOTH_VOX = 30, 3.0
_NEAR_MM = 9.0
_INVERSIONS = 12
_STILL = np.zeros((1, 1, 1, 3), np.float32)


@dataclass(frozen=True, eq=False)
class Registration:
    """Where points of one CT lie in another.

    Args:
        rigid: (4, 4) from the current scan to the prior, mm.
        bend: (Z, Y, X, 3) mm, what is added after `rigid`, on the grid below.
        origin, step_mm: Of the grid, in the current scan, (x, y, z).
        quality: Correlation of both scans where both show the body, -1..1.
        shared: Share of the smaller body that both scans show, 0..1.
        why_not: Why the scans cannot be compared, or None.
    """

    rigid: Points
    bend: NDArray[np.float32]
    origin: Points
    step_mm: float
    quality: float
    shared: float
    why_not: str | None = None

    def to_prior(self, points_mm: ArrayLike) -> Points:
        """Map points (..., 3) of the current scan, LPS mm, to the prior one."""
        p = np.asarray(points_mm, float)
        return p @ self.rigid[:3, :3].T + self.rigid[:3, 3] + self._bent(p)

    def to_current(self, points_mm: ArrayLike) -> Points:
        """Map points (..., 3) of the prior scan, LPS mm, to the current one."""
        wanted = np.asarray(points_mm, float) - self.rigid[:3, 3]
        turn = self.rigid[:3, :3]
        found = wanted @ turn
        for _ in range(_INVERSIONS):  # the bend changes slowly: each round shrinks the error
            found = (wanted - self._bent(found)) @ turn
        return np.asarray(found)

    def near(self, point_mm: ArrayLike) -> Registration:
        """Return the rigid motion that holds around a point (3,) of the current scan.

        Soft tissue that is bent to fit would also bend away how a lesion has grown.
        """
        shift = self._bent(np.asarray(point_mm, float))
        return replace(self, bend=shift.astype(np.float32).reshape(1, 1, 1, 3))

    def _bent(self, points: Points) -> Points:
        index = ((points.reshape(-1, 3) - self.origin) / self.step_mm).T[::-1]
        out = np.empty((points.size // 3, 3))
        for axis in range(3):
            out[:, axis] = map_coordinates(self.bend[..., axis], index, order=1, mode="nearest")
        return out.reshape(points.shape)


def register(prior: Volume, current: Volume) -> Registration:
    """Register the prior CT to the current one; `why_not` says where that cannot be done."""
    try:
        return _register(prior, current)
    except MemoryError:
        return _unlike("registration failed: not enough memory")
    except InputError as error:
        return _unlike(str(error))
    except RuntimeError:  # SimpleITK raises it for anything
        return _unlike("registration failed: one of the scans is too small or too odd for it")


def _register(prior: Volume, current: Volume) -> Registration:
    short = why_too_short(min(len(scan.hu) * scan.spacing_mm[0] for scan in (prior, current)))
    if short:
        return _unlike(short)
    rough = fixed, moving = coarse(current, _START_MM), coarse(prior, _START_MM)
    tried = best(fixed, moving, starts(fixed, moving), _TRIED)
    if not tried:
        return _unlike("registration failed: the scans are nowhere alike")
    walked = [_refined(fixed, moving, start, 4.0) for start in tried]
    tried = best(fixed, moving, walked, _FINE)
    fine = fixed, moving = coarse(current, _STEP_MM), coarse(prior, _STEP_MM)
    walked = [_refined(fixed, moving, motion, 2.0) for motion in tried]
    (motion,) = best(fixed, moving, walked, 1)
    quality, shared = likeness(fixed, moving, motion)
    normal = current.affine.matrix[:3, 0] / current.spacing_mm[0]
    why = why_unlike(quality, shared, length_mm(fixed, moving, motion, normal))
    why = why or why_mirrored(rough, fine, motion, _refined)
    field = _STILL if why else _bend(fixed, moving, motion)
    origin = np.array(fixed.image.GetOrigin())
    return Registration(_matrix(motion), field, origin, _STEP_MM, quality, shared, why)


def _matrix(motion: sitk.Euler3DTransform) -> Points:
    """Return a motion as (4, 4)."""
    rigid = np.eye(4)
    rigid[:3, :3] = np.array(motion.GetMatrix()).reshape(3, 3)
    rigid[:3, 3] = motion.TransformPoint((0.0, 0.0, 0.0))
    return rigid


def resemblance(prior: Volume, current: Volume) -> float:
    """Return how well the prior CT fits the current one, coarsely: to choose among several.

    -1 where it cannot be laid onto it at all.
    """
    try:
        fixed, moving = coarse(current, _START_MM), coarse(prior, _START_MM)
        found = [worth(fixed, moving, motion) for motion in starts(fixed, moving)]
    except (InputError, MemoryError, RuntimeError):  # `register` says which
        return -1.0
    return max(found, default=-1.0)


def _refined(
    fixed: Coarse, moving: Coarse, start: sitk.Euler3DTransform, first_mm: float
) -> sitk.Euler3DTransform:
    """Walk a rigid motion downhill, with steps from `first_mm` on."""
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsCorrelation()
    method.SetMetricFixedMask(_near(fixed))
    method.SetMetricMovingMask(moving.seen)
    if fixed.image.GetSpacing()[0] < _START_MM:
        method.SetMetricSamplingStrategy(method.REGULAR)
        method.SetMetricSamplingPercentage(_SAMPLED, _SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=first_mm, minStep=0.005, numberOfIterations=150, relaxationFactor=0.75
    )
    method.SetOptimizerScalesFromPhysicalShift()
    motion = sitk.Euler3DTransform(start)
    method.SetInitialTransform(motion, inPlace=True)
    try:
        method.Execute(fixed.image, moving.image)
    except RuntimeError:  # the scans do not meet where the start lays them
        return start
    return motion


def _unlike(why: str) -> Registration:
    """Return what stands for two scans that cannot be laid onto each other."""
    return Registration(np.eye(4), _STILL, np.zeros(3), _START_MM, -1.0, 0.0, why)


def _near(scan: Coarse) -> sitk.Image:
    """Return the body and the air next to it: where a registration looks."""
    reach = round(_NEAR_MM / scan.body.GetSpacing()[0])
    return sitk.And(sitk.BinaryDilate(scan.body, [reach] * 3), scan.seen)


def _bend(fixed: Coarse, moving: Coarse, motion: sitk.Transform) -> NDArray[np.float32]:
    """Return what soft tissue moved beyond the rigid motion, mm in the prior scan's axes."""
    seen = sitk.Resample(moving.seen, fixed.seen, motion, sitk.sitkNearestNeighbor, 0)
    moved = sitk.Resample(moving.image, fixed.image, motion, sitk.sitkLinear, RANGE_HU[0])
    known = sitk.Cast(sitk.And(seen, fixed.seen), sitk.sitkFloat32)
    # Where the prior scan saw nothing, the current one stands in: nothing pulls there.
    moved = moved * known + fixed.image * (1 - known)
    demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
    demons.SetNumberOfThreads(1)
    demons.SetNumberOfIterations(_DEMONS)
    demons.SetStandardDeviations(_SMOOTH_VOX)
    field = demons.Execute(fixed.image, moved)
    # The field moves points of the current scan; the rigid motion then turns what it adds.
    turn = np.array(sitk.Euler3DTransform(motion).GetMatrix()).reshape(3, 3)
    return np.asarray(sitk.GetArrayViewFromImage(field) @ turn.T, np.float32)
