"""Figures of parts of the rows: by reader, lesion, image and origin."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calcilens.training.figures import AreaFigures, area_figures
from calcilens.training.pattern_figures import PatternSummary, pattern_summary
from calcilens.training.predictions import HEADS, arrays, named

SIZE_EDGES_MM = (6.0, 10.0, 20.0)
SIZE_NAMES = ("<6 mm", "6-10 mm", "10-20 mm", ">=20 mm")
THICKNESS_EDGES_MM = (1.0, 2.0, 4.0)
THICKNESS_NAMES = ("<1 mm", "1-2 mm", "2-4 mm", ">=4 mm")
UNKNOWN = "unknown"
NOT_CALCIFIED = "not calcified"
SEVERAL = "several"
"""Group of the lesions that show more than one pattern."""


@dataclass(frozen=True)
class Group:
    """A part of the rows that share a property."""

    n: int
    finding: AreaFigures | None
    concern: AreaFigures | None
    pattern: PatternSummary | None


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


def _group_order(name: str) -> tuple[bool, float, str]:
    """Sort by the first number in a name, then by its letters; what is unknown comes last."""
    number = re.search(r"\d+(\.\d+)?", name)
    value = float(number[0]) if number else 0.0
    return name == UNKNOWN, -value if name.startswith("<") else value, name


def _group(part: pd.DataFrame, reasons: pd.DataFrame, *, resamples: int) -> Group:
    areas = {}
    for head in HEADS:
        rows = part[reasons.loc[part.index, head].isna()]
        areas[head] = area_figures(*arrays(rows, head), resamples=resamples) if len(rows) else None
    shown = part[reasons.loc[part.index, "pattern"].isna()]
    pattern = pattern_summary(named(shown)) if len(shown) else None
    return Group(len(part), areas["finding"], areas["concern"], pattern)


def group_names(frame: pd.DataFrame) -> dict[str, pd.Series]:
    """Return the name of the group that each row belongs to, a series a property.

    Properties that a manifest need not have are left out where no row has them.
    """
    names = _always(frame) | {key: s for key, s in _where_known(frame).items() if s.notna().any()}
    return {key: series.where(series.notna(), UNKNOWN) for key, series in names.items()}


def _always(frame: pd.DataFrame) -> dict[str, pd.Series]:
    names = {}
    if "readers" in frame:
        names["readers"] = frame["readers"].astype(str)
    if "diameter_mm" in frame:
        names["size"] = _binned(frame["diameter_mm"], SIZE_EDGES_MM, SIZE_NAMES)
    if "contrast" in frame:
        names["contrast"] = frame["contrast"].map({True: "yes", False: "no"}).astype(object)
    return names | {c: frame[c].astype(object) for c in ("split", "source") if c in frame}


def _where_known(frame: pd.DataFrame) -> Mapping[str, pd.Series]:
    names = {c: frame[c].astype(object) for c in ("site", "kernel") if c in frame}
    if "kvp" in frame:
        names["kvp"] = frame["kvp"].map(lambda kv: f"{kv:.0f} kV", na_action="ignore")
    if "spacing_z_mm" in frame:
        steps = _binned(frame["spacing_z_mm"], THICKNESS_EDGES_MM, THICKNESS_NAMES)
        names["slice thickness"] = steps
    if "pattern_truth" in frame:
        shown = frame["pattern_truth"].map(
            lambda keys: keys[0] if len(keys) == 1 else SEVERAL, na_action="ignore"
        )
        if shown.notna().any():
            absent = frame["finding_truth"].eq(0).fillna(False)
            names["pattern"] = shown.mask(absent & shown.isna(), NOT_CALCIFIED)
    return names


def _binned(values: pd.Series, edges: tuple[float, ...], labels: tuple[str, ...]) -> pd.Series:
    """Return the name of each value's bin; an edge belongs to the larger one."""
    return pd.cut(values, [0, *edges, np.inf], right=False, labels=labels).astype(object)
