"""Saliency maps beside the truth on one picture for a person to look at, and as a table."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from calcilens.files import write_whole
from calcilens.training.evaluate_plots import save
from calcilens.training.saliency_rows import JudgedMap
from calcilens.training.samples import spread

LESIONS, COLUMNS = 16, 4
_MASK = "#56B4E9"


def write_maps(out: Path, judged: Sequence[JudgedMap]) -> None:
    """Write plots/saliency.png and saliency.csv, a row a lesion, into an evaluation's folder."""
    (out / "plots").mkdir(parents=True, exist_ok=True)
    stream = io.BytesIO()
    save(draw_gallery(judged), stream, "png")
    write_whole(out / "plots" / "saliency.png", stream.getvalue())
    rows = ({"row_id": m.row_id, "patterns": "|".join(m.patterns), **m.numbers} for m in judged)
    write_whole(out / "saliency.csv", pd.DataFrame(rows).to_csv(index=False).encode())


def draw_gallery(judged: Sequence[JudgedMap]) -> Figure:
    """Draw up to 16 lesions, spread evenly: the image with the mineral's outline, and its map."""
    chosen = [judged[i] for i in spread(len(judged), LESIONS)]
    columns = min(COLUMNS, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = Figure(figsize=(3.2 * columns, 1.9 * rows + 0.3), layout="constrained")
    axes = figure.subplots(rows, 2 * columns, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for i, one in enumerate(chosen):
        _draw(axes[2 * i], axes[2 * i + 1], one)
    figure.suptitle("Left: mineral outlined. Right: saliency, and a cross at its maximum.", size=9)
    return figure


def _draw(left: Axes, right: Axes, one: JudgedMap) -> None:
    for axis in (left, right):
        axis.imshow(one.plane, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    left.contour(one.mask, [0.5], colors=_MASK, linewidths=0.8)
    colours = mpl.colormaps["inferno"](one.values)
    colours[..., 3] = np.clip(one.values * 1.5, 0, 0.75)
    right.imshow(colours, interpolation="nearest")
    y, x = np.unravel_index(one.values.argmax(), one.values.shape)
    right.plot(x, y, "+", color="white" if one.numbers["hit"] else "red", markersize=7)
    left.set_title(",\n".join(one.patterns) or "calcified", size=7)
    verdict = "hit" if one.numbers["hit"] else "miss"
    right.set_title(f"{verdict}, trust {one.numbers['trust']:.2f}", size=7)
