"""Letters of the patient's sides."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LETTERS = (("L", "R"), ("P", "A"), ("H", "F"))


def direction(vector: NDArray[np.float64]) -> str:
    """Return the letters of a direction (x, y, z) LPS, main axis first (PS3.3 C.7.6.1.1.1)."""
    unit = vector / np.linalg.norm(vector)
    order = np.argsort(-np.abs(unit), kind="stable")
    return "".join(_LETTERS[a][0 if unit[a] > 0 else 1] for a in order if abs(unit[a]) > 0.26)
