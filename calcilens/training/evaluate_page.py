"""An evaluation on disk: page, plots, predictions and figures, the page readable offline."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from calcilens.files import write_whole
from calcilens.training.evaluate import Scores
from calcilens.training.evaluate_plots import HEAD_NAMES, Judged, draw_all, save
from calcilens.training.left_out import why_left_out
from calcilens.training.predictions import PATTERN_COLUMNS, WHY_COLUMNS, WHY_NOT, arrays
from calcilens.vocabulary import PATTERNS

MISTAKES = 8
"""Rows listed for each head."""
PAGE = "evaluation.html"
_TITLES = {
    "roc": ("ROC curves", "Sensitivity against false-positive rate. Bands: 95 % intervals."),
    "precision_recall": (
        "Precision-recall curves",
        "Precision against recall. Dotted: share of positives, what guessing reaches.",
    ),
    "reliability": (
        "Reliability",
        "Observed share of positives against probability, with 95 % intervals; on the dotted line "
        "the model is calibrated. Below: how many lesions lie in each bin.",
    ),
    "confusion": (
        "Confusion of patterns",
        "Rows: true pattern. Numbers: lesions that show a single pattern.",
    ),
    "groups": ("AUROC by group", "Dotted: all lesions. Bars: 95 % intervals."),
}
_WIDE = ("reliability", "confusion", "groups")


@dataclass(frozen=True)
class About:
    """What was judged, with what and how: the heading of every output."""

    model: str
    model_version: str | None
    model_sha256: str | None
    manifest: str
    manifest_sha256: str
    split: str
    command: str
    calcilens: str
    disclaimer: str
    ece_binning: str
    resamples: int
    seed: int
    min_patients: int
    seconds: float


def scores_json(scores: Scores, about: About) -> dict[str, Any]:
    """Return what `evaluate --json` prints."""
    described = {f.name: getattr(about, f.name) for f in fields(about)}
    found = scores.as_json()
    return {"n": found.pop("n"), "model": described.pop("model"), **found, **described}


_OF_THE_RUN = ("command", "seconds", "disclaimer", "model", "model_version", "model_sha256")
"""What a card says already, or what names folders of the machine that judged."""
_DECIMALS = 4


def card_entry(scores: Scores, about: About) -> dict[str, Any]:
    """Return the figures as a model's card keeps them: rounded, and without the run."""
    found = scores_json(scores, about)
    kept = {name: value for name, value in found.items() if name not in _OF_THE_RUN}
    rounded: dict[str, Any] = json.loads(
        json.dumps(kept), parse_float=lambda text: round(float(text), _DECIMALS)
    )
    return rounded


def warnings_about(scores: Scores) -> list[str]:
    """Return what a reader of the figures must know first."""
    found = [scores.other_modality] if scores.other_modality else []
    seen = scores.n_seen_in_training
    if not seen:
        return found
    if scores.seen_included:
        what = "they are in the figures, which are too good because of it"
    else:
        what = "they are left out (--include-seen keeps them)"
    return [*found, f"{seen} of {scores.n_in_split} rows were trained on by every member: {what}"]


def write_evaluation(out: Path, frame: pd.DataFrame, scores: Scores, about: About) -> Path:
    """Write page, plots, predictions.csv and scores.json into a folder.

    Args:
        out: The folder; made when it is not there, files in it of the same names replaced.
        frame: Truth and predictions, as `score` took them.
        scores: What it found.
        about: What was judged.

    Returns:
        Path of the page.
    """
    reasons = why_left_out(frame, include_seen=scores.seen_included)
    judged = _judged(frame, reasons, scores)
    figures = draw_all(judged, scores.pattern, scores.by_group)
    svg = {name: _picture(figure, "svg") for name, figure in figures.items()}
    (out / "plots").mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        write_whole(out / "plots" / f"{name}.svg", svg[name])
        write_whole(out / "plots" / f"{name}.png", _picture(figure, "png"))
    write_whole(out / "predictions.csv", _predictions_csv(frame, reasons).encode())
    found = json.dumps(scores_json(scores, about), indent=2, allow_nan=False)
    write_whole(out / "scores.json", f"{found}\n".encode())
    page = out / PAGE
    write_whole(page, render(svg, scores, about, _mistakes(frame, reasons)).encode())
    return page


def render(
    plots: Mapping[str, bytes],
    scores: Scores,
    about: About,
    mistakes: Mapping[str, list[dict[str, Any]]],
) -> str:
    """Return the page as HTML with the plots (name -> SVG) inside it."""
    environment = Environment(
        loader=PackageLoader("calcilens.training"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = HEAD_NAMES | {"pattern": "Pattern"}
    heads = {name: getattr(scores, head) for head, name in HEAD_NAMES.items()}
    return environment.get_template("evaluate.html.j2").render(
        about=about,
        scores=scores,
        warnings=warnings_about(scores),
        heads={name: figures for name, figures in heads.items() if figures},
        head_names=HEAD_NAMES,
        groups=_groups(scores),
        pattern_names={p.key: p.label for p in PATTERNS},
        left_out={names[head]: why for head, why in scores.left_out.items() if why},
        no_answer={names[head]: why for head, why in scores.abstained_by.items() if why},
        answered={names[head]: kept for head, kept in scores.selective.items() if kept},
        plots=[_plot(name, svg) for name, svg in plots.items()],
        mistakes={HEAD_NAMES[head]: rows for head, rows in mistakes.items() if rows},
        made=_made(scores, about),
    )


def _groups(scores: Scores) -> dict[str, dict[str, Any]]:
    """Return the groups by name, without properties that all rows share."""
    labels = {p.key: p.label for p in PATTERNS}
    return {
        "kVp" if name == "kvp" else name.capitalize(): {
            labels.get(key, key): group for key, group in parts.items()
        }
        for name, parts in scores.by_group.items()
        if len(parts) > 1
    }


def _judged(frame: pd.DataFrame, reasons: pd.DataFrame, scores: Scores) -> dict[str, Judged]:
    judged = {}
    for head in HEAD_NAMES:
        figures = getattr(scores, head)
        if figures is not None:
            rows = frame[reasons[head].isna()]
            judged[head] = Judged(*arrays(rows, head), figures)
    return judged


def _plot(name: str, svg: bytes) -> dict[str, Any]:
    title, caption = _TITLES[name]
    uri = f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"
    return {"title": title, "caption": f"{title}. {caption}", "uri": uri, "wide": name in _WIDE}


def _picture(figure: Figure, suffix: str) -> bytes:
    stream = io.BytesIO()
    save(figure, stream, suffix)
    return stream.getvalue()


def _mistakes(frame: pd.DataFrame, reasons: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    found = {}
    for head in HEAD_NAMES:
        rows = frame[reasons[head].isna()]
        distance = (rows[f"{head}_truth"] - rows[head]).abs()
        worst = distance[distance > 0.5].sort_values(ascending=False, kind="stable")
        found[head] = [
            {
                "row_id": row["row_id"],
                "image": row.get("image"),
                "size": _size(row.get("diameter_mm")),
                "truth": "yes" if row[f"{head}_truth"] else "no",
                "probability": row[head],
                "votes": _votes(row.get(f"{head}_votes")),
            }
            for _, row in rows.loc[worst.index[:MISTAKES]].iterrows()
        ]
    return found


def _size(diameter_mm: Any) -> str:
    return "–" if diameter_mm is None or pd.isna(diameter_mm) else f"{diameter_mm:.1f} mm"


def _votes(votes: Any) -> str:
    return ", ".join(map(str, votes)) if isinstance(votes, list | np.ndarray) else "–"


def _made(scores: Scores, about: About) -> dict[str, str]:
    members = (scores.members_used or {}).items()
    by_members = ", ".join(f"{n} lesions by {used}" for used, n in members)
    return {
        "Model": " ".join(filter(None, (about.model, about.model_version))),
        "Weights, sha256": about.model_sha256 or "not given",
        "Members that answered": by_members or "not given",
        "Manifest, sha256": about.manifest_sha256,
        "Split": about.split,
        "Resamples, seed": f"{about.resamples}, {about.seed}",
        "Calcilens": about.calcilens,
        "Seconds": f"{about.seconds:.1f}",
    }


def _predictions_csv(frame: pd.DataFrame, reasons: pd.DataFrame) -> str:
    truths = ["finding_truth", "pattern_truth", "concern_truth"]
    given = [*PATTERN_COLUMNS, "out_of_domain", "abstained", *WHY_COLUMNS]
    given += ["members_used", "pattern_set"]
    table = frame[["row_id", *truths, "finding", "concern", *(c for c in given if c in frame)]]
    for name in ("pattern_truth", "pattern_set"):
        if name in table:
            table = table.assign(**{name: table[name].map("|".join, na_action="ignore")})
    return table.join(reasons.add_prefix(WHY_NOT)).to_csv(index=False)
