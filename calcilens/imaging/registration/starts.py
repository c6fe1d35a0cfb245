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

from calcilens.imaging.registration.coarse import RANGE_HU, Coarse

TURNS = tuple(float(t) for t in np.linspace(-0.75, 0.75, 7))
"""About the patient's z axis, radians."""
LEAST_SHARED = 0.3
"""Share of the smaller body that must lie in both scans for a shift to count."""
SHARED_POWER = 0.3
"""Power of that share by which a likeness counts: where little is shared, much looks alike."""
_LEVELS, _APART = 4, 2
"""Shifts along the long axis that are kept for each turn, and the least steps between two."""
_EPS, _FLAT = 1e-6, 1e-3

Float = NDArray[np.float32]
Spectrum = NDArray[np.complex64]


def starts(fixed: Coarse, moving: Coarse) -> list[sitk.Euler3DTransform]:
    """Return motions of points of `fixed` to points of `moving`, several for each turn."""
    seen = _Seen(fixed)
    return [motion for turn in TURNS for motion in _shifted(seen, fixed, moving, turn)]


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


def _shifted(
    seen: _Seen, fixed: Coarse, moving: Coarse, turn: float
) -> list[sitk.Euler3DTransform]:
    """Return the motions of one turn with the likeliest shifts."""
    turned, motion = _turned(moving, turn)
    step = np.array(fixed.image.GetSpacing())
    found = []
    for index in likeliest(correlate(seen, _Seen(turned)), seen.values.shape):
        # Voxel i of fixed meets voxel i - index of the turned scan.
        shift = np.array(turned.image.GetOrigin()) - index[::-1] * step - fixed.image.GetOrigin()
        start = sitk.Euler3DTransform(fixed.middle.tolist(), 0.0, 0.0, turn)
        middle = np.array(motion.TransformPoint((fixed.middle + shift).tolist()))
        start.SetTranslation((middle - fixed.middle).tolist())
        found.append(start)
    return found


def likeliest(score: Float, shape: tuple[int, ...]) -> list[NDArray[np.int64]]:
    """Return the best shifts (z, y, x), voxels, at levels that lie apart.

    Args:
        score: (Z, Y, X) of every shift; those beyond `shape` are counted from the end.
        shape: Of the image that stays.
    """
    best = score.max((1, 2)).copy()
    found: list[NDArray[np.int64]] = []
    while len(found) < _LEVELS and best.max() > 0:
        level = int(best.argmax())
        row, column = np.unravel_index(int(score[level].argmax()), score.shape[1:])
        at, size = np.array([level, row, column]), np.array(score.shape)
        found.append(np.where(at >= np.array(shape), at - size, at))
        best[np.arange(level - _APART + 1, level + _APART) % len(best)] = -1
    return found


def correlate(a: _Seen, b: _Seen) -> Float:
    """Return how well every shift of b fits; -1 where too little is shared or all is flat."""
    shape = [
        fft.next_fast_len(n + m - 1, real=True)
        for n, m in zip(a.values.shape, b.values.shape, strict=True)
    ]

    def ahead(values: Float) -> Spectrum:
        return np.asarray(fft.rfftn(values, shape))

    def behind(values: Float) -> Spectrum:
        return np.asarray(np.conj(ahead(values)))

    def back(product: Spectrum) -> Float:
        return np.asarray(fft.irfftn(product, shape))

    known_a, values_a = ahead(a.known), ahead(a.values)
    known_b, values_b = behind(b.known), behind(b.values)
    shared = np.maximum(back(known_a * known_b), _EPS)
    sum_a, sum_b = back(values_a * known_b), back(known_a * values_b)
    square_a = back(ahead(a.values**2) * known_b) - sum_a**2 / shared
    square_b = back(known_a * behind(b.values**2)) - sum_b**2 / shared
    both = back(values_a * values_b) - sum_a * sum_b / shared
    spread = np.sqrt(np.maximum(square_a, 0) * np.maximum(square_b, 0))
    score = np.where(spread > _FLAT * shared, both / np.maximum(spread, _EPS), -1)
    bodies = back(ahead(a.body) * behind(b.body)) / max(min(a.body.sum(), b.body.sum()), 1)
    worth = score * np.maximum(bodies, _EPS) ** SHARED_POWER
    return np.asarray(np.where(bodies >= LEAST_SHARED, worth, -1))
