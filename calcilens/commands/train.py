"""`calcilens train`, `calcilens train-finder` and `calcilens crossval`."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Annotated, Any

import typer

from calcilens.commands.console import print_json, progress_bar, say
from calcilens.vocabulary import PATTERN_KEYS

PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("train", context_settings=PASS_ON)(train_command)
    app.command("train-finder", context_settings=PASS_ON)(train_finder_command)
    app.command("crossval", context_settings=PASS_ON)(crossval_command)


def train_command(
    context: typer.Context,
    all_options: Annotated[
        bool, typer.Option("--help-all", help="Show every option; takes some seconds.")
    ] = False,
) -> None:
    """Train on a manifest and write a model with its card.

    \b
    calcilens train --config RECIPE --data.manifest FILE --out DIR

    \b
    Recipes: ct, radiograph, calcilens-ct, calcilens-radiograph, lidc-ct, or your own YAML.
    The main options; any setting of a recipe is one:
      --data.manifest FILE         labelled lesions
      --data.fold N                validate on this fold instead of split `val`
      --data.batch_size N          lesions a step and device
      --model.network.size N       side of a patch, pixels
      --model.imagenet true|false  start from ImageNet (extra `pretrained`)
      --model.lr RATE              highest learning rate
      --trainer.max_epochs N       length
      --trainer.devices N          GPUs or processes; with --trainer.strategy ddp
      --trainer.precision KIND     32-true, bf16-mixed
      --seed_everything N          seed
      --out DIR                    logs, checkpoints and model.safetensors
      --ckpt_path DIR/last.ckpt    go on with a stopped run
      --print_config               show every setting and stop
    """  # noqa: D301 - the backspace character tells click to keep the lines
    from calcilens.models.registry import find
    from calcilens.training.cli import train

    trainer = train(["--help"] if all_options else context.args)
    if trainer.is_global_zero:
        weights = Path(trainer.default_root_dir) / "model.safetensors"
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        for line in what_came_out(find(weights).card, metrics):
            say(line)
        say(f"model and card: {weights}; `calcilens evaluate --model {weights}` judges it")


def what_came_out(card: Mapping[str, Any], metrics: Mapping[str, float]) -> list[str]:
    """Say how the model did on its validation lesions, and what it does not know.

    Args:
        card: Of the model that was written.
        metrics: Logged last: val/finding_auroc and others; NaN where one class is missing.
    """
    areas = {
        name.removeprefix("val/").removesuffix("_auroc"): value
        for name, value in metrics.items()
        if name.startswith("val/") and name.endswith("_auroc") and isfinite(value)
    }
    lines = []
    if areas:
        found = ", ".join(f"{head} {value:.3f}" for head, value in sorted(areas.items()))
        lines.append(f"AUROC on validation lesions: {found}")
    untaught = [key for key in PATTERN_KEYS if key not in card["patterns"]]
    if untaught:
        lines.append(f"patterns without a lesion to learn from: {', '.join(untaught)}")
    always = card["answers"].get("patterns_in_every_set", [])
    if always:
        lines.append(
            f"too few validation lesions for a set of their own, so in every set: "
            f"{', '.join(always)}"
        )
    return lines


def train_finder_command(
    context: typer.Context,
    all_options: Annotated[
        bool, typer.Option("--help-all", help="Show every option; takes some seconds.")
    ] = False,
) -> None:
    """Train what searches radiographs.

    It learns from films, and is written with its card.

    \b
    calcilens train-finder --config calcilens-radiograph-finder --data.films [DIR,...] --out DIR

    \b
    The config is that recipe or your own YAML; any setting of it is an option:
      --data.films [DIR,...]       sets made by `calcilens phantoms films`
      --data.draws N               films drawn an epoch, each giving four crops
      --data.real_share SHARE      of them, films with real backgrounds
      --model.start NAME|PATH      classifier whose encoder is the start; or imagenet, nothing
      --model.frozen N             stages of the encoder that stay as they start
      --trainer.max_epochs N       length
      --trainer.devices N          GPUs or processes; with --trainer.strategy ddp
      --seed_everything N          seed
      --out DIR                    logs, checkpoints and model.safetensors
      --ckpt_path DIR/last.ckpt    go on with a stopped run
      --print_config               show every setting and stop
    """  # noqa: D301 - the backspace character tells click to keep the lines
    from calcilens.training.cli import FinderCLI, train

    trainer = train(["--help"] if all_options else context.args, FinderCLI)
    if trainer.is_global_zero:
        say(f"finder and card: {Path(trainer.default_root_dir) / 'model.safetensors'}")


def crossval_command(
    context: typer.Context,
    config: Annotated[str, typer.Option(help="Recipe: a name or a YAML file.")],
    manifest: Annotated[Path, typer.Option(help="Manifest with folds.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the runs and the model.")],
    name: Annotated[str, typer.Option(help="Name of the model.")] = "ensemble",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Train every fold and put them together.

    Further options go to `train`. It resumes by itself.
    """
    from calcilens.training.crossval import CrossValidation

    run = CrossValidation(config, manifest, out, name)
    folds = run.folds()
    for number, fold in enumerate(folds, 1):
        say(f"fold {fold} ({number} of {len(folds)})")
        run.fit(fold, context.args)
    with progress_bar() as bar:
        task = bar.add_task("putting together", total=run.looks())
        file = run.assemble(lambda done: bar.update(task, advance=done))
    if as_json:
        print_json(file.card["figures"])
    say(f"model and card: {file.weights}; `calcilens evaluate --model {file.weights}` judges it")
