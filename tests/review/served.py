"""A review page that really runs, and readers with browsers of their own."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from sqlalchemy import Engine

from calcilens.review.accounts import Accounts, Role
from calcilens.review.app import create_app
from calcilens.review.database import opened
from calcilens.review.serving import Patient
from calcilens.review.settings import Settings

PASSWORD = "correct horse battery"  # noqa: S105 of a test
_CSRF = re.compile(r'<meta name="csrf-token" content="([^"]*)">')


@dataclass(frozen=True)
class Answered:
    """What a server answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Browser:
    """Somebody at the page: keeps cookies, and sends paths exactly as they are given."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)
    csrf: str = ""

    def get(self, path: str, **headers: str) -> Answered:
        return self.send("GET", path, headers=headers)

    def post(self, path: str, content: Any = None, **headers: str) -> Answered:
        sent = json.dumps({} if content is None else content).encode()
        given = {"Content-Type": "application/json", "X-CSRF-Token": self.csrf, **headers}
        return self.send("POST", path, sent, given)

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: Any = None
    ) -> Answered:
        given = {"Host": f"127.0.0.1:{self.port}", **(headers or {})}
        if self.cookies and "Cookie" not in given:
            given["Cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in given.items():
                connection.putheader(name, value)
            if body is not None and "Content-Length" not in given:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.split(";")[0].strip('"')
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Answered(answer.status, found, content)

    def load(self, path: str) -> Answered:
        """Open a page, as a browser would, and learn its token."""
        page = self.get(path)
        match = _CSRF.search(page.body.decode())
        if match:
            self.csrf = match[1]
        return page

    def sign_in(self, name: str, password: str = PASSWORD) -> Answered:
        self.load("/sign-in")
        answer = self.post("/api/sign-in", {"name": name, "password": password})
        if answer.status == 200:
            self.load("/worklist")
        return answer


def settings_of(reports: Path, studies: Path, cache: Path, **more: Any) -> Settings:
    return Settings(reports, (studies,), cache, **more)


@contextmanager
def served(engine: Engine, settings: Settings) -> Iterator[int]:
    """Serve in a thread; yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        config = uvicorn.Config(
            create_app(engine, settings),
            http=Patient,
            log_config=None,
            access_log=False,
            proxy_headers=False,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            yield bound.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(30)


def with_readers(path: Path, roles: dict[str, Role]) -> Path:
    """Make a database in which these may sign in, all with `PASSWORD`."""
    with opened(path) as engine:
        accounts = Accounts(engine)
        for name, role in roles.items():
            accounts.add(name, PASSWORD, role)
    return path


def signed_in(port: int, name: str) -> Browser:
    browser = Browser(port)
    assert browser.sign_in(name).status == 200
    return browser


def take(browser: Browser, uid: str) -> Any:
    """Take a study, and wait for its images; returns the study."""
    assert browser.post(f"/api/studies/{uid}/take").status == 200
    until = time.monotonic() + 120
    while time.monotonic() < until:
        study = browser.get(f"/api/studies/{uid}").json
        assert study["ready"]["error"] is None
        if study["ready"]["ready"]:
            return study
        time.sleep(0.1)
    raise AssertionError("the images were not ready in two minutes")
