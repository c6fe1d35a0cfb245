"""The review page under a department: many readers who look through CTs and save verdicts.

Run: python benchmarks/review.py [--readers 20] [--planes 300] [--seconds 20] [--pause 0.5]

A real server process on loopback, two readers a study, not blinded. Each reader asks as the page
does (viewer/volume.js): for the plane looked at alone ("image"), then for a run of eight around it
("run", 4 MB), and so on through the 512 x 512 CT, with a pause between; every ten requests (five
seconds) comes a verdict ("save"). The time of an answer runs from its request to its last byte.
All readers are one thread that does nothing but wait for sockets and count bytes: it shares the
cores with the server and must not be what is measured. "first" is the start of the server until
it answers. Beside the answers stand their floors, taken once a second under the same load: the
same bytes read from a file, and one row put on disk by SQLite with the settings that the server
uses. Median and 95th percentile, ms; the aims are 150 ms for images and 50 ms for a save.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import selectors
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmwrite

from calcilens.imaging.candidates import candidate
from calcilens.imaging.study import read_study
from calcilens.inference.output import write_study
from calcilens.inference.pipeline import Models, run_study
from calcilens.inference.stopwatch import Stopwatch
from calcilens.review.accounts import Accounts
from calcilens.review.database import opened
from tests.dicom_factory import ROOT, ct_slices

SIDE, RUN, SAVE_EVERY = 512, 8, 10
PASSWORD = "a password for a benchmark"  # noqa: S105 - of nobody
AIMS = {"image": 150.0, "run": 150.0, "save": 50.0}
ANSWER = {"calcified": True, "patterns": ["diffuse"], "concern": "low", "confidence": 4,
          "comment": "", "box": None, "mask": None}  # fmt: skip


def uid(study: int) -> str:
    return f"{ROOT}.{study + 100}"


def make_studies(folder: Path, studies: int, planes: int) -> None:
    """Write CTs of noise under UIDs of their own."""
    stored = np.random.default_rng(1).integers(900, 1100, (planes, SIDE, SIDE)).astype(np.uint16)
    stored[planes // 2 - 2 : planes // 2 + 2, 200:212, 200:212] = 1800
    objects = ct_slices(stored)
    for study in range(studies):
        (folder / str(study)).mkdir(parents=True)
        for number, ds in enumerate(objects):
            ds.StudyInstanceUID, ds.SeriesInstanceUID = uid(study), f"{uid(study)}.1"
            ds.SOPInstanceUID = f"{uid(study)}.1.{number + 1}"
            ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
            dcmwrite(folder / str(study) / f"{number}.dcm", ds, enforce_file_format=True)


def make_reports(dicom: Path, reports: Path, studies: int, planes: int) -> str:
    """Write one report and copies of it under the other studies' UIDs; return the lesion's id."""
    study = read_study(dicom / "0")
    (image,) = study.images
    box = [[planes // 2 - 3, 196, 196], [planes // 2 + 3, 216, 216]]
    given = [(image, candidate(image, box, None, "given in a benchmark"))]
    report = run_study(study, Models(), given)
    first = write_study(report, reports, ("json",), {}, Stopwatch())
    text = (first / "report.json").read_text()
    for number in range(1, studies):
        folder = Path(shutil.copytree(first, reports / uid(number)))
        (folder / "report.json").write_text(text.replace(uid(0), uid(number)))
    return report.lesions[0].id


class Page:
    """One reader's browser."""

    def __init__(self, port: int, name: str) -> None:
        self._line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers: dict[str, str] = {}
        status, _, headers = self._ask("GET", "/sign-in")
        self._note(headers)
        status, body, headers = self.post("/api/sign-in", {"name": name, "password": PASSWORD})
        assert status == 200, body
        self._note(headers)
        _, _, headers = self._ask("GET", "/worklist")
        self._note(headers)
        self.rest()

    def raw(self, method: str, path: str, body: bytes = b"") -> bytes:
        """Return a request as it goes over the line."""
        headers = {"Host": "127.0.0.1", "Content-Length": str(len(body)), **self._headers}
        if body:
            headers["Content-Type"] = "application/json"
        lines = [f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode() + body

    def rest(self) -> None:
        """Hang up: the server would, where nothing is asked for some seconds."""
        self._line.close()

    def get(self, path: str) -> bytes:
        status, body, _ = self._ask("GET", path)
        assert status == 200, (status, body[:200])
        return body

    def post(self, path: str, what: dict[str, Any]) -> tuple[int, bytes, Any]:
        kind = {"Content-Type": "application/json"}
        return self._ask("POST", path, json.dumps(what).encode(), kind)

    def _note(self, answer: Any) -> None:
        for cookie in answer.get_all("Set-Cookie") or ():
            name, value = cookie.split(";")[0].split("=", 1)
            held = dict(c.split("=", 1) for c in self._headers.get("Cookie", "").split("; ") if c)
            self._headers["Cookie"] = "; ".join(
                f"{k}={v}" for k, v in {**held, name: value}.items()
            )

    def _ask(
        self, method: str, path: str, body: bytes | None = None, extra: dict[str, str] | None = None
    ) -> tuple[int, bytes, Any]:
        self._line.request(method, path, body, {**self._headers, **(extra or {})})
        answer = self._line.getresponse()
        content = answer.read()
        token = re.search(rb'name="csrf-token" content="([^"]+)"', content[:4000])
        if token:
            self._headers["X-CSRF-Token"] = token[1].decode()
        return answer.status, content, answer.headers


class Scrolling:
    """One reader at work: sends a request, counts what comes, pauses, sends the next."""

    buffer = bytearray(2**20)

    def __init__(self, page: Page, number: int, lesion: str, port: int, how: Any) -> None:
        self._page, self._how, self._lesion = page, how, lesion
        self._study = f"/api/studies/{uid(number // 2)}"
        self._asked, self._z, self._based_on = 7 * number % SAVE_EVERY, 17 * number, 0
        self.line = socket.create_connection(("127.0.0.1", port))
        self.due = time.monotonic() + how.pause * number / how.readers
        self.kind, self._left, self._body = "", 0, b""

    def ask(self) -> None:
        """Send the next request."""
        self._asked += 1
        if self._asked % SAVE_EVERY == 0:
            self.kind, request = "save", self._verdict()
        else:
            self.kind, count = ("run", RUN) if self._asked % 2 else ("image", 1)
            self._z = (self._z + 1) % (self._how.planes - RUN)
            path = f"{self._study}/images/0/planes/{self._z}?count={count}"
            request = self._page.raw("GET", path)
        self.due, self._left, self._body, self._start = inf, -1, b"", time.perf_counter()
        self.line.sendall(request)

    def come(self) -> float | None:
        """Take what has come; return the milliseconds when it is whole."""
        got = self.line.recv_into(self.buffer)
        assert got, "the server hung up"
        if self._left < 0 or self.kind == "save":
            self._body += self.buffer[:got]
        if self._left < 0:
            head, end, body = self._body.partition(b"\r\n\r\n")
            if not end:
                return None
            assert head.startswith(b"HTTP/1.1 200"), self._body[:500]
            length = re.search(rb"content-length: (\d+)", head)
            assert length is not None
            self._left, got, self._body = int(length[1]), len(body), body
        self._left -= got
        if self._left:
            return None
        spent = 1000 * (time.perf_counter() - self._start)
        if self.kind == "save":
            self._based_on = json.loads(self._body)["seq"]
        self.due = time.monotonic() + self._how.pause
        return spent

    def _verdict(self) -> bytes:
        what = {"answer": ANSWER, "based_on": self._based_on, "seconds": 3.5}
        path = f"{self._study}/lesions/{self._lesion}/verdict"
        return self._page.raw("POST", path, json.dumps(what).encode())


class Floor:
    """What cannot be undercut: bytes of a file, and a row on disk."""

    def __init__(self, folder: Path) -> None:
        self._raw = os.open(next((folder / "cache").glob("*/0.raw")), os.O_RDONLY)
        self._z, self._file = 0, folder / "floor.sqlite"
        with self._rows() as rows:
            rows.execute("CREATE TABLE entries (seq INTEGER PRIMARY KEY, body TEXT)")

    def read(self) -> bytes:
        self._z, size = self._z + 1, 2 * SIDE * SIDE
        return os.pread(self._raw, size, self._z * size)

    def insert(self) -> None:
        rows = self._rows()
        rows.execute("INSERT INTO entries (body) VALUES (?)", (json.dumps(ANSWER),))
        rows.close()

    def _rows(self) -> sqlite3.Connection:
        rows = sqlite3.connect(self._file, timeout=30, isolation_level=None)
        rows.execute("PRAGMA journal_mode = WAL")
        rows.execute("PRAGMA synchronous = FULL")
        return rows


def work(readers: list[Scrolling], seconds: float, times: dict[str, list[float]]) -> None:
    """Let all readers work until the time is up."""
    waiting, until = selectors.DefaultSelector(), time.monotonic() + seconds
    for reader in readers:
        waiting.register(reader.line, selectors.EVENT_READ, reader)
    while (now := time.monotonic()) < until:
        for reader in (r for r in readers if r.due <= now):
            reader.ask()
        wait = min([until, *(r.due for r in readers)]) - time.monotonic()
        for key, _ in waiting.select(max(0.0, wait)):
            spent = key.data.come()
            if spent is not None:
                times[key.data.kind].append(spent)


def take_floors(floor: Floor, times: dict[str, list[float]], end: threading.Event) -> None:
    while not end.wait(1.0):
        for name, what in (("image floor", floor.read), ("save floor", floor.insert)):
            start = time.perf_counter()
            what()
            times[name].append(1000 * (time.perf_counter() - start))


def serve(folder: Path) -> tuple[subprocess.Popen[str], int]:
    """Start the server and return its port."""
    calcilens = [sys.executable, "-m", "calcilens.cli", "review"]
    db = ["--db", str(folder / "reviews.db")]
    paths = ["--reports", str(folder / "reports"), "--studies", str(folder / "dicom")]
    options = ["--port", "0", "--not-blinded", "--cache", str(folder / "cache")]
    server = subprocess.Popen(
        [*calcilens, *paths, *db, *options], stderr=subprocess.PIPE, text=True
    )
    assert server.stderr is not None
    line = ""
    for line in server.stderr:
        found = re.search(r"http://[^:]+:(\d+)/", line)
        if found:
            return server, int(found[1])
    raise SystemExit(f"the server did not start: {line}")


def prepared(page: Page, study: str) -> None:
    page.post(f"{study}/take", {})
    while not json.loads(page.get(study))["ready"]["ready"]:
        time.sleep(0.5)
    page.rest()


def run(folder: Path, how: argparse.Namespace) -> dict[str, list[float]]:
    studies = (how.readers + 1) // 2
    make_studies(folder / "dicom", studies, how.planes)
    lesion = make_reports(folder / "dicom", folder / "reports", studies, how.planes)
    with opened(folder / "reviews.db") as engine:
        for number in range(how.readers):
            Accounts(engine).add(f"reader{number}", PASSWORD)
    times, end, start = defaultdict[str, list[float]](list), threading.Event(), time.perf_counter()
    server, port = serve(folder)
    times["first"].append(1000 * (time.perf_counter() - start))
    try:
        pages = [Page(port, f"reader{number}") for number in range(how.readers)]
        for number, page in enumerate(pages):
            prepared(page, f"/api/studies/{uid(number // 2)}")
        readers = [Scrolling(page, n, lesion, port, how) for n, page in enumerate(pages)]
        floors = threading.Thread(target=take_floors, args=(Floor(folder), times, end))
        floors.start()
        work(readers, how.seconds, times)
        end.set()
        floors.join()
        return times
    finally:
        end.set()
        server.terminate()
        server.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=20)
    parser.add_argument("--planes", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--pause", type=float, default=0.5)
    how = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        times = run(Path(folder), how)
    pause = f"{how.pause:g} s between requests"
    print(f"{how.readers} readers, {how.planes} planes, {pause}, {os.cpu_count()} cores")
    print(f"{'':12} {'n':>6} {'median':>8} {'p95':>8} {'aim':>6}  ms")
    for name, found in sorted(times.items()):
        high = np.percentile(found, 95)
        aim = f"{AIMS[name]:.0f}" if name in AIMS else ""
        print(f"{name:12} {len(found):6} {statistics.median(found):8.2f} {high:8.2f} {aim:>6}")


if __name__ == "__main__":
    main()
