"""A server that is killed while many save: what it said is kept is kept."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from calcilens.review.accounts import Role
from calcilens.review.database import opened
from calcilens.review.journal import Journal
from tests.review.day import make_day
from tests.review.served import Browser, signed_in, with_readers

CLIENTS, SAVES = 4, 100
ROLES = {f"reader{n}": Role.ADJUDICATOR for n in range(CLIENTS)}
ANSWER = {"calcified": True, "patterns": ["diffuse"], "concern": "low", "comment": "x" * 500}
CLI = [sys.executable, "-m", "calcilens.cli", "review"]


@contextmanager
def running(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start the program as a user would; yields its process and port."""
    words = [*CLI, "--reports", str(folder / "reports"), "--studies",
             str(folder / "studies"), "--db", str(folder / "r.sqlite"), "--port", "0",
             "--cache", str(folder / "cache"), *options]  # fmt: skip
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    try:
        yield process, _port(process)
    finally:
        process.kill()
        process.wait(30)
        assert process.stderr is not None
        process.stderr.close()


def _port(process: subprocess.Popen[str]) -> int:
    assert process.stderr is not None
    for line in process.stderr:
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        if found:
            return int(found[1])
    raise AssertionError("it did not say where it is")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("page")
    make_day(made, CLIENTS)
    with_readers(made / "r.sqlite", ROLES)
    return made


def save(browser: Browser, uid: str, kept: list[str], stop: threading.Event) -> None:
    """Change one's verdict again and again, each time on the last one confirmed."""
    study = browser.get(f"/api/studies/{uid}").json
    path = f"/api/studies/{uid}/lesions/{study['lesions'][0]['id']}"
    seq = (study["lesions"][0]["mine"] or {"seq": 0})["seq"]
    with suppress(OSError, http.client.HTTPException):
        while not stop.is_set():
            content = {"answer": ANSWER, "based_on": seq, "seconds": 1}
            answer = browser.post(f"{path}/verdict", content)
            assert answer.status == 200, answer.body
            seq = answer.json["seq"]
            kept.append(answer.json["hash"])


@pytest.mark.slow
def test_what_was_confirmed_survives_sigkill_during_100_saves(folder: Path) -> None:
    kept: list[str] = []
    browsers: dict[str, Browser] = {}
    for round_ in range(2):
        with running(folder, "--not-blinded") as (process, port):
            _enter(port, browsers)
            until = time.monotonic() + 120
            stop, threads = _saving(browsers, kept)
            while len(kept) < SAVES // 2 * (round_ + 1) and time.monotonic() < until:
                time.sleep(0.01)
            os.kill(process.pid, signal.SIGKILL)
            stop.set()
            for thread in threads:
                thread.join(60)
    assert len(kept) >= SAVES
    with opened(folder / "r.sqlite") as engine:
        entries = [entry.hash for entry in Journal(engine).entries()]
        assert Journal(engine).check(kept[-1]).faults == ()
    assert set(kept) <= set(entries)


def _enter(port: int, browsers: dict[str, Browser]) -> None:
    """Sign in at first; after a restart the sessions of before still hold."""
    for n, name in enumerate(ROLES):
        if name in browsers:
            browsers[name].port = port
        else:
            browsers[name] = signed_in(port, name)
            assert browsers[name].post(f"/api/studies/1.2.826.5.{n}/take").status == 200


def _saving(
    browsers: dict[str, Browser], kept: list[str]
) -> tuple[threading.Event, list[threading.Thread]]:
    stop = threading.Event()
    threads = [
        threading.Thread(target=save, args=(browser, f"1.2.826.5.{n}", kept, stop))
        for n, browser in enumerate(browsers.values())
    ]
    for thread in threads:
        thread.start()
    return stop, threads


def test_it_ends_at_once_and_in_order_when_asked_to(folder: Path) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        with running(folder) as (process, _):
            process.send_signal(number)
            assert process.wait(60) == 0
            assert process.stderr is not None
            assert process.stderr.read().splitlines() == ["stopped; all that was saved is kept"]


def test_a_port_in_use_is_one_line(folder: Path) -> None:
    with running(folder) as (_, port):
        done = calcilens("--reports", str(folder / "reports"), "--studies",
                         str(folder / "studies"), "--db", str(folder / "r.sqlite"),
                         "--port", str(port))  # fmt: skip
    assert done.returncode == 2
    assert re.fullmatch(r"calcilens: --host .*expected a free address, found .*\n", done.stderr)


def calcilens(*words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*CLI, *words], capture_output=True, text=True, timeout=120, **more)
