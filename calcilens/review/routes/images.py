"""Pixels, masks and saliency, for whoever may see the study."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from calcilens.errors import NotThere, compose
from calcilens.review.accounts import Reader
from calcilens.review.desk import AtDesk, Desk, Me, Name, StudyUid
from calcilens.review.grids import mask_json, saliency_json
from calcilens.review.reports import Report
from calcilens.review.study_view import StudyView

router = APIRouter(prefix="/api/studies/{study_uid}")
Number = Annotated[int, Path(ge=0, lt=10**6)]
Count = Annotated[int, Query(ge=1, le=64)]
Level = Annotated[int, Query(ge=0, le=16)]


@router.get("/images/{n}/planes/{z}")
def planes(
    study_uid: StudyUid, n: Number, z: Number, desk: AtDesk, me: Me, *, count: Count = 1
) -> Response:
    """Return planes of a CT, raw."""
    return _raw(desk.pictures.planes(open_report(desk, me, study_uid), n, z, count))


@router.get("/images/{n}/film")
def film(study_uid: StudyUid, n: Number, desk: AtDesk, me: Me, level: Level = 0) -> Response:
    """Return a radiograph, raw."""
    return _raw(desk.pictures.film(open_report(desk, me, study_uid), n, level))


@router.get("/prior/images/{n}/planes/{z}")
def prior_planes(
    study_uid: StudyUid, n: Number, z: Number, desk: AtDesk, me: Me, *, count: Count = 1
) -> Response:
    """Return planes of the earlier study, raw."""
    return _raw(desk.pictures.prior_planes(open_report(desk, me, study_uid), n, z, count))


@router.get("/prior/images/{n}/film")
def prior_film(study_uid: StudyUid, n: Number, desk: AtDesk, me: Me, level: Level = 0) -> Response:
    """Return a radiograph of the earlier study, raw."""
    return _raw(desk.pictures.prior_film(open_report(desk, me, study_uid), n, level))


@router.get("/lesions/{lesion}/mask")
def mask(study_uid: StudyUid, lesion: Name, desk: AtDesk, me: Me) -> dict[str, Any]:
    """Return where a lesion lies, voxel by voxel."""
    place = open_report(desk, me, study_uid).place(lesion)
    if place.mask is None:
        raise NotThere(compose("a mask", "none"))
    return mask_json(place.mask)


@router.get("/lesions/{lesion}/saliency")
def saliency(study_uid: StudyUid, lesion: Name, desk: AtDesk, me: Me) -> dict[str, Any]:
    """Return what the model looked at, once its answer may be known."""
    report = open_report(desk, me, study_uid)
    place = report.place(lesion)
    hidden = not StudyView(me, desk.reading, report).revealed(lesion)
    if hidden or place.saliency is None or place.mask is None:
        raise NotThere(compose("a saliency map", "none to show"))
    return saliency_json(place.saliency, place.mask)


def open_report(desk: Desk, me: Reader, study_uid: str) -> Report:
    """Return the report of a study that is open to this reader.

    Raises:
        NotAllowed: It is not.
        NotThere: There is none.
    """
    state = desk.reading.state(study_uid)
    desk.reading.rules.may_open(me)(state)
    return desk.library.get(study_uid)


def _raw(content: bytes) -> Response:
    return Response(content, media_type="application/octet-stream")
