"""`calcilens phantoms`: simulated lesions and studies with known truth."""

from __future__ import annotations

import typer

from calcilens.commands.phantom_benchmark import benchmark, sheet
from calcilens.commands.phantom_films import films
from calcilens.commands.phantom_realism import realism
from calcilens.commands.phantom_sets import patches
from calcilens.commands.phantom_study import study

_HELP = "Simulate lesions, studies and a benchmark."


def register(app: typer.Typer) -> None:
    """Add the command group to `app`."""
    group = typer.Typer(help=_HELP, no_args_is_help=True)
    group.command("study")(study)
    group.command("patches")(patches)
    group.command("films")(films)
    group.command("benchmark")(benchmark)
    group.command("sheet")(sheet)
    group.command("realism")(realism)
    app.add_typer(group, name="phantoms")
