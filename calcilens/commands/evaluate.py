"""`calcilens evaluate`: how good a model, or anyone's predictions, are on a manifest."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from calcilens.commands.console import print_json, progress_bar, say
from calcilens.errors import UsageError, compose

if TYPE_CHECKING:
    import pandas as pd

    from calcilens.commands.evaluate_table import Judged
    from calcilens.data_manifests.schema import Manifest
    from calcilens.models.loading import LoadedModel
    from calcilens.training.evaluate import Scores
    from calcilens.training.evaluate_page import About
    from calcilens.training.out_of_domain import OutOfDomainFigures
    from calcilens.training.saliency_rows import SaliencyFigures


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("evaluate")(evaluate)


def evaluate(
    manifest: Path = typer.Option(
        ..., metavar="FILE", help="Manifest with the labels: .parquet or .csv."
    ),
    model: list[str] | None = typer.Option(
        None,
        metavar="NAME|PATH",
        help="Name of a shipped model, or path of its weights; several make one table.",
    ),
    predictions: Path | None = typer.Option(
        None,
        metavar="FILE",
        help="CSV of someone else's predictions: row_id, finding, concern, pattern_<key>.",
    ),
    split: str = typer.Option("all", metavar="NAME", help="all, train, val, test or unused."),
    root: Path | None = typer.Option(
        None, metavar="FOLDER", help="Folder of the images, if they were moved."
    ),
    out: Path | None = typer.Option(
        None,
        "--out",
        "-o",
        metavar="FOLDER",
        help="Folder for page, plots, predictions and figures.",
    ),
    include_seen: bool = typer.Option(
        False, "--include-seen", help="Keep rows that every member of the model trained on."
    ),
    saliency: int = typer.Option(
        0,
        min=0,
        metavar="N",
        help="Judge the saliency maps too, of up to so many lesions with a mask.",
    ),
    out_of_domain: bool = typer.Option(
        False, "--out-of-domain", help="Show it photographs, MR, noise, metal and more, too."
    ),
    onto_card: str | None = typer.Option(
        None, metavar="NAME", help="Write the figures onto the model's card too, under this name."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print the figures as JSON."),
) -> None:
    """Judge models, or predictions of others.

    AUROC, AUPRC and calibration, with patient-bootstrap intervals, by group.
    """
    names = model or []
    of_models = {"--saliency": saliency, "--out-of-domain": out_of_domain, "--onto-card": onto_card}
    _check_use(names, predictions, of_models)
    from calcilens.data_manifests.schema import read_manifest
    from calcilens.models.registry import find
    from calcilens.training.evaluate import select_rows
    from calcilens.training.evaluate_page import card_entry

    for name in names:
        find(name)  # a wrong name is said before torch is loaded, which takes seconds
    labelled = read_manifest(manifest, root=root)
    rows = select_rows(labelled, split)
    wanted = Wanted(manifest, labelled, rows, split, include_seen, saliency, out_of_domain)
    if predictions is not None:
        judge = partial(_judge_file, wanted, predictions)
        judged = {predictions.name: _whole(judge, out)}
    else:
        many = len(names) > 1
        folders = {name: out / Path(name).stem if out and many else out for name in names}
        judged = {
            name: _whole(partial(_judge_model, wanted, name), folder)
            for name, folder in folders.items()
        }
    for name in names if onto_card else ():
        file = find(name)
        file.note(str(onto_card), card_entry(*judged[name]))
        say(f"card: {file.card_path}")
    _report(judged, as_json)


def _whole(judge: Callable[[Path | None], Judged], out: Path | None) -> Judged:
    """Judge, and write all files of an evaluation or, on an error, none."""
    if out is None:
        return judge(None)
    from calcilens.files import files_whole
    from calcilens.training.evaluate_page import PAGE

    with files_whole(out) as part:
        judged = judge(part)
    say(f"page: {out / PAGE}")
    return judged


@dataclass(frozen=True, eq=False)
class Wanted:
    """What is to be judged, and how."""

    path: Path
    manifest: Manifest
    rows: pd.DataFrame
    split: str
    include_seen: bool
    saliency: int
    out_of_domain: bool


def _check_use(names: list[str], predictions: Path | None, asked: dict[str, Any]) -> None:
    if bool(names) == (predictions is not None):
        found = "both" if names else "neither"
        raise UsageError(compose("either --model or --predictions", found))
    for option, given in asked.items():
        if given and not names:
            found = "--predictions, which have no model behind them"
            raise UsageError(compose("--model", found, where=option))
    stems = [Path(name).stem for name in names]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise UsageError(compose("models of different names", f"{twice[0]} twice", where="--model"))


def _judge_file(wanted: Wanted, path: Path, out: Path | None) -> Judged:
    from calcilens.training.predictions import read_predictions, sums_warning, unread_columns

    started = time.perf_counter()
    named = {"model": path.name, "model_version": None, "model_sha256": None}
    predicted = read_predictions(path)
    unread = unread_columns(predicted)
    if unread:
        say(f"warning: {path.name}: columns that are not read: {', '.join(unread)}")
    if warning := sums_warning(predicted):
        say(f"warning: {path.name}: {warning}")
    return _judge(wanted, predicted, named, out, started=started)


def _judge_model(wanted: Wanted, name: str, out: Path | None) -> Judged:
    from calcilens.models.loading import load_model
    from calcilens.training.evaluate import predict
    from calcilens.training.left_out import of_modality

    started = time.perf_counter()
    model = load_model(name)
    rows, other = of_modality(wanted.rows, model.card.get("modality"))
    wanted = replace(wanted, rows=rows)
    with progress_bar() as bar:
        task = bar.add_task("predicting", total=len(wanted.rows))
        predicted = predict(
            wanted.manifest, model, wanted.rows, lambda done: bar.update(task, advance=done)
        )
    more: dict[str, Any] = {"other_modality": other}
    thresholds = model.card.get("concern_thresholds")
    if wanted.saliency:
        more["saliency"] = _judge_maps(wanted, model, out)
    if wanted.out_of_domain:
        more["out_of_domain"] = _judge_domain(wanted, model, predicted)
    version = model.card.get("version")
    named = {
        "model": str(model.card.get("name", name)),
        "model_version": None if version is None else str(version),
        "model_sha256": model.sha256,
    }
    return _judge(wanted, predicted, named, out, more, thresholds=thresholds, started=started)


def _judge(
    wanted: Wanted,
    predicted: pd.DataFrame,
    named: dict[str, Any],
    out: Path | None,
    more: dict[str, Any] | None = None,
    *,
    thresholds: Sequence[float] | None = None,
    started: float,
) -> Judged:
    """Score predictions, say what is to be warned of, and write the page where it is wanted."""
    from calcilens.training.evaluate import score
    from calcilens.training.evaluate_page import warnings_about, write_evaluation
    from calcilens.training.flags import flag_figures
    from calcilens.training.predictions import join

    frame = join(wanted.rows, predicted, named["model"])
    scores = replace(score(frame, include_seen=wanted.include_seen), **(more or {}))
    if thresholds is not None:
        flags = flag_figures(frame, thresholds, include_seen=wanted.include_seen)
        scores = replace(scores, flags=flags)
    about = _about(wanted, named, time.perf_counter() - started)
    for warning in warnings_about(scores):
        say(f"warning: {warning}")
    if out is not None:
        write_evaluation(out, frame, scores, about)
    return scores, about


def _report(judged: dict[str, tuple[Scores, About]], as_json: bool) -> None:
    from calcilens.training.evaluate_page import scores_json

    if not as_json:
        from calcilens.commands.evaluate_table import show

        return show(list(judged.values()))
    objects = {name: scores_json(*result) for name, result in judged.items()}
    print_json({"models": objects} if len(objects) > 1 else next(iter(objects.values())))
    return None


def _judge_maps(wanted: Wanted, model: LoadedModel, out: Path | None) -> SaliencyFigures:
    """Return the figures of saliency maps, drawn and listed where an evaluation is written."""
    from calcilens.training.saliency_gallery import write_maps
    from calcilens.training.saliency_rows import judge_maps, saliency_figures

    limit = wanted.saliency
    with progress_bar() as bar:
        task = bar.add_task("saliency", total=min(limit, int(wanted.rows["mask"].notna().sum())))
        judged = judge_maps(
            wanted.manifest, model, wanted.rows, limit, lambda n: bar.update(task, advance=n)
        )
    figures = saliency_figures(judged, model)
    if out is not None:
        write_maps(out, judged)
    return figures


def _judge_domain(
    wanted: Wanted, model: LoadedModel, predicted: pd.DataFrame
) -> OutOfDomainFigures | None:
    from calcilens.training.out_of_domain import DONORS, judge_domain
    from calcilens.training.strangers import MAKERS

    with progress_bar() as bar:
        task = bar.add_task("strangers", total=DONORS * len(MAKERS))
        return judge_domain(
            wanted.manifest, model, wanted.rows, predicted, lambda n: bar.update(task, advance=n)
        )


def _about(wanted: Wanted, named: dict[str, Any], seconds: float) -> About:
    import hashlib

    from calcilens import DISCLAIMER, __version__
    from calcilens.training import metrics
    from calcilens.training.evaluate_page import About

    return About(
        **named,
        manifest=wanted.path.name,
        manifest_sha256=hashlib.sha256(wanted.path.read_bytes()).hexdigest(),
        split=wanted.split,
        command=shlex.join(["calcilens", *sys.argv[1:]]),
        calcilens=__version__,
        disclaimer=DISCLAIMER,
        ece_binning=metrics.ECE_BINNING,
        resamples=metrics.RESAMPLES,
        seed=metrics.SEED,
        min_patients=metrics.MIN_PATIENTS,
        seconds=round(seconds, 3),
    )
