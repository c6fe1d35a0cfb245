"""8-bit codes of CT pictures in the page, from which it can draw any window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
HU_KNOTS = (-1024.0, -200.0, 400.0, 3071.0)
CODE_KNOTS = (0.0, 50.0, 200.0, 255.0)


def to_codes(hu: NDArray[np.number]) -> Grey:
    """Return HU as 8-bit codes, which follow them in three straight pieces."""
    return np.rint(np.interp(hu.astype(np.float32), HU_KNOTS, CODE_KNOTS)).astype(np.uint8)
