"""Opening the database of reviews: SQLite by default, PostgreSQL by its URL."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, OperationalError

from calcilens.errors import ReviewError, compose

WAIT_MS = 30_000
"""For another program that writes."""
_READS = "calcilens_reads"
_OURS, _VERSIONS = "a database of reviews", "alembic_version"
MIGRATIONS = Path(__file__).with_name("migrations")
_KINDS = "a file, or a URL such as postgresql+psycopg://user@host/name"


@contextmanager
def opened(where: str | Path) -> Iterator[Engine]:
    """Open the database, bring its tables to this version, and close it at the end.

    Args:
        where: File of a SQLite database, made when there is none; or a URL of SQLAlchemy's.

    Raises:
        ReviewError: It cannot be opened, or comes from a newer version.
    """
    engine = _engine(str(where))
    try:
        _migrate(engine)
        yield engine
    except OperationalError as error:
        raise ReviewError(
            compose("a database that can be used", _reason(error), where=_shown(engine))
        ) from error
    finally:
        engine.dispose()


def reading(engine: Engine) -> Connection:
    """Return a connection that only reads, and so waits for nobody who writes."""
    return engine.connect().execution_options(**{_READS: True})


def _engine(where: str) -> Engine:
    try:
        url = make_url(where if "://" in where else f"sqlite:///{where}")
        engine = create_engine(url)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        found = "a URL that cannot be used" if "://" in where else where
        raise ReviewError(compose(_KINDS, found, where="--db")) from error
    if engine.dialect.name == "sqlite":
        _own(url.database)
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
    return engine


def _own(file: str | None) -> None:
    """Make a new file that its owner alone may read: what SQLite makes beside it follows it."""
    if file and file != ":memory:" and not file.startswith("file:"):
        with suppress(OSError):  # it is there, or cannot be: SQLite says which
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _prepare(connection: Any, _: Any) -> None:
    """Let an entry be on disk when it is confirmed, and readers read while one writes."""
    _check_ours(connection)
    connection.isolation_level = None  # transactions are begun by `_begin`
    for pragma in ("journal_mode = WAL", "synchronous = FULL", f"busy_timeout = {WAIT_MS}",
                   "foreign_keys = ON"):  # fmt: skip
        connection.execute(f"PRAGMA {pragma}")


def _check_ours(connection: Any) -> None:
    """Refuse the database of another program before anything in it is changed."""
    try:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        raise ReviewError(compose(_OURS, "a file of another kind", where="--db")) from error
    if rows and (_VERSIONS,) not in rows:
        raise ReviewError(compose(_OURS, "that of another program", where="--db"))


def _begin(connection: Connection) -> None:
    """Begin with the lock for writing: two that read first and then write would fail."""
    reads = connection.get_execution_options().get(_READS)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _migrate(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except OperationalError:
        raise
    except (CommandError, DatabaseError) as error:
        found = "a database of a newer version, or none of ours"
        raise ReviewError(compose(_OURS, found, where=_shown(engine))) from error


def _reason(error: OperationalError) -> str:
    return " ".join(str(error.orig).split())[:120]


def _shown(engine: Engine) -> str:
    """Return where the database is, without a password."""
    return engine.url.render_as_string(hide_password=True)
