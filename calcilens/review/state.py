"""What the journal amounts to for one study: who reads it, what each says, whether they agree."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from calcilens.review.answers import Answer, answer_from
from calcilens.review.journal import Entry

Box = tuple[tuple[int, int, int], tuple[int, int, int]]
STEP = re.compile(r"[a-z]{1,40}")
"""Name of a step of reading. Figures and plots show it: it is a word, and nothing else."""


class Kind(StrEnum):
    """Kinds of entries."""

    TAKEN = "taken"
    RELEASED = "released"
    COMMITTED = "committed"
    VERDICT = "verdict"
    ADDED = "added"
    WITHDRAWN = "withdrawn"
    SIGNED = "signed"
    SETTLED = "settled"
    REOPENED = "reopened"


class Phase(StrEnum):
    """How far the reading of a study is."""

    NEW = "new"
    READING = "reading"
    WAITING = "waiting"
    DISPUTED = "disputed"
    DONE = "done"


@dataclass(frozen=True)
class Said:
    """An answer that somebody entered.

    Args:
        seconds: That it took.
        seq: Number of the entry; `time` and `hash` are its own too.
    """

    reader: str
    answer: Answer
    seconds: float
    seq: int
    time: str
    hash: str


@dataclass(frozen=True)
class Added:
    """A lesion that a reader saw and the report lacks.

    Args:
        image: Its number among the images of the study, from 0.
        box: First voxel and the one after the last, (z, y, x).
    """

    reader: str
    image: int
    series_uid: str
    box: Box


@dataclass(frozen=True)
class Signature:
    """A reader's word that they are done.

    Args:
        seconds: Time of each step.
    """

    reader: str
    seq: int
    time: str
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class Group:
    """One lesion as all readers mean it: of the report, or added by one or by both.

    Args:
        id: Of the lesion; of the first that was added, where both added it.
        members: Ids that mean it.
        answers: By reader, of those who signed. A reader who did not add it has none.
    """

    id: str
    members: tuple[str, ...]
    answers: Mapping[str, Said]


@dataclass
class StudyState:
    """What stands for a study and one report of it.

    Args:
        report: SHA-256 of report.json.
        blinded: Whether each reader, by name, commits an answer before seeing the model's.
        holders: Who reads now; `settling` is who settles.
        committed: Answers before the model's was seen, by reader and lesion.
        verdicts: The last ones, by reader and lesion.
        added: By lesion id; without those withdrawn.
        signed: By reader; `closed` is the adjudicator's.
        settled: The adjudicator's answers, by id of the group.
        judges: Who has ever taken it to settle it, or taken back what others signed.
        last: Number of the last entry; 0 where there is none.
    """

    study_uid: str
    report: str
    blinded: dict[str, bool] = field(default_factory=dict)
    holders: list[str] = field(default_factory=list)
    settling: str | None = None
    committed: dict[tuple[str, str], Said] = field(default_factory=dict)
    verdicts: dict[tuple[str, str], Said] = field(default_factory=dict)
    added: dict[str, Added] = field(default_factory=dict)
    signed: dict[str, Signature] = field(default_factory=dict)
    closed: Signature | None = None
    settled: dict[str, Said] = field(default_factory=dict)
    judges: set[str] = field(default_factory=set)
    last: int = 0

    def has_read(self, reader: str) -> bool:
        """Whether somebody reads this study, or has ever answered on it as a reader."""
        answered = {name for name, _ in (*self.committed, *self.verdicts)}
        return reader in (*self.holders, *self.signed, *answered)

    def groups(self, lesions: Collection[str]) -> tuple[Group, ...]:
        """Return what the readers who signed speak of.

        Args:
            lesions: Ids of the report's lesions.
        """
        members = [(lesion,) for lesion in lesions] + _joined(self.added, self.signed)
        return tuple(Group(ids[0], ids, self._answers(ids)) for ids in members)

    def disputed(self, lesions: Collection[str]) -> tuple[Group, ...]:
        """Return the groups on which those who signed do not say the same."""
        return tuple(group for group in self.groups(lesions) if not self._agreed(group))

    def phase(self, lesions: Collection[str], readers: int) -> Phase:
        """Return how far the reading is.

        Args:
            lesions: Ids of the report's lesions.
            readers: Wanted for a study.
        """
        if len(self.signed) < readers:
            if self.signed:
                return Phase.WAITING
            return Phase.READING if self.holders else Phase.NEW
        if self.closed is None and self.disputed(lesions):
            return Phase.DISPUTED
        return Phase.DONE

    def final(self, group: Group) -> Said | None:
        """Return what stands for a lesion: settled, or what all who signed say."""
        if group.id in self.settled:
            return self.settled[group.id]
        if not group.answers or not self._agreed(group):
            return None
        return min(group.answers.values(), key=lambda said: said.seq)

    def verdicts_of(self, reader: str) -> dict[str, Said]:
        """Return a reader's last answers by lesion, without lesions that they withdrew."""
        return {lesion: said for (who, lesion), said in self.verdicts.items() if who == reader}

    def added_by(self, reader: str) -> tuple[str, ...]:
        """Return the ids of the lesions that a reader added."""
        return tuple(lesion for lesion, one in self.added.items() if one.reader == reader)

    def _answers(self, ids: Iterable[str]) -> dict[str, Said]:
        return {
            reader: self.verdicts[reader, lesion]
            for lesion in ids
            for reader in self.signed
            if (reader, lesion) in self.verdicts
        }

    def _agreed(self, group: Group) -> bool:
        answers = [said.answer for said in group.answers.values()]
        everybody = len(answers) == len(self.signed)
        return everybody and all(answers[0].agrees(other) for other in answers[1:])


def _joined(added: Mapping[str, Added], signed: Collection[str]) -> list[tuple[str, ...]]:
    """Join lesions of several readers that overlap: they mean the same."""
    groups: list[list[str]] = []
    for lesion, one in added.items():
        if one.reader not in signed:
            continue
        for group in groups:
            others = [added[member] for member in group]
            apart = one.reader in {other.reader for other in others}
            if not apart and all(_overlap(one, other) for other in others):
                group.append(lesion)
                break
        else:
            groups.append([lesion])
    return [tuple(group) for group in groups]


def _overlap(one: Added, other: Added) -> bool:
    starts = zip(one.box[0], other.box[1], strict=True)
    ends = zip(other.box[0], one.box[1], strict=True)
    same = one.image == other.image
    return same and all(a < b for a, b in (*starts, *ends))


def fold(entries: Iterable[Entry], study_uid: str, report: str) -> StudyState:
    """Return what entries amount to.

    Args:
        entries: In their order; those of other studies and of other reports do not count.
        study_uid: Which study.
        report: SHA-256 of the report that is read.
    """
    state = StudyState(study_uid, report)
    for entry in entries:
        if entry.study_uid == study_uid and entry.body.get("report") == report:
            _STEPS[Kind(entry.kind)](state, entry)
            state.last = entry.seq
    return state


class Folds:
    """What the entries of each study amounted to when they were last folded.

    A picture or a list asks for it again and again, and entries are only ever added: with as many
    of them as before, it is the same. Who gets a state must not change it.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[int, StudyState]] = {}

    def of(self, entries: Sequence[Entry], study_uid: str, report: str) -> StudyState:
        """Return what entries amount to; parameters as in `fold`, with all of the study."""
        count, state = self._kept.get(study_uid, (-1, StudyState(study_uid, report)))
        if count != len(entries) or state.report != report:
            state = fold(entries, study_uid, report)
            self._kept[study_uid] = len(entries), state
        return state


def said(entry: Entry) -> Said:
    """Return the answer of an entry that holds one."""
    answer = answer_from(entry.body["answer"])
    seconds = float(entry.body["seconds"])
    return Said(entry.reader, answer, seconds, entry.seq, entry.time, entry.hash)


def _taken(state: StudyState, entry: Entry) -> None:
    if entry.body["settling"]:
        state.settling = entry.reader
        state.judges.add(entry.reader)
        return
    state.blinded[entry.reader] = entry.body["blinded"]
    state.holders.append(entry.reader)


def _released(state: StudyState, entry: Entry) -> None:
    holder = entry.body["holder"]
    state.holders = [name for name in state.holders if name != holder]
    if state.settling == holder:
        state.settling = None


def _committed(state: StudyState, entry: Entry) -> None:
    state.committed[entry.reader, _lesion(entry)] = said(entry)


def _verdict(state: StudyState, entry: Entry) -> None:
    state.verdicts[entry.reader, _lesion(entry)] = said(entry)


def _added(state: StudyState, entry: Entry) -> None:
    body, lesion = entry.body, _lesion(entry)
    state.added[lesion] = Added(entry.reader, body["image"], body["series_uid"], _box(body["box"]))
    _verdict(state, entry)


def _withdrawn(state: StudyState, entry: Entry) -> None:
    lesion = _lesion(entry)
    del state.added[lesion], state.verdicts[entry.reader, lesion]


def _signed(state: StudyState, entry: Entry) -> None:
    signature = Signature(entry.reader, entry.seq, entry.time, dict(entry.body["seconds"]))
    if entry.body["settling"]:
        state.closed, state.settling = signature, None
        return
    state.signed[entry.reader] = signature
    state.holders = [name for name in state.holders if name != entry.reader]


def _settled(state: StudyState, entry: Entry) -> None:
    state.settled[_lesion(entry)] = said(entry)


def _reopened(state: StudyState, entry: Entry) -> None:
    """Take back signatures: those who gave them hold the study again."""
    back = [name for name in entry.body["readers"] if name in state.signed]
    if entry.reader not in back:  # they saw what was signed
        state.judges.add(entry.reader)
    for name in back:
        del state.signed[name]
    state.holders += back
    state.settled.clear()
    state.closed = state.settling = None


def _lesion(entry: Entry) -> str:
    return str(entry.lesion)


def _box(value: Any) -> Box:
    (z0, y0, x0), (z1, y1, x1) = value
    return (z0, y0, x0), (z1, y1, x1)


_STEPS = {
    Kind.TAKEN: _taken,
    Kind.RELEASED: _released,
    Kind.COMMITTED: _committed,
    Kind.VERDICT: _verdict,
    Kind.ADDED: _added,
    Kind.WITHDRAWN: _withdrawn,
    Kind.SIGNED: _signed,
    Kind.SETTLED: _settled,
    Kind.REOPENED: _reopened,
}
