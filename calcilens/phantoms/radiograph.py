"""Radiographs of a scene, and the truth of what they show.

Order of the physics: rays through the body and the lesion, textures too fine for the anatomy,
blades and a marker in the beam, what passes and what is scattered, focal spot, quantum noise,
blur of the detector, and the vendor's processing of its logarithm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calcilens.phantoms.exposure import detected, exposed, noise_at, scout, transmitted
from calcilens.phantoms.frames import Frame, sampled
from calcilens.phantoms.markings import letters, open_share, opening
from calcilens.phantoms.materials import BASE_NAMES
from calcilens.phantoms.processing import processed
from calcilens.phantoms.projection import CHANNELS, masses
from calcilens.phantoms.scene import Lesion, Scene
from calcilens.phantoms.shadows import shadow
from calcilens.phantoms.solids import Field, Float
from calcilens.phantoms.textures import add_textures
from calcilens.phantoms.xray_settings import XRay

MASK_SHARE = 0.2
"""A pixel belongs to the mask when its mineral is this share of the lesion's most."""
LEAST_G_CM2 = 0.008
"""Less mineral than this belongs to no mask: it takes less than one hundredth of the beam."""
_MARGIN = 6
_HEIGHT_STEP_MM = 0.3
_LEAD = 3.5
"""Natural logarithm of what a marker of lead takes away."""
_CLUTTER = 0.01
"""Log exposure varies by this from square millimetre to square millimetre, without noise."""
_SPONGY_CM2_G = 0.35
"""Attenuation by mineral, times what a square millimetre keeps of the texture of spongy bone."""
_LOOKED_AT = 500
_BASES = slice(0, len(BASE_NAMES))
_MINERAL = BASE_NAMES.index("mineral")


@dataclass(frozen=True, eq=False)
class RadiographImage:
    """A radiograph and its truth.

    Args:
        pixels: (Y, X) uint16, bright is dense.
        masks: (Y, X) bool, one a lesion: where its mineral along the ray is at least
            `MASK_SHARE` of its 98th percentile, and at least `LEAST_G_CM2`.
        box: (2, 2) half-open pixel box, start and stop in (row, column), of the first lesion's
            box; it may reach beyond the image.
        spacing_mm: Side of a pixel in the plane of the lesion.
        visible: Contrast of the mineral over noise and clutter in a square millimetre: the
            median over the mask; what processing made black or white counts as 0.
        visible_each: The same of each lesion alone.
    """

    pixels: NDArray[np.uint16]
    masks: tuple[NDArray[np.bool_], ...]
    box: NDArray[np.int64]
    spacing_mm: float
    visible: float
    visible_each: tuple[float, ...] = ()

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(Y, X): the masks of all lesions together."""
        return np.asarray(np.any(self.masks, 0))


def render_radiograph(
    scene: Scene, xray: XRay, rng: np.random.Generator, centre: ArrayLike, shape: tuple[int, int]
) -> RadiographImage:
    """Simulate a radiograph.

    Args:
        scene: What is radiographed, from front to back; turned about z for other views.
        xray: How.
        rng: Draws texture, noise and what the settings leave open.
        centre: (2,) middle of the image (z, x), mm.
        shape: Rows and columns.
    """
    frame = Frame(np.asarray(centre, float), xray.spacing_mm, shape, xray.turn).grown(_MARGIN)
    box = projected_box(scene.lesions[0], frame)
    mass, minerals, uneven = _masses(scene, frame, rng)
    opened = opening(box, xray, frame)
    share = open_share(opened, frame, rng)
    marker = _marker(opened, box, xray, frame, rng)
    primary = transmitted(mass, xray)
    if marker is not None and not xray.burnt_in:
        primary *= np.exp(-_LEAD * marker)
    corners = frame.points(np.stack([opened[0], opened[1]]))
    field = np.stack([corners.min(0), corners.max(0)])
    seen = scout(scene.segment.tubes, frame, xray, field)
    signal, photons = exposed(primary, share, seen, frame, xray)
    grey = processed(-np.log(detected(signal, photons, xray, rng)), seen, xray)
    masks = [mineral_mask(mineral) for mineral in minerals]
    clutter = np.hypot(_CLUTTER, _SPONGY_CM2_G * uneven)
    noise = np.hypot(noise_at(signal, photons, xray), clutter)
    weight = np.asarray(primary / signal / noise, np.float32)
    visible = _visible(mass, minerals, masks, weight, grey, xray)
    each = [
        _visible(mass, [mineral], [mask], weight, grey, xray)
        for mineral, mask in zip(minerals, masks, strict=True)
    ]
    inner = (slice(_MARGIN, -_MARGIN), slice(_MARGIN, -_MARGIN))
    return RadiographImage(
        _stored(grey, share, marker, xray)[inner],
        tuple(mask[inner] for mask in masks),
        np.stack([np.floor(box[0] + 0.5), np.ceil(box[1] + 0.5)]).astype(np.int64) - _MARGIN,
        frame.spacing_mm,
        visible,
        tuple(each),
    )


def _masses(
    scene: Scene, frame: Frame, rng: np.random.Generator
) -> tuple[Field, list[Field], Field]:
    """Return what rays pass, g/cm2.

    Returns:
        All there is (bases, Y, X), the mineral (Y, X) of each lesion, and how unevenly spongy
        bone is spread (Y, X), see `add_textures`.
    """
    raster = frame.raster((max(_HEIGHT_STEP_MM, frame.spacing_mm), frame.spacing_mm))
    mass = np.zeros((len(CHANNELS), *frame.shape), np.float32)
    for i, channel in enumerate(masses(scene.segment.tubes, raster)):
        if channel.any():
            mass[i] = sampled(channel, raster, frame)
    uneven = add_textures(mass, frame, rng)
    minerals = []
    for lesion in scene.lesions:
        cast = shadow(lesion, scene.segment.tubes, frame, rng)
        minerals.append(cast.mineral)
        mass[_BASES] += cast.change
    np.maximum(mass, 0, out=mass)
    mass[_MINERAL] += np.sum(minerals, 0)
    return mass[_BASES], minerals, uneven


def _marker(
    opened: Float, box: Float, xray: XRay, frame: Frame, rng: np.random.Generator
) -> Field | None:
    """Return a marker's letters (Y, X) on a frame, clear of its margin."""
    inside = letters(opened - _MARGIN, box - _MARGIN, xray, frame.grown(-_MARGIN), rng)
    return None if inside is None else np.pad(inside, _MARGIN)


def projected_box(lesion: Lesion, frame: Frame) -> Float:
    """Return (2, 2): first and last (row, column) of a lesion's box in an image.

    It is the box of those solids that lie in the lesion's box, which is tighter than that box
    turned; where there are none, the turned box.
    """
    solid = lesion.parts
    half = np.sqrt(((solid.axes * solid.radii[:, :, None]) ** 2).sum(1))
    low, high = lesion.box
    inside = (solid.centre - half >= low - 1e-6).all(1) & (solid.centre + half <= high + 1e-6).all(
        1
    )
    if inside.any():
        # Support of an ellipsoid along the rows and along the columns of the image.
        towards = np.linalg.inv(frame.axes).T
        along = solid.axes[inside][:, :, [0, 2]] @ towards.T * solid.radii[inside][:, :, None]
        reach = np.sqrt((along**2).sum(1))
        middle = frame.pixels(solid.centre[inside][:, [0, 2]])
        return np.stack([(middle - reach).min(0), (middle + reach).max(0)])
    z, x = low[[0, 2]], high[[0, 2]]
    corners = frame.pixels([[a, b] for a in (z[0], x[0]) for b in (z[1], x[1])])
    return np.stack([corners.min(0), corners.max(0)])


def mineral_mask(mineral: Field) -> NDArray[np.bool_]:
    """Return where mineral (Y, X), g/cm2, counts as the lesion's (see `RadiographImage`)."""
    there = mineral[mineral > LEAST_G_CM2]
    if not len(there):
        return np.zeros(mineral.shape, bool)
    return np.asarray(mineral >= max(MASK_SHARE * float(np.percentile(there, 98)), LEAST_G_CM2))


def _visible(
    mass: Field,
    minerals: list[Field],
    masks: list[NDArray[np.bool_]],
    weight: Field,
    grey: Field,
    xray: XRay,
) -> float:
    """Return the mineral's contrast over noise; `weight` is the primary's share over noise."""
    mineral = np.asarray(np.sum(minerals, 0), np.float32)
    rows, columns = np.nonzero(np.any(masks, 0))
    if not len(rows):
        return 0.0
    some = np.linspace(0, len(rows) - 1, min(len(rows), _LOOKED_AT)).astype(int)
    at = (rows[some], columns[some])
    behind = mass[(slice(None), *at)][:, None]
    without = behind.copy()
    without[_MINERAL] -= mineral[at]
    contrast = np.log(transmitted(without, xray) / transmitted(behind, xray))[0] * weight[at]
    shown = (grey[at] > 0.01) & (grey[at] < 0.99)
    return float(np.median(contrast * shown))


def _stored(
    grey: Field, share: Field | float, marker: Field | None, xray: XRay
) -> NDArray[np.uint16]:
    """Return stored values of grey in 0..1."""
    shown = np.clip(grey, 0, 1)
    if xray.masked and not np.isscalar(share):
        shown = np.where(np.asarray(share) < 0.5, 0, shown)
    if marker is not None and xray.burnt_in:
        shown = np.maximum(shown, marker)
    return np.asarray(np.rint(shown * (2**xray.bits - 1)), np.uint16)
