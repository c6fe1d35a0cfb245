"""What lies over a radiograph besides the body: the collimator's blades and a side marker."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from calcilens.phantoms.frames import Frame
from calcilens.phantoms.solids import Field, Float
from calcilens.phantoms.xray_settings import XRay

_PENUMBRA_MM = (0.25, 1.2)
_LETTER_MM = (8.0, 15.0)
_COVERED = 0.1
"""A marker may hide this share of the lesion's box."""


def opening(box: Float, xray: XRay, frame: Frame) -> Float:
    """Return (2, 2): first and last (row, column) between the blades."""
    top, bottom, left, right = (mm / frame.spacing_mm for mm in xray.blades_mm)
    out = np.array([[box[0, 0] - top, box[0, 1] - left], [box[1, 0] + bottom, box[1, 1] + right]])
    return np.asarray(np.clip(out, -1e4, 1e4))


def open_share(opened: Float, frame: Frame, rng: np.random.Generator) -> Field | float:
    """Return how far the blades let the beam pass (Y, X), 0..1."""
    if (opened[0] < 0).all() and (opened[1] > np.array(frame.shape)).all():
        return 1.0
    soft = rng.uniform(*_PENUMBRA_MM) / frame.spacing_mm
    sides = []
    for i, count in enumerate(frame.shape):
        at = np.arange(count, dtype=np.float32)
        inside = np.minimum(at - opened[0, i], opened[1, i] - at)
        sides.append(1 / (1 + np.exp(-np.clip(inside / (0.5 * soft), -30, 30))))
    return np.asarray(sides[0][:, None] * sides[1], np.float32)


def letters(
    opened: Float, box: Float, xray: XRay, frame: Frame, rng: np.random.Generator
) -> Field | None:
    """Return a marker's letters (Y, X), 0..1, in a corner of what is exposed.

    Args:
        opened: (2, 2) what the blades leave open, pixels of the frame.
        box: (2, 2) of the lesion, pixels of the frame.
        xray: Settings.
        frame: Of the image.
        rng: Draws corner and size.

    Returns:
        None without a marker, and where it would hide the lesion in every corner.
    """
    if not xray.marker:
        return None
    height = rng.uniform(*_LETTER_MM) / frame.spacing_mm
    font = ImageFont.load_default(max(height * 1.3, 8.0))
    x0, y0, x1, y1 = font.getbbox(xray.marker)
    size = np.array([y1 - y0, x1 - x0])
    low = np.maximum(opened[0], 0) + 0.3 * height
    high = np.minimum(opened[1], frame.shape) - size - 0.3 * height
    for corner in rng.permutation([low, high, [low[0], high[1]], [high[0], low[1]]]):
        over = np.minimum(corner + size, box[1]) - np.maximum(corner, box[0])
        hidden = np.prod(np.clip(over, 0, None)) / np.prod(box[1] - box[0])
        if (high > low).all() and hidden <= _COVERED:
            picture = Image.new("L", (frame.shape[1], frame.shape[0]))
            place = (float(corner[1] - x0), float(corner[0] - y0))
            ImageDraw.Draw(picture).text(place, xray.marker, font=font, fill=255)
            return np.asarray(picture, np.float32) / np.float32(255)
    return None
