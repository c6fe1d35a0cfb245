"""What readers draw: masks, and lesions that the report lacks."""

from __future__ import annotations

import zlib
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from calcilens.errors import NotAllowed
from calcilens.review.accounts import Reader
from calcilens.review.answers import answer_from
from calcilens.review.desk import AtDesk, Desk, Me, Sha256, StudyUid
from calcilens.review.drawings import place_in
from calcilens.review.limiter import MASKS_OF_READER
from calcilens.review.masks import packed, unpacked
from calcilens.review.reading import Place
from calcilens.review.routes.images import open_report
from calcilens.review.routes.sent import Content, Seconds, Sent
from calcilens.review.routes.studies import entered

router = APIRouter(prefix="/api/studies/{study_uid}")
Voxel = Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=3, max_length=3)]
Box = Annotated[list[Voxel], Field(min_length=2, max_length=2)]


class Drawn(Sent):
    """Where something was drawn: image, and first voxel and the one after the last, (z, y, x)."""

    image: Annotated[int, Field(ge=0, lt=10**6)]
    box: Box


class Mask(Drawn):
    """A mask, its voxels as bits."""

    bits: str


class Missed(Drawn):
    """A lesion that the report lacks."""

    answer: Content
    seconds: Seconds


@router.post("/masks")
def keep(study_uid: StudyUid, what: Mask, desk: AtDesk, me: Me) -> dict[str, str]:
    """Keep a mask, so that an answer can name it."""
    place = _place(desk, me, study_uid, what)
    state = desk.reading.state(study_uid)
    if me.name not in (*state.holders, state.settling):
        raise NotAllowed("take the study first; it is not yours to read now")
    content = packed(study_uid, place, what.bits)
    kib = len(zlib.compress(content)) // 1024 + 1
    if not desk.limiter.allows(MASKS_OF_READER, "masks", me.name, kib):
        raise NotAllowed("you have drawn more today than is kept of one reader; go on tomorrow")
    return {"mask": desk.attachments.put(content)}


@router.get("/masks/{sha256}")
def drawn(study_uid: StudyUid, sha256: Sha256, desk: AtDesk, me: Me) -> dict[str, Any]:
    """Return a mask that was drawn in this study."""
    open_report(desk, me, study_uid)
    return unpacked(study_uid, desk.attachments.get(sha256))


@router.post("/lesions")
def add(study_uid: StudyUid, what: Missed, desk: AtDesk, me: Me) -> dict[str, Any]:
    """Add a lesion that the report lacks."""
    place, answer = _place(desk, me, study_uid, what), answer_from(what.answer)
    entry = desk.reading.add(me, study_uid, place, answer, what.seconds)
    return {"id": entry.lesion, **entered(desk, me, entry)}


def _place(desk: Desk, me: Reader, study_uid: str, what: Drawn) -> Place:
    (z0, y0, x0), (z1, y1, x1) = what.box
    report = open_report(desk, me, study_uid)
    return place_in(desk, report, what.image, ((z0, y0, x0), (z1, y1, x1)))
