"""Whether two CTs that were laid onto each other show the same place of one body.

A limb is much like a tube: the other limb, or another stretch of the same one, fits fairly well
too. What tells them is that the prior scan mirrored fits better still, and that little is shared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import SimpleITK as sitk  # noqa: N813 - its usual name
from numpy.typing import NDArray

from calcilens.errors import compose
from calcilens.imaging.registration.coarse import RANGE_HU, Coarse
from calcilens.imaging.registration.starts import SHARED_POWER, starts

LEAST_QUALITY, LEAST_SHARED = 0.75, 0.1
"""Below either, two scans are not taken to show the same place: pairs of simulated strangers
reach 0.61, those of one person at least 0.94."""
LEAST_MM = 20.0
"""Length that both scans must show: a thin slice of a limb fits anywhere along it."""
SHORT_MM, SHORT_QUALITY = 60.0, 0.93
"""Over less than this length, only more likeness is enough: two simulated stretches of a thigh
that share nothing reach 0.92 over 45 mm. A true pair of a thin limb may be refused with them."""
_GAIN = 0.1
"""Most that walking downhill adds to the worth of a start: 0.08 on simulated pairs."""
_MIRRORS = {0: "mirrored left to right", 2: "with its planes in reverse order"}

Motion: TypeAlias = sitk.Euler3DTransform
Pair = tuple[Coarse, Coarse]
Refine = Callable[[Coarse, Coarse, Motion, float], Motion]


def best(fixed: Coarse, moving: Coarse, motions: list[Motion], count: int) -> list[Motion]:
    """Return the motions under which the scans are most alike."""
    return sorted(motions, key=lambda m: worth(fixed, moving, m), reverse=True)[:count]


def worth(fixed: Coarse, moving: Coarse, motion: Motion) -> float:
    """Return how alike both scans are; sharing more counts a little."""
    quality, shared = likeness(fixed, moving, motion)
    return float(quality * shared**SHARED_POWER)


def likeness(fixed: Coarse, moving: Coarse, motion: Motion) -> tuple[float, float]:
    """Return the correlation where both show the body, and the share of it that both show."""
    image = array(sitk.Resample(moving.image, fixed.image, motion, sitk.sitkLinear, RANGE_HU[0]))
    both = _both(fixed, moving, motion)
    bodies = [array(scan.body).sum() for scan in (fixed, moving)]
    a, b = array(fixed.image)[both], image[both]
    if both.sum() < 50 or a.std() == 0 or b.std() == 0:
        return -1.0, 0.0
    # Voxels of two grids: a body that is all shared can count a little more in one of them.
    return float(np.corrcoef(a, b)[0, 1]), min(1.0, float(both.sum() / max(min(bodies), 1)))


def length_mm(fixed: Coarse, moving: Coarse, motion: Motion, along: NDArray[np.float64]) -> float:
    """Return how far the body that both scans show reaches along a unit vector (x, y, z)."""
    at = np.argwhere(_both(fixed, moving, motion))[:, ::-1] @ along
    step = fixed.body.GetSpacing()[0]
    return float(np.ptp(at) + 1) * step if len(at) else 0.0


def array(image: sitk.Image) -> NDArray[np.float32]:
    """Return the values (Z, Y, X) of an image."""
    return np.asarray(sitk.GetArrayFromImage(image), np.float32)


def why_too_short(length: float) -> str | None:
    """Return why a length, mm, of the body is too short to tell its place, or None."""
    if length >= LEAST_MM:
        return None
    return compose(f"at least {LEAST_MM:.0f} mm of the body in both scans", f"{length:.3g} mm")


def why_unlike(quality: float, shared: float, length: float) -> str | None:
    """Return why two scans cannot be taken to show the same place, or None.

    Args:
        quality: As `likeness` gives it.
        shared: The same.
        length: As `length_mm` gives it.
    """
    least = SHORT_QUALITY if length < SHORT_MM else LEAST_QUALITY
    if quality >= least and shared >= LEAST_SHARED:
        return why_too_short(length)
    return why_too_short(length) or (
        f"registration failed: likeness {quality:.2f} over {shared:.0%} of the smaller body "
        f"({length:.0f} mm), where at least {least} over {LEAST_SHARED:.0%} shows the same place "
        "of one patient"
    )


def why_mirrored(rough: Pair, fine: Pair, motion: Motion, refined: Refine) -> str | None:
    """Return how the prior scan would have to be mirrored to fit as well or better, or None.

    Args:
        rough: Current and prior scan, coarser; here mirrors that do not fit are told.
        fine: The same, finer; here it is decided.
        motion: The best of the prior scan as it is.
        refined: Walks a motion of two scans downhill, from steps of so many mm on.
    """
    own = worth(*fine, motion)
    least = worth(*rough, motion) - _GAIN
    for axis, how in _MIRRORS.items():
        (small, large) = ((fixed, _mirrored(moving, axis)) for fixed, moving in (rough, fine))
        for start in best(*small, starts(*small), 1):
            if worth(*small, start) < least:
                continue
            found = worth(*large, refined(*large, refined(*small, start, 4.0), 2.0))
            if found >= own:
                return compose(
                    "the same side of the body",
                    f"a prior scan that fits as well or better {how} ({found:.2f}, else {own:.2f})",
                    fix="check that both studies show the same side",
                )
    return None


def _mirrored(scan: Coarse, axis: int) -> Coarse:
    """Return a scan mirrored at the plane where one coordinate (x, y, z) is 0."""

    def turned(image: sitk.Image) -> sitk.Image:
        out = sitk.Flip(image, [k == axis for k in range(3)])
        origin = list(image.GetOrigin())
        origin[axis] += (image.GetSize()[axis] - 1) * image.GetSpacing()[axis]
        origin[axis] = -origin[axis]
        out.CopyInformation(image)
        out.SetOrigin(origin)
        return out

    return Coarse(turned(scan.image), turned(scan.body), turned(scan.seen))


def _both(fixed: Coarse, moving: Coarse, motion: Motion) -> NDArray[np.bool_]:
    there = sitk.Resample(moving.body, fixed.body, motion, sitk.sitkNearestNeighbor, 0)
    return np.asarray((array(there) > 0) & (array(fixed.body) > 0))
