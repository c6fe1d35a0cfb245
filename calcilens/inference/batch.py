"""Many studies in one run: read, report, write; one broken study does not stop the others."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from calcilens.errors import CalcilensError, ModelError, unexpected
from calcilens.imaging.records import Skipped
from calcilens.imaging.study import Study
from calcilens.inference.provenance import Source, done, facts, folder_name, kept
from calcilens.inference.roi.region import Region, place
from calcilens.inference.stopwatch import Stopwatch

if TYPE_CHECKING:  # they bring torch, which a study that is up to date does not need
    from calcilens.inference.pipeline import Bones, Placed

_MOST_REASONS = 3
"""Of a study without an image that are told in one line; its report has all."""
State = Literal["written", "kept", "failed"]


@dataclass(frozen=True)
class Outcome:
    """What became of one study.

    Args:
        folder: Its report, or None where there is none.
        images: Images that could be read.
        skipped: Files and series that were left out.
        compared: Whether it was compared with a prior study; None where none was given.
        notes: What is to be said of the comparison, one line each.
        why: Of a failure, or why no image could be read.
    """

    study_uid: str
    state: State
    folder: str | None
    images: int
    lesions: int
    skipped: int
    compared: bool | None = None
    notes: tuple[str, ...] = ()
    why: str | None = None


@dataclass(frozen=True)
class Wishes:
    """What the user asked for.

    Args:
        out: Folder of the reports.
        formats: Of `FORMATS`.
        force: Make reports again that are up to date.
        priors: Earlier studies to compare with; None for no comparison.
        bones: Bones from elsewhere, by series UID.
        case: What is known of the patient, as case.json holds it; None for nothing.
    """

    out: Path
    formats: tuple[str, ...]
    force: bool = False
    priors: tuple[Study, ...] | None = None
    bones: Bones = field(default_factory=dict)
    case: dict[str, Any] | None = None


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
    models: Source,
    given: dict[str, list[Placed]] | None,
    wishes: Wishes,
    *,
    seconds: dict[str, float],
    tick: Callable[[], None] = lambda: None,
    tell: Callable[[str], None] = lambda stage: None,
) -> Iterator[Outcome]:
    """Report on each study and yield what became of it.

    Args:
        studies: What was read.
        models: What answers; loaded when the first study is due.
        given: Lesions by study UID, or None to search.
        wishes: Where to, in which formats.
        seconds: Time of what went before, by stage, for run.json.
        tick: Called after each study.
        tell: Called with the name of each stage that begins.

    Raises:
        ModelError: A model cannot be loaded, which no other study could mend.
        OSError: The output cannot be written; the studies after it would fail alike.
    """
    for study in studies:
        lesions = None if given is None else given.get(study.study_uid, [])
        watch = Stopwatch(tell)
        watch.seconds.update(seconds)
        try:
            yield _run_one(study, models, lesions, wishes, watch)
        except ModelError:
            raise
        except CalcilensError as error:
            yield _failed(study, str(error))
        except OSError as error:
            _stop_at(error, wishes.out)
            yield _failed(study, error.strerror or type(error).__name__)
        except MemoryError:
            yield _failed(study, "not enough memory for it")
        except Exception as error:  # a fault of ours must not take the other studies with it
            if os.environ.get("CALCILENS_DEBUG"):
                raise
            yield _failed(study, unexpected(error))
        tick()


def _stop_at(error: OSError, out: Path) -> None:
    """Raise an error of writing anew, with a place, that all other studies would meet too."""
    lasting = errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.ENOTDIR
    if error.errno in lasting:
        raise OSError(error.errno, error.strerror, error.filename or str(out)) from error


def _run_one(
    study: Study,
    models: Source,
    given: list[Placed] | None,
    wishes: Wishes,
    watch: Stopwatch,
) -> Outcome:
    search = given is None
    due = models.narrowed(study.images, search=search)
    run = watch.time("fingerprint", lambda: facts(study, due, given, wishes))
    uid, images = study.study_uid, len(study.images)
    before = None if wishes.force else done(wishes.out, uid, run["fingerprint"])
    if before is not None:
        folder = wishes.out / folder_name(uid)
        return Outcome(uid, "kept", str(folder), images, **before._asdict(), why=_unread(study))
    loaded = watch.time("loading code and models", lambda: models.loaded)
    loaded = loaded.narrowed(study.images, search=search)
    from calcilens.inference.export.objects import BUILDERS, make
    from calcilens.inference.guided import guided
    from calcilens.inference.output import write_study
    from calcilens.inference.pipeline import run_study

    report = run_study(study, loaded, given, bones=wishes.bones, priors=wishes.priors, watch=watch)
    report = guided(report, wishes.case)
    made = None
    if wanted := [name for name in wishes.formats if name in BUILDERS]:
        made = watch.time("DICOM objects", lambda: make(report, wanted))
        report = replace(report, skipped=(*report.skipped, *made.failed))
    folder = write_study(report, wishes.out, wishes.formats, run, watch, made)
    told = kept(report)._asdict()
    return Outcome(uid, "written", str(folder), images, **told, why=_unread(study))


def _unread(study: Study) -> str | None:
    """Return why no image of a study could be read; None where one could."""
    if study.images:
        return None
    reasons = dict.fromkeys(skipped.reason for skipped in study.skipped)
    return "; ".join(list(reasons)[:_MOST_REASONS]) or "it has none"


def _failed(study: Study, why: str) -> Outcome:
    return Outcome(
        study.study_uid, "failed", None, len(study.images), 0, len(study.skipped), why=why
    )
