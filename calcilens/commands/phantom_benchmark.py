"""`calcilens phantoms benchmark` and `sheet`: the open benchmark, and pictures of the lesions."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from calcilens.commands.console import print_json, progress_bar, say
from calcilens.commands.phantom_sets import MOST, Domain, Modality, write_set
from calcilens.errors import UsageError, compose
from calcilens.files import write_whole

if TYPE_CHECKING:
    from calcilens.phantoms.drafts import Job

PICTURES = (".png",)


def benchmark(
    out: Path = typer.Option(
        ..., "--out", "-o", metavar="FOLDER", help="Folder; a stopped run goes on in it."
    ),
    modality: Modality = typer.Option(Modality.CT, case_sensitive=False, help="What to simulate."),
    seed: int = typer.Option(0, min=0, metavar="N", help="The same seed gives the same benchmark."),
    n: int = typer.Option(1800, "--n", min=1, max=MOST, metavar="N", help="How many lesions."),
    workers: int = typer.Option(
        os.cpu_count() or 1, min=1, max=256, metavar="N", help="Processes."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print BENCHMARK.json."),
) -> None:
    """Write the open benchmark, and how to score on it.

    Its lesions are of the unseen domain.
    OUT/README.md says how to judge a model or anyone's predictions, OUT/predictions-template.csv
    is to be filled in, and OUT/BENCHMARK.json tells whether two people have the same lesions.
    """
    from calcilens.data_manifests.schema import read_manifest
    from calcilens.phantoms.benchmark import describe, write_readme, write_template

    write_set(out, n, modality, seed, Domain.UNSEEN, workers, split="test")
    manifest = read_manifest(out / "manifest.parquet")
    template = out / "predictions-template.csv"
    if template.exists():
        say(f"{template} is there already, and stays as it is")
    else:
        write_template(template, list(manifest.frame["row_id"]))
    found = describe(_job(out, modality, seed, Domain.UNSEEN))
    write_readme(out / "README.md", found)
    write_whole(out / "BENCHMARK.json", (json.dumps(found, indent=2) + "\n").encode())
    if as_json:
        print_json(found)
        return
    say(f"benchmark of {len(manifest)} lesions in {out}; {out / 'README.md'} says how to use it")


def sheet(
    out: Path = typer.Option(..., "--out", "-o", metavar="FILE", help="Picture to write (.png)."),
    modality: Modality = typer.Option(Modality.CT, case_sensitive=False, help="What to simulate."),
    seed: int = typer.Option(0, min=0, metavar="N", help="The same seed gives the same picture."),
) -> None:
    """Draw examples of every pattern as one picture.

    What may be taken for a pattern is in it too.
    """
    if out.suffix.lower() not in PICTURES:
        raise UsageError(compose("the name of a .png", out.name, where="--out"))
    from calcilens.phantoms.sheet import kinds, write_sheet

    out.parent.mkdir(parents=True, exist_ok=True)
    with progress_bar() as bar:
        task = bar.add_task(f"drawing {modality.value}", total=len(kinds()))
        write_sheet(
            _job(out, modality, seed, Domain.USUAL), out, advance=lambda n: bar.advance(task, n)
        )
    say(f"contact sheet: {out}")


def _job(out: Path, modality: Modality, seed: int, domain: Domain) -> Job:
    from calcilens.phantoms.drafts import Job

    return Job(modality.value, seed, domain.value, out)
