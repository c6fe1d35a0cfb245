"""How a radiograph is taken and processed: drawn at random from one of two domains.

The domains share no tube voltage, pixel, blur, dose, number of bits or processing: models learn
on `usual` and are judged on `unseen`. Only large lesions, shown on reduced films, have pixels of
any size in both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calcilens.phantoms.ct_settings import Domain

FAMILIES: dict[Domain, tuple[str, ...]] = {
    "usual": ("film", "unsharp", "multiscale"),
    "unseen": ("equalised", "root"),
}
"""Ways of processing. `film`: a characteristic curve. `unsharp`: one blurred copy subtracted.
`multiscale`: bands of detail amplified, faint ones most. `equalised`: brightness and contrast
made alike everywhere. `root`: a power of the signal in place of its logarithm."""
_THICK = {"pelvis": 2, "thorax": 2, "thigh": 1, "hip": 1, "shoulder": 1, "knee": 1}
_SHOWN_PX = 300
"""Films of large lesions are reduced so that a patch has no more pixels across than this."""
_PATCH_WIDTH = 1.75
_LETTERS = ("L", "R", "L", "R", "L AB", "R K", "R 12", "L 3")


@dataclass(frozen=True)
class XRay:
    """One way of taking a radiograph.

    Args:
        kvp: Tube voltage.
        pixel_mm: Side of a pixel on the detector.
        magnification: Of the plane of the lesion on the detector.
        focal_mm: Size of the focal spot.
        blur_mm: Standard deviation of the detector's own blur.
        scatter: Scattered over primary radiation behind 10 cm of tissue, without a grid.
        grid: Whether there is a grid against scatter.
        dose_ugy: Mean dose behind the body.
        structure: Unevenness of the detector, as a share of the signal.
        bits: Bits a pixel.
        processing: One of the families.
        sharpness: Strength of what the family does to detail, 0..1.
        latitude: Contrasts of log exposure from black to white, as a share of the body's own.
        brightness: Where the middle of the body's contrasts lies between black and white.
        turn: Angle by which the image's content is turned, radians.
        blades_mm: Distance of the collimator's blades from the lesion's box: above, below, left
            and right in the image; inf where there is none.
        masked: Whether what the blades shield is set to black.
        marker: Letters of a lead marker in a corner; empty for none.
        burnt_in: Whether the marker is written by the machine instead.
    """

    kvp: int
    pixel_mm: float
    magnification: float
    focal_mm: float
    blur_mm: float
    scatter: float
    grid: bool
    dose_ugy: float
    structure: float
    bits: int
    processing: str
    sharpness: float
    latitude: float
    brightness: float
    turn: float = 0.0
    blades_mm: tuple[float, float, float, float] = (np.inf,) * 4
    masked: bool = False
    marker: str = ""
    burnt_in: bool = False

    @property
    def spacing_mm(self) -> float:
        """Side of a pixel in the plane of the lesion."""
        return self.pixel_mm / self.magnification


@dataclass(frozen=True)
class _Range:
    kvp: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]  # small limbs, large ones, trunk
    pixel_mm: tuple[float, float]
    blur_mm: tuple[float, float]
    dose_ugy: tuple[float, float]
    bits: tuple[int, ...]


_RANGES: dict[Domain, _Range] = {
    "usual": _Range(
        kvp=((50, 55, 60), (60, 65, 70), (75, 80, 85, 90)),
        pixel_mm=(0.10, 0.20),
        blur_mm=(0.06, 0.13),
        dose_ugy=(0.6, 5),
        bits=(10, 12),
    ),
    "unseen": _Range(
        kvp=((46, 63), (57, 74), (71, 98, 110)),
        pixel_mm=(0.21, 0.30),
        blur_mm=(0.14, 0.20),
        dose_ugy=(0.25, 0.55),
        bits=(11, 14),
    ),
}


def draw_xray(rng: np.random.Generator, domain: Domain, site: str, size_mm: float = 0.0) -> XRay:
    """Draw how a lesion is radiographed.

    Args:
        rng: Draws it.
        domain: usual or unseen.
        site: The part of the body; thick parts get more voltage and a grid.
        size_mm: Size of the lesion: films of large ones are reduced.
    """
    ranges = _RANGES[domain]
    thick = _THICK.get(site, 0)
    pixel = float(rng.uniform(*ranges.pixel_mm))
    return XRay(
        kvp=int(rng.choice(ranges.kvp[thick])),
        pixel_mm=round(max(pixel, size_mm * _PATCH_WIDTH / _SHOWN_PX), 4),
        magnification=round(float(rng.uniform(1.03, 1.2 + 0.1 * thick)), 3),
        focal_mm=float(rng.choice([0.6, 1.0, 1.2])),
        blur_mm=float(rng.uniform(*ranges.blur_mm)),
        scatter=float(rng.uniform(0.5, 1.0)),
        grid=bool(rng.random() < (0.05, 0.6, 0.97)[thick]),
        dose_ugy=float(np.exp(rng.uniform(*np.log(ranges.dose_ugy)))),
        structure=float(rng.uniform(0.001, 0.008)),
        bits=int(rng.choice(ranges.bits)),
        processing=str(rng.choice(FAMILIES[domain])),
        sharpness=float(rng.uniform(0, 1)),
        latitude=float(rng.uniform(0.9, 1.5)),
        brightness=float(rng.uniform(0.35, 0.6)),
        turn=float(np.radians(rng.uniform(-20, 20) + 90 * rng.choice([0, 0, 0, 1, 2, 3]))),
        blades_mm=_blades(rng),
        masked=bool(rng.random() < 0.4),
        marker=str(rng.choice(_LETTERS)) if rng.random() < 0.07 else "",
        burnt_in=bool(rng.random() < 0.4),
    )


def _blades(rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Draw where the collimator's blades stand; most are out of sight."""
    near = rng.random(4) < 0.12
    top, bottom, left, right = np.where(near, rng.uniform(1.5, 25, 4), rng.uniform(40, 150, 4))
    return float(top), float(bottom), float(left), float(right)
