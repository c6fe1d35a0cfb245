"""What readers say of lesions."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from calcilens.review.accounts import Reader
from calcilens.review.answers import Answer, answer_from
from calcilens.review.desk import AtDesk, Desk, Me, Name, StudyUid
from calcilens.review.drawings import check_drawn
from calcilens.review.routes.images import open_report
from calcilens.review.routes.sent import Content, Seconds, Sent
from calcilens.review.routes.studies import entered

router = APIRouter(prefix="/api/studies/{study_uid}/lesions/{lesion}")
Seq = Annotated[int, Field(ge=0, lt=2**31)]


class Committed(Sent):
    """An answer before the model's is shown."""

    answer: Content
    seconds: Seconds


class Verdict(Committed):
    """An answer, and the number of the one that it replaces."""

    based_on: Seq

    @property
    def how(self) -> dict[str, Any]:
        """What `Reading` enters beside the answer."""
        return {"based_on": self.based_on, "seconds": self.seconds}


class Withdrawal(Sent):
    """The number of the last answer on what is taken back."""

    based_on: Seq


@router.post("/commit")
def commit(
    study_uid: StudyUid, lesion: Name, what: Committed, desk: AtDesk, me: Me
) -> dict[str, Any]:
    """Enter an answer; then the model's is shown."""
    answer = _answer(desk, me, study_uid, lesion, what.answer)
    return entered(desk, me, desk.reading.commit(me, study_uid, lesion, answer, what.seconds))


@router.post("/verdict")
def verdict(
    study_uid: StudyUid, lesion: Name, what: Verdict, desk: AtDesk, me: Me
) -> dict[str, Any]:
    """Enter the final answer of a reader."""
    answer = _answer(desk, me, study_uid, lesion, what.answer)
    return entered(desk, me, desk.reading.verdict(me, study_uid, lesion, answer, **what.how))


@router.post("/settle")
def settle(
    study_uid: StudyUid, lesion: Name, what: Verdict, desk: AtDesk, me: Me
) -> dict[str, Any]:
    """Enter what stands for a disputed lesion."""
    answer = _answer(desk, me, study_uid, lesion, what.answer)
    return entered(desk, me, desk.reading.settle(me, study_uid, lesion, answer, **what.how))


@router.post("/withdraw")
def withdraw(
    study_uid: StudyUid, lesion: Name, what: Withdrawal, desk: AtDesk, me: Me
) -> dict[str, Any]:
    """Take back a lesion that one added."""
    return entered(desk, me, desk.reading.withdraw(me, study_uid, lesion, what.based_on))


def _answer(desk: Desk, me: Reader, study_uid: str, lesion: str, content: Any) -> Answer:
    return check_drawn(desk, open_report(desk, me, study_uid), lesion, answer_from(content))
