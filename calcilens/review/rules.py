"""Who may do what with a study, and when.

A check is asked with the state of a study while nobody else can write, and raises where it must
not be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from calcilens.errors import Conflict, NotAllowed, NotThere, ReviewError, compose
from calcilens.review.accounts import Reader, Role
from calcilens.review.state import Phase, Said, StudyState

Check = Callable[[StudyState], None]


class Reported(Protocol):
    """A report of the library."""

    @property
    def sha256(self) -> str:
        """Of report.json."""

    @property
    def raw(self) -> bytes:
        """Content of report.json."""

    @property
    def lesion_ids(self) -> tuple[str, ...]:
        """In the order of the report."""


class Reports(Protocol):
    """The library, as the rules need it."""

    def report(self, study_uid: str) -> Reported:
        """Return the report of a study.

        Raises:
            NotThere: There is none.
        """


class Rules:
    """What the reading of studies is held to.

    Args:
        reports: What is read.
        readers: Wanted for a study, 1 or 2.
    """

    def __init__(self, reports: Reports, readers: int) -> None:
        self._reports, self._readers = reports, readers

    def phase(self, state: StudyState) -> Phase:
        """Return how far the reading of a study is."""
        return state.phase(self._reports.report(state.study_uid).lesion_ids, self._readers)

    def may_see(self, reader: Reader, state: StudyState) -> bool:
        """Whether somebody may see the images of a study and what they entered."""
        if reader.role is Role.ADMINISTRATOR:
            return False
        if reader.name in (*state.holders, *state.signed, state.settling):
            return True
        over = (Phase.DISPUTED, Phase.DONE)
        return reader.role is Role.ADJUDICATOR and self.phase(state) in over

    def revealed(self, reader: str, lesion: str, state: StudyState) -> bool:
        """Whether the model's answer on a lesion may be shown to somebody who may see the study."""
        if reader not in (*state.holders, *state.signed):
            return True
        return not state.blinded.get(reader, True) or (reader, lesion) in state.committed

    def unanswered(self, reader: str, state: StudyState) -> tuple[str, ...]:
        """Return the lesions on which a reader has to give a verdict before signing."""
        given = state.verdicts_of(reader)
        wanted = self._reports.report(state.study_uid).lesion_ids
        return tuple(lesion for lesion in wanted if lesion not in given)

    def unsettled(self, state: StudyState) -> tuple[str, ...]:
        """Return the disputed lesions that are not settled, by id of the group."""
        lesions = self._reports.report(state.study_uid).lesion_ids
        found = (group.id for group in state.disputed(lesions))
        return tuple(lesion for lesion in found if lesion not in state.settled)

    def can(self, reader: Reader, state: StudyState) -> tuple[str, ...]:
        """Return what somebody may do with a study now."""
        return tuple(name for name, check in self.checks(reader).items() if _passes(check, state))

    def checks(self, reader: Reader) -> dict[str, Check]:
        """Return the check of each thing that somebody may do, by name."""
        return {
            "open": self.may_open(reader),
            "take": self.may_take(reader),
            "settle": self.may_settle(reader),
            "release": self.may_release(reader, reader.name),
            "read": self.holds(reader),
            "sign": self.may_sign(reader),
            "close": self.may_close(reader),
            "reopen": self.may_reopen(reader),
        }

    def may_open(self, reader: Reader) -> Check:
        """Say who may see a study."""

        def check(state: StudyState) -> None:
            if reader.role is Role.ADMINISTRATOR:
                raise NotAllowed("administrators see no images and no answers")
            if not self.may_see(reader, state):
                raise NotAllowed("take the study first; who does not read it cannot see it")

        return check

    def may_take(self, reader: Reader) -> Check:
        """Say who may begin to read a study."""

        def check(state: StudyState) -> None:
            if reader.role is Role.ADMINISTRATOR:
                raise NotAllowed("an administrator reads no studies")
            if reader.name in (*state.holders, *state.signed, state.settling):
                raise NotAllowed("you hold this study already, or have signed it")
            if reader.name in state.judges:
                raise NotAllowed("who has settled or reopened a study cannot read it")
            if len(state.holders) + len(state.signed) >= self._readers:
                raise NotAllowed("this study has all the readers that it needs")

        return check

    def settles(self, reader: Reader, state: StudyState) -> bool:
        """Whether somebody takes this study to settle it rather than to read it."""
        return reader.role is Role.ADJUDICATOR and self.phase(state) is Phase.DISPUTED

    def may_settle(self, reader: Reader) -> Check:
        """Say who may begin to settle a study."""

        def check(state: StudyState) -> None:
            if not self.settles(reader, state):
                raise NotAllowed("only an adjudicator settles, and only what is disputed")
            if state.has_read(reader.name):
                raise NotAllowed("who has read a study cannot settle it")
            if state.settling is not None:
                raise NotAllowed("somebody settles this study already")

        return check

    def may_release(self, reader: Reader, holder: str) -> Check:
        """Say who may give a study back that `holder` holds."""

        def check(state: StudyState) -> None:
            if holder not in (*state.holders, state.settling):
                raise NotAllowed("nobody of that name holds this study")
            if holder != reader.name and reader.role is Role.READER:
                raise NotAllowed("this study is held by somebody else")

        return check

    def holds(self, reader: Reader) -> Check:
        """Say who reads a study now."""

        def check(state: StudyState) -> None:
            if reader.name not in state.holders:
                raise NotAllowed("take the study first; it is not yours to read now")

        return check

    def settler(self, reader: Reader) -> Check:
        """Say who settles a study now."""

        def check(state: StudyState) -> None:
            if state.settling != reader.name:
                raise NotAllowed("take the study first; it is not yours to settle now")

        return check

    def may_sign(self, reader: Reader) -> Check:
        """Say who may sign what they read."""

        def check(state: StudyState) -> None:
            self.holds(reader)(state)
            left = len(self.unanswered(reader.name, state))
            if left:
                raise NotAllowed(f"{left} lesions have no verdict yet")

        return check

    def may_close(self, reader: Reader) -> Check:
        """Say who may sign what they settled."""

        def check(state: StudyState) -> None:
            self.settler(reader)(state)
            left = len(self.unsettled(state))
            if left:
                raise NotAllowed(f"{left} disputed lesions are not settled yet")

        return check

    def may_reopen(self, reader: Reader) -> Check:
        """Say who may take signatures back."""

        def check(state: StudyState) -> None:
            own = reader.name in state.signed and self.phase(state) is Phase.WAITING
            judge = reader.role is Role.ADJUDICATOR and not state.has_read(reader.name)
            if not own and not (judge and state.signed):
                raise NotAllowed("only your own signature, while others have not all signed")

        return check

    def known(self, lesion: str, state: StudyState) -> None:
        """Refuse what is no lesion of the report."""
        if lesion not in self._reports.report(state.study_uid).lesion_ids:
            raise NotThere(compose("a lesion of the report", "none", where=lesion[:40]))

    def still(self, standing: Said | None, based_on: int) -> None:
        """Refuse what was made without knowing the answer that stands."""
        if (0 if standing is None else standing.seq) == based_on:
            return
        known = {} if standing is None else current(standing)
        raise Conflict("another answer was saved meanwhile, perhaps in another tab", known)


def current(said: Said) -> dict[str, Any]:
    """Return an answer that stands, as pages get it."""
    return {"seq": said.seq, "reader": said.reader, "answer": said.answer.as_json()}


def _passes(check: Check, state: StudyState) -> bool:
    try:
        check(state)
    except ReviewError:
        return False
    return True
