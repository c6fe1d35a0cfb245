"""The guard before every route: who asks, from where, how much and how often.

Nothing is open that is not named here: a route that forgets to ask who is there is closed too.
"""

from __future__ import annotations

import asyncio
import re
import secrets

from sqlalchemy.exc import DBAPIError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from calcilens.review.accounts import Session
from calcilens.review.desk import FORM_COOKIE, SESSION_COOKIE, Desk
from calcilens.review.limiter import REQUESTS_OF_ADDRESS, REQUESTS_OF_SESSION, address_of
from calcilens.review.refusals import log_unexpected, no_database, refusal

CSRF_HEADER = "x-csrf-token"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; worker-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
LONGEST_BODY = 64 * 1024
LONGEST_MASK = 32 * 1024 * 1024
"""A mask of a whole CT: 512 x 512 x 600 bits in base64."""
SLOWEST_S = 120.0
"""For all of a request: who sends a byte now and then holds nothing open."""
_OPEN = ("/sign-in", "/api/sign-in")
_STATIC = "/static/"
_PATH = re.compile(r"(/[A-Za-z0-9._~-]*)+")


class Guard:
    """An ASGI application that lets through what may pass.

    Args:
        app: The routes.
        desk: What they share.
    """

    def __init__(self, app: ASGIApp, desk: Desk) -> None:
        self._app, self._desk = app, desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it through."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})
        await _Answer(self._app, self._desk, scope, receive, send).give()


class _Answer:
    """One request on its way."""

    def __init__(
        self, app: ASGIApp, desk: Desk, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._app, self._desk = app, desk
        self._scope, self._receive, self._send = scope, receive, send
        self._request = Request(scope)
        self._path: str = scope["path"]
        self._started = False
        self._length, self._whole = 0, False
        self._until = asyncio.get_running_loop().time() + SLOWEST_S
        self._longest = LONGEST_MASK if self._path.endswith("/masks") else LONGEST_BODY

    async def give(self) -> None:
        """Answer it."""
        try:
            refused = self._from_elsewhere() or await self._of_nobody()
            goes_on = refused or self._app
            await goes_on(self._scope, self._counted, self._with_headers)
        except TimeoutError:
            return  # nobody takes the answer: the server closes the connection
        except DBAPIError as error:  # of the session; those of routes are answered there
            await no_database(error)(self._scope, self._receive, self._with_headers)
        except Exception as error:
            log_unexpected(error)
            if not self._started:
                await refusal(500)(self._scope, self._receive, self._with_headers)

    def _from_elsewhere(self) -> Response | None:
        """Refuse what no page of ours sends."""
        headers, request = self._request.headers, self._request
        host = headers.get("host", "")
        if not self._desk.settings.knows(host):
            return refusal(400, "the server is not known by this name")
        if request.method not in ("GET", "POST"):
            return refusal(405)
        if not _PATH.fullmatch(self._path) or ".." in self._path:
            return refusal(404)
        origin = headers.get("origin")
        site = headers.get("sec-fetch-site", "same-origin")
        foreign = origin not in (None, f"http://{host}", f"https://{host}")
        if foreign or (self._path.startswith("/api/") and site in ("cross-site", "same-site")):
            return refusal(403, "this came from a page elsewhere")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._longest:
            return refusal(413)
        return None

    async def _of_nobody(self) -> Response | None:
        """Refuse what comes without a session, without its token, or too often."""
        if self._path.startswith(_STATIC):
            return None
        token = self._request.cookies.get(SESSION_COOKIE, "")
        session = await run_in_threadpool(self._desk.accounts.session, token)
        limit = REQUESTS_OF_SESSION if session else REQUESTS_OF_ADDRESS
        who = token if session else address_of(self._request)
        if not self._desk.limiter.allows(limit, "requests", who):
            return refusal(429)
        if self._path not in _OPEN and not session:
            return refusal(401) if self._path.startswith("/api/") else _to("/sign-in")
        self._request.state.session = session
        if self._request.method == "POST" and not self._meant(session):
            return refusal(403, "the page is out of date; load it again")
        return None

    def _meant(self, session: Session | None) -> bool:
        """Whether a page of ours sent it: it knows what no other page can."""
        cookie = self._request.cookies.get(FORM_COOKIE, "")
        wanted = cookie if session is None or self._path in _OPEN else session.csrf
        given = self._request.headers.get(CSRF_HEADER, "")
        return bool(wanted) and secrets.compare_digest(given.encode(), wanted.encode())

    async def _counted(self) -> Message:
        """Pass a part of the request on, unless it is too long or too slow."""
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError as error:
            raise HTTPException(408) from error
        self._length += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._length > self._longest:
            raise HTTPException(413)
        return message

    async def _with_headers(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            headers = MutableHeaders(scope=message)
            headers.update(HEADERS)
            headers["Cache-Control"] = "no-cache" if self._path.startswith(_STATIC) else "no-store"
        async with asyncio.timeout(SLOWEST_S):
            await self._send(message)


def _to(path: str) -> Response:
    return RedirectResponse(path, 303)
