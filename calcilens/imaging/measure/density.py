"""How dense a lesion is: HU, Agatston score and mass."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from calcilens.imaging.anatomy import MINERAL_HU, Mask, anatomy
from calcilens.imaging.measure.lesion import Lesion
from calcilens.imaging.measure.measurement import Measurement
from calcilens.imaging.measure.mineral import Mineral

AGATSTON_SLICE_MM = (2.5, 3.0)
AGATSTON_KVP = 120
"""Tube voltage of the standard (McCollough et al., Radiology 2007;243:527)."""
AGATSTON_WEIGHTS = ((400, 4), (300, 3), (200, 2), (130, 1))
"""Weight by the densest voxel of a plane's piece (Agatston et al., JACC 1990;15:827)."""
HU_PER_G_CM3 = {80: 2300.0, 100: 1952.0, 120: 1751.0, 140: 1614.0}
"""HU that 1 g/cm3 of hydroxyapatite adds, by tube voltage; see `calcilens.phantoms.materials`."""
_SOFT_HU = 50.0
"""Soft tissue that mineral lies in."""
_SLOPE_ERROR = 0.08
"""Relative error of the slope: scanners of one voltage differ in their filters."""


def measure_density(lesion: Lesion, mineral: Mineral, taken: Measurement) -> None:
    """Take the figures of density."""
    _values(lesion, mineral, taken)
    _agatston(lesion, taken)
    _mass(lesion, mineral, taken)


def _values(lesion: Lesion, mineral: Mineral, taken: Measurement) -> None:
    inside, noise = lesion.hu[lesion.mask], mineral.noise_hu
    noted = f"{lesion.of}; its standard deviation is that of noise alone"
    sd = noise / np.sqrt(len(inside))
    taken.set("mean_hu", float(inside.mean()), f"mean over {noted}", sd)
    taken.set("max_hu", float(inside.max()), f"largest value in {noted}", noise)
    sd = noise / np.sqrt(max(1.0, 0.05 * len(inside)))
    taken.set("p95_hu", float(np.percentile(inside, 95)), f"95th percentile of {noted}", sd)


def _agatston(lesion: Lesion, taken: Measurement) -> None:
    """Score as defined: no contrast, 120 kV, planes 2.5-3 mm apart, axial; pieces of 1 mm2."""
    z, y, x = lesion.spacing
    normal = np.abs(lesion.volume.affine.matrix[:3, 0]) / z
    low, high = AGATSTON_SLICE_MM
    if anatomy(lesion.volume).contrast_hu is not None:
        return taken.set("agatston", None, "not defined beside contrast medium, which is here")
    kvp = lesion.volume.kvp
    if kvp is None or round(kvp) != AGATSTON_KVP:
        said = "the files do not say one" if kvp is None else f"here {kvp:g} kV"
        why = f"its thresholds hold for {AGATSTON_KVP} kV; {said}"
        return taken.set("agatston", None, why)
    if normal[2] < 0.99:
        return taken.set("agatston", None, "defined for axial planes only")
    if not low - 0.05 <= z <= high + 0.05:
        why = f"defined for planes {low}-{high} mm apart; here {z:.2f} mm"
        return taken.set("agatston", None, why)
    area = float(y * x)
    planes = zip(lesion.hu, lesion.mask, strict=True)
    score = sum(_plane_score(hu, mask, area) for hu, mask in planes) * z / high
    how = "area times density weight of each plane (Agatston 1990), scaled to 3 mm planes; "
    taken.set("agatston", float(score), how + "validated for coronary arteries without contrast")
    return None


def _plane_score(hu: NDArray[np.float64], mask: Mask, area_mm2: float) -> float:
    labels, n = ndimage.label(mask & (hu >= MINERAL_HU), np.ones((3, 3)))
    score = 0.0
    for label in range(1, n + 1):
        piece = labels == label
        if piece.sum() * area_mm2 >= 1.0:
            peak = hu[piece].max()
            score += piece.sum() * area_mm2 * next(w for t, w in AGATSTON_WEIGHTS if peak >= t)
    return score


def _mass(lesion: Lesion, mineral: Mineral, taken: Measurement) -> None:
    """Mass of hydroxyapatite: the rise over soft tissue, which no blur changes in sum."""
    kvp = lesion.volume.kvp
    if kvp is None or not min(HU_PER_G_CM3) <= kvp <= max(HU_PER_G_CM3):
        said = "the files do not say one" if kvp is None else f"here {kvp:g} kV"
        low, high = min(HU_PER_G_CM3), max(HU_PER_G_CM3)
        return taken.set("mass_mg", None, f"needs a tube voltage of {low}-{high} kV; {said}")
    if not mineral.there:
        return taken.set("mass_mg", None, "nothing is as dense as mineral")
    slope = float(np.interp(kvp, list(HU_PER_G_CM3), list(HU_PER_G_CM3.values())))
    there = mineral.share > 0
    # Where mineral displaced fat, it came with soft tissue, which is no mineral.
    rise = mineral.rise - mineral.share * (_SOFT_HU - mineral.tissue)
    mass = max(float(rise[there].sum(dtype=np.float64)), 0.0) * lesion.voxel_mm3 / slope
    noise = mineral.noise_hu * np.sqrt(there.sum()) * lesion.voxel_mm3 / slope
    how = (
        f"rise over soft tissue / {slope:.0f} HU per g/cm3: hydroxyapatite at {kvp:g} kV, "
        "computed, not calibrated on this scanner"
    )
    thin = 1 - float(mineral.share[mineral.wide].sum() / mineral.share.sum())
    sd = float(np.hypot(np.hypot(_SLOPE_ERROR, 0.15 * thin) * mass, noise))
    return taken.set("mass_mg", mass, how, sd)
