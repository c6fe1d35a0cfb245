"""The pictures inside report.html: planes around each lesion, small enough for one file.

CT is kept as 8-bit codes that follow Hounsfield units in three straight pieces, fine in soft
tissue, so that the page can apply any window. Whole planes are JPEG, close-ups lossless; they
are for the eye, every figure comes from the original pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image as Pillow

from calcilens.imaging.images import Image, Radiograph, Volume
from calcilens.inference.export.codes import CODE_KNOTS, HU_KNOTS, Grey, to_codes
from calcilens.inference.export.directions import direction
from calcilens.inference.export.pictures import data_url, frame
from calcilens.inference.export.prior import prior_codes
from calcilens.inference.lesions import Lesion

BUDGET_BYTES = 6_000_000
"""Of embedded pictures; with text and base64 the page stays below 8 MB or so."""
MARGINS = (8, 5, 3, 1, 0)
"""Planes beyond the lesion, as many as the budget allows."""
_MOST_PX = 1600


@dataclass
class Pictures:
    """Pictures of a page by name, each once."""

    data: dict[str, str] = field(default_factory=dict)
    size: int = 0

    def add(self, name: str, codes: Grey, lossless: bool) -> str:
        """Add a grey picture (Y, X), or one with an alpha (Y, X, 2), and return its name."""
        if name not in self.data:
            self.data[name] = data_url(Pillow.fromarray(codes), lossless=lossless)
            self.size += len(self.data[name])
        return name


def payload(lesions: tuple[Lesion, ...], date: str = "", prior_date: str = "") -> dict[str, Any]:
    """Return what the page's viewer needs: pictures, and a scene for each lesion.

    Args:
        lesions: In the order of the page.
        date: Of the study, in words.
        prior_date: Of the study that they are compared with, in words.
    """
    for margin in MARGINS:
        pictures = Pictures()
        scenes = {x.id: _scene(x, pictures, margin) for x in lesions}
        if pictures.size <= BUDGET_BYTES:
            break
    codes = {"hu": HU_KNOTS, "code": CODE_KNOTS}
    dates = {"now": date, "then": prior_date}
    return {"codes": codes, "dates": dates, "pictures": pictures.data, "scenes": scenes}


def _scene(lesion: Lesion, pictures: Pictures, margin: int) -> dict[str, Any]:
    image, (start, stop) = lesion.image, lesion.candidate.box
    count = 1 if isinstance(image, Radiograph) else len(image.hu)
    first, last = max(0, start[0] - margin), min(count, stop[0] + margin)
    rows, cols = frame(lesion)
    height, width = _plane(image, 0).shape
    planes = [_scene_plane(lesion, pictures, int(k)) for k in range(first, last)]
    return {
        "ct": isinstance(image, Volume),
        "size": [width, height],
        "aspect": _aspect(image),
        "mm": _mm_per_px(image),
        "box": [int(v) for v in (start[2], start[1], stop[2], stop[1])],
        "boxPlanes": [int(start[0]), int(stop[0])],
        "close": [cols.start, rows.start, cols.stop, rows.stop],
        "planes": planes,
        "key": lesion.key_plane,
        "count": count,
        "letters": letters(image),
        "saliency": _heat(lesion, pictures),
        "prior": lesion.prior is not None,
    }


def _scene_plane(lesion: Lesion, pictures: Pictures, index: int) -> dict[str, Any]:
    """Name the pictures of one plane; a plane that several lesions share is kept once."""
    image = lesion.image
    codes = _plane(image, index)
    step = -(-max(codes.shape) // _MOST_PX)
    name = f"{image.series_uid}/{image.planes[0].sop_uid}/{index}"
    whole = pictures.add(name, _smaller(codes, step), lossless=False)
    close = pictures.add(f"{lesion.id}/{index}", codes[frame(lesion)], lossless=True)
    found = {"index": index, "number": _number(image, index), "whole": whole, "close": close}
    if lesion.prior is not None:
        then = prior_codes(lesion.prior, index, frame(lesion))
        found["prior"] = pictures.add(f"{lesion.id}/prior/{index}", then, lossless=then.ndim == 3)
    return found


def _number(image: Image, index: int) -> int | None:
    """Return the number of a CT's plane in other viewers, where the files number each apart."""
    numbers = [plane.number for plane in image.planes]
    apart = isinstance(image, Volume) and len(set(numbers)) == len(numbers)
    return numbers[index] if apart else None


def _plane(image: Image, index: int) -> Grey:
    return image.display if isinstance(image, Radiograph) else to_codes(image.hu[index])


def _smaller(codes: Grey, step: int) -> Grey:
    return codes if step == 1 else np.asarray(Pillow.fromarray(codes).reduce(step))


def _aspect(image: Image) -> float:
    """Return the height of a pixel in units of its width."""
    if isinstance(image, Radiograph):
        y, x = image.spacing_mm or (1.0, 1.0)
    else:
        _, y, x = image.spacing_mm
    return float(y / x)


def _mm_per_px(image: Image) -> float | None:
    if isinstance(image, Radiograph):
        return None if image.spacing_mm is None else float(image.spacing_mm[1])
    return float(image.spacing_mm[2])


def letters(image: Image) -> dict[str, str] | None:
    """Return the letter of the patient's side at each edge, None where it is not known."""
    if isinstance(image, Radiograph):
        return None
    axes = image.affine.matrix[:3]
    right, down = direction(axes[:, 2]), direction(axes[:, 1])
    left, up = direction(-axes[:, 2]), direction(-axes[:, 1])
    return {"left": left, "right": right, "top": up, "bottom": down}


def _heat(lesion: Lesion, pictures: Pictures) -> dict[str, Any] | None:
    seen = lesion.saliency
    if seen is None or not seen.shown:
        return None
    codes = np.rint(seen.values * 255).astype(np.uint8)
    (y, x), size = seen.location.origin, seen.location.size
    name = pictures.add(f"{lesion.id}/saliency", codes, lossless=True)
    return {"picture": name, "origin": [x, y], "size": size, "planes": list(seen.location.planes)}
