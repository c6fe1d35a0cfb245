"""Who may enter what, and when: the rules of reading, each checked while nobody else can write."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine

from calcilens.errors import Conflict, NotAllowed, NotThere, ReviewError, compose
from calcilens.review.accounts import Reader, Role
from calcilens.review.answers import Answer
from calcilens.review.attachments import Attachments
from calcilens.review.book import Book
from calcilens.review.journal import Draft, Entry, Journal
from calcilens.review.rules import Check, Reports, Rules, current
from calcilens.review.state import STEP, Box, Folds, Kind, StudyState

LONGEST_STEP_S = 24 * 3600.0
LONGEST_REASON = 500
MOST_STEPS = 40
MOST_ADDED = 200
"""Lesions that a reader may add to a study."""


@dataclass(frozen=True)
class Place:
    """Where a lesion lies.

    Args:
        image: Number among the study's images, from 0.
        shape: Of that image, (z, y, x) voxels; z is 1 on a radiograph.
        box: First voxel and the one after the last, (z, y, x).
    """

    image: int
    series_uid: str
    shape: tuple[int, int, int]
    box: Box

    def __post_init__(self) -> None:
        if not all(0 <= a < b <= n for a, b, n in zip(*self.box, self.shape, strict=True)):
            found = str(self.box)[:80]
            raise ReviewError(compose(f"a box within {self.shape}", found, where="box"))


class Reading:
    """Enters what readers say.

    Args:
        engine: As `calcilens.review.database.opened` gives it.
        reports: What is read.
        readers: Wanted for a study, 1 or 2.
        blinded: Whether a reader commits an answer before seeing the model's.
    """

    def __init__(self, engine: Engine, reports: Reports, *, readers: int, blinded: bool) -> None:
        self.rules, self.readers, self.blinded = Rules(reports, readers), readers, blinded
        self._journal, self._reports = Journal(engine), reports
        self._book, self._attachments = Book(self._journal), Attachments(engine)
        self._folds = Folds()

    # --- what is so ----------------------------------------------------------------------------

    def state(self, study_uid: str, report: str | None = None) -> StudyState:
        """Return what stands for a study.

        Args:
            study_uid: Which study.
            report: SHA-256 of the report that is shown; by default of the newest one.
        """
        return self._state(study_uid, report or self._reports.report(study_uid).sha256)

    def states(self, reports: Mapping[str, str]) -> dict[str, StudyState]:
        """Return what stands for many studies, given the SHA-256 of each one's report."""
        entries = self._book.all()
        return {uid: self._folds.of(entries.get(uid, ()), uid, sha) for uid, sha in reports.items()}

    def history(self, study_uid: str) -> tuple[Entry, ...]:
        """Return all entries of a study, also those on older reports."""
        return self._book.of(study_uid)

    # --- what is entered -----------------------------------------------------------------------

    def take(self, reader: Reader, study_uid: str) -> Entry:
        """Let somebody read a study, or settle it where it is disputed."""
        report = self._reports.report(study_uid)
        self._attachments.put(report.raw)
        settling = self.rules.settles(reader, self.state(study_uid))
        body = {"settling": settling, "blinded": self.blinded and not settling}
        check = self.rules.may_settle(reader) if settling else self.rules.may_take(reader)
        return self._enter(reader, Kind.TAKEN, study_uid, body, check)

    def release(self, reader: Reader, study_uid: str, holder: str | None = None) -> Entry:
        """Give a study back; what was entered stays.

        Args:
            reader: Who does it.
            study_uid: Which study.
            holder: Who holds it: an adjudicator or administrator may end what others hold.
        """
        name = holder or reader.name
        check = self.rules.may_release(reader, name)
        return self._enter(reader, Kind.RELEASED, study_uid, {"holder": name}, check)

    def commit(
        self, reader: Reader, study_uid: str, lesion: str, answer: Answer, seconds: float
    ) -> Entry:
        """Enter an answer before the model's is shown; it stands for good."""

        def check(state: StudyState) -> None:
            self.rules.holds(reader)(state)
            self.rules.known(lesion, state)
            if not state.blinded[reader.name]:
                raise NotAllowed("this study is not read blinded; give your verdict")
            if (reader.name, lesion) in state.committed:
                earlier = state.committed[reader.name, lesion]
                raise Conflict("this answer was committed already", current(earlier))

        body = self._answer(answer, seconds)
        return self._enter(reader, Kind.COMMITTED, study_uid, body, check, lesion=lesion)

    def verdict(
        self, reader: Reader, study_uid: str, lesion: str, answer: Answer, **how: Any
    ) -> Entry:
        """Enter a verdict.

        Args:
            reader: Who gives it.
            study_uid: Of which study.
            lesion: Of the report, or one that the reader added.
            answer: The verdict.
            how: `based_on`, number of the reader's verdict that it replaces (0 for none); and
                `seconds` that it took.
        """

        def check(state: StudyState) -> None:
            self.rules.holds(reader)(state)
            mine = lesion in state.added_by(reader.name)
            if not mine:
                self.rules.known(lesion, state)
                if not self.rules.revealed(reader.name, lesion, state):
                    raise NotAllowed("commit your answer first; this study is read blinded")
            self.rules.still(state.verdicts.get((reader.name, lesion)), how["based_on"])

        body = {**self._answer(answer, how["seconds"]), "based_on": how["based_on"]}
        return self._enter(reader, Kind.VERDICT, study_uid, body, check, lesion=lesion)

    def add(
        self, reader: Reader, study_uid: str, place: Place, answer: Answer, seconds: float
    ) -> Entry:
        """Enter a lesion that the report lacks; the entry's `lesion` is its id."""

        def check(state: StudyState) -> None:
            self.rules.holds(reader)(state)
            own = state.added_by(reader.name)
            for lesion in own:
                if (state.added[lesion].image, state.added[lesion].box) == (place.image, place.box):
                    known = current(state.verdicts[reader.name, lesion])
                    raise Conflict("you added this lesion already", known)
            if len(own) >= MOST_ADDED:
                raise NotAllowed(f"at most {MOST_ADDED} lesions may be added to a study")

        where = {"image": place.image, "series_uid": place.series_uid, "box": place.box}
        body = {**self._answer(answer, seconds), **where, "based_on": 0}
        lesion = f"A{secrets.token_hex(6)}"
        return self._enter(reader, Kind.ADDED, study_uid, body, check, lesion=lesion)

    def withdraw(self, reader: Reader, study_uid: str, lesion: str, based_on: int) -> Entry:
        """Take back a lesion that one added."""

        def check(state: StudyState) -> None:
            self.rules.holds(reader)(state)
            if lesion not in state.added_by(reader.name):
                raise NotThere(compose("a lesion that you added", "none", where=lesion[:40]))
            self.rules.still(state.verdicts[reader.name, lesion], based_on)

        body = {"based_on": based_on}
        return self._enter(reader, Kind.WITHDRAWN, study_uid, body, check, lesion=lesion)

    def settle(
        self, reader: Reader, study_uid: str, lesion: str, answer: Answer, **how: Any
    ) -> Entry:
        """Enter what stands for a disputed lesion; parameters as in `verdict`."""

        def check(state: StudyState) -> None:
            self.rules.settler(reader)(state)
            lesions = self._reports.report(state.study_uid).lesion_ids
            if lesion not in {group.id for group in state.disputed(lesions)}:
                raise NotThere(compose("a disputed lesion", "another", where=lesion[:40]))
            self.rules.still(state.settled.get(lesion), how["based_on"])

        body = {**self._answer(answer, how["seconds"]), "based_on": how["based_on"]}
        return self._enter(reader, Kind.SETTLED, study_uid, body, check, lesion=lesion)

    def sign(self, reader: Reader, study_uid: str, seconds: Mapping[str, float]) -> Entry:
        """Say that one is done.

        Args:
            reader: Who signs.
            study_uid: Which study.
            seconds: Time that each step took.
        """
        settling = self.state(study_uid).settling == reader.name
        body = {"settling": settling, "seconds": _times(seconds)}
        check = self.rules.may_close(reader) if settling else self.rules.may_sign(reader)
        return self._enter(reader, Kind.SIGNED, study_uid, body, check)

    def reopen(self, reader: Reader, study_uid: str, reason: str) -> Entry:
        """Take back one's own signature, or as an adjudicator all of them."""
        if not reason.strip() or len(reason) > LONGEST_REASON:
            found = f"{len(reason)} characters"
            expected = f"a reason of at most {LONGEST_REASON} characters"
            raise ReviewError(compose(expected, found, where="reason"))
        state = self.state(study_uid)
        everybody = reader.role is Role.ADJUDICATOR and not state.has_read(reader.name)
        names = sorted(state.signed) if everybody else [reader.name]
        body = {"reason": reason, "readers": names}
        return self._enter(reader, Kind.REOPENED, study_uid, body, self.rules.may_reopen(reader))

    def _answer(self, answer: Answer, seconds: float) -> dict[str, Any]:
        if answer.mask is not None and not self._attachments.has(answer.mask):
            raise NotThere(compose("a mask that was sent before", "none", where="mask"))
        return {"answer": answer.as_json(), "seconds": _seconds(seconds)}

    # --- entering ------------------------------------------------------------------------------

    def _state(
        self, study_uid: str, report: str, connection: Connection | None = None
    ) -> StudyState:
        return self._folds.of(self._book.of(study_uid, connection), study_uid, report)

    def _enter(
        self,
        reader: Reader,
        kind: Kind,
        study_uid: str,
        body: Mapping[str, Any],
        check: Check,
        *,
        lesion: str | None = None,
    ) -> Entry:
        report = self._reports.report(study_uid).sha256

        def unless(connection: Connection) -> None:
            check(self._state(study_uid, report, connection))

        draft = Draft(reader.name, kind.value, study_uid, lesion, {**body, "report": report})
        return self._journal.append(draft, unless=unless)


def _times(seconds: Mapping[str, float]) -> dict[str, float]:
    if len(seconds) > MOST_STEPS or not all(STEP.fullmatch(step) for step in seconds):
        expected = f"at most {MOST_STEPS} steps, each one word of small letters"
        raise ReviewError(compose(expected, f"{len(seconds)}, or others", where="seconds"))
    return {step: _seconds(value) for step, value in seconds.items()}


def _seconds(value: Any) -> float:
    good = isinstance(value, int | float) and not isinstance(value, bool)
    if not good or not 0 <= value <= LONGEST_STEP_S:
        raise ReviewError(compose("seconds from 0 to a day", str(value)[:20], where="seconds"))
    return round(float(value), 1)
