"""The list of studies."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from calcilens.review.desk import AtDesk, Me
from calcilens.review.worklist import next_to_read, worklist

router = APIRouter(prefix="/api")


@router.get("/worklist")
def studies(desk: AtDesk, me: Me) -> dict[str, Any]:
    """Return all studies, and what the reader may do with each; the next ones are made ready."""
    found = worklist(me, desk.reading, desk.shelf, desk.pictures)
    desk.pictures.prepare(next_to_read(found["studies"]))
    return found
