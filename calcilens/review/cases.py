"""Every lesion that readers signed for, with all that was said of it: what is counted and exported.

Answers of readers who have not signed are not in it: they may still change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from calcilens.review.book import Book
from calcilens.review.library import Library
from calcilens.review.model_answer import ModelAnswer
from calcilens.review.reports import Place, Report
from calcilens.review.state import Box, Group, Phase, Said, StudyState, fold


@dataclass(frozen=True)
class Case:
    """A lesion with all that was said of it.

    Args:
        lesion: Id of the group.
        group: What the readers who signed say of it.
        image: Number of its image in the report, from 0.
        sop_uid: Of a film; None for a CT.
        box: In the report, or as it was added.
        place: In the report; None for one that was added.
        model: None for one that was added.
        committed: By reader, before the model's answer was seen.
        settled: The adjudicator's answer.
        final: What stands; None where nothing does yet.
    """

    lesion: str
    group: Group
    image: int
    series_uid: str
    sop_uid: str | None
    box: Box
    place: Place | None
    model: ModelAnswer | None
    committed: Mapping[str, Said]
    settled: Said | None
    final: Said | None

    @property
    def added(self) -> bool:
        """Whether the report lacks it."""
        return self.place is None


@dataclass(frozen=True)
class Reviewed:
    """A study that somebody signed.

    Args:
        head: Hash of the last entry on it.
    """

    study_uid: str
    report: Report
    state: StudyState
    phase: Phase
    head: str
    cases: tuple[Case, ...]


def reviewed(book: Book, library: Library, readers: int) -> Iterator[Reviewed]:
    """Yield the studies that somebody signed, by UID.

    Args:
        book: The journal.
        library: The reports. Reviews of an older report of a study do not count.
        readers: Wanted for a study.
    """
    for known in library.summaries():
        entries = book.of(known.study_uid)
        if not entries:
            continue
        report = library.get(known.study_uid)
        state = fold(entries, known.study_uid, report.sha256)
        if not state.signed:
            continue
        phase = state.phase([place.id for place in report.lesions], readers)
        head = next(entry.hash for entry in entries if entry.seq == state.last)
        yield Reviewed(known.study_uid, report, state, phase, head, _cases(report, state, phase))


def _cases(report: Report, state: StudyState, phase: Phase) -> tuple[Case, ...]:
    places = {place.id: place for place in report.lesions}
    answers = {lesion["id"]: ModelAnswer.of(lesion) for lesion in report.content["lesions"]}
    found = []
    for group in state.groups(list(places)):
        place = places.get(group.id)
        where = place or state.added[group.id]
        found.append(
            Case(
                lesion=group.id,
                group=group,
                image=where.image,
                series_uid=where.series_uid,
                sop_uid=report.images[where.image].sop_uid,
                box=where.box,
                place=place,
                model=answers.get(group.id),
                committed=_committed(state, group),
                settled=state.settled.get(group.id),
                final=state.final(group) if phase is Phase.DONE else None,
            )
        )
    return tuple(found)


def _committed(state: StudyState, group: Group) -> dict[str, Said]:
    return {
        reader: state.committed[reader, lesion]
        for lesion in group.members
        for reader in state.signed
        if (reader, lesion) in state.committed
    }
