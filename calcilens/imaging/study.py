"""Read DICOM studies: from a file, a folder with anything in it, a zip or a DICOMDIR."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from calcilens.errors import StudyError, compose
from calcilens.imaging.headers import Header, read_headers, read_patient
from calcilens.imaging.images import Image
from calcilens.imaging.pool import DecoderPool
from calcilens.imaging.records import SeriesInfo, Skipped
from calcilens.imaging.scan import Found, opened
from calcilens.imaging.series import SeriesPlan, plan_series, read_series
from calcilens.imaging.sources import Source
from calcilens.patients import patient_key

__all__ = ["Reading", "SeriesInfo", "Skipped", "Study", "read_all", "read_studies", "read_study"]

_SALT = secrets.token_bytes(16)

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


@dataclass(frozen=True, eq=False)
class Study:
    """One study: its images, and what was left out with the reason.

    Args:
        study_date: YYYYMMDD, or None.
        modalities: All modalities met, also those that are not read.
        skipped: One entry for each file or series that was left out.
        patient: Tells patients apart while the program runs, and nothing more: a hash under a
            key that is never kept. None where the files name no patient.
        sources: Headers of the files that the images come from, by the UID of the first plane.
            They name the patient: for DICOM objects alone.
    """

    study_uid: str
    study_date: str | None
    modalities: tuple[str, ...]
    images: tuple[Image, ...]
    series: tuple[SeriesInfo, ...]
    skipped: tuple[Skipped, ...]
    patient: str | None = None
    sources: Mapping[str, Source] = field(default_factory=dict, repr=False)


class Reading(NamedTuple):
    """What an input holds.

    Args:
        studies: In the order of their UIDs.
        left_out: Files and folders that cannot be read, and so belong to no study.
    """

    studies: list[Study]
    left_out: tuple[Skipped, ...]


def read_study(
    path: Paths,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Study:
    """Read the one study that an input holds; parameters as in `read_studies`.

    Studies of which nothing can be read do not count; their reasons are kept, and those of files
    that belong to no study.

    Raises:
        StudyError: There is no study, or more than one.
    """
    studies, left_out = read_all(path, workers=workers, progress=progress)
    usable = [study for study in studies if study.images] or studies
    if len(usable) > 1:
        raise StudyError(
            compose(
                "one study",
                f"{len(usable)}: {', '.join(s.study_uid for s in usable)}",
                fix="give the folder of one of them",
            )
        )
    rest = tuple(s for study in studies if study is not usable[0] for s in study.skipped)
    return replace(usable[0], skipped=(*left_out, *usable[0].skipped, *rest))


def read_studies(path: Paths, *, workers: int | None = None) -> list[Study]:
    """Read all studies that an input holds, as `read_all` does."""
    return read_all(path, workers=workers).studies


def read_all(
    path: Paths,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Reading:
    """Read all studies that an input holds, and say what belongs to none.

    Args:
        path: A file, a folder, a zip archive, a DICOMDIR, or several of them.
        workers: Processes that decode; 0 for none; by default one a core where it pays.
        progress: Called with the number of planes decoded, 0 at first, and their total.

    Raises:
        StudyError: There is no such path, or nothing in it can be read as a study.
    """
    paths = [path] if isinstance(path, (str, os.PathLike)) else list(path)
    with ExitStack() as open_inputs:
        found = [open_inputs.enter_context(opened(Path(p))) for p in paths]
        headers, skipped = read_headers([file for f in found for file in f.files])
        skipped = [s for f in found for s in f.skipped] + skipped
        if not headers:
            raise _nothing(paths, found, skipped)
        return Reading(_read(headers, workers, progress), tuple(skipped))


def _nothing(
    paths: Sequence[str | os.PathLike[str]], found: Sequence[Found], skipped: Sequence[Skipped]
) -> StudyError:
    count = sum(len(f.files) for f in found)
    what = f"{count} files and none of them" if count else "no file"
    if skipped:
        what += f" ({skipped[0].what}: {skipped[0].reason})"
    where = ", ".join(str(p) for p in paths)
    return StudyError(compose("DICOM images", what, where=where))


def _read(
    headers: Sequence[Header],
    workers: int | None,
    progress: Callable[[int, int], None] | None,
) -> list[Study]:
    groups: dict[str, dict[str, list[Header]]] = {}
    for header in sorted(headers, key=lambda h: (h.study_uid, h.series_uid, h.sop_uid)):
        groups.setdefault(header.study_uid, {}).setdefault(header.series_uid, []).append(header)
    plans = {uid: [plan_series(s) for s in series.values()] for uid, series in groups.items()}
    flat = [plan for series in plans.values() for plan in series]
    done = _counter(sum(len(plan.sources) for plan in flat), progress)
    seconds = sum(source.seconds for plan in flat for source in plan.sources)
    with DecoderPool(workers, seconds) as pool:
        return [_study(uid, series, pool, done) for uid, series in plans.items()]


def _study(
    uid: str, plans: Sequence[SeriesPlan], pool: DecoderPool, done: Callable[[], None]
) -> Study:
    results = [read_series(plan, pool, done) for plan in plans]
    return Study(
        study_uid=uid,
        study_date=_date([h for plan in plans for h in plan.headers]),
        modalities=tuple(sorted({plan.modality for plan in plans if plan.modality})),
        images=tuple(image for result in results for image in result.images),
        series=tuple(result.info for result in results),
        skipped=tuple(s for result in results for s in result.skipped),
        patient=_patient(plans[0].headers[0]),
        sources={uid: one for result in results for uid, one in result.sources.items()},
    )


def _patient(header: Header) -> str | None:
    number = read_patient(header)
    return None if number is None else patient_key(number, _SALT)


def _date(headers: Sequence[Header]) -> str | None:
    dates = {str(h.tags.get("StudyDate") or "") for h in headers}
    good = sorted(d for d in dates if len(d) == 8 and d.isdigit() and d != "0" * 8)
    return good[0] if good else None


def _counter(total: int, progress: Callable[[int, int], None] | None) -> Callable[[], None]:
    count = -1

    def done() -> None:
        nonlocal count
        count += 1
        if progress is not None:
            progress(count, total)

    done()
    return done
