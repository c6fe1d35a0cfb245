"""What every CT of a body shows in Hounsfield units: values that show it not are none."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from calcilens.errors import SeriesError, compose

_LEAST_SPREAD_HU = 10.0
"""Noise alone spreads further, even where the whole field of view is one tissue."""
_FAT_HU, _WET_HU = -200.0, 300.0
"""Every body holds something as dense as fat, and something no denser than organs with contrast
medium are; lungs hold vessels, and what lies around metal is no metal."""
_DENSEST_HU, _DENSE_SHARE = 3071.0, 0.25
"""The end of 12 bits, beyond which is metal; it never fills a quarter of a field of view."""
_EVERY = 3
_FIX = "look at its RescaleSlope, RescaleIntercept and BitsStored, or export it again"


def check_hu(hu: NDArray[Any]) -> None:
    """Refuse a volume (Z, Y, X) whose values cannot be the Hounsfield units of a body.

    A wrong scale would otherwise leave nothing to find, which reads as a finding.

    Raises:
        SeriesError: Values are not finite, hardly differ, or leave out fat, organs or bone.
    """
    low, high = float(hu.min()), float(hu.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise SeriesError(compose("finite Hounsfield units", "NaN or infinity", fix=_FIX))
    found = f"{low:.0f} to {high:.0f} HU"
    if high - low < _LEAST_SPREAD_HU:
        expected = f"a CT whose voxels differ by {_LEAST_SPREAD_HU:.0f} HU or more"
        raise SeriesError(compose(expected, f"{low:g} to {high:g} HU", fix=_FIX))
    if high < _FAT_HU or low > _WET_HU:
        expected = f"a CT with voxels above {_FAT_HU:.0f} HU and below {_WET_HU:.0f} HU"
        raise SeriesError(compose(expected, f"{found} alone", fix=_FIX))
    share = float(np.mean(hu[:, ::_EVERY, ::_EVERY] > _DENSEST_HU))
    if share > _DENSE_SHARE:
        expected = f"at most {_DENSE_SHARE:.0%} of a CT denser than {_DENSEST_HU:.0f} HU"
        raise SeriesError(compose(expected, f"{share:.0%}", fix=_FIX))
