"""Pictures that are no lesions of the model's modality: it must call them out of domain.

Everything comes from inside installed packages or is simulated; nothing is fetched. A stranger
takes the place of a lesion: it has that lesion's box, size and way of being stored.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import matplotlib
import nibabel
import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_sample_images

from calcilens.training.pictures import (
    Donor,
    Float,
    Rng,
    clouds,
    cropped,
    simulated_ct,
    simulated_film,
    stored,
    to_bytes,
)
from calcilens.training.samples import Sample

METAL_HU = (3000.0, 8000.0)


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
    return stored(
        rng, donor, cropped(rng, pictures[rng.integers(len(pictures))][None], donor.shape)
    )


def magnetic_resonance(rng: Rng, donor: Donor) -> Float:
    """Crop an MR image of a head."""
    volumes = _mr_volumes()
    return stored(rng, donor, cropped(rng, volumes[rng.integers(len(volumes))], donor.shape))


def as_mr(rng: Rng, donor: Donor) -> Float:
    """Give tissue the contrast that it has in MR: cortical bone and air dark, fat bright."""
    tissue = donor.tissue if donor.modality == "CT" else simulated_ct(rng, "unseen", donor.shape)
    water, fat = rng.choice([0.3, 0.9]), rng.choice([0.5, 0.95])
    signals = [0, 0.02, fat, fat, water, 0.45, 0.5, 0.25, 0.05, 0]
    known = [-1000, -300, -120, -70, 5, 50, 150, 300, 700, 3000]
    signal = gaussian_filter(np.interp(tissue, known, signals), (0, 0.7, 0.7))
    coil = 1 + 0.4 * clouds(rng, donor.shape, 3.0)
    real, imaginary = rng.normal(0, rng.uniform(0.01, 0.05), (2, *donor.shape))
    return stored(rng, donor, np.hypot(signal * np.clip(coil, 0.3, None) + real, imaginary))


def noise(rng: Rng, donor: Donor) -> Float:
    """Draw noise: normal, uniform, rare extremes, or of a cloudy spectrum."""
    draws: list[Callable[[], Float]] = [
        lambda: rng.normal(0.5, 0.15, donor.shape),
        lambda: rng.random(donor.shape),
        lambda: rng.choice([0, 0.5, 1], donor.shape, p=[0.1, 0.8, 0.1]),
        lambda: 0.5 + 0.2 * clouds(rng, donor.shape, rng.uniform(0.5, 1.5)),
    ]
    return stored(rng, donor, draws[rng.integers(len(draws))]())


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
    return hu if donor.sample["calibrated"] else to_bytes(hu)


def other_modality(rng: Rng, donor: Donor) -> Float:
    """Show a radiograph to a CT model, and CT to a radiograph model."""
    if donor.modality != "CT":
        return stored(rng, donor, simulated_ct(rng, "unseen", donor.shape))
    return stored(rng, donor, simulated_film(rng, "unseen", donor.shape))


MAKERS: dict[str, Callable[[Rng, Donor], Float]] = {
    "photograph": photograph,
    "MR": magnetic_resonance,
    "CT with the contrast of MR": as_mr,
    "noise": noise,
    "blank": blank,
    "metal": metal,
    "other modality": other_modality,
}


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
