"""Simulated lesions in real radiographs: mineral is added to the logarithm of the exposure.

A stored radiograph is taken for a straight line of that logarithm, whose slope is not known: its
own range of greys is taken for a usual range of exposure. Where a header does not say the size
of a pixel in the patient, a usual one is taken to draw the lesion, and none is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.cluster.vq import kmeans2

from calcilens.errors import InputError, compose
from calcilens.imaging.images import Radiograph
from calcilens.phantoms.anatomy import Rng
from calcilens.phantoms.backgrounds import choose_background, draw_guest
from calcilens.phantoms.drafts import ATTEMPTS, LEAST_PX, WIDER, Draft, Job, patch_id, truth_line
from calcilens.phantoms.frames import Frame
from calcilens.phantoms.materials import BASE_NAMES, beam
from calcilens.phantoms.radiograph import mineral_mask, projected_box
from calcilens.phantoms.radiograph_patches import LEAST_VISIBLE, save_png
from calcilens.phantoms.shadows import shadow
from calcilens.phantoms.solids import Field

ABSENT = ("nothing",)
USUAL_KVP, USUAL_MM, SPANNED_LOG = 65.0, 0.15, 2.5
"""Where a header does not say: tube voltage, side of a pixel; and natural logarithms of
exposure from the 1st to the 99th percentile of a radiograph."""
_TALL = 65535
_LOOK_MM, _BLUR_MM = 4.0, 0.12
_EVEN = 0.5
_THINNED = 37
_LARGEST_MM = 12.0
_DENSER = 6.0
_PATIENT_G_CM2 = 10.0
_LEAST_CLUTTER = 0.01


@dataclass(frozen=True, eq=False)
class Film:
    """A radiograph as ground for lesions.

    Args:
        log: (Y, X) natural logarithm of attenuation, from about 0 to `SPANNED_LOG`.
        free: (N, 2) pixels in soft tissue.
        spacing_mm: Side of a pixel.
    """

    log: Field
    free: NDArray[np.int64]
    spacing_mm: float


@lru_cache(maxsize=2)
def film(image: Radiograph) -> Film:
    """Look for soft tissue in a radiograph: of three classes of grey the middle one, where even."""
    low, high = np.percentile(image.pixels, [1, 99])
    log = (image.pixels - low) / max(float(high - low), 1e-6) * SPANNED_LOG
    spacing = float(np.mean(image.spacing_mm)) if image.spacing_mm else USUAL_MM
    width = max(3, round(_LOOK_MM / spacing))
    mean = ndimage.uniform_filter(log, width)
    spread = np.sqrt(np.maximum(ndimage.uniform_filter(log**2, width) - mean**2, 0))
    inside = (spread > 0) & (mean > 0) & (mean < SPANNED_LOG)
    soft = inside & _middle_class(mean, inside)
    if soft.any():
        soft &= spread <= np.quantile(spread[soft], _EVEN)
    return Film(log.astype(np.float32), np.argwhere(soft), spacing)


def _middle_class(mean: Field, inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return where grey is nearest to the middle one of its three clusters."""
    some = mean[inside][::_THINNED].astype(float)
    if len(some) < 3:
        return np.zeros(mean.shape, bool)
    centres, _ = kmeans2(some, np.quantile(some, [0.1, 0.5, 0.9]), minit="matrix")
    low, middle, high = np.sort(centres)
    return np.asarray((mean > (low + middle) / 2) & (mean < (middle + high) / 2))


def write_film_transplant(job: Job, folder: Path, number: int) -> dict[str, Any]:
    """Write a piece of a real radiograph with a lesion in it, and its mask; return its truth."""
    background, image = choose_background(folder, job, number, Radiograph)
    place = film(image)
    if not len(place.free):
        found = f"none in series {image.series_uid}"
        raise InputError(compose("even soft tissue", found, where="--backgrounds"))
    for attempt in range(ATTEMPTS):
        rng = job.rng(3, number, attempt)
        draft = draw_guest(rng, _LARGEST_MM, ABSENT)
        piece = implanted(rng, draft, place, background.kvp or USUAL_KVP)
        if not draft.lesion.patterns or piece.visible >= LEAST_VISIBLE:
            break
    name = patch_id(number)
    save_png(job.out / "images" / f"{name}.png", piece.pixels)
    mask = piece.mask if draft.lesion.patterns else None
    if mask is not None:
        save_png(job.out / "masks" / f"{name}.png", mask.astype(np.uint8) * 255)
    return truth_line(job, number, draft) | {
        "person": background.person,
        "site": background.site,
        "background": "real",
        "image": f"images/{name}.png",
        "mask": f"masks/{name}.png" if mask is not None else None,
        "modality": "DX",
        "box": piece.box,
        "key_plane": 0,
        "spacing_mm": [None, *(image.spacing_mm or (None, None))],
        "kvp": background.kvp,
        "kernel": None,
        "visible": round(piece.visible, 2),
    }


@dataclass(frozen=True, eq=False)
class Piece:
    """A piece of a real radiograph with a lesion in it.

    Args:
        pixels: (Y, X) uint16, bright is dense.
        mask: (Y, X) bool: the lesion's mineral.
        box: Half-open voxel box of one plane.
        visible: Contrast of the mineral over what varies from pixel to pixel.
    """

    pixels: NDArray[np.uint16]
    mask: NDArray[np.bool_]
    box: list[list[int]]
    visible: float


def implanted(rng: Rng, draft: Draft, place: Film, kvp: float) -> Piece:
    """Cut a piece of a radiograph and put a lesion into it.

    Args:
        rng: Draws the place, and how uneven the lesion is.
        draft: The lesion, in the simulated segment that it was drawn in.
        place: The radiograph.
        kvp: Tube voltage.
    """
    cast = cast_into(rng, draft, place, kvp)
    return Piece(stored(place.log[cast.at] + cast.added), cast.mask, cast.box, cast.visible)


@dataclass(frozen=True, eq=False)
class Cast:
    """What a lesion adds to a radiograph.

    Args:
        at: Rows and columns of the window around it.
        added: (Y, X) natural logarithm of attenuation, in the window.
        mask: (Y, X) bool: the lesion's mineral, in the window.
        box: Half-open voxel box of one plane, in the window.
        visible: Contrast of the mineral over what varies from pixel to pixel.
    """

    at: tuple[slice, slice]
    added: Field
    mask: NDArray[np.bool_]
    box: list[list[int]]
    visible: float


def cast_into(rng: Rng, draft: Draft, place: Film, kvp: float) -> Cast:
    """Cast a lesion's shadow on soft tissue of a radiograph; the arguments are `implanted`'s."""
    lesion = draft.lesion
    box = lesion.box[:, [0, 2]]
    widest = float((box[1] - box[0]).max()) / place.spacing_mm
    side = max(LEAST_PX, int(2 * np.ceil(WIDER * widest / 2 + 1)))
    sides = np.minimum([side, side], place.log.shape)
    pixel = place.free[rng.integers(len(place.free))]
    first = np.clip(pixel - sides // 2, 0, place.log.shape - sides)
    at = (slice(first[0], first[0] + sides[0]), slice(first[1], first[1] + sides[1]))
    centre = Frame(box.mean(0), place.spacing_mm, (int(sides[0]), int(sides[1])))
    off = centre.points([pixel - first])[0] - box.mean(0)
    frame = Frame(box.mean(0) - off, place.spacing_mm, centre.shape)
    mineral = shadow(lesion, draft.scene.segment.tubes, frame, rng).mineral
    mask = mineral_mask(mineral)
    seen = np.asarray(
        ndimage.gaussian_filter(mineral * _per_g_cm2(kvp), _BLUR_MM / place.spacing_mm), np.float32
    )
    visible = _visible(seen, mask, place.log[at], place.spacing_mm)
    denser = (
        float(np.clip(1.05 * LEAST_VISIBLE / max(visible, 0.01), 1.0, _DENSER))
        if mask.any()
        else 1.0
    )
    ends = projected_box(lesion, frame)
    low = np.clip(np.floor(ends[0] + 0.5).astype(int), 0, sides - 1)
    high = np.clip(np.ceil(ends[1] + 0.5).astype(int), low + 1, sides)
    bounds = [[0, *low.tolist()], [1, *high.tolist()]]
    return Cast(at, np.float32(denser) * seen, mask, bounds, denser * visible)


def stored(log: Field) -> NDArray[np.uint16]:
    """Return stored values of logarithms of attenuation (Y, X)."""
    grey = np.clip(log / SPANNED_LOG / 1.2 + 0.05, 0, 1)
    return np.asarray(np.rint(grey * _TALL), np.uint16)


def _per_g_cm2(kvp: float) -> np.float32:
    """Return what 1 g/cm2 of mineral adds to the logarithm, behind a patient."""
    source = beam(round(kvp))
    through = source.fluence * source.kev * np.exp(-source.attenuation[0] * _PATIENT_G_CM2)
    mu = source.attenuation[BASE_NAMES.index("mineral")]
    soft = source.attenuation[BASE_NAMES.index("soft")]
    displaced = 1.06 / 3.1  # mineral of 3.1 g/cm3 lies where soft tissue was
    return np.float32((through * (mu - displaced * soft)).sum() / through.sum())


def _visible(seen: Field, mask: NDArray[np.bool_], real: Field, spacing_mm: float) -> float:
    """Return the mineral's contrast over what else varies from millimetre to millimetre."""
    if not mask.any():
        return 0.0
    near, wide = (ndimage.gaussian_filter(real, mm / spacing_mm) for mm in (0.5, 5.0))
    clutter = 1.4826 * float(np.median(np.abs(near - wide))) + _LEAST_CLUTTER
    return float(np.median(seen[mask])) / clutter
