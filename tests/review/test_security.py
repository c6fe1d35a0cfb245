"""What has no business here does not pass: 200 requests and more, each made in a system."""

from __future__ import annotations

import itertools
import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, update

from calcilens.review.accounts import Accounts, Role
from calcilens.review.database import opened
from calcilens.review.journal import Journal
from calcilens.review.limiter import SIGN_IN_OF_NAME
from calcilens.review.security import HEADERS, LONGEST_BODY
from calcilens.review.tables import SessionRow
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

YES = {"calcified": True, "patterns": ["diffuse"], "concern": "low", "confidence": 4}
ROLES = {
    "ada": Role.READER,
    "bob": Role.READER,
    "cyd": Role.ADJUDICATOR,
    "root": Role.ADMINISTRATOR,
}
SECRETS = ("root:", "def create_app", "SQLite format", "BEGIN ", "[tool.", "DICM", '"lesions"')
"""Of files that a traversal might reach: passwd, code, database, keys, project, image, report."""


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    return make_day(tmp_path_factory.mktemp("day"), 2)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    path = with_readers(tmp_path_factory.mktemp("database") / "r.sqlite", ROLES)
    with opened(path) as found:
        yield found


@pytest.fixture(scope="module")
def port(day: Day, engine: Engine) -> Iterator[int]:
    with served(engine, settings_of(day.reports, day.studies, day.reports.parent / "c")) as found:
        yield found


@pytest.fixture(scope="module")
def ada(port: int, day: Day) -> Browser:
    """A reader who holds the first study."""
    browser = signed_in(port, "ada")
    take(browser, day.uids[0])
    return browser


DOTS = ("..", "%2e%2e", ".%2e", "%252e%252e", "..%00", "%c0%ae%c0%ae", "..;", "\\..")
SLASHES = ("/", "%2f", "%5c", "//", "%252f")
ROOTS = ("/static", "/api/studies", "/studies", "/api/studies/{uid}/lesions", "/statistics")
TARGETS = ("etc/passwd", "app.py")
TRAVERSALS = [
    f"{root}/{slash.join([dots] * 6)}{slash}{target}"
    for root, dots, slash, target in itertools.product(ROOTS, DOTS, SLASHES, TARGETS)
]
ABSOLUTE = [
    f"{root}/{path}"
    for root in ROOTS
    for path in ("/etc/passwd", "%2fetc%2fpasswd", "file:%2f%2f%2fetc%2fpasswd", "C:%5cboot.ini")
]
ODD = ["/%00", "/static/%00", "/static/style.css%00.png", "//static/x", "/.git/config", "/.env",
       "/static/", "/openapi.json", "/docs", "/redoc", "/api", "/api/", "/metrics", "/static",
       "/api/studies/1.2.3.99", "/api/studies/%0a", "/api/studies/1.2.3' OR '1'='1", "/~root",
       "/api/studies/" + "1" * 65, "/worklist/..", "/" + "a/" * 2000]  # fmt: skip


def test_no_path_leads_out_of_what_is_served(ada: Browser, day: Day) -> None:
    paths = [p.replace("{uid}", day.uids[0]) for p in (*TRAVERSALS, *ABSOLUTE, *ODD)]
    assert len(paths) > 400
    for path in (p.replace(" ", "%20").replace("\\", "%5c") for p in paths):
        answer = ada.get(path)
        assert answer.status in (400, 404), path
        text = answer.body.decode(errors="replace")
        assert not any(secret in text for secret in SECRETS), path


def routes(day: Day, lesion: str) -> list[tuple[str, str, Any]]:
    """All routes that need a session: method, path and what is sent."""
    study = f"/api/studies/{day.uids[0]}"
    where, answer = f"{study}/lesions/{lesion}", {"answer": YES, "seconds": 1}
    box = {"image": 0, "box": [[0, 0, 0], [1, 1, 8]]}
    return [
        ("GET", "/", None),
        ("GET", "/worklist", None),
        ("GET", "/statistics", None),
        ("GET", "/readers", None),
        ("GET", f"/studies/{day.uids[0]}", None),
        ("GET", "/api/worklist", None),
        ("GET", "/api/readers", None),
        ("GET", "/api/statistics", None),
        ("GET", "/statistics/agreement.svg", None),
        ("GET", "/api/exports/verdicts.csv", None),
        ("GET", study, None),
        ("GET", f"{study}/images/0/planes/0", None),
        ("GET", f"{study}/images/0/film", None),
        ("GET", f"{study}/prior/images/0/planes/0", None),
        ("GET", f"{study}/prior/images/0/film", None),
        ("GET", f"{where}/mask", None),
        ("GET", f"{where}/saliency", None),
        ("GET", f"{study}/masks/{'0' * 64}", None),
        ("POST", f"{study}/take", {}),
        ("POST", f"{study}/release", {}),
        ("POST", f"{study}/sign", {"seconds": {}}),
        ("POST", f"{study}/reopen", {"reason": "x"}),
        ("POST", f"{study}/masks", {**box, "bits": "/w=="}),
        ("POST", f"{study}/lesions", {**box, **answer}),
        ("POST", f"{where}/commit", answer),
        ("POST", f"{where}/verdict", {**answer, "based_on": 0}),
        ("POST", f"{where}/settle", {**answer, "based_on": 0}),
        ("POST", f"{where}/withdraw", {"based_on": 0}),
        ("POST", "/api/readers", {"name": "eve", "password": PASSWORD, "role": "reader"}),
        ("POST", "/api/readers/ada", {"active": False}),
        ("POST", "/api/sign-out", {}),
    ]


def sent(browser: Browser, method: str, path: str, content: Any, **headers: str) -> int:
    answer = (
        browser.get(path, **headers) if method == "GET" else browser.post(path, content, **headers)
    )
    assert b"Traceback" not in answer.body
    return answer.status


@pytest.fixture(scope="module")
def lesion(ada: Browser, day: Day) -> str:
    found: str = ada.get(f"/api/studies/{day.uids[0]}").json["lesions"][0]["id"]
    return found


def forged(port: int, engine: Engine) -> dict[str, Browser]:
    """Sessions that are none: made up, ended, too old, or of somebody shut out."""
    out, idle, old, shut = (signed_in(port, "bob") for _ in range(4))
    out.post("/api/sign-out")
    out.cookies["calcilens_session"] = out.cookies["calcilens_session"] or "x"
    stale = {}
    for browser, values in ((idle, {"used": 0.0}), (old, {"began": 0.0})):
        stale[browser.csrf] = values
        with engine.begin() as connection:
            mine = SessionRow.csrf == browser.csrf
            connection.execute(update(SessionRow).where(mine).values(**values))
    token = shut.cookies["calcilens_session"]
    Accounts(engine).change("bob", active=False)
    cookies = {
        "none": {},
        "empty": {"calcilens_session": ""},
        "made up": {"calcilens_session": "A" * 43},
        "long": {"calcilens_session": "A" * 5000},
        "injected": {"calcilens_session": "' OR 1=1 --"},
        "other name": {"session": token},
        "a hash": {"calcilens_session": "0" * 64},
        "a name": {"calcilens_session": "root"},
    }
    made = {name: Browser(port, dict(found), "x") for name, found in cookies.items()}
    return {**made, "signed out": out, "idle": idle, "old": old, "shut out": shut}


def test_no_forged_session_passes(port: int, engine: Engine, day: Day, lesion: str) -> None:
    before = Journal(engine).check()
    browsers = forged(port, engine)
    for (name, browser), (method, path, content) in itertools.product(
        browsers.items(), routes(day, lesion)
    ):
        kept = dict(browser.cookies)
        status = sent(browser, method, path, content)
        assert status == (401 if path.startswith("/api/") else 303), (name, path)
        browser.cookies = kept
    Accounts(engine).change("bob", active=True)
    assert Journal(engine).check() == before


TOKENS = ("", "x", "A" * 43, "null", "undefined", "0")


def test_nothing_is_entered_without_the_pages_token(
    ada: Browser, engine: Engine, port: int, day: Day, lesion: str
) -> None:
    before = Journal(engine).check()
    other = signed_in(port, "cyd").csrf
    posts = [(path, content) for method, path, content in routes(day, lesion) if method == "POST"]
    for token, (path, content) in itertools.product((*TOKENS, other), posts):
        assert sent(ada, "POST", path, content, **{"X-CSRF-Token": token}) == 403, (token, path)
    assert Journal(engine).check() == before
    assert ada.get("/api/worklist").status == 200


def test_nothing_from_a_page_elsewhere_passes(
    ada: Browser, engine: Engine, port: int, day: Day, lesion: str
) -> None:
    before = Journal(engine).check()
    foreign = [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://127.0.0.1:{port + 1}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},
        {"Host": f"127.0.0.1.evil.example:{port}"},
        {"Host": "localhost.evil.example"},
        {"Host": ""},
    ]
    for headers, (method, path, content) in itertools.product(foreign, routes(day, lesion)):
        if path.startswith("/api/"):
            assert sent(ada, method, path, content, **headers) in (400, 403), (headers, path)
    assert Journal(engine).check() == before


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "CONNECT", "X"])
def test_other_methods_do_not_pass(ada: Browser, day: Day, method: str) -> None:
    for path in ("/", "/worklist", "/api/worklist", f"/api/studies/{day.uids[0]}", "/static/x.js"):
        assert ada.send(method, path).status in (400, 405)


def test_a_study_is_closed_to_who_does_not_read_it(
    port: int, engine: Engine, ada: Browser, day: Day, lesion: str
) -> None:
    for name in ("bob", "cyd", "root"):
        browser = signed_in(port, name)
        before = Journal(engine).check()
        for method, path, content in routes(day, lesion):
            if path.startswith(f"/api/studies/{day.uids[0]}") and not path.endswith("/take"):
                assert sent(browser, method, path, content) in (403, 404), (name, path)
        assert Journal(engine).check() == before


def test_only_administrators_manage_readers(port: int, engine: Engine) -> None:
    before = Accounts(engine).readers()
    new = {"name": "eve", "password": PASSWORD, "role": "administrator"}
    for name in ("bob", "cyd"):
        browser = signed_in(port, name)
        assert browser.get("/api/readers").status == 403
        assert browser.get("/readers").status == 403
        assert browser.post("/api/readers", new).status == 403
        assert browser.post("/api/readers/ada", {"active": False}).status == 403
    assert Accounts(engine).readers() == before


def leaves(value: Any) -> Iterator[Any]:
    inner = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list):
        for one in inner:
            yield from leaves(one)
    else:
        yield value


def model_words(report: dict[str, Any]) -> set[str]:
    """All that a model says of the lesions of a report, as it would stand in JSON.

    Short numbers and words, such as 0.9 and "diffuse", may stand elsewhere for something else.
    """
    keys = ("finding", "pattern", "concern", "out_of_domain", "change", "saliency")
    found = {leaf for one in report["lesions"] for key in keys for leaf in leaves(one[key])}
    numbers = {json.dumps(leaf) for leaf in found if isinstance(leaf, float)}
    sentences = {leaf for leaf in found if isinstance(leaf, str) and len(leaf) > 20}
    return {text for text in numbers if len(text) > 5} | sentences


def test_before_an_answer_is_committed_nothing_of_the_models_leaves_the_server(
    ada: Browser, day: Day, lesion: str
) -> None:
    uid = day.uids[0]
    report = json.loads((day.reports / uid / "report.json").read_bytes())
    words = model_words(report)
    assert len(words) > 5
    study = f"/api/studies/{uid}"
    ids = [one["id"] for one in report["lesions"]]
    paths = ["/api/worklist", study, f"/studies/{uid}", "/worklist", f"{study}/images/0/planes/0"]
    paths += [f"{study}/lesions/{one}/{what}" for one in ids for what in ("mask", "saliency")]
    for path in paths:
        text = ada.get(path).body.decode(errors="replace")
        assert not [word for word in words if word in text], path
    seen = ada.get(study).json
    assert [one["model"] for one in seen["lesions"]] == [None, None]
    assert seen["guidance"] is None
    assert {one["concern"] for one in ada.get("/api/worklist").json["studies"]} == {None}
    ada.post(f"{study}/lesions/{lesion}/commit", {"answer": YES, "seconds": 1})
    shown = {one["id"]: one["model"] for one in ada.get(study).json["lesions"]}
    assert shown[lesion]["finding"]["probability"] > 0
    assert [model for one, model in shown.items() if one != lesion] == [None]
    assert ada.get(study).json["guidance"] is None


def test_every_answer_has_the_headers_that_browsers_need(ada: Browser, day: Day) -> None:
    for path in ("/", "/sign-in", "/worklist", "/api/worklist", "/nothing", "/static/nothing.js"):
        headers = ada.get(path).headers
        assert {headers.get(name.lower()) for name in HEADERS} == set(HEADERS.values()), path
    policy = HEADERS["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "http:" not in policy
    assert ada.get("/api/worklist").headers["cache-control"] == "no-store"


def test_cookies_are_out_of_reach_of_scripts_and_other_sites(port: int) -> None:
    browser = Browser(port)
    browser.load("/sign-in")
    answer = browser.post("/api/sign-in", {"name": "cyd", "password": PASSWORD})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_too_long_a_request_is_refused(ada: Browser, day: Day) -> None:
    path = f"/api/studies/{day.uids[0]}/reopen"
    assert ada.post(path, {"reason": "x" * LONGEST_BODY}).status == 413
    claimed = {"Content-Length": str(10**12), "X-CSRF-Token": ada.csrf}
    assert ada.send("POST", path, b"{}", claimed).status == 413


@pytest.mark.parametrize("body", [b"", b"[", b"[" * 50_000, b"\xff", b'"x"', b"null", b"{}",
                                  b'{"answer": NaN}', b'{"answer": {"calcified": true}, '
                                  b'"seconds": 1e999, "based_on": 0}'])  # fmt: skip
def test_what_is_no_answer_is_refused_in_one_line(
    ada: Browser, day: Day, lesion: str, body: bytes
) -> None:
    path = f"/api/studies/{day.uids[0]}/lesions/{lesion}/verdict"
    headers = {"Content-Type": "application/json", "X-CSRF-Token": ada.csrf}
    answer = ada.send("POST", path, body, headers)
    assert answer.status == 400
    assert set(answer.json) == {"error"}
    assert "\n" not in answer.json["error"]


def test_guessing_a_password_is_slowed_down(port: int, engine: Engine) -> None:
    browser = Browser(port)
    browser.load("/sign-in")
    guess = {"name": "nobody-at-all", "password": "wrong"}
    limit = int(SIGN_IN_OF_NAME.amount)
    found = [browser.post("/api/sign-in", guess).status for _ in range(limit + 2)]
    assert found[:limit] == [401] * limit
    assert 429 in found[limit:]


def test_a_fault_of_ours_shows_no_trace(
    ada: Browser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("secret words")

    monkeypatch.setattr("calcilens.review.routes.worklist.worklist", fail)
    with caplog.at_level(logging.ERROR):
        answer = ada.get("/api/worklist")
        until = time.monotonic() + 10
        while not caplog.text and time.monotonic() < until:  # it is logged after the answer
            time.sleep(0.01)
    assert answer.status == 500
    assert answer.json == {"error": "the server failed; its log says more"}
    assert "secret words" not in caplog.text
    assert "RuntimeError" in caplog.text
