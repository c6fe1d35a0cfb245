"""Pictures in the place of a lesion: with that lesion's box, size and way of being stored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from calcilens.phantoms.ct_patches import visible_ct
from calcilens.phantoms.ct_settings import Domain
from calcilens.phantoms.drafts import Job
from calcilens.phantoms.radiograph_patches import visible_radiograph
from calcilens.training.samples import Sample

Float = NDArray[np.float64]
Rng = np.random.Generator
Shape = tuple[int, int, int]
HU_OF_CROP = (-1000.0, 1400.0)
"""Lowest HU and span that a crop without HU is taken for."""


@dataclass(frozen=True, eq=False)
class Donor:
    """A lesion whose place another picture takes.

    Args:
        sample: As `samples.CutLesion` gives it.
        modality: CT or radiograph.
        number: Which of the donors.
    """

    sample: Sample
    modality: str
    number: int

    @property
    def shape(self) -> Shape:
        """Shape (P, S, S) of its patch."""
        planes, height, width = self.sample["pixels"].shape
        return planes, height, width

    @property
    def tissue(self) -> Float:
        """Its pixels (P, S, S) as HU, roughly where these were lost."""
        pixels = np.asarray(self.sample["pixels"], np.float64)
        if self.sample["calibrated"]:
            return pixels
        low, high = pixels.min(), pixels.max()
        return np.asarray(HU_OF_CROP[0] + HU_OF_CROP[1] * (pixels - low) / max(high - low, 1))


def simulated_ct(rng: Rng, domain: Domain, shape: Shape) -> Float:
    """Simulate CT (P, S, S) in HU."""
    job = Job("ct", int(rng.integers(1_000_000)), domain, Path())
    hu = visible_ct(job, 0)[2].hu.astype(np.float64)
    return fitted(hu[len(hu) // 2][None], shape)


def simulated_film(rng: Rng, domain: Domain, shape: Shape) -> Float:
    """Simulate part of a radiograph (P, S, S)."""
    job = Job("radiograph", int(rng.integers(1_000_000)), domain, Path())
    film = visible_radiograph(job, 0)[2].pixels.astype(np.float64)
    return cropped(rng, film[None], shape)


def stored(rng: Rng, donor: Donor, picture: Float) -> Float:
    """Store a picture in the range of bytes, of raw detector values, or of tissue in HU."""
    low, high = picture.min(), picture.max()
    unit = (picture - low) / max(high - low, 1e-9)
    if not donor.sample["calibrated"]:
        return np.asarray(np.round(255 * unit))
    start, span = [(0, 255), (0, 4095), (-1024, 2048)][rng.integers(3)]
    return np.asarray(np.round(start + span * unit))


def to_bytes(values: Float) -> Float:
    low, high = values.min(), values.max()
    return np.asarray(np.round(255 * (values - low) / max(high - low, 1)))


def cropped(rng: Rng, stack: Float, shape: Shape) -> Float:
    """Crop a random square of planes (Z, Y, X) and fit it to (P, S, S)."""
    depth, height, width = stack.shape
    side = int(rng.integers(min(height, width) // 2, min(height, width) + 1))
    y, x = (int(rng.integers(0, n - side + 1)) for n in (height, width))
    first = int(rng.integers(0, max(depth - shape[0], 0) + 1))
    part = stack[first : first + shape[0], y : y + side, x : x + side]
    return fitted(part[..., ::-1] if rng.random() < 0.5 else part, shape)


def fitted(planes: Float, shape: Shape) -> Float:
    """Resize planes (Z, Y, X) to (P, S, S); the last repeats where there are too few."""
    resized = [
        np.asarray(
            Image.fromarray(p.astype(np.float32)).resize(shape[:0:-1], Image.Resampling.BILINEAR)
        )
        for p in planes[: shape[0]]
    ]
    return np.stack([resized[min(i, len(resized) - 1)] for i in range(shape[0])]).astype(np.float64)


def clouds(rng: Rng, shape: Shape, power: float) -> Float:
    """Draw clouds (P, S, S), the same on all planes: mean 0, standard deviation 1."""
    side = shape[-1]
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.normal(size=(side, side))) / frequency**power
    drawn = np.fft.irfft2(spectrum, (side, side))
    return np.broadcast_to((drawn - drawn.mean()) / drawn.std(), shape)
