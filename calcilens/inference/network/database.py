"""SQLite files of ours: what is wrong with one is told in one line."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calcilens.errors import InputError, compose


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Say which file cannot be used, and why.

    Raises:
        InputError: SQLite cannot read or write it.
    """
    try:
        yield
    except sqlite3.Error as error:
        damaged = not isinstance(error, sqlite3.OperationalError)
        fix = "move it away: it is made anew" if damaged else "make room, or have it writable"
        raise InputError(
            compose("a database of calcilens", str(error), where=str(path), fix=fix)
        ) from error
