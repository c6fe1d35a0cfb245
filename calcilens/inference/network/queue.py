"""Studies on their way, in SQLite: what was begun survives the end of the program at any point.

    receiving -> received -> predicting -> predicted -> sending -> sent
                    ^            |             ^           |
                    +- try again +             + try again +        predicting -> failed

A study that gets another object is `receiving` again, whatever it was. Every step can be repeated:
an object is stored under its UID, a report and its objects are the same each time, and an archive
takes an object once.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from calcilens.inference.network.database import explained

STATES = ("receiving", "received", "predicting", "predicted", "sending", "sent", "failed")
_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL; -- a lost row is a step done again; objects themselves are synced
CREATE TABLE IF NOT EXISTS studies (
    uid TEXT PRIMARY KEY, state TEXT NOT NULL, objects INTEGER NOT NULL, changed REAL NOT NULL,
    due REAL NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0, why TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS results (
    sop_uid TEXT PRIMARY KEY, study TEXT NOT NULL, state TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS announced (
    study TEXT, sop_uid TEXT, PRIMARY KEY (study, sop_uid)
) WITHOUT ROWID;
"""
_ARRIVED = """
INSERT INTO studies (uid, state, objects, changed) VALUES (:uid, 'receiving', :objects, :now)
ON CONFLICT (uid) DO UPDATE SET
    state = 'receiving', objects = :objects, changed = :now, due = 0, failures = 0, why = NULL
"""


class StudyRow(NamedTuple):
    """A study on its way.

    Args:
        objects: How many have come.
        changed: When the last one came, or the state changed; seconds since 1970.
        due: When it is tried again.
        failures: In a row, of the state it is in.
        why: Of the last failure.
    """

    uid: str
    state: str
    objects: int
    changed: float
    due: float
    failures: int
    why: str | None


class Result(NamedTuple):
    """An object to be sent on: `waiting`, `sending` (it may have arrived) or `sent`."""

    sop_uid: str
    study: str
    state: str


class Queue:
    """The studies on their way; may be used by several threads.

    Args:
        path: Its file; made when there is none.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        with explained(path):
            self._rows = sqlite3.connect(
                path, timeout=30, isolation_level=None, check_same_thread=False
            )
            self._rows.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._rows.close()

    def arrived(self, uid: str, objects: int) -> None:
        """Note that an object came, and how many there are now."""
        self._do(_ARRIVED, {"uid": uid, "objects": objects, "now": time.time()})

    def announce(self, uid: str, sop_uids: Iterable[str]) -> None:
        """Note which objects a study will have."""
        with self._lock, self._rows:
            self._rows.execute("BEGIN")
            for sop_uid in sop_uids:
                self._rows.execute("INSERT OR IGNORE INTO announced VALUES (?, ?)", (uid, sop_uid))

    def announced(self, uid: str) -> set[str]:
        """Return the objects that a study was said to have."""
        return {r[0] for r in self._do("SELECT sop_uid FROM announced WHERE study = ?", (uid,))}

    def move(self, uid: str, before: str, after: str, *, why: str | None = None) -> bool:
        """Change the state of a study, unless it has changed meanwhile; failures are forgotten.

        Args:
            uid: The study.
            before: State that it must be in.
            after: State that it then has.
            why: Of a failure for good.
        """
        return bool(
            self._do(
                "UPDATE studies SET state = ?, due = 0, changed = ?, failures = 0, why = ? "
                "WHERE uid = ? AND state = ? RETURNING uid",
                (after, time.time(), why, uid, before),
            )
        )

    def again(self, uid: str, before: str, after: str, wait_s: float, why: str) -> None:
        """Give a study back, to be tried again later, and count the failure."""
        self._do(
            "UPDATE studies SET state = ?, due = ?, failures = failures + 1, why = ? "
            "WHERE uid = ? AND state = ?",
            (after, time.time() + wait_s, why, uid, before),
        )

    def claim(self, before: str, after: str) -> StudyRow | None:
        """Take the study that has waited longest in a state and is due, into another state."""
        with self._lock:
            row = self._do(
                "SELECT * FROM studies WHERE state = ? AND due <= ? ORDER BY changed LIMIT 1",
                (before, time.time()),
            )
            if not row:
                return None
            study = StudyRow(*row[0])
            self._do("UPDATE studies SET state = ? WHERE uid = ?", (after, study.uid))
            return study

    def predicted(self, uid: str, results: Iterable[str]) -> bool:
        """Note the objects of a report, by UID; those of an earlier one that were not sent go."""
        with self._lock, self._rows:
            self._rows.execute("BEGIN")
            if not self.move(uid, "predicting", "predicted"):
                return False
            self._rows.execute("DELETE FROM results WHERE study = ? AND state != 'sent'", (uid,))
            for sop_uid in results:
                self._rows.execute(
                    "INSERT OR IGNORE INTO results VALUES (?, ?, 'waiting')", (sop_uid, uid)
                )
        return True

    def mark(self, sop_uids: Iterable[str], state: str) -> None:
        """Change the state of results."""
        with self._lock, self._rows:
            self._rows.execute("BEGIN")
            for uid in sop_uids:
                self._rows.execute("UPDATE results SET state = ? WHERE sop_uid = ?", (state, uid))

    def results(self, study: str) -> list[Result]:
        """Return the objects of a study's report."""
        rows = self._do("SELECT * FROM results WHERE study = ? ORDER BY sop_uid", (study,))
        return [Result(*row) for row in rows]

    def is_result(self, sop_uid: str) -> bool:
        """Say whether an object is one that we made: an archive may send it back."""
        return bool(self._do("SELECT 1 FROM results WHERE sop_uid = ?", (sop_uid,)))

    def study(self, uid: str) -> StudyRow | None:
        """Return a study."""
        rows = self._do("SELECT * FROM studies WHERE uid = ?", (uid,))
        return StudyRow(*rows[0]) if rows else None

    def remove(self, uid: str) -> None:
        """Forget a study, but not which objects were made of it."""
        self._do("DELETE FROM announced WHERE study = ?", (uid,))
        self._do("DELETE FROM studies WHERE uid = ?", (uid,))

    def studies(self, state: str | None = None) -> list[StudyRow]:
        """Return the studies, or those in a state."""
        if state is None:
            return [StudyRow(*row) for row in self._do("SELECT * FROM studies", ())]
        rows = self._do("SELECT * FROM studies WHERE state = ?", (state,))
        return [StudyRow(*row) for row in rows]

    def recover(self) -> None:
        """Begin again what the end of the program broke off.

        A study that was coming in is given its time anew: its sender must find us again first.
        """
        now = time.time()
        self._do("UPDATE studies SET changed = ? WHERE state = 'receiving'", (now,))
        self._do("UPDATE studies SET state = 'predicted' WHERE state = 'sending'", ())
        # A study that ends the program each time must not do so for ever
        self._do(
            "UPDATE studies SET state = 'received', failures = failures + 1 "
            "WHERE state = 'predicting'",
            (),
        )

    def _do(
        self, text: str, values: dict[str, object] | tuple[object, ...]
    ) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._rows.execute(text, values).fetchall()
