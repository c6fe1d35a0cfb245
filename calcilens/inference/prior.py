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
        volumes = [v for v in _volumes(study) if v.side is None or v.side not in _others(current)]
        why = _why_not(current, study)
        if why is None and not volumes:
            why = _why_none(study)
        said = _doubts(current, study) if why is None else [why]
        notes += [f"prior {study.study_uid}: {line}" for line in said]
        usable += [(study, volume) for volume in volumes if why is None]
    return Choice(tuple(usable), tuple(notes))


def _volumes(study: Study) -> list[Volume]:
    return [image for image in study.images if isinstance(image, Volume)]


def _others(current: Study) -> set[str]:
    """Return the other side of the body where a study's files name one side alone."""
    sides = {volume.side for volume in _volumes(current)}
    return {"L", "R"} - sides if len(sides) == 1 and None not in sides else set()


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


def _why_none(prior: Study) -> str:
    """Say why none of a study's images can be compared."""
    if _volumes(prior):
        return compose(
            "the same side of the body", "the other Laterality", fix="check both studies"
        )
    found = ", ".join(sorted({i.modality for i in prior.images})) or "no readable image"
    return compose("a CT", found, fix="change is measured between two CTs only")


def _doubts(current: Study, prior: Study) -> list[str]:
    """Return what is to be said of a study that is compared all the same."""
    parts = [{volume.body_part for volume in _volumes(study)} for study in (prior, current)]
    doubts = []
    if same_patient(prior, current) is None:
        doubts.append("no patient number to compare; check the name")
    if all(parts) and None not in parts[0] | parts[1] and not parts[0] & parts[1]:
        # No refusal: scanners have many words for one place.
        doubts.append("another BodyPartExamined; check that both show the same place")
    if days_between(prior, current) is None:
        doubts.append(f"{_dateless(prior, current)}, so no doubling time")
    return doubts


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
