"""How a CT is acquired: drawn at random from one of two domains.

The two domains share nothing that matters: models learn on `usual` and are judged on `unseen`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from calcilens.phantoms.solids import Float

Domain = Literal["usual", "unseen"]
DOMAINS: tuple[Domain, ...] = ("usual", "unseen")
KERNELS: dict[str, dict[str, tuple[float, float]]] = {
    # sigma_mm: blur of the kernel; boost: how much it lifts middle frequencies
    "soft": {"sigma_mm": (0.48, 0.70), "boost": (0.0, 0.0)},
    "standard": {"sigma_mm": (0.36, 0.48), "boost": (0.0, 0.25)},
    "bone": {"sigma_mm": (0.24, 0.33), "boost": (0.4, 0.9)},
    "smooth": {"sigma_mm": (0.70, 0.85), "boost": (0.0, 0.0)},
    "lung": {"sigma_mm": (0.24, 0.30), "boost": (0.9, 1.3)},
}


@dataclass(frozen=True)
class CTSettings:
    """One way of scanning.

    Args:
        kvp: Tube voltage.
        pixel_mm, thickness_mm, interval_mm: Of voxels; interval from plane to plane.
        kernel: Name of the family.
        sigma_mm: Standard deviation of the kernel's blur.
        boost: Lift of middle frequencies; edges overshoot.
        noise_hu: Standard deviation of the noise.
        dose: Photons behind metal: little dose makes streaks.
    """

    kvp: float
    pixel_mm: float
    thickness_mm: float
    interval_mm: float
    kernel: str
    sigma_mm: float
    boost: float
    noise_hu: float
    dose: float = 1.0

    def transfer(self, frequency: Float) -> Float:
        """Return the modulation transfer at spatial frequencies, 1/mm."""
        blur = np.exp(-2 * (np.pi * frequency * self.sigma_mm) ** 2)
        middle = 0.35 / self.sigma_mm
        lift = np.exp(-(((frequency - middle) / (0.6 * middle)) ** 2)) - np.exp(-((1 / 0.6) ** 2))
        return np.asarray(blur * (1 + self.boost * np.maximum(lift, 0)))


@dataclass(frozen=True)
class _Range:
    kvp: tuple[float, ...]
    kernels: tuple[str, ...]
    thickness_mm: tuple[float, float]
    noise_hu: tuple[float, float]


_RANGES: dict[str, _Range] = {
    "usual": _Range((100, 110, 120), ("soft", "standard", "bone"), (0.5, 3.0), (4, 22)),
    "unseen": _Range((80, 90, 130, 140), ("smooth", "lung"), (3.2, 5.0), (5, 24)),
}


def draw_ct(rng: np.random.Generator, domain: str, size_mm: float) -> CTSettings:
    """Draw how a lesion of that size is scanned.

    Small lesions are scanned with thin planes and small pixels in both domains, as in practice:
    what nobody could see is no truth to learn from.
    """
    ranges = _RANGES[domain]
    kernel = str(rng.choice(ranges.kernels))
    low, high = ranges.thickness_mm
    thickness = float(rng.uniform(low, high))
    if size_mm < 12:
        thickness = float(rng.uniform(0.5, max(0.8, 0.25 * size_mm)))
    thickness = round(thickness, 2)
    interval = thickness * float(rng.choice([1.0, 1.0, 1.0, 0.8, 0.5]))
    family = KERNELS[kernel]
    sharp = float(rng.uniform(1.0, 2.4)) if kernel in ("bone", "lung") else 1.0
    noise = float(rng.uniform(*ranges.noise_hu)) * sharp
    return CTSettings(
        kvp=float(rng.choice(ranges.kvp)),
        pixel_mm=_pixel(rng, size_mm),
        thickness_mm=thickness,
        interval_mm=round(interval, 3),
        kernel=kernel,
        sigma_mm=float(rng.uniform(*family["sigma_mm"])),
        boost=float(rng.uniform(*family["boost"])),
        noise_hu=noise,
        dose=float(rng.uniform(0.4, 2.0)),
    )


def _pixel(rng: np.random.Generator, size_mm: float) -> float:
    """Return a pixel's side, mm: large lesions are scanned with a large field of view."""
    low = 0.35 if size_mm < 40 else 0.5
    high = min(0.95, 0.4 + size_mm / 25)
    return round(float(max(rng.uniform(low, high), size_mm * 1.75 / 300)), 4)
