"""Errors as answers to a browser: one line of JSON, and never a trace."""

from __future__ import annotations

import logging
import os
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException

from calcilens.errors import (
    CalcilensError,
    Conflict,
    NotAllowed,
    NotThere,
    ReviewError,
    unexpected,
)

LOG = logging.getLogger("calcilens.review")
_WORDS = {
    401: "sign in first",
    403: "this is not allowed",
    404: "there is nothing here",
    405: "this cannot be done here",
    408: "the request took too long to arrive",
    413: "the request is too long",
    429: "too many requests; wait a minute",
    500: "the server failed; its log says more",
    503: "the database cannot be used now, and nothing was saved; the server's log says why",
}


def refusal(status: int, message: str | None = None, **more: Any) -> JSONResponse:
    """Return an error as the page understands it.

    Args:
        status: Of HTTP.
        message: One line; by default what the status means.
        more: Further keys.
    """
    content = {"error": message or _WORDS.get(status, "this cannot be done"), **more}
    headers = {"Retry-After": "60"} if status == 429 else None
    return JSONResponse(content, status, headers=headers)


def register(app: FastAPI) -> None:
    """Let `app` answer errors so."""
    app.exception_handler(ReviewError)(_review_error)
    app.exception_handler(CalcilensError)(_other_error)
    app.exception_handler(DBAPIError)(_database_error)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_http)
    app.exception_handler(Exception)(_failed)


def log_unexpected(error: BaseException) -> None:
    """Tell whoever runs the server of a fault of ours, without what was in the request."""
    if isinstance(error, Exception):
        trace = error if os.environ.get("CALCILENS_DEBUG") else None
        LOG.error("%s", unexpected(error), exc_info=trace)


def _review_error(_: Request, error: ReviewError) -> JSONResponse:
    kinds = {NotThere: 404, NotAllowed: 403, Conflict: 409}
    status = next((code for kind, code in kinds.items() if isinstance(error, kind)), 400)
    more = {"current": error.current} if isinstance(error, Conflict) else {}
    return refusal(status, str(error), **more)


def _other_error(_: Request, error: CalcilensError) -> JSONResponse:
    """Say no more than that: the message may name files of the server."""
    LOG.error("%s", error)
    return refusal(422, "this study cannot be read any more; the server's log says why")


def _database_error(_: Request, error: DBAPIError) -> JSONResponse:
    return no_database(error)


def no_database(error: DBAPIError) -> JSONResponse:
    """Say that it is locked, full or away: the page asks again, and nothing was saved.

    The text of the error is the driver's alone: all of it would hold what was to be saved.
    """
    LOG.error("the database cannot be used: %s", str(error.orig).splitlines()[0][:120])
    return refusal(503)


def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    if place[:1] == ["path"]:
        return refusal(404)
    return refusal(400, f"{'.'.join(place[1:3])[:60] or 'request'}: {first['msg']}"[:200])


def _http(_: Request, error: HTTPException) -> JSONResponse:
    return refusal(error.status_code)


def _failed(_: Request, error: Exception) -> JSONResponse:
    return refusal(500)
