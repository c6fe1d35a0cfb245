"""`calcilens evaluate`: how good a model, or anyone's predictions, are on a manifest."""

from __future__ import annotations

import shlex
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from calcilens.commands.console import print_json, progress_bar, say
from calcilens.errors import UsageError, compose

if TYPE_CHECKING:
    import pandas as pd

    from calcilens.data_manifests.schema import Manifest
    from calcilens.training.evaluate import Scores
    from calcilens.training.evaluate_page import About
    from calcilens.training.saliency_rows import SaliencyFigures


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("evaluate")(evaluate)


def evaluate(
    manifest: Path = typer.Option(..., help="Manifest with the labels: .parquet or .csv."),
    model: str | None = typer.Option(None, help="Name of a shipped model, or path of its weights."),
    predictions: Path | None = typer.Option(
        None, help="CSV of someone else's predictions: row_id, finding, concern, pattern_<key>."
    ),
    split: str = typer.Option("all", help="all, train, val, test or unused."),
    root: Path | None = typer.Option(None, help="Folder of the images, if they were moved."),
    out: Path | None = typer.Option(None, help="Folder for page, plots, predictions and figures."),
    include_seen: bool = typer.Option(
        False, "--include-seen", help="Keep rows that every member of the model trained on."
    ),
    saliency: int = typer.Option(
        0, min=0, help="Judge the saliency maps too, of up to so many lesions with a mask."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print the figures as JSON."),
) -> None:
    """Judge a model: AUROC, AUPRC and calibration with patient-bootstrap intervals, by group."""
    if (model is None) == (predictions is None):
        found = "neither" if model is None else "both"
        raise UsageError(compose("either --model or --predictions", found))
    if saliency and model is None:
        raise UsageError(
            compose("--model", "--predictions, which make no maps", where="--saliency")
        )
    from calcilens.data_manifests.schema import read_manifest
    from calcilens.training.evaluate import score, select_rows
    from calcilens.training.evaluate_page import scores_json, warnings_about, write_evaluation
    from calcilens.training.predictions import join

    started = time.perf_counter()
    labelled = read_manifest(manifest, root=root)
    rows = select_rows(labelled, split)
    predicted, named = _predicted(labelled, rows, model, predictions)
    frame = join(rows, predicted, named["model"])
    scores = score(frame, include_seen=include_seen)
    if saliency:
        scores = replace(scores, saliency=_judge_maps(labelled, rows, str(model), saliency, out))
    about = _about(manifest, split, named, time.perf_counter() - started)
    for warning in warnings_about(scores):
        say(f"warning: {warning}")
    if out is not None:
        say(f"page: {write_evaluation(out, frame, scores, about)}")
    if as_json:
        print_json(scores_json(scores, about))
    else:
        _show(scores, about)


def _predicted(
    manifest: Manifest, rows: pd.DataFrame, model: str | None, predictions: Path | None
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return predictions and the name, version and sha256 of where they come from."""
    from calcilens.training.evaluate import predict
    from calcilens.training.predictions import read_predictions

    if predictions is not None:
        named = {"model": predictions.name, "model_version": None, "model_sha256": None}
        return read_predictions(predictions), named
    from calcilens.models.registry import find

    find(str(model))  # a wrong name is said before torch is loaded, which takes seconds
    from calcilens.models.loading import load_model

    loaded = load_model(str(model))
    with progress_bar() as bar:
        task = bar.add_task("predicting", total=len(rows))
        predicted = predict(manifest, loaded, rows, lambda done: bar.update(task, advance=done))
    version = loaded.card.get("version")
    return predicted, {
        "model": str(loaded.card.get("name", model)),
        "model_version": None if version is None else str(version),
        "model_sha256": loaded.sha256,
    }


def _judge_maps(
    manifest: Manifest, rows: pd.DataFrame, model: str, limit: int, out: Path | None
) -> SaliencyFigures:
    """Return the figures of saliency maps, drawn and listed where an evaluation is written."""
    from calcilens.models.loading import load_model
    from calcilens.training.saliency_gallery import write_maps
    from calcilens.training.saliency_rows import judge_maps, saliency_figures

    loaded = load_model(model)
    with progress_bar() as bar:
        task = bar.add_task("saliency", total=limit)
        judged = judge_maps(manifest, loaded, rows, limit, lambda n: bar.update(task, advance=n))
    figures = saliency_figures(judged, loaded)
    if out is not None:
        write_maps(out, judged)
    return figures


def _about(manifest: Path, split: str, named: dict[str, Any], seconds: float) -> About:
    import hashlib

    from calcilens import DISCLAIMER, __version__
    from calcilens.training import metrics
    from calcilens.training.evaluate_page import About

    return About(
        **named,
        manifest=manifest.name,
        manifest_sha256=hashlib.sha256(manifest.read_bytes()).hexdigest(),
        split=split,
        command=shlex.join(["calcilens", *sys.argv[1:]]),
        calcilens=__version__,
        disclaimer=DISCLAIMER,
        ece_binning=metrics.ECE_BINNING,
        resamples=metrics.RESAMPLES,
        seed=metrics.SEED,
        min_patients=metrics.MIN_PATIENTS,
        seconds=round(seconds, 3),
    )


def _show(scores: Scores, about: About) -> None:
    """Print the table of figures for a person."""
    from rich.console import Console
    from rich.table import Table

    title = f"{about.model} on {about.manifest}, split {about.split}: {scores.n} lesions"
    table = Table("", "lesions", "positive", "AUROC", "AUPRC", "ECE", title=title)
    for name, found in (("calcified", scores.finding), ("concern", scores.concern)):
        if found is not None:
            cells = (
                _cell(found.auroc, found.auroc_ci95),
                _cell(found.auprc, found.auprc_ci95),
                _cell(found.ece, found.ece_ci95),
            )
            table.add_row(name, str(found.n), str(found.n_positive), *cells)
    if scores.pattern is not None:
        p = scores.pattern
        area, ece = _cell(p.macro_auroc, p.macro_auroc_ci95), _cell(p.ece, p.ece_ci95)
        table.add_row("pattern (macro)", str(p.n), "", area, "", ece)
        if p.accuracy is not None:
            table.caption = f"pattern: accuracy {p.accuracy:.3f}"
    console = Console()
    console.print(table)
    if scores.saliency is not None:
        m = scores.saliency
        console.print(
            f"saliency of {m.n} lesions: {m.hits:.0%} hits ({m.hits_by_chance:.0%} by chance), "
            f"AUPRC {m.auprc_over_area:.1f} times the baseline, {m.shown:.0%} pass their test"
        )
    for head, reasons in scores.left_out.items():
        if reasons:
            parts = ", ".join(f"{n} {why}" for why, n in reasons.items())
            console.print(f"left out of {head}: {parts}")
    console.print(
        f"95 % intervals from {about.resamples} resamples of patients. {about.disclaimer}"
    )


def _cell(value: float | None, bounds: tuple[float, float] | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" + (f"\n{bounds[0]:.3f} to {bounds[1]:.3f}" if bounds else "")
