"""The folder of an export: for people, for archives, and for the next manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from calcilens.errors import InputError
from calcilens.files import files_whole
from calcilens.review.attachments import Attachments
from calcilens.review.book import Book
from calcilens.review.cases import Reviewed, reviewed
from calcilens.review.export import masks
from calcilens.review.export.documents import documents
from calcilens.review.export.names import names
from calcilens.review.export.tables import answers, reviews_jsonl, verdicts_csv
from calcilens.review.journal import Journal
from calcilens.review.library import Library
from calcilens.review.plots import draw
from calcilens.review.state import Box, Phase
from calcilens.review.statistics import statistics

NOT_STATED = "not stated"
REVIEWS = "reviews.jsonl"
_PLOTS = ("agreement.svg", "drift.svg", "overrides.svg", "time.svg")
_OURS = ("dicom/*/verified-*.dcm", "masks/*/[AL]*-*.nii.gz", *_PLOTS)
"""Of the files of an export, those that are not written each time."""


@dataclass(frozen=True)
class Settings:
    """How reviews are written.

    Args:
        readers: Wanted for a study, as the server was told.
        pseudonyms: Whether readers are called reader-1, reader-2 and so on.
        organisation: Of the readers, in DICOM objects.
    """

    readers: int = 2
    pseudonyms: bool = False
    organisation: str = NOT_STATED


@dataclass(frozen=True)
class Exported:
    """What was written.

    Args:
        studies: Signed by somebody; `done` are those that all signed and that are settled.
        answers: Rows of verdicts.csv.
        documents: Verified structured reports.
        notes: What could not be written, one line each.
    """

    studies: int
    done: int
    answers: int
    documents: int
    notes: tuple[str, ...]


def export(
    engine: Engine, library: Library, out: Path, settings: Settings | None = None
) -> Exported:
    """Write the reviews into a folder: all files, or none of them.

    The server may run meanwhile: what is entered after this began is not in it.

    Args:
        engine: As `calcilens.review.database.opened` gives it.
        library: The reports that were reviewed.
        out: Folder to write to.
        settings: How.
    """
    settings = settings or Settings()
    book = Book(Journal(engine))
    entries = [entry for found in book.all().values() for entry in found]
    called = names(sorted(entries, key=lambda entry: entry.seq), pseudonyms=settings.pseudonyms)
    _read_whole(library)
    studies = list(reviewed(book, library, settings.readers))
    attachments, again = Attachments(engine), (out / REVIEWS).is_file()
    with files_whole(out) as part:
        drawn, notes = _write_masks(studies, attachments, part)
        (part / "verdicts.csv").write_text(verdicts_csv(studies, called, drawn), "utf-8")
        (part / REVIEWS).write_text(reviews_jsonl(studies, called, drawn), "utf-8")
        _write_statistics(studies, called, part)
        count, more = _write_documents(studies, attachments, called, settings, part)
        made = {file.relative_to(part) for file in part.rglob("*")}
    if again:
        _remove_old(out, made)
    return Exported(
        studies=len(studies),
        done=sum(study.phase is Phase.DONE for study in studies),
        answers=sum(len(list(answers(case))) for study in studies for case in study.cases),
        documents=count,
        notes=(*notes, *more),
    )


def _remove_old(out: Path, made: set[Path]) -> None:
    """Remove what an earlier export wrote here and does not stand any more.

    A verified report of a study that was opened again must not lie there as if it did.
    """
    for kind in _OURS:
        for file in out.glob(kind):
            if file.relative_to(out) not in made:
                file.unlink()
                with suppress(OSError):  # others lie beside it
                    file.parent.rmdir()


def _read_whole(library: Library) -> None:
    """Let the library read every report: it reads for a second at a time."""
    library.summaries()
    while library.unread:
        library.summaries()


def _write_masks(
    studies: list[Reviewed], attachments: Attachments, part: Path
) -> tuple[dict[int, tuple[str, Box]], list[str]]:
    """Write what readers drew; return the file of each answer by the number of its entry."""
    written: dict[int, tuple[str, Box]] = {}
    notes: list[str] = []
    for study in studies:
        for case in study.cases:
            for _, said in answers(case):
                if said.answer.mask is None:
                    continue
                name = f"masks/{study.study_uid}/{case.lesion}-{said.seq}.nii.gz"
                try:
                    content = attachments.get(said.answer.mask)
                    written[said.seq] = name, masks.write(content, case, study.report, part / name)
                except InputError as error:  # all the rest is written none the less
                    notes.append(f"lesion {case.lesion}: no mask: {error}")
    return written, notes


def _write_statistics(studies: list[Reviewed], called: Mapping[str, str], part: Path) -> None:
    figures = statistics(studies, called)
    plots = draw(figures)
    told = {name: {"file": f"{name}.svg", "text": plot.text} for name, plot in plots.items()}
    content = json.dumps({**figures, "plots": told}, indent=1, allow_nan=False)
    (part / "statistics.json").write_text(content + "\n", "utf-8")
    for name, plot in plots.items():
        (part / f"{name}.svg").write_bytes(plot.svg)


def _write_documents(
    studies: list[Reviewed],
    attachments: Attachments,
    called: Mapping[str, str],
    settings: Settings,
    part: Path,
) -> tuple[int, list[str]]:
    count, notes = 0, []
    for study in (s for s in studies if s.phase is Phase.DONE):
        try:
            made = documents(study, attachments, called, settings.organisation)
        except InputError as error:
            notes.append(f"study {study.study_uid}: no verified report: {error}")
            continue
        folder = part / "dicom" / study.study_uid
        folder.mkdir(parents=True)
        for name, data in made:
            (folder / name).write_bytes(data)
        count += len(made)
    return count, notes
