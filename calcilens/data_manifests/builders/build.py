"""What every builder gives back, and what their rows have in common."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calcilens.data_manifests.columns import BOX_COLUMNS, SPACING_COLUMNS
from calcilens.data_manifests.faults import Fault
from calcilens.data_manifests.schema import Manifest

Advance = Callable[[int, int], None]
"""Called with how many are done, and of how many."""


@dataclass(frozen=True)
class Built:
    """A manifest and what was left out of it.

    Args:
        manifest: The rows that could be built.
        refused: One entry for each row, folder or series that was left out.
        notes: What the user should know beside that.
    """

    manifest: Manifest
    refused: tuple[Fault, ...]
    notes: tuple[str, ...] = ()


def summarise(refused: Sequence[Fault]) -> list[str]:
    """Say each kind of refusal in one line, with how often and where first."""
    kinds = Counter((fault.column, fault.message) for fault in refused)
    first = {(fault.column, fault.message): fault for fault in reversed(refused)}
    return [
        str(first[kind]) if count == 1 else f"{count} times, first: {first[kind]}"
        for kind, count in kinds.items()
    ]


def row_id(source: str, *parts: object) -> str:
    """Name a row by what it is made from, so that it keeps its name when built again."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()
    return f"{source}-{digest[:12]}"


def box_cells(box: NDArray[Any]) -> dict[str, int]:
    """Spread a (2, 3) box over its six columns."""
    return dict(zip(BOX_COLUMNS, map(int, np.asarray(box).ravel()), strict=True))


def spacing_cells(spacing: Sequence[float | None]) -> dict[str, float | None]:
    """Spread (z, y, x) spacing, mm, over its three columns."""
    return dict(zip(SPACING_COLUMNS, spacing, strict=True))


def median_box(boxes: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """Return the coordinate-wise median of readers' (2, 3) boxes, halves rounded outwards."""
    middle = np.median(np.stack(boxes), axis=0)
    return np.stack([np.floor(middle[0]), np.ceil(middle[1])]).astype(np.int64)
