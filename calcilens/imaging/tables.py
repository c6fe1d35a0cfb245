"""Look-up tables of DICOM objects (PS3.3 C.11.1 and C.11.2)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from calcilens.errors import SeriesError, compose


def look_up(values: NDArray[Any], table: Dataset) -> tuple[NDArray[np.float32], float]:
    """Map values through a modality or VOI LUT; beyond its ends, the end counts.

    Args:
        values: Values of any shape; rounded to whole ones.
        table: Item of a ModalityLUTSequence or VOILUTSequence.

    Returns:
        Mapped values in the shape of `values`, and the highest value the table can give.

    Raises:
        SeriesError: The table's data do not fit its descriptor.
    """
    count, first, bits = (int(v) for v in table.LUTDescriptor)
    entries = _entries(table, count or 65536)
    index = np.clip(np.rint(values).astype(np.int64) - first, 0, len(entries) - 1)
    return entries[index], float((1 << bits) - 1)


def _entries(table: Dataset, count: int) -> NDArray[np.float32]:
    """Return the entries; those of 8 bits may lie in bytes or in words."""
    data = table.LUTData
    if isinstance(data, bytes):
        packed = len(data) < 2 * count
        entries = np.frombuffer(data, np.uint8 if packed else np.dtype("<u2"))
    else:
        entries = np.atleast_1d(np.asarray(data))
    if len(entries) < count:
        raise SeriesError(compose(f"a look-up table of {count} entries", f"{len(entries)}"))
    return entries[:count].astype(np.float32)
