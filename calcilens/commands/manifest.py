"""`calcilens manifest`: which data exist, what is known of them, and who is in which split."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from calcilens.commands.console import EXIT_FAILED, EXIT_PARTLY, print_json, progress_bar, say
from calcilens.errors import UsageError, compose

if TYPE_CHECKING:
    from calcilens.data_manifests.builders.build import Advance, Built

Result = TypeVar("Result")
SHARE = 0.15
"""Share of rows that validation and test get by default."""

manifest_app = typer.Typer(help="Build, check and split tables of labelled lesions.")
build_app = typer.Typer(help="Build a manifest from a data set.")
manifest_app.add_typer(build_app, name="build", no_args_is_help=True)

Out = Annotated[Path, typer.Option("--out", "-o", help="Manifest to write: .parquet or .csv.")]
ManifestFile = Annotated[Path, typer.Argument(help="Manifest: .parquet or .csv.")]
Root = Annotated[Path | None, typer.Option(help="Folder of the images, when they were moved.")]
SaltFile = Annotated[
    Path | None,
    typer.Option(help="Secret that hashes patients; made when absent. [in your config folder]"),
]
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


@build_app.command("lidc-dicom")
def build_lidc_dicom_command(
    root: Annotated[Path, typer.Option(help="Folder with the archive's DICOM series.")],
    out: Out,
    as_json: AsJson = False,
) -> None:
    """Read the LIDC-IDRI archive in its own DICOM layout (needs calcilens[lidc])."""
    from calcilens.data_manifests.builders.lidc_dicom import build_lidc_dicom

    built = _with_progress("Series", lambda advance: build_lidc_dicom(root, advance))
    _finish(built, out, as_json)


@build_app.command("folder")
def build_folder_command(
    table: Annotated[
        Path, typer.Option("--csv", help="Table that names images, boxes and labels.")
    ],
    out: Out,
    root: Annotated[
        Path | None, typer.Option(help="Where the paths in the CSV start. [beside the CSV]")
    ] = None,
    salt_file: SaltFile = None,
    as_json: AsJson = False,
) -> None:
    """Read your own DICOM, NIfTI or PNG images with boxes and labels from a CSV."""
    from calcilens.data_manifests.builders.folder import build_folder
    from calcilens.patients import default_salt_path, read_salt

    salt = read_salt(salt_file or default_salt_path())
    built = _with_progress("Rows", lambda on: build_folder(table, salt, root=root, advance=on))
    _finish(built, out, as_json)


@build_app.command("phantoms")
def build_phantoms_command(
    root: Annotated[Path, typer.Option(help="Folder that `calcilens phantoms patches` wrote.")],
    out: Out,
    as_json: AsJson = False,
) -> None:
    """Read simulated lesions with their exact truth."""
    from calcilens.data_manifests.builders.build import Built
    from calcilens.data_manifests.builders.phantoms import build_phantoms

    made = _with_progress("Lesions", lambda advance: build_phantoms(root, advance))
    _finish(Built(made, ()), out, as_json)


@build_app.command("reviews")
def build_reviews_command(
    reviews: Annotated[Path, typer.Option(help="Folder that `calcilens review export` wrote.")],
    root: Annotated[Path, typer.Option(help="Folder of the studies that were reviewed.")],
    out: Out,
    final: Annotated[
        bool,
        typer.Option(
            "--final-votes",
            help="Votes are the final verdicts, given after the model's answer was seen.",
        ),
    ] = False,
    salt_file: SaltFile = None,
    as_json: AsJson = False,
) -> None:
    """Read what radiologists said of predictions: votes of each, and what was settled."""
    from calcilens.data_manifests.builders.reviews import build_reviews
    from calcilens.patients import default_salt_path, read_salt

    salt = read_salt(salt_file or default_salt_path())
    built = _with_progress(
        "Rows",
        lambda advance: build_reviews(reviews, root, salt, final_votes=final, advance=advance),
    )
    _finish(built, out, as_json)


@manifest_app.command("join")
def join_command(
    manifests: Annotated[list[Path], typer.Argument(help="Manifests: .parquet or .csv.")],
    out: Out,
    as_json: AsJson = False,
) -> None:
    """Put manifests together into one; rows keep their splits and folds."""
    from calcilens.data_manifests.join import join
    from calcilens.data_manifests.schema import read_manifest, write_manifest

    joined = join([read_manifest(manifest) for manifest in manifests])
    write_manifest(joined, out)
    rows = {str(s): int(n) for s, n in joined.frame["source"].value_counts().items()}
    say(f"{out}: " + ", ".join(f"{n} rows of {source}" for source, n in rows.items()))
    if as_json:
        print_json({"out": str(out), "rows": len(joined), "sources": rows})


@manifest_app.command("validate")
def validate_command(manifest: ManifestFile, root: Root = None, as_json: AsJson = False) -> None:
    """Say by row and column what is missing, changed or not in the vocabulary."""
    from calcilens.data_manifests.validate import validate_file

    faults = _with_progress("Rows", lambda on: validate_file(manifest, root=root, advance=on))
    for fault in faults:
        say(str(fault))
    say(f"{manifest}: {len(faults) or 'no'} fault{'' if len(faults) == 1 else 's'}")
    if as_json:
        print_json({"ok": not faults, "faults": [fault.to_dict() for fault in faults]})
    if faults:
        raise typer.Exit(EXIT_FAILED)


@manifest_app.command("split")
def split_command(
    manifest: ManifestFile,
    folds: Annotated[
        int | None, typer.Option(help="Number of folds; fills the column fold.")
    ] = None,
    val: Annotated[
        float | None, typer.Option(help=f"Share of rows to validate on. [{SHARE}]")
    ] = None,
    test: Annotated[float | None, typer.Option(help=f"Share of rows to test on. [{SHARE}]")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same split.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Manifest to write. [the same file]")
    ] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Split by patient, alike in labels, into train, val and test, or into folds."""
    from calcilens.data_manifests.leakage import find_copies
    from calcilens.data_manifests.schema import read_manifest, write_manifest
    from calcilens.data_manifests.splits import with_folds, with_splits
    from calcilens.data_manifests.stats import counts

    if folds is not None and (val is not None or test is not None):
        raise UsageError(compose("either --folds, or --val and --test", "both"))
    read = read_manifest(manifest, root=root)
    copies = _with_progress("Rows", lambda on: find_copies(read, advance=on))
    if folds is not None:
        done = with_folds(read, folds, seed=seed, copies=copies)
    else:
        shares = {"val": SHARE if val is None else val, "test": SHARE if test is None else test}
        done = with_splits(read, shares, seed=seed, copies=copies)
    write_manifest(done, out or manifest)
    if copies:
        say(
            f"rows that show the same pixels under two patients, kept together: {len(copies)} pairs"
        )
    found = counts(done)
    parts = found["splits"]
    if folds is not None:
        parts = {f"fold {name}": part for name, part in found["folds"].items()}
    say(
        f"{out or manifest}: "
        + ", ".join(f"{name} {part['rows']} rows" for name, part in parts.items())
    )
    if as_json:
        print_json({"out": str(out or manifest), "parts": parts, "copies": len(copies)})


@manifest_app.command("leakage")
def leakage_command(manifest: ManifestFile, root: Root = None, as_json: AsJson = False) -> None:
    """Find the same patient, file or pixels (re-saved, shifted, JPEG) across splits and folds."""
    from calcilens.data_manifests.leakage import check_leakage, placed
    from calcilens.data_manifests.schema import read_manifest

    read = read_manifest(manifest, root=root)
    sides = placed(read)
    if not len(sides.columns):
        fix = "run `calcilens manifest split` first"
        raise UsageError(compose("a split or folds", "neither", where=manifest.name, fix=fix))
    leaks = _with_progress("Rows", lambda on: check_leakage(read, sides, advance=on))
    for leak in leaks:
        say(str(leak))
    say(f"{manifest}: {len(leaks) or 'no'} pair{'' if len(leaks) == 1 else 's'} of rows leak")
    if as_json:
        print_json({"ok": not leaks, "leaks": [leak.to_dict() for leak in leaks]})
    if leaks:
        raise typer.Exit(EXIT_FAILED)


@manifest_app.command("stats")
def stats_command(
    manifest: ManifestFile,
    picture: Annotated[
        Path | None, typer.Option(help="Picture to draw: .png, .svg or .pdf.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print what a manifest holds as a table, and draw it."""
    from rich.console import Console

    from calcilens.data_manifests.schema import read_manifest
    from calcilens.data_manifests.stats import counts, draw, to_table

    read = read_manifest(manifest)
    found = counts(read)
    if picture is not None:
        draw(read, picture)
        say(f"{picture}: drawn")
    if as_json:
        print_json(found)
    else:
        Console().print(to_table(found))


def _with_progress(what: str, work: Callable[[Advance], Result]) -> Result:
    with progress_bar() as bar:
        task = bar.add_task(what, total=None)
        return work(lambda done, total: bar.update(task, completed=done, total=total))


def _finish(built: Built, out: Path, as_json: bool) -> None:
    from calcilens.data_manifests.builders.build import summarise
    from calcilens.data_manifests.schema import write_manifest

    write_manifest(built.manifest, out)
    for line in (*summarise(built.refused), *built.notes):
        say(line)
    rows, patients = len(built.manifest), built.manifest.frame["patient_key"].nunique()
    say(f"{out}: {rows} rows of {patients} patients, {len(built.refused)} left out")
    if as_json:
        refused = [fault.to_dict() for fault in built.refused]
        print_json({"out": str(out), "rows": rows, "patients": patients, "refused": refused})
    if built.refused:
        raise typer.Exit(EXIT_PARTLY)
