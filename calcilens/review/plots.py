"""Plots of the figures of reviews: dark, for all kinds of colour vision, each with its text.

A figure with fewer than `FEWEST` answers is not drawn; the page says so instead.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from calcilens.vocabulary import PATTERN_KEYS, pattern

FEWEST = 5
_PAGE, _TEXT, _GRID = "#11161d", "#e6e9ee", "#343c48"
_MAIN, _OTHER, _ALARM = "#56b4e9", "#e69f00", "#f0e442"
"""Of Okabe and Ito's palette, those that stand out on dark; shapes differ too."""
_STYLE: dict[Any, Any] = {
    "font.size": 11,
    "figure.facecolor": _PAGE,
    "axes.facecolor": _PAGE,
    "savefig.facecolor": _PAGE,
    "text.color": _TEXT,
    "axes.labelcolor": _TEXT,
    "axes.edgecolor": _GRID,
    "xtick.color": _TEXT,
    "ytick.color": _TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": _GRID,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "calcilens",  # same input, same file
}


@dataclass(frozen=True)
class Plot:
    """A plot.

    Args:
        svg: The picture.
        text: What it shows, in words.
    """

    svg: bytes
    text: str


def draw(figures: Mapping[str, Any]) -> dict[str, Plot]:
    """Draw what there are enough answers for: name of the plot -> plot.

    Args:
        figures: As `calcilens.review.statistics.statistics` gives them.
    """
    plots = {}
    with mpl.rc_context(_STYLE):
        for name, (make, rows) in _PLOTS.items():
            found = rows(figures)
            if found:
                figure, text = make(found, figures)
                plots[name] = Plot(_svg(figure, text), text)
    return plots


def _svg(figure: Figure, text: str) -> bytes:
    stream = io.BytesIO()
    metadata = {"Date": None, "Title": text}
    figure.savefig(stream, format="svg", metadata=metadata)
    return stream.getvalue()


Row = tuple[str, Mapping[str, Any]]
Rows = list[Row]


# --- what is drawn ---


def _agreement_rows(figures: Mapping[str, Any]) -> Rows:
    """Return the agreements that there are, of blinded answers where there are enough."""
    for stage in ("blinded", "final"):
        told = figures["between_readers"][stage]
        rows = [("Calcification", told["finding"]), ("Level of concern", told["concern"])]
        rows += [(pattern(key).label, kappa) for key, kappa in told["patterns"].items()]
        enough = [(n, k) for n, k in rows if k["n"] >= FEWEST and k["kappa"] is not None]
        if enough:
            return enough
    return []


def _override_rows(figures: Mapping[str, Any]) -> Rows:
    told = figures["overrides"]
    labels = {key: pattern(key).label for key in PATTERN_KEYS}
    rows = [(labels.get(key, "No pattern named"), x) for key, x in told["by_pattern"].items()]
    enough = [row for row in rows if row[1]["n"] >= FEWEST]
    return [*enough, ("All", told["all"])] if told["all"]["n"] >= FEWEST else []


def _drift_rows(figures: Mapping[str, Any]) -> Rows:
    months = [(x["month"], x) for x in figures["drift"]["months"]]
    return months if sum(x["n"] >= FEWEST for _, x in months) >= 2 else []


def _time_rows(figures: Mapping[str, Any]) -> Rows:
    return [(name.capitalize(), x) for name, x in figures["seconds"].items() if x["n"] >= FEWEST]


# --- how ---


def _draw_agreement(rows: Rows, figures: Mapping[str, Any]) -> tuple[Figure, str]:
    figure, axes = _lines(rows)
    for place, (_, kappa) in enumerate(rows):
        _whisker(axes, place, kappa["kappa"], kappa["ci95"], _MAIN)
    axes.axvline(0, color=_TEXT, linewidth=1, linestyle=":")
    axes.set(xlabel="Cohen's kappa of two readers, 95 % interval", xlim=(-1.02, 1.02))
    blinded = figures["between_readers"]["blinded"]["finding"]["n"] >= FEWEST
    stage = "before they saw the model's answer" if blinded else "in their final verdicts"
    said = [f"{name} {k['kappa']:.2f} (n {k['n']})" for name, k in rows]
    return figure, f"Agreement of two readers {stage}, Cohen's kappa: {'; '.join(said)}."


def _draw_overrides(rows: Rows, figures: Mapping[str, Any]) -> tuple[Figure, str]:
    figure, axes = _lines(rows)
    for place, (name, found) in enumerate(rows):
        colour = _OTHER if name == "All" else _MAIN
        _whisker(axes, place, 100 * found["share"], _percent(found["ci95"]), colour)
    axes.set(xlabel="Answers that readers changed, %, with 95 % interval", xlim=(-2, 102))
    said = [f"{name} {100 * x['share']:.0f} % of {x['n']}" for name, x in rows]
    return figure, f"Share of the model's answers that readers changed: {'; '.join(said)}."


def _draw_drift(rows: Rows, figures: Mapping[str, Any]) -> tuple[Figure, str]:
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(rows))
    limits = 100 * np.array([x["limits"] for _, x in rows])
    rates = np.array([100 * x["share"] for _, x in rows])
    low, high = limits.T
    axes.fill_between(places, low, high, step="mid", color=_GRID, label="limits, 3 standard errors")
    axes.axhline(100 * figures["drift"]["mean"], color=_TEXT, linestyle=":", label="all months")
    axes.plot(places, rates, color=_MAIN, marker="o", label="month")
    outside = [place for place, (_, x) in enumerate(rows) if x["outside"]]
    if outside:
        axes.plot(outside, rates[outside], "D", color=_ALARM, markersize=11, label="outside")
    axes.set(ylabel="Answers changed, %", ylim=(-2, 102))
    axes.set_xticks(places, [f"{name}\nn {x['n']}" for name, x in rows])
    figure.legend(loc="outside upper left", ncols=4)
    names = ", ".join(rows[place][0] for place in outside)
    said = [f"{name} {100 * x['share']:.0f} % of {x['n']}" for name, x in rows]
    alarm = f"Outside the limits: {names}." if outside else "No month is outside the limits."
    return figure, f"Share of changed answers by month: {'; '.join(said)}. {alarm}"


def _draw_time(rows: Rows, _: Mapping[str, Any]) -> tuple[Figure, str]:
    figure, axes = _lines(rows)
    for place, (_name, found) in enumerate(rows):
        _whisker(axes, place, found["median"], found["quartiles"], _MAIN)
    axes.set(xlabel="Seconds: median and quartiles")
    axes.set_xlim(left=0)
    said = [f"{name} {x['median']:.0f} s (n {x['n']})" for name, x in rows]
    return figure, f"Median time of each step: {'; '.join(said)}."


def _lines(rows: Rows) -> tuple[Figure, Axes]:
    """Return axes with a line for each row, the first on top, and its n beside its name."""
    figure = Figure(figsize=(8, 1.3 + 0.42 * len(rows)), layout="constrained")
    axes = figure.subplots()
    labels = [f"{name}  (n {x['n']}{', few' if x['small'] else ''})" for name, x in rows]
    axes.set_yticks(range(len(rows)), labels)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    return figure, axes


def _whisker(axes: Axes, place: int, value: float, ends: Any, colour: str) -> None:
    if ends is not None:
        axes.plot(ends, [place, place], color=colour, linewidth=2.5, marker="|", markersize=9)
    axes.plot([value], [place], color=colour, marker="o", markersize=8, linestyle="")


def _percent(ends: Any) -> Any:
    return None if ends is None else [100 * end for end in ends]


_Make = Callable[[Rows, Mapping[str, Any]], tuple[Figure, str]]
_PLOTS: dict[str, tuple[_Make, Callable[[Mapping[str, Any]], Rows]]] = {
    "agreement": (_draw_agreement, _agreement_rows),
    "overrides": (_draw_overrides, _override_rows),
    "drift": (_draw_drift, _drift_rows),
    "time": (_draw_time, _time_rows),
}
