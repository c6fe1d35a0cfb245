"""Processing of radiographs, as vendors do it: from log exposure to grey, bright is dense.

Fuji's multi-frequency and Agfa's multi-scale processing are the models (Prokop et al., Eur
Radiol 2003): detail is lifted, faint detail most, and large differences of brightness reduced.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from calcilens.phantoms.exposure import Blurs, Scout
from calcilens.phantoms.solids import Field
from calcilens.phantoms.xray_settings import XRay

_BANDS_MM = (0.25, 0.7, 2.0, 5.0, 13.0)
_TYPICAL = 0.12
"""A usual difference of log exposure within one band."""


def processed(log: Field, seen: Scout, xray: XRay) -> Field:
    """Return grey (Y, X) in 0..1.

    Args:
        log: (Y, X) minus the logarithm of the share of the open beam.
        seen: The scout, whose range brightness is set by.
        xray: Settings.
    """
    return _FAMILIES[xray.processing](log, seen, xray)


def _width(seen: Scout, xray: XRay) -> float:
    return xray.latitude * max(seen.high - seen.low, 0.8)


def _curve(log: Field, seen: Scout, xray: XRay, middle: float | None = None) -> Field:
    """Return grey by a characteristic curve: steep in the middle, flat at the ends."""
    centre = (seen.low + seen.high) / 2 if middle is None else middle
    shift = np.log(xray.brightness / (1 - xray.brightness))
    steep = 3.4 / _width(seen, xray)
    return np.asarray(1 / (1 + np.exp(-(steep * (log - centre) + shift))), np.float32)


def _film(log: Field, seen: Scout, xray: XRay) -> Field:
    return _curve(_unmasked(log, xray, 0.3 * xray.sharpness, 1.5), seen, xray)


def _unmasked(log: Field, xray: XRay, strength: float, sigma_mm: float) -> Field:
    blurred = Blurs(log).by(sigma_mm / xray.pixel_mm)
    return np.asarray(log + np.float32(strength) * (log - blurred), np.float32)


def _unsharp(log: Field, seen: Scout, xray: XRay) -> Field:
    sigma_mm = 0.8 + 4 * (1 - xray.sharpness)
    return _curve(_unmasked(log, xray, 0.5 + 1.2 * xray.sharpness, sigma_mm), seen, xray)


def _multiscale(log: Field, seen: Scout, xray: XRay) -> Field:
    """Split into bands, lift faint ones, and put together again over a flattened base."""
    blurs = Blurs(log)
    power = 1 - 0.4 * xray.sharpness
    middle = (seen.low + seen.high) / 2
    upper, total = log, np.zeros_like(log)
    for sigma_mm in _BANDS_MM:
        lower = blurs.by(sigma_mm / xray.pixel_mm)
        band = upper - lower
        gain = (np.abs(band) / _TYPICAL + 0.05) ** (power - 1)
        # The finest band holds the noise: it is not lifted.
        total += band * (gain if sigma_mm > _BANDS_MM[0] else np.float32(1.0))
        upper = lower
    base = _flattened(upper - middle, seen, 1 - 0.5 * xray.sharpness)
    return _curve(total + base, seen, xray, middle=0.0)


def _flattened(off: Field, seen: Scout, factor: float) -> Field:
    """Return differences of brightness reduced within the body; around it, air stays black."""
    half = (seen.high - seen.low) / 2
    body = np.clip(off, -half, half)
    return np.asarray(body * np.float32(factor) + (off - body), np.float32)


def _equalised(log: Field, seen: Scout, xray: XRay) -> Field:
    """Make brightness and contrast alike all over the image."""
    sigma = (5 + 8 * (1 - xray.sharpness)) / xray.pixel_mm
    mean = Blurs(log).by(sigma)
    off = log - mean
    spread = np.sqrt(np.maximum(Blurs(off * off).by(sigma), 0))
    typical = 0.25 * _width(seen, xray)
    even = off * (typical / (spread + 0.35 * typical)) ** 0.7
    middle = (seen.low + seen.high) / 2
    even = even + _flattened(mean - middle, seen, 0.4)
    return _curve(np.asarray(even, np.float32), seen, xray, middle=0.0)


def _root(log: Field, seen: Scout, xray: XRay) -> Field:
    """Return a straight line of a power of the signal: dense parts lie close together."""
    power = 0.25 + 0.35 * (1 - xray.brightness)
    sharp = _unmasked(log, xray, 0.4 * xray.sharpness, 0.6)
    dark, bright = np.exp(-power * (seen.low - 0.15)), np.exp(-power * (seen.high + 0.6))
    return np.asarray(np.clip((dark - np.exp(-power * sharp)) / (dark - bright), 0, 1))


_FAMILIES: dict[str, Callable[[Field, Scout, XRay], Field]] = {
    "film": _film,
    "unsharp": _unsharp,
    "multiscale": _multiscale,
    "equalised": _equalised,
    "root": _root,
}
