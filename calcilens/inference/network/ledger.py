"""What each archive has taken: remembered, so that nothing is sent twice."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from calcilens.inference.network.database import explained
from calcilens.inference.network.objects import ObjectFile

_TABLE = """CREATE TABLE IF NOT EXISTS taken (
    archive TEXT, sop_uid TEXT, sha256 TEXT, PRIMARY KEY (archive, sop_uid)
) WITHOUT ROWID"""


def default_ledger_path() -> Path:
    """Return where it lies: XDG_STATE_HOME, or ~/.local/state."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "calcilens" / "sent.sqlite"


class Ledger:
    """UIDs and hashes of what was taken, in SQLite; no patient data.

    Args:
        path: Its file; made when there is none.
        archive: Address of the archive.
    """

    def __init__(self, path: Path, archive: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._archive = path, archive
        with explained(path):
            self._rows = sqlite3.connect(path, timeout=30, isolation_level=None)
            self._rows.execute(_TABLE)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self._rows.close()

    def add(self, file: ObjectFile) -> None:
        """Remember an object."""
        row = (self._archive, file.instance.sop_uid, file.sha256())
        with explained(self._path):
            self._rows.execute("INSERT OR REPLACE INTO taken VALUES (?, ?, ?)", row)

    def has(self, file: ObjectFile) -> bool:
        """Say whether the archive has taken exactly this object."""
        found = self._rows.execute(
            "SELECT sha256 FROM taken WHERE archive = ? AND sop_uid = ?",
            (self._archive, file.instance.sop_uid),
        ).fetchone()
        return found is not None and found[0] == file.sha256()
