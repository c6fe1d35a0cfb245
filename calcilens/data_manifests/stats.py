"""What a manifest holds: counts for a program, a table and a picture for people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from calcilens.data_manifests.columns import SPLITS
from calcilens.data_manifests.schema import Manifest, truth
from calcilens.errors import UsageError, compose

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.table import Table

WHOLE = "all"
UNSPLIT = "no split"
PICTURES = (".png", ".svg", ".pdf")
_HEADS = (
    ("finding_truth", "Calcified", ("no", "yes")),
    ("concern_truth", "Concern", ("benign", "malignant")),
)
_COLOURS = ("#4c78a8", "#e45756", "#bab0ac")
_MANY = 9
"""So many readers, or lesions of a patient, and more share a bar."""
_SPLIT_COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#bab0ac", "#b279a2")


def counts(manifest: Manifest) -> dict[str, Any]:
    """Count rows, patients and labels: of all rows, of each split and of each fold."""
    table = truth(manifest.frame)
    splits, folds = set(table["split"].dropna()), table["fold"].dropna()
    return {
        WHOLE: _counts(table),
        "splits": {str(s): _counts(table[table["split"] == s]) for s in SPLITS if s in splits},
        "folds": {
            str(f): _counts(table[(table["fold"] == f).fillna(False)])
            for f in sorted(folds.unique())
        },
        "sources": _tally(table["source"]),
        "modalities": _tally(table["modality"]),
    }


def lesion_size_mm(frame: pd.DataFrame) -> pd.Series:
    """Return the diameter of each lesion, mm; where not given, the longer side of its box."""
    sides = [(frame[f"{axis}1"] - frame[f"{axis}0"]) * frame[f"spacing_{axis}_mm"] for axis in "yx"]
    return frame["diameter_mm"].fillna(pd.concat(sides, axis=1).max(axis=1))


def to_table(found: dict[str, Any]) -> Table:
    """Lay the counts out as a table, one line a split and fold."""
    from rich.table import Table

    table = Table(title="Manifest")
    for name in (
        "Part",
        "Rows",
        "Patients",
        "Calcified",
        "Malignant",
        "Readers",
        "Size, mm (quartiles)",
    ):
        table.add_column(name, justify="left" if name == "Part" else "right")
    parts = {WHOLE: found[WHOLE], **found["splits"]}
    parts |= {f"fold {name}": part for name, part in found["folds"].items()}
    for name, part in parts.items():
        table.add_row(name, *_line(part))
    return table


def draw(manifest: Manifest, path: Path) -> None:
    """Draw labels by head and split, sizes and readers.

    Raises:
        UsageError: The name of the picture does not end in a known way.
    """
    from matplotlib.figure import Figure

    if path.suffix.lower() not in PICTURES:
        raise UsageError(compose(f"a name ending in {', '.join(PICTURES)}", path.name))
    table = truth(manifest.frame).assign(size_mm=lesion_size_mm(manifest.frame))
    table["part"] = table["split"].fillna(UNSPLIT)
    figure = Figure(figsize=(12, 8), layout="constrained")
    axes = figure.subplots(2, 3)
    for axis, (column, title, words) in zip(axes[0], _HEADS, strict=False):
        _draw_head(axis, table, column, (title, *words))
    _draw_patterns(axes[0, 2], table)
    _draw_sizes(axes[1, 0], table)
    _draw_tally(axes[1, 1], table["readers"], "Readers", "votes of the most-voted head")
    _draw_tally(axes[1, 2], table.groupby("patient_key").size(), "Lesions a patient", "lesions")
    patients = table["patient_key"].nunique()
    figure.suptitle(f"{len(table)} lesions of {patients} patients")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def _counts(table: pd.DataFrame) -> dict[str, Any]:
    sizes = lesion_size_mm(table).dropna()
    quartiles = np.round(sizes.quantile([0.25, 0.5, 0.75]), 2).tolist() if len(sizes) else None
    return {
        "rows": len(table),
        "patients": int(table["patient_key"].nunique()),
        "images": int(table["image"].nunique()),
        "finding": _binary(table["finding_truth"]),
        "concern": _binary(table["concern_truth"]),
        "pattern": _tally(table["pattern_truth"].dropna().explode()),
        "readers": _tally(table["readers"]),
        "size_mm_quartiles": quartiles,
    }


def _binary(labels: pd.Series) -> dict[str, int]:
    return {
        "positive": int((labels == 1).sum()),
        "negative": int((labels == 0).sum()),
        "unknown": int(labels.isna().sum()),
    }


def _tally(values: pd.Series) -> dict[str, int]:
    return {str(value): int(n) for value, n in values.value_counts().sort_index().items()}


def _line(part: dict[str, Any]) -> list[str]:
    size = part["size_mm_quartiles"]
    readers = sum(int(n) * rows for n, rows in part["readers"].items()) / max(part["rows"], 1)
    return [
        str(part["rows"]),
        str(part["patients"]),
        _share(part["finding"]),
        _share(part["concern"]),
        f"{readers:.1f}",
        " ".join(f"{value:.1f}" for value in size) if size else "unknown",
    ]


def _share(head: dict[str, int]) -> str:
    known = head["positive"] + head["negative"]
    return f"{head['positive']} of {known}" if known else "unknown"


def _draw_head(axis: Axes, table: pd.DataFrame, column: str, words: tuple[str, str, str]) -> None:
    title, no, yes = words
    state = table[column].map({0.0: no, 1.0: yes}).fillna("not known")
    tally = pd.crosstab(table["part"], state)
    tally = tally.reindex(index=_parts(table), columns=[no, yes, "not known"], fill_value=0)
    shown = [name for name in tally.columns if tally[name].any()]
    places, width = np.arange(len(tally)), 0.8 / len(shown)
    for step, name in enumerate(shown):
        middle = places + (step - (len(shown) - 1) / 2) * width
        colour = _COLOURS[list(tally.columns).index(name)]
        bars = axis.bar(middle, tally[name].to_numpy(), width, color=colour, label=name)
        axis.bar_label(bars, fontsize=8)
    axis.margins(y=0.1)
    axis.set(ylabel="lesions")
    axis.set_xticks(places, tally.index.tolist())
    _title_and_legend(axis, title, len(shown))


def _parts(table: pd.DataFrame) -> list[str]:
    """Return the splits there are, in their usual order."""
    return [part for part in (*SPLITS, UNSPLIT) if (table["part"] == part).any()]


def _title_and_legend(axis: Axes, title: str, columns: int) -> None:
    axis.set_title(title, pad=26)
    axis.legend(
        loc="lower center", bbox_to_anchor=(0.5, 0.99), ncols=columns, frameon=False, fontsize=9
    )


def _draw_patterns(axis: Axes, table: pd.DataFrame) -> None:
    tally = table["pattern_truth"].dropna().explode().value_counts().sort_values()
    axis.set(title="Pattern, where the readers agree", xlabel="lesions")
    if tally.empty:
        axis.text(0.5, 0.5, "no pattern labels", ha="center", transform=axis.transAxes)
        axis.set(yticks=[])
        return
    names = [str(name).replace("_", " ") for name in tally.index]
    axis.bar_label(axis.barh(names, tally.to_numpy(), color=_COLOURS[0]), padding=3)
    axis.margins(x=0.15)


def _draw_sizes(axis: Axes, table: pd.DataFrame) -> None:
    axis.set(xlabel="diameter, mm", ylabel="lesions")
    known = table.dropna(subset=["size_mm"])
    if known.empty:
        axis.text(0.5, 0.5, "no sizes in mm", ha="center", transform=axis.transAxes)
        axis.set(title="Size")
        return
    parts = [part for part in _parts(table) if (known["part"] == part).any()]
    groups = [known.loc[known["part"] == part, "size_mm"].to_numpy() for part in parts]
    edges = np.histogram_bin_edges(known["size_mm"], bins=30)
    colours = list(_SPLIT_COLOURS[: len(parts)])
    axis.hist(groups, bins=edges.tolist(), stacked=True, label=parts, color=colours)
    _title_and_legend(axis, "Size", len(parts))


def _draw_tally(axis: Axes, values: pd.Series, title: str, xlabel: str) -> None:
    tally = values.clip(upper=_MANY).value_counts().sort_index()
    names = [f"{v}+" if v == _MANY else str(v) for v in tally.index]
    axis.bar_label(axis.bar(names, tally.to_numpy(), color=_COLOURS[0]))
    axis.margins(y=0.1)
    axis.set(title=title, xlabel=xlabel, ylabel="lesions" if title == "Readers" else "patients")
