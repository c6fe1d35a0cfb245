"""Figures of parts of the rows: by readers, size, contrast medium, split and source."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from calcilens.training.figures import AreaFigures, area_figures
from calcilens.training.predictions import HEADS, arrays

SIZE_EDGES_MM = (6.0, 10.0, 20.0)
SIZE_NAMES = ("<6 mm", "6-10 mm", "10-20 mm", ">=20 mm")
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Group:
    """A part of the rows that share a property."""

    n: int
    finding: AreaFigures | None
    concern: AreaFigures | None


def by_group(
    frame: pd.DataFrame, reasons: pd.DataFrame, *, resamples: int
) -> dict[str, dict[str, Group]]:
    """Judge each group of rows by itself.

    Args:
        frame: Truth and predictions.
        reasons: Why a row is not in the figures of a head, on an index that holds the frame's.
        resamples: Number of bootstrap resamples.

    Returns:
        Property -> group -> its figures.
    """
    found = {}
    for property_name, names in group_names(frame).items():
        parts = {str(name): frame[names == name] for name in names.unique()}
        found[property_name] = {
            name: _group(parts[name], reasons, resamples=resamples)
            for name in sorted(parts, key=_group_order)
        }
    return found


def _group_order(name: str) -> tuple[int, str]:
    if name == UNKNOWN:
        return len(SIZE_NAMES), name
    return (SIZE_NAMES.index(name) if name in SIZE_NAMES else 0), name


def _group(part: pd.DataFrame, reasons: pd.DataFrame, *, resamples: int) -> Group:
    areas = {}
    for head in HEADS:
        rows = part[reasons.loc[part.index, head].isna()]
        areas[head] = area_figures(*arrays(rows, head), resamples=resamples) if len(rows) else None
    return Group(len(part), areas["finding"], areas["concern"])


def group_names(frame: pd.DataFrame) -> dict[str, pd.Series]:
    """Return the name of the group that each row belongs to, a series a property."""
    names = {}
    if "readers" in frame:
        names["readers"] = frame["readers"].astype(str)
    if "diameter_mm" in frame:
        bins = [0, *SIZE_EDGES_MM, np.inf]
        sizes = pd.cut(frame["diameter_mm"], bins, right=False, labels=SIZE_NAMES)
        names["size"] = sizes.astype(object)
    if "contrast" in frame:
        names["contrast"] = frame["contrast"].map({True: "yes", False: "no"}).astype(object)
    for column in ("split", "source"):
        if column in frame:
            names[column] = frame[column].astype(object)
    return {key: series.where(series.notna(), UNKNOWN) for key, series in names.items()}
