"""Pictures of an evaluation: ROC, PR, reliability, confusion and groups.

Colours are from Okabe and Ito's palette for all kinds of colour vision, and every line also
differs by its dashes. Bands are patient-bootstrap 95 % intervals at each point.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from calcilens.training import metrics as m
from calcilens.training.figures import AreaFigures, BinaryFigures
from calcilens.training.metrics import Float
from calcilens.training.pattern_figures import PatternFigures
from calcilens.vocabulary import pattern

HEAD_NAMES = {"finding": "Calcified", "concern": "Concern"}
_COLOURS = {"finding": "#0072B2", "concern": "#D55E00"}
_DASHES = {"finding": "-", "concern": "--"}
_MARKERS = {"finding": "o", "concern": "s"}
_GUIDE = "#555555"
_GRID = np.linspace(0, 1, 101)
_RESAMPLES = 500
_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "calcilens",  # same input, same file
}


@dataclass(frozen=True, eq=False)
class Judged:
    """The rows behind the figures of one head.

    Args:
        truth: (n,) of 0 and 1.
        probability: (n,) in 0..1.
        patient: (n,) keys.
        figures: What was computed from them.
    """

    truth: NDArray[Any]
    probability: Float
    patient: NDArray[Any]
    figures: BinaryFigures


def draw_all(
    heads: Mapping[str, Judged],
    patterns: PatternFigures | None,
    groups: Mapping[str, Mapping[str, Any]],
) -> dict[str, Figure]:
    """Draw what the figures allow: name of the plot -> figure."""
    with mpl.rc_context(_STYLE):
        two_class = {h: j for h, j in heads.items() if j.figures.auroc is not None}
        plots: dict[str, Figure] = {}
        if two_class:
            plots["roc"] = draw_roc(two_class)
            plots["precision_recall"] = draw_precision_recall(two_class)
        if heads:
            plots["reliability"] = draw_reliability(heads)
        if patterns is not None and patterns.confusion:
            plots["confusion"] = draw_confusion(patterns.confusion)
        rows = group_rows(groups)
        if rows:
            plots["groups"] = draw_groups(rows, two_class)
    return plots


def save(figure: Figure, stream: BinaryIO, kind: str) -> None:
    """Write a figure as png or svg, with no date in it."""
    with mpl.rc_context(_STYLE):
        metadata = {"Date": None} if kind == "svg" else {}
        figure.savefig(stream, format=kind, dpi=150, metadata=metadata)


def draw_roc(heads: Mapping[str, Judged]) -> Figure:
    """Draw ROC curves with bands."""
    figure, axes = _square("False-positive rate", "Sensitivity")
    axes.plot([0, 1], [0, 1], color=_GUIDE, linestyle=":", linewidth=1.4)
    for head, judged in heads.items():
        x, y, _ = roc_curve(judged.truth, judged.probability)
        label = _label(head, "AUROC", judged.figures.auroc, judged.figures.auroc_ci95)
        axes.plot(x, y, color=_COLOURS[head], linestyle=_DASHES[head], label=label)
        _band(axes, judged, m.roc_on(judged.truth, judged.probability, _GRID), _COLOURS[head])
    _legend_above(axes)
    return figure


def draw_precision_recall(heads: Mapping[str, Judged]) -> Figure:
    """Draw precision against recall with bands; dotted: always calling positive."""
    figure, axes = _square("Recall (sensitivity)", "Precision")
    for head, judged in heads.items():
        precision, recall, _ = precision_recall_curve(judged.truth, judged.probability)
        label = _label(head, "AUPRC", judged.figures.auprc, judged.figures.auprc_ci95)
        axes.step(
            recall,
            precision,
            where="post",
            color=_COLOURS[head],
            linestyle=_DASHES[head],
            label=label,
        )
        at = _GRID[1:]
        band = m.precision_on(judged.truth, judged.probability, at)
        _band(axes, judged, band, _COLOURS[head], at)
        axes.axhline(judged.truth.mean(), color=_COLOURS[head], linestyle=":", linewidth=1)
    _legend_above(axes)
    return figure


def draw_reliability(heads: Mapping[str, Judged]) -> Figure:
    """Draw observed share against probability in each bin, and how many rows lie there."""
    figure = Figure(figsize=(5.2 * len(heads), 6.2), layout="constrained")
    grid = figure.subplots(
        2, len(heads), squeeze=False, sharex="col", gridspec_kw={"height_ratios": [4, 1]}
    )
    for (head, judged), (top, bottom) in zip(heads.items(), grid.T, strict=True):
        _reliability(top, head, judged)
        bottom.hist(judged.probability, np.linspace(0, 1, m.ECE_BINS + 1), color=_COLOURS[head])
        bottom.set(xlabel="Predicted probability", ylabel="Rows", yscale="log")
        bottom.set_ylim(bottom=0.7)
    return figure


def _reliability(axes: Axes, head: str, judged: Judged) -> None:
    share = m.observed_in_bins(judged.truth, judged.probability)
    index = m.bin_index(judged.probability)
    used = np.unique(index)
    observed = share(np.ones((1, len(index))))[0, used]
    predicted = np.array([judged.probability[index == i].mean() for i in used])
    drawn = m.resample(judged.patient, share, resamples=_RESAMPLES)[:, used]
    bounds = np.nanquantile(drawn, [0.025, 0.975], axis=0)
    errors = np.clip([observed - bounds[0], bounds[1] - observed], 0, None)
    axes.plot([0, 1], [0, 1], color=_GUIDE, linestyle=":", linewidth=1.4)
    axes.errorbar(
        predicted,
        observed,
        errors,
        color=_COLOURS[head],
        fmt=_MARKERS[head],
        capsize=2,
        linewidth=1.2,
        markersize=5,
    )
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), ylabel="Observed share of positives")
    title = _label(head, "ECE", judged.figures.ece, judged.figures.ece_ci95)
    axes.set_title(title, fontsize=10)


def draw_confusion(confusion: Mapping[str, list[Any]]) -> Figure:
    """Draw true against predicted pattern; colour is the share of the row, numbers are counts."""
    names = [pattern(key).label for key in confusion["patterns"]]
    counts = np.asarray(confusion["counts"])
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = 3.2 + 0.42 * len(names)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    axes.grid(visible=False)
    picture = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), n in np.ndenumerate(counts):
        colour = "white" if share[row, column] > 0.55 else "#333333"
        axes.text(column, row, str(n) if n else "", ha="center", va="center", color=colour)
    ticks = range(len(names))
    axes.set_xticks(ticks, names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, names)
    axes.set(xlabel="Predicted pattern", ylabel="True pattern")
    figure.colorbar(picture, ax=axes, label="Share of the true pattern", shrink=0.8)
    return figure


def group_rows(groups: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Any]]:
    """Return (label, group) of every group with at least one AUROC, property by property.

    A property that all rows share makes no groups.
    """
    return [
        (f"{name.capitalize()}: {key}", group)
        for name, parts in groups.items()
        if len(parts) > 1
        for key, group in parts.items()
        if any(_area(group, head) is not None for head in HEAD_NAMES)
    ]


def draw_groups(rows: list[tuple[str, Any]], heads: Mapping[str, Judged]) -> Figure:
    """Draw the AUROC of each group with its interval beside the whole (vertical line)."""
    figure = Figure(figsize=(4.2 * max(1, len(heads)) + 1.5, 1.2 + 0.28 * len(rows)))
    figure.set_layout_engine("constrained")
    panels = figure.subplots(1, max(1, len(heads)), squeeze=False, sharex=True, sharey=True)[0]
    for axes, (head, judged) in zip(panels, heads.items(), strict=False):
        axes.axvline(judged.figures.auroc or 0, color=_GUIDE, linestyle=":", linewidth=1.4)
        for height, (_, group) in enumerate(rows):
            area = _area(group, head)
            if area is not None:
                low, high = area.auroc_ci95 or (area.auroc, area.auroc)
                axes.plot([low, high], [height, height], color=_COLOURS[head], linewidth=1.5)
                axes.plot(area.auroc, height, _MARKERS[head], color=_COLOURS[head], markersize=5)
        axes.set_title(HEAD_NAMES[head], fontsize=10)
        axes.set(xlabel="AUROC")
    panels[0].set_yticks(range(len(rows)), [label for label, _ in rows])
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    return figure


def _area(group: Any, head: str) -> AreaFigures | None:
    area: AreaFigures | None = getattr(group, head)
    return area if area is not None and area.auroc is not None else None


def _square(x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.2, 5.2), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=x, ylabel=y, xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    return figure, axes


def _legend_above(axes: Axes) -> None:
    """Put the legend where no curve can lie under it."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)


def _band(
    axes: Axes, judged: Judged, statistic: m.Statistic, colour: str, at: Float = _GRID
) -> None:
    if judged.figures.auroc_ci95 is None:
        return
    drawn = m.resample(judged.patient, statistic, resamples=_RESAMPLES)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    axes.fill_between(at, low, high, color=colour, alpha=0.18, linewidth=0)


def _label(head: str, name: str, value: float | None, bounds: m.Interval | None) -> str:
    if value is None:
        return HEAD_NAMES[head]
    interval = f" ({bounds[0]:.3f}–{bounds[1]:.3f})" if bounds else ""
    return f"{HEAD_NAMES[head]}: {name} {value:.3f}{interval}"
