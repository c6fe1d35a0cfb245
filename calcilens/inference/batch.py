"""Many studies in one run: read, report, write; one broken study does not stop the others."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from calcilens.errors import CalcilensError, UsageError, compose
from calcilens.imaging.images import Radiograph
from calcilens.imaging.records import Skipped
from calcilens.imaging.study import Study
from calcilens.inference.output import folder_name, write_study
from calcilens.inference.pipeline import Bones, Models, Placed, Stopwatch, run_study
from calcilens.inference.provenance import done, facts
from calcilens.inference.roi.region import Region, place
from calcilens.models.finder_file import load_finder
from calcilens.models.loading import LoadedModel, load_model
from calcilens.models.registry import DEFAULT, FINDER

State = Literal["written", "kept", "failed"]


@dataclass(frozen=True)
class Outcome:
    """What became of one study.

    Args:
        folder: Its report, or None where there is none.
        skipped: Files and series that were left out.
        why: Of a failure.
        compared: Whether it was compared with a prior study; None where none was given.
        notes: What is to be said of the comparison, one line each.
    """

    study_uid: str
    state: State
    folder: str | None
    lesions: int
    skipped: int
    why: str | None = None
    compared: bool | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wishes:
    """What the user asked for.

    Args:
        out: Folder of the reports.
        formats: Of `FORMATS`.
        force: Make reports again that are up to date.
        priors: Earlier studies to compare with; None for no comparison.
        bones: Bones from elsewhere, by series UID.
    """

    out: Path
    formats: tuple[str, ...]
    force: bool = False
    priors: tuple[Study, ...] | None = None
    bones: Bones = field(default_factory=dict)


def load_models(
    studies: Sequence[Study],
    ct: str | None,
    radiograph: str | None,
    finder: str | None = None,
    *,
    search: bool = True,
) -> Models:
    """Load the models that the images need; the embedded one where none is named.

    Args:
        studies: What was read.
        ct: Name or path of the classifier for CT.
        radiograph: The same for radiographs.
        finder: Name or path of what searches radiographs.
        search: Whether lesions are searched for.
    """
    flat = {isinstance(i, Radiograph) for s in studies for i in s.images}
    ct, radiograph = ct or DEFAULT["CT"], radiograph or DEFAULT["radiograph"]
    return Models(
        _load(ct, "CT", "--model-ct") if False in flat else None,
        _load(radiograph, "radiograph", "--model-radiograph") if True in flat else None,
        load_finder(finder or FINDER) if search and True in flat else None,
    )


def _load(name: str, modality: str, option: str) -> LoadedModel:
    model = load_model(name)
    found = model.card.get("modality")
    if found != modality:
        raise UsageError(compose(f"a model for {modality}", f"one for {found}", where=option))
    return model


def place_all(
    regions: Sequence[Region], studies: Sequence[Study]
) -> tuple[dict[str, list[Placed]], list[Skipped]]:
    """Find the image of every given lesion among all studies; lesions by study UID."""
    placed, refused = place(regions, [i for s in studies for i in s.images])
    by_study: dict[str, list[Placed]] = {s.study_uid: [] for s in studies}
    known: set[str] = set()
    for image, candidate in placed:
        if candidate.id not in known:
            by_study[image.study_uid].append((image, candidate))
            known.add(candidate.id)
    return by_study, refused


def run_all(
    studies: Sequence[Study],
    models: Models,
    given: dict[str, list[Placed]] | None,
    wishes: Wishes,
    *,
    seconds: dict[str, float],
    tick: Callable[[], None] = lambda: None,
) -> Iterator[Outcome]:
    """Report on each study and yield what became of it.

    Args:
        studies: What was read.
        models: What answers.
        given: Lesions by study UID, or None to search.
        wishes: Where to, in which formats.
        seconds: Time of what went before, by stage, for run.json.
        tick: Called after each study.

    Raises:
        OSError: The output cannot be written; the studies after it would fail alike.
    """
    for study in studies:
        lesions = None if given is None else given.get(study.study_uid, [])
        try:
            yield _run_one(study, models, lesions, wishes, seconds)
        except CalcilensError as error:
            yield _failed(study, str(error))
        except OSError as error:
            if error.errno in (
                errno.ENOSPC,
                errno.EACCES,
                errno.EROFS,
                errno.EDQUOT,
                errno.ENOTDIR,
            ):
                place = error.filename or str(wishes.out)
                raise OSError(error.errno, error.strerror, place) from error
            yield _failed(study, error.strerror or type(error).__name__)
        except MemoryError:
            yield _failed(study, "not enough memory for it")
        except Exception as error:  # a fault of ours must not take the other studies with it
            if os.environ.get("CALCILENS_DEBUG"):
                raise
            yield _failed(study, f"unexpected {type(error).__name__}; a fault of the program")
        tick()


def _run_one(
    study: Study,
    models: Models,
    given: list[Placed] | None,
    wishes: Wishes,
    seconds: dict[str, float],
) -> Outcome:
    watch = Stopwatch()
    watch.seconds.update(seconds)
    run: dict[str, Any] = watch.time(
        "fingerprint",
        lambda: facts(study, models, given, wishes.formats, wishes.bones, wishes.priors),
    )
    kept = None if wishes.force else done(wishes.out, study.study_uid, run["fingerprint"])
    if kept is not None:
        return Outcome(study.study_uid, "kept", str(_folder(study, wishes)), *kept)
    report = run_study(study, models, given, bones=wishes.bones, priors=wishes.priors, watch=watch)
    folder = write_study(report, wishes.out, wishes.formats, run, watch)
    told = report.comparison
    return Outcome(
        study.study_uid,
        "written",
        str(folder),
        len(report.lesions),
        len(report.skipped),
        compared=None if told is None else told.done,
        notes=() if told is None else told.notes,
    )


def _folder(study: Study, wishes: Wishes) -> Path:
    return wishes.out / folder_name(study.study_uid)


def _failed(study: Study, why: str) -> Outcome:
    return Outcome(study.study_uid, "failed", None, 0, len(study.skipped), why)
