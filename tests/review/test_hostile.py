"""Who wants to stop the page, or to learn what is not theirs yet, does not get there."""

from __future__ import annotations

import base64
import json
import logging
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from limits import parse
from sqlalchemy import Engine
from starlette.requests import Request

from calcilens.review import security, serving
from calcilens.review.accounts import Role
from calcilens.review.database import opened
from calcilens.review.journal import Journal
from calcilens.review.limiter import address_of
from tests.review.day import Day, make_day
from tests.review.served import (
    PASSWORD,
    Browser,
    served,
    settings_of,
    signed_in,
    take,
    with_readers,
)

YES = {"calcified": True, "patterns": ["diffuse"], "concern": "low", "comment": "a secret word"}
ROLES = {"ada": Role.READER, "bob": Role.READER}


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    return make_day(tmp_path_factory.mktemp("day"), 2)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_readers(tmp_path_factory.mktemp("database") / "r.sqlite", ROLES)


@pytest.fixture(scope="module")
def engine(path: Path) -> Iterator[Engine]:
    with opened(path) as found:
        yield found


@pytest.fixture(scope="module")
def port(day: Day, engine: Engine) -> Iterator[int]:
    with served(engine, settings_of(day.reports, day.studies, day.reports.parent / "c")) as found:
        yield found


@pytest.mark.parametrize("field", ["name", "password"])
def test_half_a_character_is_no_name_and_no_password(port: int, field: str) -> None:
    browser = Browser(port)
    browser.load("/sign-in")
    content = {"name": "ada", "password": PASSWORD, field: "\ud800" * 20}
    answer = browser.post("/api/sign-in", content)
    assert (answer.status, "half a character" in answer.json["error"]) == (400, True)


@pytest.mark.parametrize("origin", ["http://[", "http://evil@{host}", "{host}", "//{host}", ""])
def test_an_origin_that_is_none_is_from_elsewhere(port: int, origin: str) -> None:
    sent = origin.replace("{host}", f"127.0.0.1:{port}")
    assert Browser(port).get("/sign-in", Origin=sent).status == 403


@pytest.mark.parametrize("step", ["$x_{", "<script>", "a\0", "looking around"])
def test_a_step_that_is_no_word_is_never_kept(port: int, day: Day, step: str) -> None:
    ada, uid = signed_in(port, "ada"), day.uids[0]
    if ada.get(f"/api/studies/{uid}").status == 403:
        take(ada, uid)
    answer = ada.post(f"/api/studies/{uid}/sign", {"seconds": {step: 1}})
    assert (answer.status, "one word of small letters" in answer.json["error"]) == (400, True)


@pytest.mark.parametrize(
    "beginning", [b"", b"GET / HTTP/1.1\r\n", b"GET /sign-in HTTP/1.1\r\nHost: {host}\r\n\r\nG"]
)
def test_a_connection_without_a_whole_request_is_closed(
    port: int, monkeypatch: pytest.MonkeyPatch, beginning: bytes
) -> None:
    monkeypatch.setattr(serving, "SLOWEST_HEAD_S", 1.0)
    with closing(socket.create_connection(("127.0.0.1", port), timeout=60)) as one:
        one.sendall(beginning.replace(b"{host}", b"127.0.0.1:%d" % port))
        while one.recv(65536):
            pass


def test_a_body_that_comes_byte_by_byte_is_given_up(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(security, "SLOWEST_S", 1.0)
    browser = Browser(port)
    browser.load("/sign-in")
    cookies = "; ".join(f"{k}={v}" for k, v in browser.cookies.items())
    head = (
        f"POST /api/sign-in HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 9999\r\n"
        f"Content-Type: application/json\r\nX-CSRF-Token: {browser.csrf}\r\nCookie: {cookies}"
        "\r\n\r\n"
    )
    with closing(socket.create_connection(("127.0.0.1", port), timeout=60)) as one:
        one.sendall(head.encode())
        one.setblocking(False)
        until, answer = time.monotonic() + 60, b""
        while not answer and time.monotonic() < until:
            time.sleep(0.2)
            try:
                answer = one.recv(65536)
            except BlockingIOError:
                one.sendall(b" ")
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_locked_database_is_said_and_stops_no_picture(
    day: Day, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("calcilens.review.database.WAIT_MS", 50)
    reports, uid = settings_of(day.reports, day.studies, day.reports.parent / "c"), day.uids[1]
    with opened(path) as engine, served(engine, reports) as port, caplog.at_level(logging.ERROR):
        bob = signed_in(port, "bob")
        lesion = take(bob, uid)["lesions"][0]["id"]
        before = Journal(engine).check()
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE sessions SET used = used - 100")
        with closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            where = f"/api/studies/{uid}/lesions/{lesion}/commit"
            refused = bob.post(where, {"answer": YES, "seconds": 1})
            assert bob.get(f"/api/studies/{uid}/images/0/film").status == 200
        assert refused.status == 503
        assert "nothing was saved" in refused.json["error"]
        assert Journal(engine).check() == before
        assert bob.post(where, {"answer": YES, "seconds": 1}).status == 200
    assert "secret" not in caplog.text


def test_a_reader_cannot_fill_the_disk_with_masks(
    port: int, day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, uid = signed_in(port, "ada"), day.uids[0]
    if ada.get(f"/api/studies/{uid}").status == 403:
        take(ada, uid)
    monkeypatch.setattr("calcilens.review.routes.masks.MASKS_OF_READER", parse("30/day"))
    box, rng = [[0, 0, 0], [16, 100, 100]], np.random.default_rng(0)

    def draw() -> int:
        bits = base64.b64encode(rng.bytes(20_000)).decode()
        sent = {"image": 0, "box": box, "bits": bits}
        return ada.post(f"/api/studies/{uid}/masks", sent).status

    assert [draw() for _ in range(3)] == [200, 403, 403]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("fe80::1%eth0", "fe80::2", True),
    ],
)
def test_addresses_of_one_machine_are_counted_together(one: str, other: str, *, same: bool) -> None:
    def address(host: str) -> str:
        return address_of(Request({"type": "http", "client": (host, 1), "headers": []}))

    assert (address(one) == address(other)) is same


def test_history_of_others_waits_until_all_have_signed(port: int, day: Day) -> None:
    ada, bob, uid = signed_in(port, "ada"), signed_in(port, "bob"), day.uids[1]
    if bob.get(f"/api/studies/{uid}").status == 403:
        take(bob, uid)
    read(ada, uid)
    seen = {(one["reader"], one["kind"]) for one in ada.get(f"/api/studies/{uid}").json["history"]}
    assert ("ada", "verdict") in seen
    assert {kind for reader, kind in seen if reader == "bob"} == {"taken"}


def read(browser: Browser, uid: str) -> None:
    study: Any = take(browser, uid)
    for lesion in study["lesions"]:
        where = f"/api/studies/{uid}/lesions/{lesion['id']}"
        assert browser.post(f"{where}/commit", {"answer": YES, "seconds": 1}).status == 200
        content = {"answer": YES, "seconds": 1, "based_on": 0}
        assert browser.post(f"{where}/verdict", content).status == 200
    assert browser.post(f"/api/studies/{uid}/sign", {"seconds": {}}).status == 200


def test_what_was_committed_on_an_older_report_reveals_nothing_of_a_newer(
    port: int, day: Day
) -> None:
    ada, uid = signed_in(port, "ada"), day.uids[0]
    if ada.get(f"/api/studies/{uid}").status == 403:
        take(ada, uid)
    lesion = ada.get(f"/api/studies/{uid}").json["lesions"][0]["id"]
    ada.post(f"/api/studies/{uid}/lesions/{lesion}/commit", {"answer": YES, "seconds": 1})
    report = day.reports / uid / "report.json"
    content = json.loads(report.read_bytes())
    for one in content["lesions"]:
        one["finding"]["probability"] = 0.987654
    report.write_text(json.dumps(content))
    until = time.monotonic() + 60
    while (answer := ada.get(f"/api/studies/{uid}")).status == 200 and time.monotonic() < until:
        assert b"0.987654" not in answer.body
    assert answer.status == 403
