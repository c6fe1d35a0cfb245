"""A segment of a right lower leg on CT with two soft-tissue calcifications.

Small and exact enough to show and test the whole way from study to report; it is no training
set. Attenuation follows common CT practice: fat about -100 HU, muscle about 55 HU, yellow marrow
below water, cortical bone above 1200 HU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from calcilens.imaging.geometry import Affine
from calcilens.phantoms.shapes import PSF_MM, Float, body, ellipsoid, layer, paint, rounded_polygon

SHAPE = (40, 256, 256)
SPACING_MM = (2.0, 0.6, 0.6)
CENTRE_MM = (-110.0, 5.0, -700.0)
"""LPS position of the middle of the leg: the right side of a patient lying on the back."""
NOISE_HU = 11.0
AIR, SKIN, FAT, FASCIA, MUSCLE, SEPTUM, BLOOD = -1000.0, 45.0, -105.0, 75.0, 56.0, -60.0, 44.0
CORTEX, MARROW = 1350.0, -70.0
TIBIA_MM, FIBULA_MM = (-26.0, 14.0), (-8.0, -28.0)
"""Centres as (y, x) from the middle of the leg: y grows backwards, x towards the midline."""


@dataclass(frozen=True)
class Lesion:
    """One calcification, as drawn.

    Args:
        pattern: Key of the vocabulary.
        centre_mm: (z, y, x) from the middle of the leg, mm.
        radii_mm: Half axes along (z, y, x), mm.
        rim_mm: Thickness of the mineral shell, mm; None where the lesion is solid mineral.
        hu: Attenuation of the mineral.
        core_hu: Attenuation inside the shell.
        mass_mm: How far a soft-tissue mass reaches beyond the mineral, mm; 0 is none.
    """

    pattern: str
    centre_mm: tuple[float, float, float]
    radii_mm: tuple[float, float, float]
    rim_mm: float | None
    hu: float
    core_hu: float = -40.0
    mass_mm: float = 0.0
    mass_hu: float = 28.0

    def distance_mm(self, z: Float, y: Float, x: Float) -> Float:
        """Return the signed distance to the mineral's outer surface, mm."""
        return ellipsoid((z, y, x), self.centre_mm, self.radii_mm)

    def mineral(self, distance: Float) -> NDArray[np.bool_]:
        """Return where there is mineral, given the distance to the outer surface, mm."""
        return (distance <= 0) & (distance >= -(self.rim_mm or np.inf))

    @property
    def mineral_mm3(self) -> float:
        """Exact volume of the mineral, mm3."""
        outer = np.prod(self.radii_mm)
        inner = 0 if self.rim_mm is None else np.prod(np.subtract(self.radii_mm, self.rim_mm))
        return float(4 / 3 * np.pi * (outer - inner))


@dataclass(frozen=True, eq=False)
class LegPhantom:
    """A simulated leg.

    Args:
        hu: (Z, Y, X) int16, HU, with noise.
        clean: (Z, Y, X) float64, HU, without noise.
        affine: Voxel to LPS mm.
        lesions: What was drawn.
        masks: (Z, Y, X) bool, one a lesion: voxels whose centre lies in mineral.
    """

    hu: NDArray[np.int16]
    clean: Float
    affine: Affine
    lesions: tuple[Lesion, ...]
    masks: tuple[NDArray[np.bool_], ...]


def simulate_leg(seed: int = 0) -> LegPhantom:
    """Simulate a leg; the same seed gives the same voxels.

    Args:
        seed: Moves and sizes the lesions and draws the noise.
    """
    rng = np.random.default_rng(seed)
    z, y, x = _axes_mm()
    clean = np.stack([_anatomy(float(level), y, x) for level in z.ravel()])
    lesions = _draw_lesions(rng)
    masks = []
    for lesion in lesions:
        _paint_lesion(clean, lesion)
        masks.append(lesion.mineral(lesion.distance_mm(z, y, x)))
    hu = np.clip(np.rint(clean + _noise(rng)), -1024, 3071).astype(np.int16)
    return LegPhantom(hu, clean, _affine(), lesions, tuple(masks))


def _axes_mm() -> tuple[Float, Float, Float]:
    """Return open grids of voxel centres (z, y, x), mm from the middle of the leg."""
    z, y, x = (
        (np.arange(n, dtype=np.float64) - (n - 1) / 2) * step
        for n, step in zip(SHAPE, SPACING_MM, strict=True)
    )
    return z[:, None, None], y[None, :, None], x[None, None, :]


def _affine() -> Affine:
    z, y, x = (float(axis.ravel()[0]) for axis in _axes_mm())
    position = (CENTRE_MM[0] + x, CENTRE_MM[1] + y, CENTRE_MM[2] + z)
    return Affine.from_dicom(position, (1, 0, 0, 0, 1, 0), SPACING_MM[1:], (0, 0, SPACING_MM[0]))


def _anatomy(level: float, y: Float, x: Float) -> Float:
    """Return one plane (Y, X), HU; `level` is its height above the middle, mm."""
    points = (y[0], x[0])
    width = 1 + level / 600  # the calf is thicker towards the knee
    image = np.full(SHAPE[1:], AIR)
    outline = ellipsoid(points, (0, 0), np.multiply((61, 55), width))
    paint(image, body(outline), SKIN)
    paint(image, body(outline + 1.8), FAT)
    fascia = ellipsoid(points, (-1, 1), np.multiply((51, 46), width))
    inside = body(fascia)
    paint(image, inside, MUSCLE)
    for centre, radii in (((42, 4), (38, 44)), ((-30, -28), (26, 30)), ((12, 30), (24, 15))):
        septum = ellipsoid(points, centre, np.multiply(radii, width))
        paint(image, layer(septum, 0.9) * inside, SEPTUM)
    paint(image, layer(fascia, 0.8), FASCIA)
    _paint_bones(image, points)
    _paint_vessels(image, points)
    return image


def _paint_bones(image: Float, points: tuple[Float, Float]) -> None:
    tibia = rounded_polygon(points, TIBIA_MM, 12.5, (np.pi / 2, -0.55, np.pi + 0.55))
    fibula = ellipsoid(points, FIBULA_MM, (7.5, 6.0))
    for bone, cortex_mm in ((tibia, 4.5), (fibula, 2.4)):
        paint(image, body(bone), CORTEX)
        paint(image, body(bone + cortex_mm), MARROW)


def _paint_vessels(image: Float, points: tuple[Float, Float]) -> None:
    """Paint the tibial and peroneal bundles in their fat, and the great saphenous vein."""
    for y, x in ((2.0, 10.0), (4.0, -16.0)):
        paint(image, body(ellipsoid(points, (y, x), (4.0, 5.5))), FAT)
        for shift, radius in ((-2.6, 1.4), (0.4, 1.6), (3.2, 1.2)):
            paint(image, body(ellipsoid(points, (y, x + shift), (radius, radius))), BLOOD)
    paint(image, body(ellipsoid(points, (-8, 50.5), (1.7, 1.7))), BLOOD)


def _draw_lesions(rng: np.random.Generator) -> tuple[Lesion, ...]:
    """Draw where the lesions lie and how large they are; both stay clear of bone."""

    def near(*centre: float, by: float = 2.0) -> tuple[float, float, float]:
        z, y, x = rng.uniform(-by, by, 3) + centre
        return float(z), float(y), float(x)

    size = rng.uniform(0.9, 1.1, 2)
    dense = Lesion(
        "diffuse",
        near(-20, 26, -20),
        (float(7 * size[0]), float(4.5 * size[0]), float(5.5 * size[0])),
        None,
        hu=float(rng.uniform(600, 800)),
    )
    zonal = Lesion(
        "peripheral_zonal",
        near(14, 26, 14),
        (float(12 * size[1]), float(8.5 * size[1]), float(10 * size[1])),
        rim_mm=2.4,
        hu=float(rng.uniform(520, 680)),
        mass_mm=5.0,
    )
    return dense, zonal


def _paint_lesion(image: Float, lesion: Lesion) -> None:
    """Paint a lesion into (Z, Y, X) in place, averaged over the slice thickness."""
    z, y, x = _axes_mm()
    reach = lesion.mass_mm + 4 * PSF_MM + SPACING_MM[0]
    near = [
        slice(*np.flatnonzero(np.abs(axis.ravel() - c) <= r + reach)[[0, -1]] + (0, 1))
        for axis, c, r in zip((z, y, x), lesion.centre_mm, lesion.radii_mm, strict=True)
    ]
    window = (near[0], near[1], near[2])
    z, y, x = z[near[0]], y[:, near[1]], x[:, :, near[2]]
    background = image[window]
    steps = ((np.arange(4) + 0.5) / 4 - 0.5) * SPACING_MM[0]
    image[window] = np.mean(
        [_over(background, lesion, lesion.distance_mm(z + step, y, x)) for step in steps], axis=0
    )


def _over(background: Float, lesion: Lesion, distance: Float) -> Float:
    """Return `background` with the lesion painted over it."""
    image = background.copy()
    if lesion.mass_mm:
        paint(image, body(distance - lesion.mass_mm), lesion.mass_hu)
    paint(image, body(distance), lesion.hu)
    if lesion.rim_mm is not None:
        paint(image, body(distance + lesion.rim_mm), lesion.core_hu)
    return image


def _noise(rng: np.random.Generator) -> Float:
    """Return noise (Z, Y, X), HU, with the correlation that the point spread leaves in it."""
    sigma = (0.3, PSF_MM / SPACING_MM[1], PSF_MM / SPACING_MM[2])
    noise = gaussian_filter(rng.standard_normal(SHAPE), sigma)
    return np.asarray(noise * (NOISE_HU / noise.std()))
