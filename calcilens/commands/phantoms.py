"""`calcilens phantoms`: simulated lesions and studies with known truth."""

from __future__ import annotations

import typer

from calcilens.commands.phantom_sets import patches
from calcilens.commands.phantom_study import study


def register(app: typer.Typer) -> None:
    """Add the command group to `app`."""
    group = typer.Typer(help="Simulate studies whose truth is known.", no_args_is_help=True)
    group.command("study")(study)
    group.command("patches")(patches)
    app.add_typer(group, name="phantoms")
