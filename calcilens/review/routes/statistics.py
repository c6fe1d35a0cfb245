"""How readers and models agree."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from calcilens.review.desk import AtDesk

router = APIRouter()
Plot = Annotated[str, Path(pattern=r"^[a-z_-]{1,40}$")]


@router.get("/api/statistics")
def figures(desk: AtDesk) -> dict[str, Any]:
    """Return the figures of all studies that were read to the end."""
    return desk.figures.numbers()


@router.get("/statistics/{name}.svg")
def plot(name: Plot, desk: AtDesk) -> Response:
    """Return one of the plots."""
    return Response(desk.figures.plot(name), media_type="image/svg+xml")
