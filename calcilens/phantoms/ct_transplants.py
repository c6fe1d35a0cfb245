"""Simulated lesions in real CT: mineral is added to a series, and its noise stays as it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from calcilens.errors import InputError, compose
from calcilens.imaging.anatomy import AIR_HU, Anatomy, anatomy
from calcilens.imaging.images import Volume
from calcilens.phantoms.anatomy import Rng
from calcilens.phantoms.backgrounds import choose_background, draw_guest
from calcilens.phantoms.ct import HIGHEST_HU, LOWEST_HU, lay_lesion, mineral_mask
from calcilens.phantoms.ct_patches import (
    LEAST_CONTRAST,
    LEAST_RISE_HU,
    PLANES,
    mineral_height,
    save_nifti,
    voxel_box,
)
from calcilens.phantoms.ct_settings import CTSettings
from calcilens.phantoms.drafts import LEAST_PX, WIDER, Job, patch_id, truth_line
from calcilens.phantoms.materials import BASE_NAMES, hu_per_density, tissue_hu
from calcilens.phantoms.scene import Lesion
from calcilens.phantoms.solids import Field, Float, Grid

ABSENT = ("nothing", "plain_mass")
USUAL_KVP = 120.0
"""Taken where a series does not say its tube voltage."""
_LEAST_ROOM_MM = 3.0
_TISSUE_HU, _FILLED_HU = -180.0, 140.0
"""Soft tissue lies between; above is contrast medium in vessels and the heart."""
_LOOK_MM, _SMOOTH_MM = 2.0, 1.5
_DENSER = 5.0
_EDGE_HU, _EDGE_MM = 600.0, 6.0
_BLUR_MM, _USUAL_BLUR_MM = (0.25, 1.2), 0.5


@dataclass(frozen=True, eq=False)
class Ground:
    """What a series offers to lesions.

    Args:
        volume: The series.
        found: Its body and bones, and its noise.
        room_mm: (z, y, x) distance to the nearest air, bone or dense voxel, every `stride` voxels.
        stride: (3,) voxels.
        blur_mm: Standard deviation of the kernel's blur.
    """

    volume: Volume
    found: Anatomy
    room_mm: Float
    stride: NDArray[np.int64]
    blur_mm: float


@lru_cache(maxsize=2)
def ground(volume: Volume) -> Ground:
    """Look for soft tissue in a series, clear of air, bone and all that is dense already."""
    found = anatomy(volume)
    spacing = np.array(volume.spacing_mm)
    width = np.maximum(np.rint(_LOOK_MM / spacing).astype(int), 1)
    even = ndimage.uniform_filter(volume.hu.astype(np.float32), (1, *width[1:]))
    free = found.body & ~found.bone & (even > _TISSUE_HU) & (even < min(found.level_hu, _FILLED_HU))
    few = free[tuple(slice(None, None, step) for step in width)]
    room = ndimage.distance_transform_edt(few, sampling=spacing * width)
    return Ground(volume, found, np.asarray(room), width, edge_blur_mm(volume))


def edge_blur_mm(volume: Volume) -> float:
    """Return the blur of a series, measured at edges between air and skin.

    An edge of height H that is blurred by a standard deviation s is H / (s sqrt(2 pi)) steep.
    Where none is in view, that of a usual kernel is returned.
    """
    plane = volume.hu[len(volume.hu) // 2].astype(np.float32)
    spacing = np.array(volume.spacing_mm[1:])
    steep = ndimage.maximum_filter(np.hypot(*np.gradient(plane, *spacing)), 3)
    width = [2 * round(_EDGE_MM / 2 / float(side)) + 1 for side in spacing]
    height = ndimage.maximum_filter(plane, width) - ndimage.minimum_filter(plane, width)
    body = plane > AIR_HU
    edge = (body ^ ndimage.binary_erosion(body)) & (height > _EDGE_HU)
    if not edge.any():
        return _USUAL_BLUR_MM
    blur = np.percentile(height[edge] / (steep[edge] * np.sqrt(2 * np.pi)), 50)
    # Differences of neighbours two pixels apart have a blur of their own.
    own = spacing.mean() ** 2 / 3
    return float(np.clip(np.sqrt(max(blur**2 - own, 0)), *_BLUR_MM))


def write_ct_transplant(job: Job, folder: Path, number: int) -> dict[str, Any]:
    """Write a piece of a real series with a lesion in it, and its mask; return its truth."""
    background, volume = choose_background(folder, job, number, Volume)
    place = ground(volume)
    rng = job.rng(3, number)
    room_mm = float(place.room_mm.max())
    if room_mm < _LEAST_ROOM_MM:
        found = f"{room_mm:.1f} mm at most in series {volume.series_uid}"
        raise InputError(compose("room for a lesion in soft tissue", found, where="--backgrounds"))
    draft = draw_guest(rng, room_mm, ABSENT)
    lesion, plane = moved(rng, draft.lesion, place)
    settings = _settings(place, background.kvp or USUAL_KVP, background.kernel)
    piece = implanted(rng, lesion, plane, place, settings)
    name = patch_id(number)
    save_nifti(job.out / "images" / f"{name}.nii", piece.hu, volume.spacing_mm)
    mask = piece.mask if lesion.patterns else None
    if mask is not None:
        save_nifti(job.out / "masks" / f"{name}.nii.gz", mask.astype(np.uint8), volume.spacing_mm)
    return truth_line(job, number, draft) | {
        "person": background.person,
        "site": background.site,
        "background": "real",
        "image": f"images/{name}.nii",
        "mask": f"masks/{name}.nii.gz" if mask is not None else None,
        "modality": "CT",
        "box": piece.box,
        "key_plane": piece.key_plane,
        "spacing_mm": [round(s, 5) for s in volume.spacing_mm],
        "kvp": background.kvp,
        "kernel": background.kernel,
        "blur_mm": round(place.blur_mm, 3),
        "noise_hu": round(settings.noise_hu, 2),
        "contrast_hu": round(piece.contrast_hu, 1),
    }


def _settings(place: Ground, kvp: float, kernel: str | None) -> CTSettings:
    """Return how a series was acquired."""
    z, y, x = place.volume.spacing_mm
    noise = place.found.noise_hu
    return CTSettings(kvp, min(y, x), z, z, kernel or "unknown", place.blur_mm, 0.0, noise)


def moved(rng: Rng, lesion: Lesion, place: Ground) -> tuple[Lesion, int]:
    """Move a lesion to a place with room for it; return it and the plane that shows it."""
    wanted = min(0.42 * lesion.size_mm, 0.95 * float(place.room_mm.max()))
    free = np.argwhere(place.room_mm >= wanted)
    voxel = free[rng.integers(len(free))] * place.stride
    middle = lesion.box.mean(0)
    middle[0] = mineral_height(rng, lesion)
    shift = voxel * np.array(place.volume.spacing_mm) - middle
    parts = lesion.parts.posed(np.eye(3), shift)
    return replace(lesion, parts=parts, box=lesion.box + shift), int(voxel[0])


@dataclass(frozen=True, eq=False)
class Piece:
    """A piece of a real series with a lesion in it.

    Args:
        window: Where in the series it lies.
        hu: (Z, Y, X) int16.
        mask: (Z, Y, X) bool: the lesion's mineral.
        box: Half-open voxel box.
        key_plane: Plane that shows it.
        contrast_hu: Highest rise of HU that mineral makes in that plane.
    """

    window: tuple[slice, slice, slice]
    hu: NDArray[np.int16]
    mask: NDArray[np.bool_]
    box: list[list[int]]
    key_plane: int
    contrast_hu: float


def implanted(rng: Rng, lesion: Lesion, plane: int, place: Ground, settings: CTSettings) -> Piece:
    """Put a lesion into a series.

    Args:
        rng: Draws how uneven it is.
        lesion: In millimetres from the middle of the first voxel.
        plane: That shows it.
        place: The series.
        settings: How it was acquired.
    """
    window = _window(lesion, plane, place.volume)
    spacing = np.array(place.volume.spacing_mm)
    start = np.array([part.start for part in window])
    real = place.volume.hu[window].astype(np.float32)
    grid = Grid(start * spacing, spacing, (real.shape[0], real.shape[1], real.shape[2]))
    # The tissue that a lesion displaces is taken without its noise, which stays.
    ground_hu = ndimage.gaussian_filter(real, (0, *(_SMOOTH_MM / spacing[1:])))
    spared = (place.found.bone[window] | (real < AIR_HU)).astype(np.float32)
    after = ground_hu.copy()
    body = (tissue_hu(settings.kvp).astype(np.float32), after, spared)
    mineral, share = lay_lesion(lesion, settings, grid, rng, body)
    blur = (0, *(settings.sigma_mm / spacing[1:]))
    per_density = float(hu_per_density(settings.kvp)[BASE_NAMES.index("mineral")])
    rise: Field = ndimage.gaussian_filter(mineral * np.float32(per_density), blur)
    key = plane - window[0].start
    contrast = float(rise[key].max())
    wanted = max(LEAST_CONTRAST * settings.noise_hu, LEAST_RISE_HU)
    denser = float(np.clip(1.1 * wanted / max(contrast, 1.0), 1.0, _DENSER))
    hu = real + ndimage.gaussian_filter(after - ground_hu, blur) + denser * rise
    return Piece(
        window,
        np.clip(np.rint(hu), LOWEST_HU, HIGHEST_HU).astype(np.int16),
        mineral_mask(share),
        _box(lesion, grid, key),
        key,
        denser * contrast,
    )


def _box(lesion: Lesion, grid: Grid, key: int) -> list[list[int]]:
    """Return the voxel box of a lesion in a piece; it holds the plane that shows it."""
    box = voxel_box(lesion.box, grid.start, tuple(grid.step), grid.shape)
    box[0][0], box[1][0] = min(box[0][0], key), max(box[1][0], key + 1)
    return box


def _window(lesion: Lesion, plane: int, volume: Volume) -> tuple[slice, slice, slice]:
    """Return the piece of a volume around a lesion, inside it."""
    spacing = np.array(volume.spacing_mm)
    widest = float(((lesion.box[1] - lesion.box[0])[1:] / spacing[1:]).max())
    side = max(LEAST_PX, int(2 * np.ceil(WIDER * widest / 2 + 1)))
    sides = np.minimum([PLANES, side, side], volume.hu.shape)
    middle = np.array([plane, *(lesion.box.mean(0)[1:] / spacing[1:])])
    first = np.clip(np.rint(middle - (sides - 1) / 2), 0, volume.hu.shape - sides).astype(int)
    z, y, x = (slice(int(a), int(a + n)) for a, n in zip(first, sides, strict=True))
    return z, y, x
