"""8-bit codes of CT pictures in the page, from which it can draw any window."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
HU_KNOTS = (-1024.0, -200.0, 400.0, 3071.0)
CODE_KNOTS = (0.0, 50.0, 200.0, 255.0)


def to_codes(hu: NDArray[np.number]) -> Grey:
    """Return HU as 8-bit codes, which follow them in three straight pieces."""
    if hu.dtype == np.int16:
        return _table()[hu.view(np.uint16)]
    return _computed(hu)


@cache
def _table() -> Grey:
    """Return the code of every int16, in the order of the same bits as uint16."""
    return _computed(np.arange(2**16, dtype=np.uint16).view(np.int16))


def _computed(hu: NDArray[np.number]) -> Grey:
    return np.rint(np.interp(hu.astype(np.float32), HU_KNOTS, CODE_KNOTS)).astype(np.uint8)
