"""The reports that are reviewed: which there are, and what each says of place and answers."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from calcilens.errors import InputError, NotThere, compose
from calcilens.review.reports import MOST_BYTES, Report, Summary, parse, summary

_EVERY_S, _BUDGET_S = 2.0, 1.0
"""How often the folder is looked at, and how long a call reads new reports."""
_KEPT = 32
"""Whole reports in memory; of all others only their summary is."""
Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Broken:
    """A report that cannot be used.

    Args:
        folder: Name of its folder: a study's UID, or a hash.
        why: One line.
    """

    folder: str
    why: str


class Library:
    """The reports `<folder>/*/report.json`.

    Reports that come, change or go while the program runs are noticed at the next call, at most
    every two seconds. Of thousands of new ones, each call reads for a second and leaves the rest
    to the next: `unread` says how many. After `start`, a thread does all this, and calls wait for
    it only in the first second. Safe to use from several threads.

    Args:
        reports: What `calcilens predict` wrote to.
        clock: Seconds; for tests.

    Raises:
        InputError: There is no such folder.
    """

    def __init__(self, reports: Path, clock: Callable[[], float] = time.monotonic) -> None:
        if not reports.is_dir():
            found = "a file" if reports.exists() else "nothing there"
            raise InputError(compose("a folder of reports", found, where="--reports"))
        self._folder, self._clock, self._lock = reports, clock, threading.Lock()
        self._one_reads, self._stop = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="library", daemon=True)
        self._seen: dict[str, tuple[Stamp, Summary | Broken]] = {}
        self._studies: dict[str, Summary] | None = None
        self._whole: OrderedDict[str, Report] = OrderedDict()
        self._once, self._until = threading.Event(), 0.0
        self._looked, self.unread = -_EVERY_S, 0

    def start(self) -> None:
        """Begin to read all reports in the background."""
        self._until = time.monotonic() + _BUDGET_S
        self._thread.start()

    def close(self) -> None:
        """End that."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def summaries(self) -> list[Summary]:
        """Return what is known of every study, the latest report of each, by study UID."""
        self._refresh()
        return list(self._by_study().values())

    def broken(self) -> list[Broken]:
        """Return the reports that cannot be used, by the name of their folder."""
        self._refresh()
        with self._lock:
            return [one for _, (_, one) in sorted(self._seen.items()) if isinstance(one, Broken)]

    def get(self, study_uid: str) -> Report:
        """Return the report of a study.

        Raises:
            NotThere: There is none, or it went or broke meanwhile.
        """
        self._refresh()
        known = self._by_study().get(study_uid)
        if known is None:
            raise NotThere(compose("a study with a report", "none of this UID"))
        with self._lock:
            if known.sha256 not in self._whole:
                self._keep(self._read_again(known))
            self._whole.move_to_end(known.sha256)
            return self._whole[known.sha256]

    def _read_again(self, known: Summary) -> Report:
        path = known.folder / "report.json"
        try:
            return parse(_content(path), known.folder)
        except (OSError, InputError) as error:
            self._looked = -_EVERY_S
            raise NotThere(compose("the report of this study", "one that changed")) from error

    def _keep(self, report: Report) -> None:
        self._whole[report.sha256] = report
        while len(self._whole) > _KEPT:
            self._whole.popitem(last=False)

    def _by_study(self) -> dict[str, Summary]:
        """Return the summaries by study; of two reports of one study the newer counts."""
        with self._lock:
            if self._studies is None:
                self._studies = _newest(self._seen.values())
            return self._studies

    def _run(self) -> None:
        while not self._stop.is_set():
            with suppress(OSError):  # a folder that goes away comes back
                self._read_new(None)
            self._once.set()
            self._stop.wait(_EVERY_S / 2)

    def _refresh(self) -> None:
        if self._thread.is_alive():  # the first lists of few reports are whole
            self._once.wait(max(0.0, self._until - time.monotonic()))
        elif self.unread or self._clock() - self._looked >= _EVERY_S:
            self._read_new(_BUDGET_S)

    def _read_new(self, budget: float | None) -> None:
        """Look for reports that are new or gone, and read as many as there is time for."""
        with self._one_reads:
            there, until = _stamps(self._folder), time.monotonic() + (budget or 0.0)
            with self._lock:
                self._seen = {name: had for name, had in self._seen.items() if name in there}
                self._studies = None
            new = [name for name, stamp in sorted(there.items()) if self._known(name) != stamp]
            self.unread, self._looked = len(new), self._clock()
            for name in new:
                self._note(name, there[name], self._read(self._folder / name))
                spent = budget is not None and time.monotonic() >= until
                if spent or self._stop.is_set():
                    break

    def _note(self, name: str, stamp: Stamp, found: Summary | Broken) -> None:
        with self._lock:
            self._seen[name], self._studies = (stamp, found), None
            self.unread -= 1

    def _known(self, name: str) -> Stamp | None:
        return self._seen[name][0] if name in self._seen else None

    def _read(self, folder: Path) -> Summary | Broken:
        try:
            return summary(parse(_content(folder / "report.json"), folder))
        except OSError as error:
            why = compose("a report.json that can be read", error.strerror or "none")
        except InputError as error:
            why = str(error)
        except Exception as error:  # whatever it holds, it stops no other report
            why = compose("a report that can be used", type(error).__name__)
        return Broken(folder.name, why)


def _content(path: Path) -> bytes:
    """Read a report, but not what nobody could read to its end: a pipe, or a file without one."""
    if not path.is_file():
        raise InputError(
            compose("a file", "something else", where=f"{path.parent.name}/{path.name}")
        )
    with path.open("rb") as stream:
        return stream.read(MOST_BYTES + 1)


def _newest(found: Iterable[tuple[Stamp, Summary | Broken]]) -> dict[str, Summary]:
    latest: dict[str, Summary] = {}
    for _, one in sorted(found, key=lambda pair: pair[0]):
        if isinstance(one, Summary):
            latest[one.study_uid] = one
    return dict(sorted(latest.items()))


def _stamps(folder: Path) -> dict[str, Stamp]:
    """Return, by the name of its folder, what tells whether a report changed."""
    found = {}
    for entry in folder.iterdir():
        try:
            stat = None if entry.name.startswith(".") else (entry / "report.json").stat()
        except OSError:
            continue
        if stat is not None:
            found[entry.name] = stat.st_mtime_ns, stat.st_ino, stat.st_size
    return found
