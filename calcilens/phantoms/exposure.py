"""Exposure of a detector: what comes through, what is scattered, how noisy and blurred it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.fft import dctn, idctn
from scipy.ndimage import gaussian_filter

from calcilens.phantoms.frames import Frame, Raster, sampled
from calcilens.phantoms.materials import BASE_NAMES, beam
from calcilens.phantoms.projection import masses
from calcilens.phantoms.solids import Field, Float
from calcilens.phantoms.tubes import Tube
from calcilens.phantoms.xray_settings import XRay

PHOTONS_PER_UGY_MM2 = 30_000.0
"""At the voltages of diagnostic X-rays (Boone and Seibert 1997)."""
_EXCESS = 1.15
"""Noise power of a detector that integrates energy, over that of one that counts photons."""
_NOISE_BLUR = 0.6
_SCOUT_MM, _AROUND_MM, _SCATTER_MM = 7.0, 60.0, 22.0
_SEEN_MM = 4.0
"""Radius of the smallest parts of a body that matter to scatter and brightness."""
_GRID_PASSES = 0.2
_LEAKAGE = 3e-4
DARKEST = 1e-4
"""Least signal that a detector tells from none, as a share of the open beam's."""


@dataclass(frozen=True, eq=False)
class Scout:
    """The whole exposed field seen coarsely: what scatter and brightness depend on.

    Args:
        raster: Where its points lie.
        scattered: (Z, X) share of the open beam's energy.
        level: Mean signal behind the body.
        low, high: Log exposures between which nearly all of the body lies.
    """

    raster: Raster
    scattered: Field
    level: float
    low: float
    high: float


def transmitted(mass: Field, xray: XRay) -> Field:
    """Return the share of the beam's energy that passes masses (bases..., Y, X)."""
    source = beam(xray.kvp)
    weight = source.fluence * source.kev / (source.fluence @ source.kev)
    used = [b for b in range(len(BASE_NAMES)) if mass[b].any()]
    total = np.zeros(mass.shape[1:], np.float32)
    for share, *mu in zip(weight, *source.attenuation[used], strict=True):
        depth = np.zeros_like(total)
        for factor, base in zip(mu, used, strict=True):
            depth += np.float32(-factor) * mass[base]
        total += np.float32(share) * np.exp(depth, out=depth)
    return total


def scout(body: Sequence[Tube], frame: Frame, xray: XRay, opened: Float) -> Scout:
    """Look at the exposed field around a frame.

    Args:
        body: Tubes in painting order.
        frame: Of the image.
        xray: Settings.
        opened: (2, 2) what the blades leave open, as (z, x) bounds, mm.
    """
    low, high = frame.bounds() + np.array([[-1.0], [1.0]]) * _AROUND_MM
    count = np.ceil((high - low) / _SCOUT_MM).astype(int) + 1
    raster = Raster(low, np.full(2, _SCOUT_MM), (int(count[0]), int(count[1])))
    mass = masses([t for t in body if t.radius.max() > _SEEN_MM], raster)
    primary = transmitted(mass, xray)
    tissue = mass[: len(BASE_NAMES)].sum(0)
    z, x = raster.axis(0)[:, None], raster.axis(1)[None]
    inside = (z > opened[0, 0]) & (z < opened[1, 0]) & (x > opened[0, 1]) & (x < opened[1, 1])
    ratio = xray.scatter * (tissue / 10) ** 1.6 * (_GRID_PASSES if xray.grid else 1.0)
    scattered = gaussian_filter(primary * ratio * inside, _SCATTER_MM / _SCOUT_MM, mode="constant")
    signal = (primary + scattered)[inside & (tissue > 0.5)]
    if not len(signal):
        signal = (primary + scattered).ravel()
    low_log, high_log = np.percentile(-np.log(np.maximum(signal, DARKEST)), (3, 98))
    return Scout(
        raster, scattered.astype(np.float32), float(signal.mean()), float(low_log), float(high_log)
    )


def exposed(
    primary: Field, open_share: Field | float, seen: Scout, frame: Frame, xray: XRay
) -> tuple[Field, float]:
    """Return the signal without noise, and the photons a pixel gets in the open beam.

    Args:
        primary: (Y, X) share of the energy that passes.
        open_share: (Y, X) how far the blades let the beam pass, 0..1.
        seen: The scout.
        frame: Of the image.
        xray: Settings.
    """
    spot_mm = 0.35 * xray.focal_mm * (xray.magnification - 1) / xray.magnification
    sharp = gaussian_filter(primary, spot_mm / frame.spacing_mm, truncate=3)
    signal = sharp * (open_share + (1 - open_share) * np.float32(_LEAKAGE))
    signal += sampled(seen.scattered, seen.raster, frame)
    dose = xray.dose_ugy / seen.level
    return signal, dose * PHOTONS_PER_UGY_MM2 * xray.pixel_mm**2


def detected(signal: Field, photons: float, xray: XRay, rng: np.random.Generator) -> Field:
    """Return the signal with blur of the detector, quantum noise and its own unevenness.

    Noise is blurred less than what it lies on (Lubberts, J Opt Soc Am 1968).
    """
    sigma = xray.blur_mm / xray.pixel_mm
    noise = rng.standard_normal(signal.shape, dtype=np.float32)
    noise *= np.sqrt(np.maximum(signal, 0) * np.float32(_EXCESS / photons))
    noise = gaussian_filter(noise, _NOISE_BLUR * sigma, truncate=3)
    noise += gaussian_filter(signal, sigma, truncate=3)
    grain = rng.standard_normal(signal.shape, dtype=np.float32)
    noise *= 1 + np.float32(xray.structure) * grain
    return np.asarray(np.maximum(noise, DARKEST))


def noise_at(signal: Field, photons: float, xray: XRay) -> Field:
    """Return the standard deviation of log exposure (Y, X), averaged over a square millimetre."""
    quantum = _EXCESS / (np.maximum(signal, DARKEST) * photons)
    per_mm2 = (quantum + xray.structure**2) * xray.pixel_mm**2
    return np.asarray(np.sqrt(per_mm2), np.float32)


class Blurs:
    """Copies of an image blurred by Gaussians, mirrored at its edges."""

    def __init__(self, image: Field) -> None:
        self.spectrum = dctn(image, norm="ortho")
        self.axes = [
            (np.arange(n, dtype=np.float32) * np.float32(np.pi / n)) ** 2 for n in image.shape
        ]

    def by(self, sigma_px: float) -> Field:
        """Return the image blurred by a standard deviation in pixels."""
        y, x = (np.exp(np.float32(-0.5 * sigma_px**2) * axis) for axis in self.axes)
        return np.asarray(idctn(self.spectrum * y[:, None] * x, norm="ortho"), np.float32)
