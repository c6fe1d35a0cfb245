"""The reports that are reviewed: which there are, and what each says of place and answers."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from calcilens.errors import InputError, NotThere, compose
from calcilens.review.reports import Report, Summary, parse, summary

_EVERY_S, _BUDGET_S = 2.0, 1.0
"""How often the folder is looked at, and how long new reports are read at a time."""
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
    to the next: `unread` says how many. Safe to use from several threads.

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
        self._folder, self._clock, self._lock = reports, clock, threading.RLock()
        self._seen: dict[str, tuple[Stamp, Summary | Broken]] = {}
        self._whole: OrderedDict[str, Report] = OrderedDict()
        self._looked, self.unread = -_EVERY_S, 0

    def summaries(self) -> list[Summary]:
        """Return what is known of every study, the latest report of each, by study UID."""
        with self._lock:
            self._refresh()
            return list(self._studies().values())

    def broken(self) -> list[Broken]:
        """Return the reports that cannot be used, by the name of their folder."""
        with self._lock:
            self._refresh()
            return [one for _, (_, one) in sorted(self._seen.items()) if isinstance(one, Broken)]

    def get(self, study_uid: str) -> Report:
        """Return the report of a study.

        Raises:
            NotThere: There is none, or it went or broke meanwhile.
        """
        with self._lock:
            self._refresh()
            known = self._studies().get(study_uid)
            if known is None:
                raise NotThere(compose("a study with a report", "none of this UID"))
            if known.sha256 not in self._whole:
                self._keep(self._read_again(known))
            self._whole.move_to_end(known.sha256)
            return self._whole[known.sha256]

    def _read_again(self, known: Summary) -> Report:
        path = known.folder / "report.json"
        try:
            return parse(path.read_bytes(), known.folder)
        except (OSError, InputError) as error:
            self._looked = -_EVERY_S
            raise NotThere(compose("the report of this study", "one that changed")) from error

    def _keep(self, report: Report) -> None:
        self._whole[report.sha256] = report
        while len(self._whole) > _KEPT:
            self._whole.popitem(last=False)

    def _studies(self) -> dict[str, Summary]:
        """Return the summaries by study; of two reports of one study the newer counts."""
        found: dict[str, tuple[Stamp, Summary]] = {}
        for _, (stamp, one) in sorted(self._seen.items()):
            if isinstance(one, Summary):
                other = found.get(one.study_uid)
                if other is None or stamp > other[0]:
                    found[one.study_uid] = stamp, one
        return {uid: one for uid, (_, one) in sorted(found.items())}

    def _refresh(self) -> None:
        if self._clock() - self._looked < _EVERY_S and not self.unread:
            return
        there = _stamps(self._folder)
        self._seen = {name: had for name, had in self._seen.items() if name in there}
        new = [name for name, stamp in sorted(there.items()) if self._known(name) != stamp]
        until = time.monotonic() + _BUDGET_S
        while new:
            name = new.pop(0)
            self._seen[name] = there[name], self._read(self._folder / name)
            if time.monotonic() >= until:
                break
        self.unread = len(new)
        self._looked = self._clock()

    def _known(self, name: str) -> Stamp | None:
        return self._seen[name][0] if name in self._seen else None

    def _read(self, folder: Path) -> Summary | Broken:
        try:
            content = (folder / "report.json").read_bytes()
            return summary(parse(content, folder))
        except OSError as error:
            why = compose("a report.json that can be read", error.strerror or "none")
        except InputError as error:
            why = str(error)
        return Broken(folder.name, why)


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
