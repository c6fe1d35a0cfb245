"""`calcilens predict`: DICOM studies in, reports out."""

from __future__ import annotations

from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from threading import Thread
from time import perf_counter
from typing import TYPE_CHECKING, Any

import typer

from calcilens.commands.console import (
    EXIT_FAILED,
    EXIT_PARTLY,
    print_json,
    progress_bar,
    say,
)
from calcilens.errors import InputError, UsageError, compose

if TYPE_CHECKING:
    from calcilens.imaging.records import Skipped
    from calcilens.imaging.study import Study
    from calcilens.inference.batch import Outcome
    from calcilens.inference.pipeline import Placed
    from calcilens.inference.roi.segmentation import GridRegion

FORMATS = ("json", "html")


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("predict")(predict)


def predict(
    paths: list[Path] | None = typer.Argument(
        None, metavar="PATH...", help="DICOM files, folders, zip archives or DICOMDIRs."
    ),
    out: Path | None = typer.Option(
        None, "--out", "-o", help="Folder for one report folder a study."
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
    formats: str = typer.Option("json,html", "--formats", help="Of json,html."),
    force: bool = typer.Option(False, "--force", help="Make reports again that are up to date."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Read and check; write nothing."),
    as_json: bool = typer.Option(False, "--json", help="Print the result for a program."),
    print_schema: bool = typer.Option(
        False, "--schema", help="Print the JSON Schema of report.json and leave."
    ),
) -> None:
    """Predict on DICOM studies and write OUT/<study_uid>/report.html, report.json and more.

    Exit codes: 0 done; 1 failed; 2 wrong use; 3 done, but some files, series or lesions were
    refused.
    """
    if print_schema:
        from calcilens.inference.report import schema

        return print_json(schema())
    wanted = _formats(formats)
    if not paths or (out is None and not dry_run):
        missing = "a PATH" if not paths else "--out FOLDER"
        raise UsageError(compose(missing, "none", fix="see calcilens predict --help"))
    wishes = {"out": out, "formats": wanted, "force": force}
    code, outcomes, refused = report_on(
        paths,
        prior,
        roi,
        (model_ct, model_radiograph, finder),
        wishes,
        bone_mask=bone_mask,
        dry_run=dry_run,
        as_json=as_json,
    )
    if outcomes is not None:
        _show(outcomes, refused, "report.html" if "html" in wanted else "report.json", as_json)
    raise typer.Exit(code)


def report_on(
    paths: list[Path],
    prior: Path | None,
    roi: Path | None,
    models: tuple[str | None, str | None, str | None],
    wishes: dict[str, Any],
    *,
    bone_mask: Path | None = None,
    dry_run: bool = False,
    as_json: bool = False,
) -> tuple[int, list[Outcome] | None, list[Skipped]]:
    """Read studies and write their reports; or, on a dry run, say what would be done.

    Returns:
        The exit code, what became of each study (None on a dry run), and the lesions refused.
    """
    start = perf_counter()
    from calcilens.imaging.study import read_studies

    if not dry_run:
        make_folder(wishes["out"])
    regions, refused = _regions(roi)
    drawn = _drawn(bone_mask)
    with progress_bar() as bar:
        task = bar.add_task("read", total=None)
        ahead = _Ahead(wanted=not dry_run)

        def advance(done: int, total: int) -> None:
            ahead.start()
            bar.update(task, completed=done, total=total)

        studies = read_studies(paths, progress=advance)
    priors, unread = _read_prior(prior)
    refused += unread
    seconds = {"reading all studies": round(perf_counter() - start, 3)}
    placed, unplaced = _place(regions, studies, roi is not None)
    refused += unplaced
    _say_skipped(studies, refused)
    bones = _bones(drawn, studies)
    if dry_run:
        _plan(studies, placed, as_json)
        return _exit_code(studies, [], refused), None, refused
    outcomes = _run(studies, placed, models, {**wishes, "priors": priors, "bones": bones}, seconds)
    for note in [note for outcome in outcomes for note in outcome.notes]:
        say(f"comparison: {note}")
    return _exit_code(studies, outcomes, refused), outcomes, refused


def _read_prior(path: Path | None) -> tuple[tuple[Study, ...] | None, list[Skipped]]:
    """Read the studies to compare with; that they cannot be read must not cost the report."""
    if path is None:
        return None, []
    from calcilens.imaging.records import Skipped
    from calcilens.imaging.study import read_studies

    try:
        studies = read_studies(path)
    except InputError as error:
        return None, [Skipped("--prior", str(error))]
    for skipped in [s for study in studies for s in study.skipped]:
        say(f"left out of the prior: {skipped.what}: {skipped.reason}")
    return tuple(studies), []


class _Ahead:
    """Imports what predicting needs, most of it torch, while pixels are being decoded.

    It starts when all headers were read, so that a mistake in the arguments is told at once.
    """

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted

    def start(self) -> None:
        """Start once; later calls do nothing."""
        if self._wanted:
            self._wanted = False
            Thread(target=import_module, args=("calcilens.inference.batch",)).start()


def make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        at = Path(error.filename)
        what = "a link to nothing" if at.is_symlink() and not at.exists() else "a file"
        found = f"{what}: {error.filename}"
        raise UsageError(compose("a folder", found, where="--out")) from error


def _formats(text: str) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(f.strip() for f in text.split(",") if f.strip()))
    unknown = [f for f in wanted if f not in FORMATS]
    if unknown or not wanted:
        raise UsageError(
            compose(f"some of {','.join(FORMATS)}", ",".join(unknown) or "none", where="--formats")
        )
    return wanted


def _regions(roi: Path | None) -> tuple[list[Any], list[Skipped]]:
    if roi is None:
        return [], []
    from calcilens.inference.roi.reading import read_rois

    return read_rois(roi)


def _drawn(bone_mask: Path | None) -> GridRegion | None:
    if bone_mask is None:
        return None
    from calcilens.inference.roi.bones import read_bones

    return read_bones(bone_mask)


def _bones(drawn: GridRegion | None, studies: list[Study]) -> dict[str, Any]:
    """Return the given bones by series UID, and say which CT they do not fit."""
    if drawn is None:
        return {}
    from calcilens.inference.roi.bones import fit_bones

    fit = fit_bones(drawn, [i for s in studies for i in s.images])
    for uid in fit.others:
        say(f"{drawn.where}: does not fit series {uid}; its bones are found by Calcilens")
    return fit.bones


def _place(
    regions: list[Any], studies: list[Study], given: bool
) -> tuple[dict[str, list[Placed]] | None, list[Skipped]]:
    if not given:
        return None, []
    from calcilens.inference.batch import place_all

    return place_all(regions, studies)


def _run(
    studies: list[Study],
    placed: dict[str, list[Placed]] | None,
    names: tuple[str | None, str | None, str | None],
    wishes: dict[str, Any],
    seconds: dict[str, float],
) -> list[Outcome]:
    start = perf_counter()
    import torch

    from calcilens.inference.batch import Wishes, load_models, run_all

    # One lesion is little work: threads wait for each other longer than they compute, and on a
    # busy machine ten times as long.
    torch.set_num_threads(1)
    models = load_models(studies, *names, search=placed is None)
    seconds = {**seconds, "loading code and models": round(perf_counter() - start, 3)}
    outcomes = []
    with progress_bar() as bar:
        task = bar.add_task("report", total=len(studies))
        for outcome in run_all(
            studies,
            models,
            placed,
            Wishes(**wishes),
            seconds=seconds,
            tick=lambda: bar.advance(task),
        ):
            outcomes.append(outcome)
    return outcomes


def _say_skipped(studies: list[Study], refused: list[Skipped]) -> None:
    for skipped in [s for study in studies for s in study.skipped]:
        code = skipped.coded().what
        known = "" if code == skipped.what else f" (in the report: {code})"
        say(f"left out: {skipped.what}{known}: {skipped.reason}")
    for skipped in refused:
        say(f"left out: {skipped.what}: {skipped.reason}")


def _plan(studies: list[Study], placed: dict[str, list[Placed]] | None, as_json: bool) -> None:
    """Say what would be done."""
    plans: list[dict[str, Any]] = [
        {
            "study_uid": s.study_uid,
            "images": len(s.images),
            "lesions_given": None if placed is None else len(placed[s.study_uid]),
            "skipped": len(s.skipped),
        }
        for s in studies
    ]
    if as_json:
        return print_json({"dry_run": True, "studies": plans})
    for plan in plans:
        given = plan["lesions_given"]
        lesions = "lesions searched" if given is None else f"lesions given: {given}"
        images = "1 image" if plan["images"] == 1 else f"{plan['images']} images"
        say(f"{plan['study_uid']}: {images}, {lesions}; nothing was written")
    return None


def _show(outcomes: list[Outcome], refused: list[Skipped], main: str, as_json: bool) -> None:
    if as_json:
        entries = [{"file_or_series": s.what, "reason": s.reason} for s in refused]
        return print_json({"studies": [asdict(o) for o in outcomes], "refused_lesions": entries})
    for o in outcomes:
        if o.state == "written":
            count = f"{o.lesions} lesion{'' if o.lesions == 1 else 's'}"
            say(f"{o.study_uid}: {count}; open {o.folder}/{main}")
        elif o.state == "kept":
            say(f"{o.study_uid}: up to date, kept ({o.folder}); --force makes it again")
        else:
            say(f"{o.study_uid}: failed: {o.why}")
    return None


def _exit_code(studies: list[Study], outcomes: list[Outcome], refused: list[Skipped]) -> int:
    usable = any(s.images for s in studies)
    failed = sum(o.state == "failed" for o in outcomes)
    if not usable or (outcomes and failed == len(outcomes)):
        return EXIT_FAILED
    skipped = any(s.skipped for s in studies) or refused or failed
    skipped = skipped or any(o.compared is False for o in outcomes)
    return EXIT_PARTLY if skipped else 0
