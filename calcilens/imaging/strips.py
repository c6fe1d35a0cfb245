"""Work on large pictures a strip at a time: what it needs in between stays small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", bound=np.generic)
_PIXELS = 2**20


def in_strips(
    work: Callable[[NDArray[Any]], NDArray[Number]],
    picture: NDArray[Any],
    dtype: type[Number],
) -> NDArray[Number]:
    """Return what `work` makes of a picture (Y, X), pixel by pixel.

    Args:
        work: Maps rows to rows; no pixel depends on another.
        picture: (Y, X).
        dtype: Of the result.
    """
    out = np.empty(picture.shape, dtype)
    rows = max(1, _PIXELS // max(1, picture.shape[1]))
    for start in range(0, len(picture), rows):
        out[start : start + rows] = work(picture[start : start + rows])
    return out
