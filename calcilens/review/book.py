"""The journal by study, in memory, brought up to date before it is asked."""

from __future__ import annotations

from threading import Lock

from sqlalchemy import Connection

from calcilens.review.journal import Entry, Journal


class Book:
    """All entries by study.

    Entries never change, so only those after the last one seen are read: also what other programs
    enter is found.

    Args:
        journal: What to read from.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal, self._lock = journal, Lock()
        self._by_study: dict[str, tuple[Entry, ...]] = {}
        self._last = 0

    def of(self, study_uid: str, connection: Connection | None = None) -> tuple[Entry, ...]:
        """Return the entries of a study, in their order.

        Args:
            study_uid: Which study.
            connection: Of a transaction that has begun; what it may not see is not there.
        """
        with self._lock:
            self._refresh(connection)
            return self._by_study.get(study_uid, ())

    def all(self) -> dict[str, tuple[Entry, ...]]:
        """Return all entries, by study."""
        with self._lock:
            self._refresh(None)
            return dict(self._by_study)

    def _refresh(self, connection: Connection | None) -> None:
        new: dict[str, list[Entry]] = {}
        last = self._last
        for entry in self._journal.entries(after=last, connection=connection):
            new.setdefault(entry.study_uid, []).append(entry)
            last = entry.seq
        # All of them or none: reading may break off in the middle.
        self._last = last
        for study_uid, entries in new.items():
            self._by_study[study_uid] = (*self._by_study.get(study_uid, ()), *entries)
