"""`calcilens phantoms`: simulated studies with known truth."""

from __future__ import annotations

from pathlib import Path

import typer

from calcilens.commands.console import say
from calcilens.commands.phantom_sets import patches


def register(app: typer.Typer) -> None:
    """Add the command group to `app`."""
    group = typer.Typer(help="Simulate studies whose truth is known.", no_args_is_help=True)
    group.command("study")(study)
    group.command("patches")(patches)
    app.add_typer(group, name="phantoms")


def study(
    out: Path = typer.Option(..., "--out", "-o", help="Folder to make: missing or empty."),
    seed: int = typer.Option(0, min=0, help="The same seed gives the same files."),
) -> None:
    """Write a simulated leg CT with two calcifications, its truth and its lesion boxes.

    OUT/dicom holds the study, OUT/truth.json what was simulated, OUT/roi.json the boxes
    for `calcilens predict --roi`.
    """
    from calcilens.phantoms.write import write_study

    folder = write_study(out, seed)
    say(f"simulated study in {folder}, its truth in {out / 'truth.json'}")
