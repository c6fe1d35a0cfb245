"""A radiograph's values for people to look at: its own VOI LUT or window, as 0 to 255."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from calcilens.imaging.strips import in_strips
from calcilens.imaging.tables import look_up

Float = NDArray[np.float32]


def displayed(values: Float, tags: Dataset) -> tuple[NDArray[np.uint8], str]:
    """Map modality values (Y, X) to grey as the object asks.

    The first VOI LUT or window counts; without either, the range between the 0.5th and the
    99.5th percentile is shown.

    Returns:
        (Y, X) grey, and how it was found, in words.
    """
    if tags.get("VOILUTSequence"):
        return in_strips(lambda rows: _looked_up(rows, tags), values, np.uint8), "VOI LUT"
    found = window_of(tags)
    if found is None:
        low, high = np.percentile(values[:: max(1, values.shape[0] // 512)], (0.5, 99.5))
        span = max(high - low, 1e-6)
        grey = in_strips(lambda rows: _grey((rows - low) / span), values, np.uint8)
        return grey, "robust range: no window is given"
    centre, width, function = found
    grey = in_strips(lambda rows: _grey(windowed(rows, centre, width, function)), values, np.uint8)
    return grey, f"window ({function})"


def _looked_up(values: Float, tags: Dataset) -> NDArray[np.uint8]:
    shown, top = look_up(values, tags.VOILUTSequence[0])
    return _grey(shown / top)


def windowed(values: Float, centre: float, width: float, function: str) -> Float:
    """Apply a window (PS3.3 C.11.2.1.2 and C.11.2.1.3).

    Args:
        values: Values after the modality LUT, any shape.
        centre: WindowCenter.
        width: WindowWidth.
        function: LINEAR, LINEAR_EXACT or SIGMOID.

    Returns:
        Values around 0..1, not clipped.
    """
    if function == "SIGMOID":
        power = np.clip(-4 * (values - centre) / width, -80, 80)
        return np.asarray(1 / (1 + np.exp(power)), np.float32)
    if function == "LINEAR_EXACT":
        return np.asarray((values - centre) / width + 0.5, np.float32)
    return np.asarray((values - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5, np.float32)


def window_of(tags: Dataset) -> tuple[float, float, str] | None:
    """Return centre, width and function of the first window, or None if it makes no sense."""
    function = str(tags.get("VOILUTFunction") or "LINEAR").upper()
    try:
        centre, width = _first(tags.get("WindowCenter")), _first(tags.get("WindowWidth"))
    except (TypeError, ValueError, IndexError):
        return None
    lowest = 1.0 if function == "LINEAR" else 0.0
    if not np.isfinite([centre, width]).all() or width < lowest or width <= 0:
        return None
    return centre, width, function


def _first(value: Any) -> float:
    return float(value if isinstance(value, (int, float, str)) else value[0])


def _grey(shown: Float) -> NDArray[np.uint8]:
    return np.rint(np.clip(shown, 0, 1) * 255).astype(np.uint8)
