"""`calcilens train` and `calcilens crossval`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from calcilens.commands.console import print_json, say

PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("train", context_settings=PASS_ON)(train_command)
    app.command("crossval", context_settings=PASS_ON)(crossval_command)


def train_command(context: typer.Context) -> None:
    """Train on a manifest: --config RECIPE --data.manifest FILE --out DIR; all of LightningCLI."""
    from calcilens.training.cli import train

    trainer = train(context.args)
    say(f"model and card: {Path(trainer.default_root_dir) / 'model.safetensors'}")


def crossval_command(
    context: typer.Context,
    config: Annotated[str, typer.Option(help="Recipe: a name or a YAML file.")],
    manifest: Annotated[Path, typer.Option(help="Manifest with folds.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the runs and the model.")],
    name: Annotated[str, typer.Option(help="Name of the model.")] = "ensemble",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Train every fold and put them together; further options go to `train`. Resumes by itself."""
    from calcilens.training.crossval import CrossValidation

    run = CrossValidation(config, manifest, out, name)
    folds = run.folds()
    for number, fold in enumerate(folds, 1):
        say(f"fold {fold} ({number} of {len(folds)})")
        run.fit(fold, context.args)
    file = run.assemble()
    if as_json:
        print_json(file.card["figures"])
    say(f"model and card: {file.weights}; `calcilens evaluate --model {file.weights}` judges it")
