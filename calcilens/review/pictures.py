"""The images of studies, as the page asks for them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calcilens.errors import NotThere, ReviewError, compose
from calcilens.review.links import links
from calcilens.review.reports import ImageName, Report
from calcilens.review.store import Store
from calcilens.review.study_files import Files, StudyFiles

MOST_PLANES = 64
"""How many planes one answer may hold."""
_AGAIN_S = 60.0
"""When a study that could not be read is tried again."""
_HIDDEN = ("file", "sop_uids")
_PLANE_BYTES = 2
_SEARCHING = "the folders are still being searched"
_NO_FILES = compose("DICOM files of this study", "none", where="--studies")


@dataclass(frozen=True)
class Ready:
    """How far the images of a study are.

    Args:
        done: Planes read so far, of `total`.
        error: Why there are none and there will be none.
    """

    ready: bool
    done: int = 0
    total: int = 0
    error: str | None = None


@dataclass
class _Job:
    """A study that is being read."""

    study_uid: str
    files: Files
    ahead: bool
    begun: bool = False
    state: Ready = field(default_factory=lambda: Ready(False))
    ended: float | None = None
    process: subprocess.Popen[str] | None = None


class Pictures:
    """Images of the studies in some folders, read when they are asked for and kept in a cache.

    Args:
        studies: Folders, files and zip archives with DICOM.
        cache: Folder of the cache.
        most_bytes: Its size.

    Raises:
        StudyError: One of the paths is not there.
    """

    def __init__(self, studies: Sequence[Path], cache: Path, most_bytes: int = 20 * 2**30) -> None:
        self._store = Store(cache, most_bytes)
        self.files = StudyFiles(studies, cache)
        self._jobs: dict[str, _Job] = {}
        self._lock = threading.Lock()
        # A reader who waits never waits for what is prepared ahead.
        self._now, self._ahead = ThreadPoolExecutor(2), ThreadPoolExecutor(1)
        self._closed = False

    def start(self) -> None:
        """Begin to search the folders in the background."""
        self.files.start()

    def close(self) -> None:
        """End everything that runs."""
        self._closed = True
        self.files.close()
        with self._lock:
            running = [job.process for job in self._jobs.values() if job.process is not None]
        for process in running:
            with suppress(OSError):
                process.kill()
        for pool in (self._now, self._ahead):
            pool.shutdown(cancel_futures=True)

    def why_not(self, study_uid: str) -> str | None:
        """Return why there are no images of a study; None where its files are found."""
        if self.files.of(study_uid) is not None:
            return None
        return _NO_FILES if self.files.complete else _SEARCHING

    def ready(self, study_uid: str, *, ahead: bool = False) -> Ready:
        """Say how far the images of a study are, and begin to read them.

        Args:
            study_uid: Of the study.
            ahead: Nobody waits for them yet.
        """
        files = self.files.of(study_uid)
        if files is None:
            self.files.missed()
            return Ready(False, error=_NO_FILES if self.files.complete else None)
        listed = self._store.listed(files.key)
        if listed is not None:
            count = sum(len(image["numbers"]) for image in listed["images"])
            return Ready(True, count, count)
        return self._begin(study_uid, files, ahead).state

    def prepare(self, study_uids: Iterable[str]) -> None:
        """Read studies ahead, one after the other, with low priority."""
        for uid in study_uids:
            self.ready(uid, ahead=True)

    def images(self, report: Report) -> list[dict[str, Any]]:
        """Return the images of a report in its order; none before they are ready.

        Raises:
            ReviewError: The files found are not those that the report is of.
        """
        return [_shown(image, n) for n, image in enumerate(self._of_report(report))]

    def planes(self, report: Report, n: int, z: int, count: int = 1) -> bytes:
        """Return planes of a CT as int16, little-endian, (count, Y, X).

        Raises:
            NotThere: There are no such planes, or the images are not ready.
        """
        return self._planes(report.study_uid, _nth(self._of_report(report), n), z, count)

    def film(self, report: Report, n: int, level: int = 0) -> bytes:
        """Return a film as uint16, little-endian, (Y, X); each level is half the one before.

        Raises:
            NotThere: There is no such film or level, or the images are not ready.
        """
        return self._level(report.study_uid, _nth(self._of_report(report), n), level)

    def prior(self, report: Report) -> dict[str, Any] | None:
        """Return the study that a report compares with, as the page is told of it; None: none."""
        uid = report.prior_study_uid
        if uid is None:
            return None
        comparison, state = report.content["comparison"], self.ready(uid)
        images = self._listed(uid)
        current = self._of_report(report)
        return {
            "study_uid": uid,
            "study_date": comparison["prior_study_date"],
            "days": comparison["days"],
            "ready": vars(state),
            "images": [_shown(image, n) for n, image in enumerate(images)],
            "links": links(comparison["series"], current, images),
        }

    def prior_planes(self, report: Report, n: int, z: int, count: int = 1) -> bytes:
        """Return planes of the study compared with; as `planes`."""
        uid = _prior_uid(report)
        return self._planes(uid, _nth(self._listed(uid), n), z, count)

    def prior_film(self, report: Report, n: int, level: int = 0) -> bytes:
        """Return a film of the study compared with; as `film`."""
        uid = _prior_uid(report)
        return self._level(uid, _nth(self._listed(uid), n), level)

    def _planes(self, uid: str, image: dict[str, Any], z: int, count: int) -> bytes:
        if image["kind"] != "volume":
            raise NotThere(compose("a CT", "a film"))
        depth, y, x = image["shape"]
        if not (0 <= z < depth and 1 <= count <= MOST_PLANES):
            found = f"{count} from {z} on"
            raise NotThere(compose(f"at most {MOST_PLANES} of {depth} planes", found))
        size = y * x * _PLANE_BYTES
        return self._read(uid, image["file"], z * size, min(count, depth - z) * size)

    def _level(self, uid: str, image: dict[str, Any], level: int) -> bytes:
        if image["kind"] != "film":
            raise NotThere(compose("a film", "a CT"))
        sizes = [y * x * _PLANE_BYTES for y, x in image["levels"]]
        if not 0 <= level < len(sizes):
            raise NotThere(compose(f"a level below {len(sizes)}", str(level)))
        return self._read(uid, image["file"], sum(sizes[:level]), sizes[level])

    def _read(self, uid: str, name: str, offset: int, size: int) -> bytes:
        files = self.files.of(uid)
        content = None if files is None else self._store.read(files.key, name, offset, size)
        if content is None or len(content) != size:
            raise NotThere(compose("images that are ready", "none", fix="ask again"))
        return content

    def _listed(self, uid: str) -> list[dict[str, Any]]:
        files = self.files.of(uid)
        listed = None if files is None else self._store.listed(files.key)
        return [] if listed is None else list(listed["images"])

    def _of_report(self, report: Report) -> list[dict[str, Any]]:
        found = self._listed(report.study_uid)
        return [_match(name, n, found, report) for n, name in enumerate(report.images) if found]

    def _begin(self, uid: str, files: Files, ahead: bool) -> _Job:
        with self._lock:
            job = self._jobs.get(files.key)
            if job is None or _tired(job):
                job = self._jobs[files.key] = _Job(uid, files, ahead)
                self._submit(job)
            elif job.ahead and not (ahead or job.begun):  # now somebody waits for it
                job.ahead = False
                self._submit(job)
            return job

    def _submit(self, job: _Job) -> None:
        if not self._closed:
            (self._ahead if job.ahead else self._now).submit(self._run, job)

    def _run(self, job: _Job) -> None:
        with self._lock:
            if job.begun or self._closed:
                return
            job.begun = True
        error: str | None = "reading the study broke off"
        with suppress(OSError, ValueError):
            error = self._followed(self._wanted(job), job)
        with self._lock:
            job.state = Ready(error is None, job.state.done, job.state.total, error)
            job.ended, job.process = time.monotonic(), None
            if error is None:
                self._jobs.pop(job.files.key, None)
            else:
                self.files.missed()

    def _wanted(self, job: _Job) -> dict[str, Any]:
        return {
            "study_uid": job.study_uid,
            "paths": [path for path, _, _ in job.files.files],
            "key": job.files.key,
            "folder": str(self._store.folder.resolve()),
            "most_bytes": self._store.most_bytes,
            "workers": 0 if job.ahead else None,
            "nice": 10 if job.ahead else 0,
        }

    def _followed(self, wanted: dict[str, Any], job: _Job) -> str | None:
        """Let a process read the study, note how far it is, and return what went wrong."""
        # -P: no module is taken from the folder that the program was started in.
        command = [sys.executable, "-P", "-m", "calcilens.review.prepare"]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, **pipes, stderr=subprocess.DEVNULL, text=True) as process:
            job.process = process
            if self._closed or process.stdin is None or process.stdout is None:
                process.kill()
                return "the program ends"
            process.stdin.write(json.dumps(wanted) + "\n")
            process.stdin.flush()
            last: dict[str, Any] = {"error": "reading the study broke off"}
            for line in process.stdout:
                told = json.loads(line)
                if "total" in told:
                    job.state = Ready(False, told["done"], told["total"])
                else:
                    last = {"error": None, **told}
        return None if last["error"] is None else str(last["error"])


def _tired(job: _Job) -> bool:
    """Whether a study that could not be read is worth another try."""
    return job.ended is not None and time.monotonic() - job.ended > _AGAIN_S


def _nth(images: Sequence[dict[str, Any]], n: int) -> dict[str, Any]:
    if not 0 <= n < len(images):
        raise NotThere(compose(f"an image below {len(images)}", str(n)))
    return images[n]


def _prior_uid(report: Report) -> str:
    if report.prior_study_uid is None:
        raise NotThere(compose("a study compared with", "none"))
    return report.prior_study_uid


def _shown(image: dict[str, Any], n: int) -> dict[str, Any]:
    return {"n": n, **{key: value for key, value in image.items() if key not in _HIDDEN}}


def _match(
    name: ImageName, n: int, found: Sequence[dict[str, Any]], report: Report
) -> dict[str, Any]:
    """Return the image that a report speaks of: same series, and same instances."""
    here = {sop for place in report.lesions if place.image == n for sop in place.sop_uids}
    for image in found:
        sops = set(image["sop_uids"])
        same = image["series_uid"] == name.series_uid and here <= sops
        same = same and (name.sop_uid is None or name.sop_uid in sops)
        if same and name.shape in (None, tuple(image["shape"])):
            return image
    expected = f"image {n + 1} as the report has it (series {name.series_uid})"
    raise ReviewError(compose(expected, "other files", fix="run `calcilens predict` on these"))
