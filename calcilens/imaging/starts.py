"""Where two CTs may fit: every shift is tried at once, for several turns about the long axis.

A limb is much like a tube: turned or shifted along its axis it fits nearly as well, so that a
registration that only walks downhill would stop anywhere. Correlation over all shifts, of those
voxels alone that both scans show, is that of Padfield, IEEE TIP 2012;21:2706.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk  # noqa: N813 - its usual name
from numpy.typing import NDArray
from scipy import fft

from calcilens.imaging.coarse import RANGE_HU, Coarse

TURNS = tuple(float(t) for t in np.linspace(-0.75, 0.75, 7))
"""About the patient's z axis, radians."""
LEAST_SHARED = 0.35
"""Share of the smaller body that must lie in both scans for a shift to count."""
_EPS = 1e-6

Float = NDArray[np.float32]


def starts(fixed: Coarse, moving: Coarse, count: int) -> list[sitk.Euler3DTransform]:
    """Return the likeliest motions of points of `fixed` to points of `moving`, the best first."""
    seen = _Seen(fixed)
    tried = [_best_shift(seen, fixed, moving, turn) for turn in TURNS]
    ranked = sorted(tried, key=lambda t: -t[0])
    return [transform for _, transform in ranked[:count]]


class _Seen:
    """A scan as its Fourier transforms need it."""

    def __init__(self, scan: Coarse) -> None:
        self.known = sitk.GetArrayFromImage(scan.seen).astype(np.float32)
        self.body = sitk.GetArrayFromImage(scan.body).astype(np.float32)
        values = sitk.GetArrayFromImage(scan.image)
        # Around zero, so that squares lose no digits.
        self.values = (values - sum(RANGE_HU) / 2) * self.known / 250


def _turned(scan: Coarse, turn: float) -> tuple[Coarse, sitk.Euler3DTransform]:
    """Return a scan turned about its middle, in its own grid."""
    motion = sitk.Euler3DTransform(scan.middle.tolist(), 0.0, 0.0, turn)
    parts = [
        sitk.Resample(scan.image, scan.image, motion, sitk.sitkLinear, RANGE_HU[0]),
        sitk.Resample(scan.body, scan.body, motion, sitk.sitkNearestNeighbor, 0),
        sitk.Resample(scan.seen, scan.seen, motion, sitk.sitkNearestNeighbor, 0),
    ]
    return Coarse(*parts), motion


def _best_shift(
    seen: _Seen, fixed: Coarse, moving: Coarse, turn: float
) -> tuple[float, sitk.Euler3DTransform]:
    turned, motion = _turned(moving, turn)
    score, index = correlate(seen, _Seen(turned))
    step = np.array(fixed.image.GetSpacing())
    # Voxel i of fixed meets voxel i - index of the turned scan.
    shift = np.array(turned.image.GetOrigin()) - index[::-1] * step - fixed.image.GetOrigin()
    start = sitk.Euler3DTransform(fixed.middle.tolist(), 0.0, 0.0, turn)
    middle = np.array(motion.TransformPoint((fixed.middle + shift).tolist()))
    start.SetTranslation((middle - fixed.middle).tolist())
    return score, start


def correlate(a: _Seen, b: _Seen) -> tuple[float, NDArray[np.int64]]:
    """Return the highest correlation over all shifts, and that shift (z, y, x) of b, voxels."""
    shape = [fft.next_fast_len(n + m - 1, real=True) for n, m in zip(a.values.shape, b.values.shape, strict=True)]

    def ahead(values: Float) -> NDArray[np.complex64]:
        return np.asarray(fft.rfftn(values, shape))

    def behind(values: Float) -> NDArray[np.complex64]:
        return np.conj(ahead(values))

    def back(product: NDArray[np.complex64]) -> Float:
        return np.asarray(fft.irfftn(product, shape))

    known_a, values_a = ahead(a.known), ahead(a.values)
    known_b, values_b = behind(b.known), behind(b.values)
    shared = np.maximum(back(known_a * known_b), _EPS)
    sum_a, sum_b = back(values_a * known_b), back(known_a * values_b)
    square_a = back(ahead(a.values**2) * known_b) - sum_a**2 / shared
    square_b = back(known_a * behind(b.values**2)) - sum_b**2 / shared
    both = back(values_a * values_b) - sum_a * sum_b / shared
    spread = np.sqrt(np.maximum(square_a, 0) * np.maximum(square_b, 0))
    bodies = back(ahead(a.body) * behind(b.body))
    least = LEAST_SHARED * min(a.body.sum(), b.body.sum())
    score = np.where((bodies >= least) & (spread > 1e-3 * shared), both / np.maximum(spread, _EPS), -1)
    at = np.array(np.unravel_index(int(score.argmax()), shape))
    size = np.array(shape)
    return float(score.max()), np.where(at >= np.array(a.values.shape), at - size, at)
