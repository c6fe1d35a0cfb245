"""Images as the rest of the package sees them: pixels, place and origin together."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from calcilens.imaging.geometry import Affine


@dataclass(frozen=True, eq=False)
class Plane:
    """Where one plane of an image comes from."""

    sop_uid: str
    frame: int = 0
    """Frame number within the instance, from 0."""
    number: int | None = None
    """Under which viewers list it: InstanceNumber; of a frame among others, its own, from 1."""


@dataclass(frozen=True, eq=False)
class Volume:
    """A CT series in Hounsfield units.

    Args:
        hu: (Z, Y, X) int16 or float32, HU.
        affine: Voxel to LPS mm.
        planes: Z origins, one a plane.
        kvp: Tube voltage; None where the files do not say it, or planes differ in it.
        thickness_mm: Depth that each plane averages over; None like `kvp`.
        side: "L" or "R" of a paired body part; None like `kvp`.
        body_part: BodyPartExamined; None like `kvp`.
    """

    hu: NDArray[np.int16] | NDArray[np.float32]
    affine: Affine
    study_uid: str
    series_uid: str
    frame_of_reference_uid: str | None
    planes: tuple[Plane, ...]
    modality: Literal["CT"] = "CT"
    notes: tuple[str, ...] = ()
    """What was done to the series on the way (resampled, plane dropped), in words."""
    kvp: float | None = None
    thickness_mm: float | None = None
    side: str | None = None
    body_part: str | None = None

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel spacing along (z, y, x), mm."""
        return self.affine.spacing_mm


@dataclass(frozen=True, eq=False)
class Radiograph:
    """A projection radiograph: bright means dense, whatever was stored.

    Args:
        pixels: (Y, X) float32 after the modality LUT, MONOCHROME1 turned.
        display: (Y, X) uint8 after the VOI LUT or window: for people to look at.
        spacing_mm: (y, x) mm in the plane of the patient, or None where not calibrated.
        spacing_how: How the spacing was found, or why there is none.
        body_part: BodyPartExamined, a term of the standard; None where none is stated.
        side: "L" or "R" of a paired body part, or "B" for both; None like `body_part`.
        view: From where it was taken, in words; None like `body_part`.
    """

    pixels: NDArray[np.float32]
    display: NDArray[np.uint8]
    spacing_mm: tuple[float, float] | None
    spacing_how: str
    study_uid: str
    series_uid: str
    frame_of_reference_uid: str | None
    planes: tuple[Plane, ...]
    modality: str = "DX"
    body_part: str | None = None
    side: str | None = None
    view: str | None = None
    notes: tuple[str, ...] = field(default=())


Image = Volume | Radiograph


def twins(images: Sequence[Image]) -> dict[int, int]:
    """Return, by its place, each radiograph that has the very pixels of an earlier one, and which.

    Archives hold a film more than once: as raw and as compressed file, say.
    """
    known: dict[tuple[tuple[int, ...], bytes], int] = {}
    found = {}
    for place, image in enumerate(images):
        if isinstance(image, Radiograph):
            key = image.pixels.shape, hashlib.sha256(image.pixels.tobytes()).digest()
            first = known.setdefault(key, place)
            if first != place:
                found[place] = first
    return found
