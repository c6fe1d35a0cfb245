"""CT of a scene: partial volume, beam hardening, streaks, kernel and noise.

Order of the physics: the scene is sampled finer than the voxels and averaged over them; what
metal and thick bone do to the beam is worked out in projections and added back; the kernel
blurs; noise has the power spectrum that the kernel leaves (Riederer, Pelc and Chesler 1978:
the ramp times the kernel's transfer function).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from calcilens.phantoms.artefacts import hardening
from calcilens.phantoms.ct_settings import CTSettings
from calcilens.phantoms.materials import (
    BASE_NAMES,
    BONES,
    INDEX,
    TISSUES,
    hu_per_density,
    tissue_hu,
)
from calcilens.phantoms.scene import Lesion, Scene
from calcilens.phantoms.segment import Segment
from calcilens.phantoms.soft_tissue import add_sheets, fill, marbling, septa, vessels
from calcilens.phantoms.solids import KEEP, Field, Float, Grid, paint, smooth, warp

_MARGIN = 8
"""Pixels rendered around the image, so that the kernel's wrapping around stays outside."""
_MOST_FINE = 260
"""Points along a row of a lesion's grid."""
MASK_SHARE = 0.25
"""A voxel belongs to the mask when this much of it is mineral."""
LOWEST_HU, HIGHEST_HU = -1024, 3071
_TEXTURE = np.array([t.texture for t in TISSUES], np.float32)
_GRAIN = np.array([t.grain for t in TISSUES], np.float32)
_KINDS = (
    np.array([t.name in ("muscle", "organ") for t in TISSUES], np.float32),
    np.array([t.name == "fat" for t in TISSUES], np.float32),
    np.array([t.name == "lung" for t in TISSUES], np.float32),
)
_SOLID_BONE = np.array([t.name in BONES for t in TISSUES], np.float32)
_HU_SPREAD = 0.006
"""How much the density of a tissue differs between people, and between scanners."""
_AIR_SPREAD = 0.2
"""The same of lungs, by how deep a breath was taken."""
_MINERAL = BASE_NAMES.index("mineral")


@dataclass(frozen=True, eq=False)
class CTImage:
    """CT planes and their truth.

    Args:
        hu: (Z, Y, X) int16.
        clean: (Z, Y, X) float32: without noise and before the kernel.
        masks: (Z, Y, X) bool, one a lesion: voxels of which a quarter or more is mineral.
        mineral: (Z, Y, X) float32: g/cm3 of the lesions' mineral, averaged over the voxel.
        contrast_hu: (Z,) highest rise of HU that mineral makes in each plane, behind the kernel.
        start: (3,) centre of voxel (0, 0, 0), mm.
    """

    hu: NDArray[np.int16]
    clean: Field
    masks: tuple[NDArray[np.bool_], ...]
    mineral: Field
    contrast_hu: Field
    start: Float


def render_ct(
    scene: Scene,
    settings: CTSettings,
    rng: np.random.Generator,
    middle: Float,
    shape: tuple[int, int, int],
) -> CTImage:
    """Simulate CT planes.

    Args:
        scene: What is scanned.
        settings: How.
        rng: Draws texture and noise.
        middle: (3,) middle of the image (z, y, x), mm.
        shape: (Z, Y, X).
    """
    full = (shape[0], shape[1] + 2 * _MARGIN, shape[2] + 2 * _MARGIN)
    step = np.array([settings.interval_mm, settings.pixel_mm, settings.pixel_mm])
    start = np.asarray(middle, float) - (np.array(full) - 1) / 2 * step
    grid = Grid(start, step, full)
    tissues = _own_hu(rng, settings)
    clean, bone = _body(rng, scene.segment, tissues, settings, grid)
    mineral = np.zeros(full, np.float32)
    shares = []
    for lesion in scene.lesions:
        one, share = lay_lesion(lesion, settings, grid, rng, (tissues, clean, bone))
        mineral += one
        shares.append(share)
    per_density = np.float32(hu_per_density(settings.kvp)[_MINERAL])
    risen = mineral * per_density
    clean += risen
    hu, rise = _acquired(rng, clean, risen, settings)
    inner = (slice(None), slice(_MARGIN, -_MARGIN), slice(_MARGIN, -_MARGIN))
    return CTImage(
        np.clip(np.rint(hu[inner]), LOWEST_HU, HIGHEST_HU).astype(np.int16),
        clean[inner],
        tuple(mineral_mask(share[inner]) for share in shares),
        mineral[inner],
        rise[inner].max((1, 2), initial=0.0),
        start + _MARGIN * step * np.array([0, 1, 1]),
    )


def _body(
    rng: np.random.Generator, segment: Segment, tissues: Field, settings: CTSettings, grid: Grid
) -> tuple[Field, Field]:
    """Return HU and the share of bone or air, (Z, Y, X), of a body without lesions."""
    clean, bone, texture, grain, muscle, fat, lung = _anatomy(segment, tissues, settings, grid)
    exchange = float(tissues[INDEX["fat"]] - tissues[INDEX["muscle"]])
    add_sheets(clean, muscle, marbling(rng).draw(rng, grid), exchange)
    add_sheets(clean, fat, septa(rng).draw(rng, grid), -exchange)
    blood: Field = np.zeros(1, np.float32)
    if segment.lungs:
        blood = fill(clean, lung, vessels(rng).draw(rng, grid), float(tissues[INDEX["blood"]]))
    rough = texture * _clouds(rng, grid, (14.0, 0.6), (3.5, 0.8))
    rough += grain * _clouds(rng, grid, (1.4, 1.2), (3.0, 0.6))
    clean += rough * (1 - blood)
    return clean, bone


def _acquired(
    rng: np.random.Generator, clean: Field, risen: Field, settings: CTSettings
) -> tuple[Field, Field]:
    """Return the scanner's HU, and those that the lesions' mineral adds, (Z, Y, X)."""
    seen = clean + hardening(clean, settings, rng)
    shape = (clean.shape[1], clean.shape[2])
    transfer, spectrum = _filters(settings, shape, rng.gamma(1.0, 0.8))
    size = settings.noise_hu / float(np.sqrt((spectrum**2).mean()))
    white = np.fft.rfft2(rng.standard_normal(clean.shape, dtype=np.float32))
    hu = np.fft.irfft2(np.fft.rfft2(seen) * transfer + white * (spectrum * size), s=shape)
    rise = np.fft.irfft2(np.fft.rfft2(risen) * transfer, s=shape)
    return np.asarray(hu, np.float32), np.asarray(rise, np.float32)


def mineral_mask(share: Field) -> NDArray[np.bool_]:
    """Return where a lesion's mineral is; what no voxel shows by a quarter keeps its best ones."""
    top = float(share.max(initial=0.0))
    return np.asarray(share >= min(MASK_SHARE, max(0.5 * top, 1e-6)))


def _fine_z(settings: CTSettings, grid: Grid, finest_mm: float) -> tuple[Grid, NDArray[np.float32]]:
    """Return a grid finer along z, and the weights (Z, fine) that average it over each plane."""
    per_plane = int(np.clip(np.ceil(settings.interval_mm / finest_mm), 1, 6))
    step = settings.interval_mm / per_plane
    half = settings.thickness_mm / 2
    extra = int(np.ceil(max(half - settings.interval_mm / 2, 0) / step))
    count = grid.shape[0] * per_plane + 2 * extra
    first = grid.start[0] - settings.interval_mm / 2 + step / 2 - extra * step
    fine = Grid(
        np.array([first, *grid.start[1:]]),
        np.array([step, *grid.step[1:]]),
        (count, *grid.shape[1:]),
    )
    away = np.abs(fine.axis(0)[None] - grid.axis(0)[:, None])
    weight = np.clip((half - away) / step + 0.5, 0, 1) + 1e-9
    return fine, (weight / weight.sum(1, keepdims=True)).astype(np.float32)


def _own_hu(rng: np.random.Generator, settings: CTSettings) -> Field:
    """Return the HU of every tissue in one person's scan: bodies and calibrations differ."""
    hu = tissue_hu(settings.kvp)
    density = rng.normal(0, _HU_SPREAD, len(hu)) + rng.normal(0, _HU_SPREAD)
    density[INDEX["lung"]] += rng.normal(0, _AIR_SPREAD)
    return np.asarray(hu + (hu + 1000) * density, np.float32)


def _anatomy(segment: Segment, hu: Field, settings: CTSettings, grid: Grid) -> tuple[Field, ...]:
    """Return HU and the shares of bone or air, texture, grain, muscle, fat and lung (Z, Y, X).

    Texture and grain are HU of the tissue's own density: a vessel beside lung has none of its.
    """
    fine_tables = (_TEXTURE * (hu + 1000), _GRAIN * (hu + 1000), *_KINDS)
    fine, weight = _fine_z(settings, grid, 2.5)
    more = 2 if max(grid.shape[1:]) <= 360 else 1
    outlines = np.stack([t.outlines(fine.axis(0)) for t in segment.tubes])
    tissues = [INDEX[t.tissue] for t in segment.tubes]
    solid = _SOLID_BONE.copy()
    solid[INDEX["air"]] = 1
    used = np.flatnonzero(weight.max(0) > 1e-6)
    shape = (grid.shape[0], *grid.shape[1:])
    totals = tuple(np.zeros(shape, np.float32) for _ in range(7))
    for k in used:
        labels = _labels(tissues, outlines[:, k], grid, more)
        layers = [_reduce(table.take(labels), more) for table in (hu, solid)]
        few = labels[::more, ::more]
        layers += [table.take(few) for table in fine_tables]
        for z in np.flatnonzero(weight[:, k] > 1e-6):
            for total, layer in zip(totals, layers, strict=True):
                total[z] += weight[z, k] * layer
    return totals


def _labels(tissues: list[int], outlines: Float, grid: Grid, more: int) -> NDArray[np.uint8]:
    """Return one plane's tissues (Y * more, X * more), of outlines (tubes, CORNERS, 2)."""
    shape = np.array(grid.shape[1:]) * more
    picture = Image.new("L", (int(shape[1]), int(shape[0])), INDEX["air"])
    draw = ImageDraw.Draw(picture)
    at = (outlines - grid.start[1:]) * (more / grid.step[1:]) + (more - 1) / 2
    low, high = at.min(1), at.max(1)
    seen = (high - low >= 0.5).any(1) & (high >= 0).all(1) & (low <= shape).all(1)
    for i in np.flatnonzero(seen):
        draw.polygon(at[i, :, ::-1].ravel().tolist(), fill=tissues[i])
    return np.asarray(picture)


def _reduce(values: Field, more: int) -> Field:
    """Average squares of `more` x `more` points."""
    if more == 1:
        return values
    return np.asarray(
        (values[::2, ::2] + values[1::2, ::2] + values[::2, 1::2] + values[1::2, 1::2]) / 4
    )


def _clouds(rng: np.random.Generator, grid: Grid, *scales: tuple[float, float]) -> Field:
    """Return (Z, Y, X) smooth variation around 0: the sum of scales (mm, size)."""
    extent = np.array(grid.shape) * grid.step
    total = np.zeros(grid.shape, np.float32)
    for scale_mm, size in scales:
        coarse = np.clip(np.ceil(extent / scale_mm).astype(int) + 2, 2, 160)
        total += np.float32(size) * smooth(rng.standard_normal(coarse), grid.shape)
    return total


def lay_lesion(
    lesion: Lesion,
    settings: CTSettings,
    grid: Grid,
    rng: np.random.Generator,
    body: tuple[Field, Field, Field],
) -> tuple[Field, Field]:
    """Lay a lesion into a body.

    Args:
        lesion: Which; its soft tissue is painted into the body.
        settings: How planes average what they show.
        grid: Where the voxels are.
        rng: Draws how its outlines wander and how uneven it is.
        body: HU of the tissues (tissues,), HU and the share of bone or air, both (Z, Y, X).

    Returns:
        Its mineral, g/cm3, and the share of each voxel that holds any, both (Z, Y, X).
    """
    tissue_hus, clean, bone = body
    mineral, share = np.zeros(grid.shape, np.float32), np.zeros(grid.shape, np.float32)
    window = grid.window(lesion.parts.box() + np.array([[-2.0], [2.0]]))
    rows = (slice(0, grid.shape[0]), *window[1:])
    if any(s.stop <= s.start for s in window[1:]):
        return mineral, share
    fine, weight = _fine_z(settings, grid, 0.7)
    sides = [s.stop - s.start for s in window[1:]]
    more = int(np.clip(_MOST_FINE // max(sides), 1, 3))
    first = grid.start[1:] + np.array([s.start for s in window[1:]]) * grid.step[1:]
    step = grid.step[1:] / more
    small = Grid(
        np.array([fine.start[0], *(first - step * (more - 1) / 2)]),
        np.array([fine.step[0], *step]),
        (fine.shape[0], sides[0] * more, sides[1] * more),
    )
    shift = warp(rng, small, lesion.rough_mm, max(4.0, lesion.size_mm / 4))
    dense, tissue = paint(lesion.parts, small, shift)
    clouds = _clouds(rng, small, (14.0, 0.6), (3.5, 0.8))
    dense *= np.clip(1 + np.float32(lesion.grain) * clouds, 0.1, 2)
    top = float(np.quantile(dense[dense > 0.02], 0.5)) if (dense > 0.02).any() else 1.0
    hu, texture = np.append(tissue_hus, 0.0), np.append(_TEXTURE, 0.0)
    index = np.where(tissue == KEEP, len(hu) - 1, tissue)
    soft = hu[index] + (hu[index] + 1000) * texture[index] * clouds
    filled = (tissue != KEEP).astype(np.float32)
    layers = [
        dense,
        np.minimum(dense / (0.6 * top), 1) * (dense > 0.02),
        filled,
        soft * filled,
    ]
    dense, part, replaced, soft = (_average(layer, weight, more) for layer in layers)
    room = 1 - bone[rows]
    if lesion.erosion:
        room = np.ones_like(room)
    clean[rows] += (soft - replaced * clean[rows]) * room
    mineral[rows], share[rows] = dense * room, part * room
    return mineral, share


def _average(fine: Field, weight: Field, more: int) -> Field:
    """Average a fine grid over voxels: (fine z, Y * more, X * more) -> (Z, Y, X)."""
    planes = np.tensordot(weight, fine, axes=(1, 0))
    z, y, x = planes.shape
    return np.asarray(planes.reshape(z, y // more, more, x // more, more).mean((2, 4)), np.float32)


def _filters(settings: CTSettings, shape: tuple[int, int], streaks: float) -> tuple[Field, Field]:
    """Return the kernel's transfer function and the noise's amplitude (Y, X // 2 + 1).

    Args:
        settings: Of the scan.
        shape: (Y, X).
        streaks: How much more noise there is across x, where bodies are broad, than across y.
    """
    fy = np.fft.fftfreq(shape[0], settings.pixel_mm)[:, None]
    fx = np.fft.rfftfreq(shape[1], settings.pixel_mm)[None]
    f = np.hypot(fy, fx)
    transfer = settings.transfer(f)
    lengthened = 1 + streaks * (fy / np.maximum(f, 1e-6)) ** 4
    return transfer.astype(np.float32), (np.sqrt((f + 0.02) * lengthened) * transfer).astype(
        np.float32
    )
