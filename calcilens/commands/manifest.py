"""`calcilens manifest`: which data exist, what is known of them, and who is in which split."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calcilens.commands.console import EXIT_PARTLY, print_json, progress_bar, say

if TYPE_CHECKING:
    from calcilens.data_manifests.builders.build import Advance, Built

manifest_app = typer.Typer(help="Build, check and split tables of labelled lesions.")
build_app = typer.Typer(help="Build a manifest from a data set.")
manifest_app.add_typer(build_app, name="build", no_args_is_help=True)

Out = Annotated[Path, typer.Option("--out", "-o", help="Manifest to write: .parquet or .csv.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.add_typer(manifest_app, name="manifest", no_args_is_help=True)


@build_app.command("lidc-slices")
def build_lidc_slices_command(
    root: Annotated[Path, typer.Option(help="Folder LIDC-IDRI-slices, or the one holding it.")],
    labels: Annotated[Path, typer.Option(help="CSV of the readers' votes, one row a nodule.")],
    out: Out,
    as_json: AsJson = False,
) -> None:
    """Read the public LIDC-IDRI-slices set: PNG crops of lung nodules, all readers' votes kept."""
    from calcilens.data_manifests.builders.lidc_slices import build_lidc_slices

    built = _with_progress("Nodules", lambda advance: build_lidc_slices(root, labels, advance))
    _finish(built, out, as_json)


def _with_progress(what: str, build: Callable[[Advance], Built]) -> Built:
    with progress_bar() as bar:
        task = bar.add_task(what, total=None)
        return build(lambda done, total: bar.update(task, completed=done, total=total))


def _finish(built: Built, out: Path, as_json: bool) -> None:
    from calcilens.data_manifests.builders.build import summarise
    from calcilens.data_manifests.schema import write_manifest

    write_manifest(built.manifest, out)
    for line in summarise(built.refused):
        say(line)
    rows, patients = len(built.manifest), built.manifest.frame["patient_key"].nunique()
    say(f"{out}: {rows} rows of {patients} patients, {len(built.refused)} left out")
    if as_json:
        refused = [fault.to_dict() for fault in built.refused]
        print_json({"out": str(out), "rows": rows, "patients": patients, "refused": refused})
    if built.refused:
        raise typer.Exit(EXIT_PARTLY)
