"""`calcilens predict`: DICOM studies in, reports out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from calcilens.commands.console import PlainCommand, print_json, say
from calcilens.commands.reporting import Job, report_on
from calcilens.errors import UsageError, compose
from calcilens.inference.formats import ALL, FORMATS, LARGE, USUAL, with_needed

if TYPE_CHECKING:
    from calcilens.imaging.records import Skipped
    from calcilens.inference.batch import Outcome


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("predict", cls=PlainCommand)(predict)


def predict(
    paths: list[Path] | None = typer.Argument(
        None, metavar="PATH", help="Studies: DICOM files, folders, zip archives or DICOMDIRs."
    ),
    out: Path | None = typer.Option(
        None, "--out", "-o", metavar="FOLDER", help="Folder for one report folder a study."
    ),
    model_ct: str | None = typer.Option(
        None, "--model-ct", metavar="NAME|PATH", help="Model for CT; by default calcilens-ct."
    ),
    model_radiograph: str | None = typer.Option(
        None,
        "--model-radiograph",
        metavar="NAME|PATH",
        help="Model for radiographs; by default calcilens-radiograph.",
    ),
    finder: str | None = typer.Option(
        None,
        "--finder",
        metavar="NAME|PATH",
        help="What searches radiographs; by default calcilens-radiograph-finder.",
    ),
    roi: Path | None = typer.Option(
        None,
        "--roi",
        metavar="FILE|FOLDER",
        help="Lesions: JSON or CSV boxes, DICOM SEG, RTSTRUCT. Without it images are searched.",
    ),
    prior: Path | None = typer.Option(
        None, "--prior", metavar="PATH", help="Earlier study of the patient: what changed since?"
    ),
    bone_mask: Path | None = typer.Option(
        None,
        "--bone-mask",
        metavar="FILE",
        help="Bones of a CT, NIfTI or DICOM SEG, taken in place of those found.",
    ),
    case: list[Path] | None = typer.Option(
        None, "--case", metavar="FILE", help="What is known of the patient: see calcilens guide."
    ),
    formats: str = typer.Option(
        ",".join(USUAL),
        "--formats",
        metavar="LIST",
        help=f"What to write of {', '.join(FORMATS)}, with commas between; or {ALL}.",
    ),
    force: bool = typer.Option(False, "--force", help="Make reports again that are up to date."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Read and check; write nothing."),
    as_json: bool = typer.Option(False, "--json", help="Print the result for a program."),
    print_schema: bool = typer.Option(
        False, "--schema", help="Print the JSON Schema of report.json and leave."
    ),
) -> None:
    """Read DICOM studies and report on them.

    OUT/<study_uid>/ then holds report.html, report.json, and a folder for each lesion.

    Exit codes: 0 done; 1 failed; 2 wrong use; 3 done, but some files, series or lesions were
    refused.
    """
    if print_schema:
        from calcilens.inference.report_schema import schema

        return print_json(schema())
    wanted = formats_of(formats)
    if not paths or (out is None and not dry_run):
        missing = "a PATH" if not paths else "--out FOLDER"
        raise UsageError(compose(missing, "none", fix="see calcilens predict --help"))
    job = Job(
        paths,
        out,
        (model_ct, model_radiograph, finder),
        roi=roi,
        prior=prior,
        bone_mask=bone_mask,
        cases=case or (),
        formats=wanted,
        force=force,
        dry_run=dry_run,
        as_json=as_json,
    )

    def tell(outcome: Outcome) -> None:
        if not as_json:
            say(f"{outcome.study_uid}: {became(outcome, wanted)}")

    code, outcomes, refused, left_out = report_on(job, tell)
    if outcomes is not None and as_json:
        print_json(_facts(outcomes, refused, left_out))
    raise typer.Exit(code)


def formats_of(text: str) -> tuple[str, ...]:
    """Return what --formats names.

    Raises:
        UsageError: It names what there is not.
    """
    wanted = {f.strip() for f in text.split(",") if f.strip()}
    if ALL in wanted:
        wanted = wanted - {ALL} | FORMATS.keys() - LARGE
    unknown = sorted(wanted - FORMATS.keys())
    if unknown or not wanted:
        expected = f"{ALL}, or some of {','.join(FORMATS)}"
        raise UsageError(compose(expected, ",".join(unknown) or "none", where="--formats"))
    return with_needed(wanted)


def _facts(
    outcomes: list[Outcome], refused: list[Skipped], left_out: Sequence[Skipped]
) -> dict[str, Any]:
    return {
        "studies": [asdict(o) for o in outcomes],
        "refused_lesions": [skipped.to_json() for skipped in refused],
        "left_out": [skipped.to_json() for skipped in left_out],
    }


def became(outcome: Outcome, formats: tuple[str, ...] = USUAL) -> str:
    """Return what became of a study, in words."""
    if outcome.state == "failed":
        return f"failed: {outcome.why}"
    if outcome.state == "kept":
        return f"up to date, kept ({outcome.folder}); --force makes it again"
    written = next((f"report.{name}" for name in ("html", "json") if name in formats), None)
    file = "/".join(filter(None, (outcome.folder, written)))
    if not outcome.images:
        return f"no image could be read: {outcome.why} ({file})"
    return f"{outcome.lesions} lesion{'' if outcome.lesions == 1 else 's'}; open {file}"
