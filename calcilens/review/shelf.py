"""The library as the rules of reading need it: which report a study has, at no cost."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from calcilens.errors import NotThere, compose
from calcilens.review.library import Broken, Library
from calcilens.review.reports import Summary

_KEPT_S = 1.0


@dataclass(frozen=True)
class Shelved:
    """A report, of which the whole is read only when it is asked for."""

    library: Library
    summary: Summary

    @property
    def sha256(self) -> str:
        """Of report.json."""
        return self.summary.sha256

    @property
    def lesion_ids(self) -> tuple[str, ...]:
        """In the order of the report."""
        return self.summary.lesions

    @property
    def raw(self) -> bytes:
        """Content of report.json.

        Raises:
            NotThere: It went, or another one came in its place.
        """
        report = self.library.get(self.summary.study_uid)
        if report.sha256 != self.sha256:
            raise NotThere(compose("the report as it was listed", "a newer one; try again"))
        return report.raw


class Shelf:
    """Reports by study: looked for again after a second, not for every question of a list.

    Args:
        library: Where they are.
    """

    def __init__(self, library: Library) -> None:
        self._library, self._lock = library, threading.Lock()
        self._until, self._found = 0.0, dict[str, Shelved]()

    def report(self, study_uid: str) -> Shelved:
        """Return the report of a study.

        Raises:
            NotThere: There is none.
        """
        found = self.all().get(study_uid)
        if found is None:
            raise NotThere(compose("a study with a report", "none of this UID"))
        return found

    @property
    def unread(self) -> int:
        """How many reports there are that could not be read yet."""
        return self._library.unread

    def broken(self) -> list[Broken]:
        """Return the reports that cannot be used."""
        return self._library.broken()

    def all(self) -> Mapping[str, Shelved]:
        """Return all reports by study UID."""
        with self._lock:
            if time.monotonic() >= self._until:
                one_each = self._library.summaries()
                self._found = {s.study_uid: Shelved(self._library, s) for s in one_each}
                self._until = time.monotonic() + _KEPT_S
            return self._found
