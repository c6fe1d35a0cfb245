"""Pictures that are no lesions of the model's modality: it must call them out of domain.

Everything comes from inside installed packages or is simulated; nothing is fetched. A stranger
takes the place of a lesion: it has that lesion's box, size and way of being stored.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import nibabel
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_sample_images

from calcilens.phantoms.ct_patches import visible_ct
from calcilens.phantoms.drafts import Job
from calcilens.phantoms.radiograph_patches import visible_radiograph

Float = NDArray[np.float64]
Rng = np.random.Generator
Sample = dict[str, Any]
HU_OF_CROP = (-1000.0, 1400.0)
"""Lowest HU and span that a crop without HU is taken for."""
METAL_HU = (3000.0, 8000.0)


@dataclass(frozen=True, eq=False)
class Donor:
    """A lesion whose place a stranger takes.

    Args:
        sample: As `samples.CutLesion` gives it.
        modality: CT or radiograph.
        number: Which of the donors.
    """

    sample: Sample
    modality: str
    number: int

    @property
    def shape(self) -> tuple[int, int, int]:
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


def strangers(donors: Sequence[Donor], seed: int = 0) -> Iterator[tuple[str, Sample]]:
    """Make one stranger of every kind for every donor.

    Yields:
        Its kind and the sample, as `samples.ScaleLesion` takes it.
    """
    for donor in donors:
        for place, (kind, make) in enumerate(MAKERS.items()):
            rng = np.random.default_rng([seed, place, donor.number])
            pixels = make(rng, donor)
            yield kind, donor.sample | {"pixels": pixels.astype(np.float32), "mask": None}


def photograph(rng: Rng, donor: Donor) -> Float:
    """Crop a photograph."""
    pictures = _photographs()
    return _stored(rng, donor, _crop(rng, pictures[rng.integers(len(pictures))][None], donor.shape))


def magnetic_resonance(rng: Rng, donor: Donor) -> Float:
    """Crop an MR image of a head."""
    volumes = _mr_volumes()
    return _stored(rng, donor, _crop(rng, volumes[rng.integers(len(volumes))], donor.shape))


def as_mr(rng: Rng, donor: Donor) -> Float:
    """Give tissue the contrast that it has in MR: cortical bone and air dark, fat bright."""
    tissue = donor.tissue if donor.modality == "CT" else _ct(rng, donor.shape)
    water, fat = rng.choice([0.3, 0.9]), rng.choice([0.5, 0.95])
    signals = [0, 0.02, fat, fat, water, 0.45, 0.5, 0.25, 0.05, 0]
    known = [-1000, -300, -120, -70, 5, 50, 150, 300, 700, 3000]
    signal = gaussian_filter(np.interp(tissue, known, signals), (0, 0.7, 0.7))
    coil = 1 + 0.4 * _pink(rng, donor.shape, 3.0)
    real, imaginary = rng.normal(0, rng.uniform(0.01, 0.05), (2, *donor.shape))
    return _stored(rng, donor, np.hypot(signal * np.clip(coil, 0.3, None) + real, imaginary))


def noise(rng: Rng, donor: Donor) -> Float:
    """Draw noise: normal, uniform, rare extremes, or of a cloudy spectrum."""
    draws: list[Callable[[], Float]] = [
        lambda: rng.normal(0.5, 0.15, donor.shape),
        lambda: rng.random(donor.shape),
        lambda: rng.choice([0, 0.5, 1], donor.shape, p=[0.1, 0.8, 0.1]),
        lambda: 0.5 + 0.2 * _pink(rng, donor.shape, rng.uniform(0.5, 1.5)),
    ]
    return _stored(rng, donor, draws[rng.integers(len(draws))]())


def blank(rng: Rng, donor: Donor) -> Float:
    """Fill with 0 or another single value."""
    return np.full(donor.shape, 0.0 if rng.random() < 0.5 else float(rng.integers(-1000, 2000)))


def metal(rng: Rng, donor: Donor) -> Float:
    """Lay an implant over the lesion: bars, saturated, with streaks beside them in CT."""
    side = donor.shape[1]
    y, x = np.indices((side, side)) - (side - 1) / 2
    inside = np.zeros((side, side), bool)
    while inside.mean() < 0.2:
        angle, offset = rng.uniform(0, np.pi), rng.uniform(-0.25, 0.25) * side
        along = np.abs(x * np.cos(angle) + y * np.sin(angle) - offset)
        across = np.abs(y * np.cos(angle) - x * np.sin(angle))
        inside |= (along < rng.uniform(0.05, 0.2) * side) & (across < rng.uniform(0.3, 0.8) * side)
    if donor.modality != "CT":
        film = np.asarray(donor.sample["pixels"], np.float64)
        bright = film.max() + rng.uniform(0.2, 1) * max(np.ptp(film), 1)
        return np.where(inside, bright, gaussian_filter(film, (0, 1, 1)))
    rays = np.sin(np.arctan2(y, x) * rng.integers(6, 20) + rng.uniform(0, 6)) / (1 + np.hypot(y, x))
    streaked = donor.tissue + rng.uniform(3000, 12000) * rays
    hu = np.where(inside, rng.uniform(*METAL_HU), np.clip(streaked, -1024, None))
    return hu if donor.sample["calibrated"] else _to_bytes(hu)


def other_modality(rng: Rng, donor: Donor) -> Float:
    """Show a radiograph to a CT model, and CT to a radiograph model."""
    if donor.modality != "CT":
        return _stored(rng, donor, _ct(rng, donor.shape))
    job = Job("radiograph", int(rng.integers(1_000_000)), "unseen", Path())
    film = visible_radiograph(job, 0)[2].pixels.astype(np.float64)
    return _stored(rng, donor, _crop(rng, film[None], donor.shape))


MAKERS: dict[str, Callable[[Rng, Donor], Float]] = {
    "photograph": photograph,
    "MR": magnetic_resonance,
    "CT with the contrast of MR": as_mr,
    "noise": noise,
    "blank": blank,
    "metal": metal,
    "other modality": other_modality,
}


def _ct(rng: Rng, shape: tuple[int, int, int]) -> Float:
    """Simulate CT (P, S, S) in HU."""
    job = Job("ct", int(rng.integers(1_000_000)), "unseen", Path())
    hu = visible_ct(job, 0)[2].hu.astype(np.float64)
    return _fit(hu[len(hu) // 2][None], shape)


def _stored(rng: Rng, donor: Donor, picture: Float) -> Float:
    """Store a picture in the range of bytes, of raw detector values, or of tissue in HU."""
    low, high = picture.min(), picture.max()
    unit = (picture - low) / max(high - low, 1e-9)
    if not donor.sample["calibrated"]:
        return np.asarray(np.round(255 * unit))
    start, span = [(0, 255), (0, 4095), (-1024, 2048)][rng.integers(3)]
    return np.asarray(np.round(start + span * unit))


def _to_bytes(values: Float) -> Float:
    low, high = values.min(), values.max()
    return np.asarray(np.round(255 * (values - low) / max(high - low, 1)))


def _crop(rng: Rng, stack: Float, shape: tuple[int, int, int]) -> Float:
    """Crop a random square of planes (Z, Y, X) and fit it to (P, S, S)."""
    depth, height, width = stack.shape
    side = int(rng.integers(min(height, width) // 2, min(height, width) + 1))
    y, x = (int(rng.integers(0, n - side + 1)) for n in (height, width))
    first = int(rng.integers(0, max(depth - shape[0], 0) + 1))
    part = stack[first : first + shape[0], y : y + side, x : x + side]
    return _fit(part[..., ::-1] if rng.random() < 0.5 else part, shape)


def _fit(planes: Float, shape: tuple[int, int, int]) -> Float:
    """Resize planes (Z, Y, X) to (P, S, S); the last repeats where there are too few."""
    resized = [
        np.asarray(
            Image.fromarray(p.astype(np.float32)).resize(shape[:0:-1], Image.Resampling.BILINEAR)
        )
        for p in planes[: shape[0]]
    ]
    return np.stack([resized[min(i, len(resized) - 1)] for i in range(shape[0])]).astype(np.float64)


def _pink(rng: Rng, shape: tuple[int, int, int], power: float) -> Float:
    """Draw clouds (P, S, S), the same on all planes: mean 0, standard deviation 1."""
    side = shape[-1]
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.normal(size=(side, side))) / frequency**power
    clouds = np.fft.irfft2(spectrum, (side, side))
    return np.broadcast_to((clouds - clouds.mean()) / clouds.std(), shape)


_SAMPLES = Path(matplotlib.get_data_path()) / "sample_data"


@cache
def _photographs() -> list[Float]:
    """Return photographs (Y, X): a building, a flower and a person."""
    person = np.asarray(Image.open(_SAMPLES / "grace_hopper.jpg").convert("RGB"))
    return [np.asarray(p, np.float64).mean(2) for p in (*load_sample_images().images, person)]


@cache
def _mr_volumes() -> list[Float]:
    """Return MR images (Z, Y, X) of heads."""
    plane = np.frombuffer(gzip.decompress((_SAMPLES / "s1045.ima.gz").read_bytes()), np.uint16)
    path = Path(nibabel.__file__).parent / "tests" / "data" / "example4d.nii.gz"
    volume = np.asarray(nibabel.load(path).dataobj, np.float64)[..., 0]
    return [plane.reshape(1, 256, 256).astype(np.float64), np.moveaxis(volume, -1, 0)[4:20]]
