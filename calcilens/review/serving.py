"""Running the review page until it is stopped."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from calcilens.errors import UsageError, compose
from calcilens.review.security import Guard

LONGEST_GOODBYE_S = 5
"""Time for requests under way when it is stopped."""
MOST_AT_ONCE = 400
SLOWEST_HEAD_S = 20.0
"""For the head of a request; the rest has `calcilens.review.security.SLOWEST_S`."""
_BACKLOG = 512


def listening(host: str, port: int) -> socket.socket:
    """Take hold of an address.

    Args:
        host: Name or address of this machine.
        port: 0 for any free one.

    Raises:
        UsageError: It cannot be had.
    """
    where = f"--host {host} --port {port}"
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, number)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(_BACKLOG)
    except OSError as error:
        found = error.strerror or "what cannot be used"
        fix = "stop what uses it, or give another --port"
        raise UsageError(compose("a free address", found, where=where, fix=fix)) from error
    return made


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def url_of(bound: socket.socket, host: str, *, https: bool) -> str:
    """Return what to type into a browser."""
    port = bound.getsockname()[1]
    name = host if host not in ("0.0.0.0", "::") else socket.gethostname()  # noqa: S104 compared
    shown = f"[{name}]" if ":" in name else name
    return f"{'https' if https else 'http'}://{shown}:{port}/"


def run(
    app: Guard, bound: socket.socket, tls: ssl.SSLContext | None, started: Callable[[], None]
) -> None:
    """Serve until Ctrl-C or SIGTERM; requests under way are finished first.

    Args:
        app: As `create_app` gives it.
        bound: As `listening` gives it.
        tls: For HTTPS; None for HTTP.
        started: Is called when it answers.
    """
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    config = uvicorn.Config(
        app,
        http=Patient,
        log_config=None,
        access_log=False,  # it would keep who looked at what outside the journal
        server_header=False,
        proxy_headers=False,  # whoever asks could give any address as theirs
        ws="none",
        limit_concurrency=MOST_AT_ONCE,
        timeout_graceful_shutdown=LONGEST_GOODBYE_S,
    )
    config.load()
    config.ssl = tls
    with suppress(KeyboardInterrupt):  # raised again by uvicorn when all is closed
        _Server(config, started).run(sockets=[bound])


class Patient(H11Protocol):
    """A connection that is closed where no whole head of a request comes in time.

    Otherwise whoever opens `MOST_AT_ONCE` connections and says nothing shuts everybody out.
    """

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()

    def on_response_complete(self) -> None:
        """Wait for the next head."""
        super().on_response_complete()
        self._wait()

    def _wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(SLOWEST_HEAD_S, self._close)

    def _close(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()


class _Server(uvicorn.Server):
    """Tells when it answers."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so."""
        await super().startup(sockets)
        self._tell()
