"""Crops of whole films for a finder: seeded scale, curve, grain, turn and place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_dilation, label

from calcilens.errors import InputError, compose
from calcilens.models.finder import film_channels

Rng = np.random.Generator
CROPS = 4
"""Crops of one drawn film."""
ON_LESION = 0.5
"""Share of the crops of a film with lesions that show one."""
_SCALE = (0.7, 1.35)
_COARSE = 4
_GAMMA, _BEND, _GRAIN = 0.5, 0.15, 0.012


@dataclass(frozen=True, eq=False)
class FilmSample:
    """A film and its mask in memory.

    Args:
        pixels: (Y, X) uint16, bright is dense.
        mask: (Y, X) uint8: 255 on a lesion, 128 where nobody can tell, else 0.
        real: Whether the film is a real one.
    """

    pixels: NDArray[np.uint16]
    mask: NDArray[np.uint8]
    real: bool


def read_sample(folder: Path, name: str, *, real: bool) -> FilmSample:
    """Read a film of a set.

    Raises:
        InputError: It is damaged, or mask and film differ in size.
    """
    try:
        with Image.open(folder / "images" / f"{name}.png") as picture:
            pixels = np.asarray(picture).astype(np.uint16)
        with Image.open(folder / "masks" / f"{name}.png") as picture:
            mask = np.asarray(picture, np.uint8)
    except OSError as error:
        found = type(error).__name__
        raise InputError(compose("a film and its mask as PNG", found, where=name)) from error
    if pixels.shape != mask.shape:
        raise InputError(compose(f"a mask of {pixels.shape}", f"{mask.shape}", where=name))
    return FilmSample(pixels, mask, real)


def crops(
    sample: FilmSample, side: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Change a film at random and cut crops out of it.

    Args:
        sample: The film.
        side: Of the crops, pixels.
        seed: Decides everything.

    Returns:
        Channels (CROPS, 2, side, side) and masks (CROPS, side, side).
    """
    rng = np.random.default_rng(seed)
    grey, mask = _scaled(sample, rng)
    channels = film_channels(_developed(grey, rng))
    wide = [max(side - n, 0) for n in mask.shape]
    pads = [(n // 2, n - n // 2) for n in wide]
    channels = np.pad(channels, [(0, 0), *pads], mode="edge")
    mask = np.pad(mask, pads)
    on = _lesions(mask)
    seen, taught = [], []
    for _ in range(CROPS):
        y, x = _corner(mask.shape, on, side, rng)
        piece = channels[:, y : y + side, x : x + side]
        k, flip = int(rng.integers(4)), bool(rng.random() < 0.5)
        seen.append(_turned(piece, k, flip=flip))
        taught.append(_turned(mask[None, y : y + side, x : x + side], k, flip=flip)[0])
    return np.stack(seen), np.stack(taught)


def _scaled(sample: FilmSample, rng: Rng) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    scale = float(np.exp(rng.uniform(*np.log(_SCALE))))
    height, width = sample.mask.shape
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    film = Image.fromarray(sample.pixels.astype(np.float32))
    resampling = Image.Resampling
    grey = np.asarray(film.resize(size, resampling.BILINEAR), np.float32)
    return grey, np.asarray(Image.fromarray(sample.mask).resize(size, resampling.NEAREST))


def _developed(grey: NDArray[np.float32], rng: Rng) -> NDArray[np.float32]:
    """Return a film (Y, X) after another characteristic curve, with some more grain."""
    low, high = np.percentile(grey, (0.5, 99.5))
    level = np.clip((grey - low) / max(float(high - low), 1e-6), 0, 1)
    curve = level ** np.float32(np.exp(rng.normal(0, _GAMMA)))
    bend = np.float32(rng.uniform(-_BEND, _BEND))
    curve = curve + bend * np.sin(2 * np.pi * curve, dtype=np.float32)
    grain = rng.standard_normal(grey.shape, dtype=np.float32)
    return np.asarray(curve + np.float32(rng.uniform(0, _GRAIN)) * grain, np.float32)


def _lesions(mask: NDArray[np.uint8]) -> list[NDArray[np.int64]]:
    """Return the pixels (N, 2) of each lesion of a mask, coarsely; specks close by are one."""
    coarse = mask[::_COARSE, ::_COARSE] == 255
    numbers, count = label(binary_dilation(coarse, iterations=2))
    numbers = np.where(coarse, numbers, 0)
    return [np.argwhere(numbers == i) * _COARSE for i in range(1, count + 1)]


def _corner(
    shape: tuple[int, ...], on: list[NDArray[np.int64]], side: int, rng: Rng
) -> tuple[int, int]:
    """Draw the first row and column of a crop."""
    room = np.array(shape) - side
    if len(on) and rng.random() < ON_LESION:
        lesion = on[rng.integers(len(on))]  # a small one as often as a large one
        middle = lesion[rng.integers(len(lesion))] + rng.integers(-side // 3, side // 3 + 1, 2)
        y, x = np.clip(middle - side // 2, 0, room)
    else:
        y, x = rng.integers(0, room + 1)
    return int(y), int(x)


def _turned(piece: NDArray, k: int, *, flip: bool) -> NDArray:  # type: ignore[type-arg]
    out = np.rot90(piece, k, (1, 2))
    return np.ascontiguousarray(out[:, :, ::-1] if flip else out)
