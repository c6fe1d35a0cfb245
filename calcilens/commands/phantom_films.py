"""`calcilens phantoms films`: whole radiographs for the training of a finder."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from calcilens.commands.console import print_json, progress_bar, say
from calcilens.commands.phantom_sets import Domain


def films(
    out: Path = typer.Option(
        ..., "--out", "-o", metavar="FOLDER", help="Folder; a stopped run goes on in it."
    ),
    n: int = typer.Option(250, "--n", min=1, metavar="N", help="How many films."),
    seed: int = typer.Option(0, min=0, metavar="N", help="The same seed gives the same films."),
    domain: Domain = typer.Option(
        Domain.USUAL,
        case_sensitive=False,
        help="usual for training; unseen differs in kVp, pixels and processing.",
    ),
    backgrounds: Path | None = typer.Option(
        None,
        metavar="FOLDER",
        help="Folder of your own radiographs (DICOM) to put the lesions into.",
    ),
    workers: int = typer.Option(
        os.cpu_count() or 1, min=1, max=256, metavar="N", help="Processes."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print a summary as JSON."),
) -> None:
    """Simulate whole radiographs to train a finder on.

    They show lesions, what may be taken for one, or nothing.
    OUT/images holds 16-bit PNG, OUT/masks what is calcified (255; 128 where nobody can tell) and
    OUT/truth.jsonl a line a film. `calcilens train-finder` learns from them.
    """
    from calcilens.phantoms.drafts import Job
    from calcilens.phantoms.patches import write_patches

    job = Job("radiograph", seed, domain.value, out, backgrounds, whole=True)
    with progress_bar() as bar:
        task = bar.add_task("simulating films", total=n)
        truth = write_patches(
            job,
            n,
            workers=workers,
            advance=lambda done: bar.advance(task, done),
            stopping=lambda: say("stopping after the films in hand"),
        )
    if as_json:
        return print_json({"films": n, "truth": str(truth)})
    say(f"{n} films: {truth}")
    return None
