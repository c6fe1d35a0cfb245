"""Small pictures of the page with the lesions numbered in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from calcilens.inference.export.pictures import Grey, data_url

Box = tuple[float, float, float, float]
_GAP_PX = 6


@dataclass(frozen=True)
class Style:
    """How a view is drawn.

    Args:
        longest: Of its sides, pixels.
        font: Height of numbers and letters, pixels of the picture.
        lossless: PNG; JPEG otherwise.
    """

    longest: int = 520
    font: int = 28
    lossless: bool = True


@dataclass(frozen=True, eq=False)
class View:
    """One picture with the lesions' boxes in it.

    Args:
        name: From where it is seen: front, back, left, right, above, below; or film, or close-up.
        caption: What stands below it.
        picture: As a data URL.
        size: Width and height, pixels of the picture.
        letters: Side of the patient at the left, right, top and bottom; empty where unknown.
        boxes: By the lesion's number: x, y, width and height, pixels of the picture.
        font: Height of numbers and letters, pixels of the picture.
    """

    name: str
    caption: str
    picture: str
    size: tuple[int, int]
    letters: tuple[str, ...]
    boxes: dict[int, Box]
    font: int

    @property
    def margin(self) -> int:
        """Ground around the picture for its letters, pixels."""
        return round(1.3 * self.font) if self.letters else 0

    def label(self, number: int) -> tuple[float, float, str]:
        """Return where a lesion's number stands: x, y of its foot, and which end of it is at x.

        It stands to the right of the box, or to the left where the picture ends, or in the box
        where neither has room, and never outside the picture.
        """
        x, y, width, height = self.boxes[number]
        wide = 0.65 * self.font * len(str(number)) + _GAP_PX
        foot = min(max(y + height / 2 + self.font / 3, 0.8 * self.font), self.size[1] - 4.0)
        if x + width + wide <= self.size[0]:
            return x + width + _GAP_PX, foot, "start"
        if x - wide >= 0:
            return x - _GAP_PX, foot, "end"
        return self.size[0] - 4.0, foot, "end"


def view(
    called: tuple[str, str],
    picture: Grey,
    spacing: tuple[float, float],
    boxes: Mapping[int, NDArray[np.float64]],
    *,
    letters: tuple[str, ...] = (),
    style: Style | None = None,
) -> View:
    """Scale a picture (rows, columns) to square pixels, and its boxes with it.

    Args:
        called: Name and caption.
        picture: Grey, (Y, X).
        spacing: Of its pixels (y, x), in any unit.
        boxes: By the lesion's number: bounds (2, 2) as (y, x), pixels.
        letters: As in `View`.
        style: How it is drawn.
    """
    style = style or Style()
    extent = np.array(picture.shape) * spacing
    height, width = (max(1, round(float(v))) for v in extent / extent.max() * style.longest)
    small = Pillow.fromarray(picture).resize((width, height), Pillow.Resampling.LANCZOS)
    scale = np.array([height, width]) / picture.shape
    placed = {}
    for number, box in boxes.items():
        (y0, x0), (y1, x1) = box * scale
        placed[number] = (float(x0), float(y0), float(x1 - x0), float(y1 - y0))
    url = data_url(small, lossless=style.lossless)
    return View(*called, url, (width, height), letters, placed, style.font)
