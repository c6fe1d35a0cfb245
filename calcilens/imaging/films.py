"""A whole radiograph as a finder of lesions sees it: of one size, whatever its pixels measure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Float = NDArray[np.float32]
LONGEST_PX = 1024
"""Longest side at which a film is looked at; smaller films stay as they are."""


def reduced(pixels: Float, longest: int = LONGEST_PX) -> Float:
    """Average a film (Y, X) over equal parts until its longest side has `longest` pixels."""
    height, width = pixels.shape
    factor = longest / max(height, width)
    if factor >= 1:
        return pixels
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    picture = Image.fromarray(np.ascontiguousarray(pixels, np.float32))
    return np.asarray(picture.resize(size, Image.Resampling.BOX), np.float32)
