"""Which earlier study, and which of its series, a study is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from calcilens.errors import compose
from calcilens.imaging.images import Volume
from calcilens.imaging.study import Study


@dataclass(frozen=True, eq=False)
class Choice:
    """The CT volumes that a study may be compared with, and what was said on the way.

    Args:
        volumes: With their study, the latest study first.
        notes: One line each.
    """

    volumes: tuple[tuple[Study, Volume], ...]
    notes: tuple[str, ...]


def choose(current: Study, priors: Sequence[Study]) -> Choice:
    """Choose of the studies given as prior those that come before the current one."""
    usable, notes = [], []
    for study in sorted(priors, key=lambda s: s.study_date or "", reverse=True):
        why = _why_not(current, study)
        volumes = [image for image in study.images if isinstance(image, Volume)]
        if why is None and not volumes:
            found = ", ".join(sorted({i.modality for i in study.images})) or "no readable image"
            why = compose("a CT", found, fix="change is measured between two CTs only")
        if why is not None:
            notes.append(f"prior {study.study_uid}: {why}")
            continue
        if same_patient(study, current) is None:
            notes.append(f"prior {study.study_uid}: no patient number to compare; check the name")
        if days_between(study, current) is None:
            why = _dateless(study, current)
            notes.append(f"prior {study.study_uid}: {why}, so no doubling time")
        usable += [(study, volume) for volume in volumes]
    return Choice(tuple(usable), tuple(notes))


def _why_not(current: Study, prior: Study) -> str | None:
    if prior.study_uid == current.study_uid:
        return compose("an earlier study", "the same study")
    if same_patient(prior, current) is False:
        return compose("the same patient", "another patient number", fix="check both studies")
    days = days_between(prior, current)
    if days is not None and days < 0:
        found = f"one of {prior.study_date}"
        return compose(
            f"a study before {current.study_date}", found, fix="give the earlier as prior"
        )
    return None


def same_patient(prior: Study, current: Study) -> bool | None:
    """Return whether two studies name the same patient; None where one names none."""
    if prior.patient is None or current.patient is None:
        return None
    return prior.patient == current.patient


def _dateless(prior: Study, current: Study) -> str:
    """Say why there are no days between two studies."""
    wrong = [s.study_date for s in (prior, current) if s.study_date and _day(s) is None]
    return f"a study date of {wrong[0]} is not a date" if wrong else "a study date is missing"


def days_between(prior: Study, current: Study) -> int | None:
    """Return the days from a study to a later one; None where a date is missing or impossible."""
    before, after = _day(prior), _day(current)
    return None if before is None or after is None else (after - before).days


def _day(study: Study) -> date | None:
    try:
        return date.fromisoformat(study.study_date or "")
    except ValueError:
        return None
