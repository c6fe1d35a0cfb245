"""Signing in and out."""

from __future__ import annotations

import secrets

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from calcilens.review.desk import FORM_COOKIE, SESSION_COOKIE, AtDesk, Desk
from calcilens.review.limiter import SIGN_IN_OF_ADDRESS, SIGN_IN_OF_NAME, address_of
from calcilens.review.refusals import refusal
from calcilens.review.routes.sent import Sent

router = APIRouter(prefix="/api")
FIRST_PAGE = "/worklist"


class SignIn(Sent):
    """What the sign-in page sends."""

    name: str
    password: str


@router.post("/sign-in")
def sign_in(what: SignIn, request: Request, desk: AtDesk) -> Response:
    """Begin a session, and end the one that this browser had."""
    within = desk.limiter.allows(SIGN_IN_OF_ADDRESS, "address", address_of(request))
    name = what.name.strip()
    if not within or not desk.limiter.allows(SIGN_IN_OF_NAME, "name", name):
        return refusal(429, "too many tries to sign in; wait a minute")
    with desk.hashing:
        signed = desk.accounts.sign_in(name, what.password)
    if signed is None:
        return refusal(401, "this name and password do not go together")
    desk.accounts.sign_out(request.cookies.get(SESSION_COOKIE, ""))
    answer = JSONResponse({"next": FIRST_PAGE})
    _cookie(answer, desk, SESSION_COOKIE, signed[0])
    return answer


@router.post("/sign-out")
def sign_out(request: Request, desk: AtDesk) -> Response:
    """End the session."""
    desk.accounts.sign_out(request.cookies.get(SESSION_COOKIE, ""))
    answer = JSONResponse({"next": "/sign-in"})
    answer.delete_cookie(SESSION_COOKIE, path="/")
    return answer


def form_token(request: Request) -> str:
    """Return what the sign-in page shows to be ours: there is no session yet to hold it."""
    held = request.cookies.get(FORM_COOKIE, "")
    return held if len(held) == 43 and held.isascii() else secrets.token_urlsafe(32)


def keep_form_token(answer: Response, desk: Desk, token: str) -> None:
    """Let the browser bring it along."""
    _cookie(answer, desk, FORM_COOKIE, token)


def _cookie(answer: Response, desk: Desk, name: str, value: str) -> None:
    secure = desk.settings.https
    answer.set_cookie(name, value, path="/", httponly=True, samesite="strict", secure=secure)
