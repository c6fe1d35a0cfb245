"""The review page under a department: many readers who scroll through CTs and save verdicts.

Run: python benchmarks/review.py [--readers 20] [--planes 300] [--seconds 20] [--pause 0.1]

A real server process on loopback, two readers a study, not blinded. Each reader asks for plane
after plane of a 512 x 512 CT, pauses as somebody does who scrolls, and saves a verdict every ten
planes. Beside each answer stands its floor, taken in turn by the same thread: the same bytes read
from a file, and one row put on disk by SQLite with the settings that the server uses. Median and
95th percentile, ms; the aims are 150 ms for an image and 50 ms for a save.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
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

SIDE, SAVE_EVERY = 512, 10
PASSWORD = "a password for a benchmark"  # noqa: S105 - of nobody
AIMS = {"image": 150.0, "save": 50.0}
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


class Times:
    """Milliseconds by what was done."""

    def __init__(self) -> None:
        self._lock, self.of = threading.Lock(), defaultdict[str, list[float]](list)

    def take(self, name: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = work()
        spent = 1000 * (time.perf_counter() - start)
        with self._lock:
            self.of[name].append(spent)
        return result


class Floor:
    """What cannot be undercut: bytes of a file, and a row on disk."""

    def __init__(self, folder: Path, planes: int) -> None:
        self._raw = os.open(next((folder / "cache").glob("*/0.raw")), os.O_RDONLY)
        self._planes, self._file = planes, folder / "floor.sqlite"
        with self._rows() as rows:
            rows.execute("CREATE TABLE entries (seq INTEGER PRIMARY KEY, body TEXT)")

    def read(self, z: int) -> bytes:
        size = 2 * SIDE * SIDE
        return os.pread(self._raw, size, z * size)

    def insert(self) -> None:
        rows = self._rows()
        rows.execute("INSERT INTO entries (body) VALUES (?)", (json.dumps(ANSWER),))
        rows.close()

    def _rows(self) -> sqlite3.Connection:
        rows = sqlite3.connect(self._file, timeout=30, isolation_level=None)
        rows.execute("PRAGMA journal_mode = WAL")
        rows.execute("PRAGMA synchronous = FULL")
        return rows


def read(page: Page, number: int, lesion: str, floor: Floor, times: Times, how: Any) -> None:
    """Scroll and save as one reader until the time is up."""
    study = f"/api/studies/{uid(number // 2)}"
    z, based_on, until = 17 * number % how.planes, 0, time.monotonic() + how.seconds
    while time.monotonic() < until:
        z = (z + 1) % how.planes
        plane = times.take("image", lambda: page.get(f"{study}/images/0/planes/{z}"))  # noqa: B023
        assert len(plane) == 2 * SIDE * SIDE
        times.take("image floor", lambda: floor.read(z))  # noqa: B023
        if z % SAVE_EVERY == 0:
            what = {"answer": ANSWER, "based_on": based_on, "seconds": 3.5}
            path = f"{study}/lesions/{lesion}/verdict"
            status, body, _ = times.take("save", lambda: page.post(path, what))  # noqa: B023
            assert status == 200, body[:300]
            based_on = json.loads(body)["seq"]
            times.take("save floor", floor.insert)
        time.sleep(how.pause)


def serve(folder: Path, readers: int) -> tuple[subprocess.Popen[str], int]:
    """Add readers, start the server and return its port."""
    calcilens = [sys.executable, "-m", "calcilens.cli", "review"]
    db = ["--db", str(folder / "reviews.db")]
    with opened(folder / "reviews.db") as engine:
        for number in range(readers):
            Accounts(engine).add(f"reader{number}", PASSWORD)
    paths = ["--reports", str(folder / "reports"), "--studies", str(folder / "dicom")]
    options = ["--port", "0", "--no-blinded", "--cache", str(folder / "cache")]
    server = subprocess.Popen(
        [*calcilens, *paths, *db, *options], stderr=subprocess.PIPE, text=True
    )
    assert server.stderr is not None
    for line in server.stderr:
        found = re.search(r"http://[^:]+:(\d+)/", line)
        if found:
            return server, int(found[1])
    raise SystemExit("the server did not start")


def prepared(page: Page, study: str) -> None:
    page.post(f"{study}/take", {})
    while not json.loads(page.get(study))["ready"]["ready"]:
        time.sleep(0.5)
    page.rest()


def run(folder: Path, how: argparse.Namespace) -> Times:
    studies = (how.readers + 1) // 2
    make_studies(folder / "dicom", studies, how.planes)
    lesion = make_reports(folder / "dicom", folder / "reports", studies, how.planes)
    server, port = serve(folder, how.readers)
    try:
        pages = [Page(port, f"reader{number}") for number in range(how.readers)]
        for number, page in enumerate(pages):
            prepared(page, f"/api/studies/{uid(number // 2)}")
        floor, times = Floor(folder, how.planes), Times()
        threads = [
            threading.Thread(target=read, args=(page, n, lesion, floor, times, how))
            for n, page in enumerate(pages)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return times
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=20)
    parser.add_argument("--planes", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--pause", type=float, default=0.1)
    how = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        times = run(Path(folder), how)
    pause = f"{how.pause:g} s between planes"
    print(f"{how.readers} readers, {how.planes} planes, {pause}, {os.cpu_count()} cores")
    print(f"{'':12} {'n':>6} {'median':>8} {'p95':>8} {'aim':>6}  ms")
    for name, found in sorted(times.of.items()):
        high = statistics.quantiles(found, n=20)[-1]
        aim = f"{AIMS[name]:.0f}" if name in AIMS else ""
        print(f"{name:12} {len(found):6} {statistics.median(found):8.2f} {high:8.2f} {aim:>6}")


if __name__ == "__main__":
    main()
