"""One study: looking at it, taking it, giving it back, signing it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import Field

from calcilens.errors import ReviewError
from calcilens.review.accounts import Reader
from calcilens.review.desk import AtDesk, Desk, Me, StudyUid
from calcilens.review.journal import Entry
from calcilens.review.pictures import Pictures
from calcilens.review.reports import Report
from calcilens.review.routes.sent import Seconds, Sent
from calcilens.review.study_view import StudyView

router = APIRouter(prefix="/api/studies/{study_uid}")


class Release(Sent):
    """Which reader's hold ends; by default one's own."""

    holder: str | None = None


class Reason(Sent):
    """Why a study is opened again."""

    reason: str


class Times(Sent):
    """How long each step took."""

    seconds: dict[str, Seconds] = Field(default_factory=dict, max_length=40)


@router.get("")
def study(study_uid: StudyUid, desk: AtDesk, me: Me) -> dict[str, Any]:
    """Return the study as this reader may see it."""
    return shown(desk, me, study_uid)


@router.post("/take")
def take(study_uid: StudyUid, desk: AtDesk, me: Me) -> dict[str, Any]:
    """Begin to read it, or to settle it."""
    entry = desk.reading.take(me, study_uid)
    desk.pictures.ready(study_uid)
    return entered(desk, me, entry)


@router.post("/release")
def release(
    study_uid: StudyUid, desk: AtDesk, me: Me, what: Release | None = None
) -> dict[str, Any]:
    """Give it back."""
    holder = what.holder if what else None
    return entered(desk, me, desk.reading.release(me, study_uid, holder))


@router.post("/sign")
def sign(study_uid: StudyUid, what: Times, desk: AtDesk, me: Me) -> dict[str, Any]:
    """Say that one is done."""
    return entered(desk, me, desk.reading.sign(me, study_uid, what.seconds))


@router.post("/reopen")
def reopen(study_uid: StudyUid, what: Reason, desk: AtDesk, me: Me) -> dict[str, Any]:
    """Take signatures back."""
    return entered(desk, me, desk.reading.reopen(me, study_uid, what.reason))


def entered(desk: Desk, me: Reader, entry: Entry) -> dict[str, Any]:
    """Return what was entered, and the study as it is now; null where it is open no more."""
    report = desk.library.get(entry.study_uid)
    view = StudyView(me, desk.reading, report)
    study = _whole(desk, report, view) if view.seen() else None
    return {"seq": entry.seq, "hash": entry.hash, "study": study}


def shown(desk: Desk, me: Reader, study_uid: str) -> dict[str, Any]:
    """Return a study as its page gets it.

    Raises:
        NotAllowed: It is not open to this reader.
    """
    report = desk.library.get(study_uid)
    return _whole(desk, report, StudyView(me, desk.reading, report))


def _whole(desk: Desk, report: Report, view: StudyView) -> dict[str, Any]:
    images, ohif = _images(desk.pictures, report), _link(desk, report.study_uid)
    return {**view.document(), **images, "ohif": ohif}


def _images(pictures: Pictures, report: Report) -> dict[str, Any]:
    """Return the images, as far as they are ready; reading them begins."""
    ready = pictures.ready(report.study_uid)
    try:
        return {
            "images": pictures.images(report),
            "ready": vars(ready),
            "prior": pictures.prior(report),
        }
    except ReviewError as error:  # the files are of another study or version
        broken = {**vars(ready), "ready": False, "error": str(error)}
        return {"images": [], "ready": broken, "prior": None}


def _link(desk: Desk, study_uid: str) -> str | None:
    """Return where OHIF shows the study (its documented address of a study's viewer)."""
    ohif = desk.settings.ohif
    return f"{ohif.rstrip('/')}/viewer?StudyInstanceUIDs={study_uid}" if ohif else None
