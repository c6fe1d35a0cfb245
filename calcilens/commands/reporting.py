"""What `predict` and `compare` share: read studies, report on them, or say what would be done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from threading import Thread
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from calcilens.commands.console import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_PARTLY,
    Steps,
    print_json,
    progress_bar,
    say,
)
from calcilens.errors import InputError, UsageError, compose

if TYPE_CHECKING:
    from calcilens.imaging.records import Skipped
    from calcilens.imaging.study import Reading, Study
    from calcilens.inference.batch import Outcome
    from calcilens.inference.chosen import Chosen
    from calcilens.inference.pipeline import Placed
    from calcilens.inference.roi.segmentation import GridRegion

STAGES = (
    "loading code and models",
    "candidates",
    "predictions",
    "measurements",
    "comparison",
    "pictures and masks",
    "html",
    "DICOM objects",
    "fhir",
)
"""Of one study, as the bar shows them; a test holds them to those that are timed."""


@dataclass(frozen=True)
class Job:
    """What the user asked for; None where an option was not given.

    Args:
        models: Names or paths: for CT, for radiographs, and of the finder.
        out: None on a dry run alone.
    """

    paths: Sequence[Path]
    out: Path | None
    models: tuple[str | None, str | None, str | None] = (None, None, None)
    roi: Path | None = None
    prior: Path | None = None
    bone_mask: Path | None = None
    case: Path | None = None
    formats: tuple[str, ...] = ("json", "html")
    force: bool = False
    dry_run: bool = False
    as_json: bool = False


class Told(NamedTuple):
    """What became of a job.

    Args:
        code: Exit code.
        outcomes: Of each study; None on a dry run.
        refused: Given lesions, and a prior, that could not be used.
        left_out: Files of no study.
    """

    code: int
    outcomes: list[Outcome] | None
    refused: list[Skipped]
    left_out: tuple[Skipped, ...]


@dataclass
class _Read:
    """What was read for a job."""

    studies: list[Study]
    priors: tuple[Study, ...] | None
    placed: dict[str, list[Placed]] | None
    bones: dict[str, Any]
    case: dict[str, Any] | None
    seconds: dict[str, float]
    refused: list[Skipped] = field(default_factory=list)
    left_out: tuple[Skipped, ...] = ()


def report_on(job: Job, tell: Callable[[Outcome], None] = lambda outcome: None) -> Told:
    """Read studies and write their reports; or, on a dry run, say what would be done.

    Args:
        job: What is wanted.
        tell: Called with what became of each study, as soon as it is done.
    """
    from calcilens.inference.chosen import Chosen, Names

    names = Names(*job.models)
    names.check()
    if not job.dry_run:
        make_folder(job.out or Path())
    read = _read(job)
    chosen = Chosen.for_studies(read.studies, names, search=read.placed is None)
    if job.dry_run:
        compared = _plan(read, job.as_json)
        return Told(_exit_code(read, [], compared=compared), None, read.refused, read.left_out)
    outcomes = _run(job, read, chosen, tell)
    for note in [note for outcome in outcomes for note in outcome.notes]:
        say(f"comparison: {note}")
    compared = all(o.compared is not False for o in outcomes)
    code = _exit_code(read, outcomes, compared=compared)
    return Told(code, outcomes, read.refused, read.left_out)


def _read(job: Job) -> _Read:
    start = perf_counter()
    from calcilens.imaging.study import read_all

    regions, refused = _regions(job.roi)
    drawn = _drawn(job.bone_mask)
    case = _case(job.case)
    ahead = _Ahead(wanted=_due(job))
    with progress_bar() as bar:

        def read(name: str, paths: Sequence[Path]) -> Reading:
            task = bar.add_task(name, total=None)

            def advance(done: int, total: int) -> None:
                ahead.start()
                bar.update(task, completed=done, total=total)

            return read_all(paths, progress=advance)

        studies, left_out = read("read", job.paths)
        priors, unread = _read_prior(job.prior, lambda path: read("read the prior", [path]))
    seconds = {"reading all studies": round(perf_counter() - start, 3)}
    placed, unplaced = _place(regions, studies, job.roi is not None)
    refused = [*refused, *unread, *unplaced]
    _say_skipped(studies, [*left_out, *refused])
    if case is not None:
        _one_patient(studies)
    return _Read(studies, priors, placed, _bones(drawn, studies), case, seconds, refused, left_out)


def _read_prior(
    path: Path | None, read: Callable[[Path], Reading]
) -> tuple[tuple[Study, ...] | None, list[Skipped]]:
    """Read the studies to compare with; that they cannot be read must not cost the report."""
    if path is None:
        return None, []
    from calcilens.imaging.records import Skipped

    try:
        studies, left_out = read(path)
    except InputError as error:
        return None, [Skipped("--prior", str(error))]
    for skipped in [*left_out, *(s for study in studies for s in study.skipped)]:
        say(f"left out of the prior: {skipped.what}: {skipped.reason}")
    return tuple(studies), []


def _due(job: Job) -> bool:
    """Say whether reports must be made, as far as can be told before anything is read."""
    if job.dry_run or job.out is None:
        return False
    return job.force or not any(job.out.glob("*/run.json"))


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
            Thread(target=import_module, args=("calcilens.inference.output",)).start()


def make_folder(out: Path) -> None:
    """Make the folder of the output.

    Raises:
        UsageError: A file is in the way.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        at = Path(error.filename)
        what = "a link to nothing" if at.is_symlink() and not at.exists() else "a file"
        found = f"{what}: {error.filename}"
        raise UsageError(compose("a folder", found, where="--out")) from error


def _regions(roi: Path | None) -> tuple[list[Any], list[Skipped]]:
    if roi is None:
        return [], []
    from calcilens.inference.roi.reading import read_rois

    return read_rois(roi)


def _case(path: Path | None) -> dict[str, Any] | None:
    """Read what is known of the patient; a mistake in it is told before pixels are read."""
    if path is None:
        return None
    from calcilens.guidance.cases import case_from, read_content

    content = read_content(path)
    case_from(content, where=path.name)
    return dict(content)


def _one_patient(studies: list[Study]) -> None:
    """Refuse a case beside studies of several patients.

    Raises:
        UsageError: They are not of one patient.
    """
    from calcilens.inference.prior import same_patient

    if not all(same_patient(studies[0], other) for other in studies[1:]):
        found = f"{len(studies)} studies of different patients"
        fix = "call it once for each patient"
        raise UsageError(compose("studies of one patient", found, where="--case", fix=fix))


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


def _run(job: Job, read: _Read, chosen: Chosen, tell: Callable[[Outcome], None]) -> list[Outcome]:
    from calcilens.inference.batch import Wishes, run_all

    wishes = Wishes(job.out or Path(), job.formats, job.force, read.priors, read.bones, read.case)
    with progress_bar() as bar:
        steps = Steps(bar, "report", len(read.studies), STAGES)
        outcomes = []
        for outcome in run_all(
            read.studies,
            chosen,
            read.placed,
            wishes,
            seconds=read.seconds,
            tick=steps.finish,
            tell=steps.stage,
        ):
            tell(outcome)
            outcomes.append(outcome)
    return outcomes


def _say_skipped(studies: list[Study], others: list[Skipped]) -> None:
    for skipped in [s for study in studies for s in study.skipped]:
        code = skipped.coded().what
        known = "" if code == skipped.what else f" (in the report: {code})"
        say(f"left out: {skipped.what}{known}: {skipped.reason}")
    for skipped in others:
        say(f"left out: {skipped.what}: {skipped.reason}")


def _plan(read: _Read, as_json: bool) -> bool:
    """Say what would be done; return whether all that was to be compared could be."""
    plans = [_plan_of(study, read) for study in read.studies]
    for note in [note for plan in plans for note in plan["notes"]]:
        say(f"comparison: {note}")
    if as_json:
        entries = [skipped.to_json() for skipped in read.left_out]
        print_json({"dry_run": True, "studies": plans, "left_out": entries})
    else:
        for study, plan in zip(read.studies, plans, strict=True):
            given = plan["lesions_given"]
            lesions = "lesions searched" if given is None else f"lesions given: {given}"
            since = "".join(f", compared with {uid}" for uid in plan["compared_with"])
            say(f"{study.study_uid}: {_images(study)}, {lesions}{since}; nothing was written")
    return read.priors is None or all(plan["compared_with"] for plan in plans)


def _plan_of(study: Study, read: _Read) -> dict[str, Any]:
    from calcilens.inference.prior import choose

    choice = None if read.priors is None else choose(study, read.priors)
    priors = [] if choice is None else [prior.study_uid for prior, _ in choice.volumes]
    return {
        "study_uid": study.study_uid,
        "images": len(study.images),
        "lesions_given": None if read.placed is None else len(read.placed[study.study_uid]),
        "skipped": len(study.skipped),
        "compared_with": list(dict.fromkeys(priors)),
        "notes": [] if choice is None else list(choice.notes),
    }


def _images(study: Study) -> str:
    """Return what images a study has, in words."""
    from calcilens.imaging.images import Volume

    stacks = [len(i.hu) for i in study.images if isinstance(i, Volume)]
    words = [f"1 CT of {n} plane{'' if n == 1 else 's'}" for n in stacks]
    if len(stacks) > 1:
        words = [f"{len(stacks)} CTs of {', '.join(map(str, stacks))} planes"]
    films = len(study.images) - len(stacks)
    words += [f"{films} radiograph{'' if films == 1 else 's'}"] if films else []
    return ", ".join(words) or "no image that can be read"


def _exit_code(read: _Read, outcomes: list[Outcome], *, compared: bool) -> int:
    usable = any(s.images for s in read.studies)
    failed = sum(o.state == "failed" for o in outcomes)
    if not usable or (outcomes and failed == len(outcomes)):
        return EXIT_FAILED
    left_out = any(s.skipped for s in read.studies) or read.left_out or read.refused or failed
    return EXIT_PARTLY if left_out or not compared else EXIT_DONE
