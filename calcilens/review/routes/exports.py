"""The answers as a table, for adjudicators and administrators."""

from __future__ import annotations

from fastapi import APIRouter, Response

from calcilens.errors import NotAllowed
from calcilens.review.accounts import Role
from calcilens.review.desk import AtDesk, Me

router = APIRouter(prefix="/api/exports")


@router.get("/verdicts.csv")
def verdicts(desk: AtDesk, me: Me) -> Response:
    """Return all answers on studies that were read to the end."""
    if me.role is Role.READER:
        raise NotAllowed("only adjudicators and administrators take the answers along")
    headers = {"Content-Disposition": 'attachment; filename="verdicts.csv"'}
    return Response(desk.figures.table(), media_type="text/csv", headers=headers)
