"""Readers, their passwords and their sessions."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from sqlalchemy import Connection, Engine, delete, insert, select, update
from sqlalchemy.exc import OperationalError

from calcilens.errors import ReviewError, compose
from calcilens.review.database import reading
from calcilens.review.tables import ReaderRow, SessionRow

IDLE_S, LONGEST_S = 2 * 3600.0, 12 * 3600.0
"""A session ends after two hours without a request, and after a working day in any case."""
SHORTEST_PASSWORD, LONGEST_PASSWORD = 12, 200
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class Role(StrEnum):
    """What somebody may do."""

    READER = "reader"
    ADJUDICATOR = "adjudicator"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True)
class Reader:
    """Somebody who may sign in; one who may not any more is not active."""

    name: str
    role: Role
    active: bool = True


@dataclass(frozen=True)
class Session:
    """A sign-in.

    Args:
        reader: Who.
        csrf: What a form must bring along.
    """

    reader: Reader
    csrf: str


class Accounts:
    """Readers and sessions in a database.

    Args:
        engine: As `calcilens.review.database.opened` gives it.
        clock: Seconds since 1970.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine, self._clock = engine, clock
        self._hasher = PasswordHasher()
        # What an unknown name is held against, so that its answer takes as long as any other.
        self._nobody = self._hasher.hash(secrets.token_hex())

    def add(self, name: str, password: str, role: Role = Role.READER) -> Reader:
        """Add a reader.

        Raises:
            ReviewError: The name is taken or cannot be one, or the password is too short.
        """
        if not _NAME.fullmatch(name):
            expected = "a name of small letters, digits, dots and dashes"
            raise ReviewError(compose(expected, "another", where="reader"))
        with self._engine.begin() as connection:
            if _row(connection, name) is not None:
                raise ReviewError(compose("a new name", f"{name}, which is there", where="reader"))
            values = {"name": name, "role": role.value, "active": True}
            hashed = self._hashed(password)
            connection.execute(insert(ReaderRow).values(**values, password_hash=hashed))
        return Reader(name, role)

    def change(self, name: str, *, password: str | None = None, active: bool | None = None) -> None:
        """Change a reader's password, or whether they may sign in; it ends their sessions.

        Raises:
            ReviewError: There is no such reader, or the password is too short.
        """
        values: dict[str, object] = {} if active is None else {"active": active}
        if password is not None:
            values["password_hash"] = self._hashed(password)
        with self._engine.begin() as connection:
            if _row(connection, name) is None:
                raise ReviewError(compose("a reader", f"{name}, who is not there", where="reader"))
            if values:
                connection.execute(update(ReaderRow).where(ReaderRow.name == name).values(**values))
            connection.execute(delete(SessionRow).where(SessionRow.reader == name))

    def readers(self) -> list[Reader]:
        """Return all readers by name."""
        query = select(ReaderRow.name, ReaderRow.role, ReaderRow.active).order_by(ReaderRow.name)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return [Reader(name, Role(role), active) for name, role, active in rows]

    def sign_in(self, name: str, password: str) -> tuple[str, Session] | None:
        """Return a token and its session; None where name and password do not go together."""
        with reading(self._engine) as connection:
            row = _row(connection, name)
        hashed = self._nobody if row is None else row.password_hash
        if not self._fits(hashed, password) or row is None or not row.active:
            return None
        token, csrf, now = secrets.token_urlsafe(32), secrets.token_urlsafe(32), self._clock()
        with self._engine.begin() as connection:
            connection.execute(delete(SessionRow).where(SessionRow.began < now - LONGEST_S))
            values = {"token_hash": _hash(token), "reader": name, "csrf": csrf}
            connection.execute(insert(SessionRow).values(**values, began=now, used=now))
        return token, Session(Reader(name, Role(row.role)), csrf)

    def session(self, token: str) -> Session | None:
        """Return the session of a token that is still good, and note that it was used."""
        now = self._clock()
        query = (
            select(SessionRow.csrf, SessionRow.used, ReaderRow.name, ReaderRow.role)
            .join(ReaderRow, ReaderRow.name == SessionRow.reader)
            .where(SessionRow.token_hash == _hash(token), ReaderRow.active)
            .where(SessionRow.began > now - LONGEST_S, SessionRow.used > now - IDLE_S)
        )
        with reading(self._engine) as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        if now - row.used > 60:  # not a write for every picture
            # Who only looks is not stopped where the database is locked or full.
            with suppress(OperationalError), self._engine.begin() as connection:
                mine = SessionRow.token_hash == _hash(token)
                connection.execute(update(SessionRow).where(mine).values(used=now))
        return Session(Reader(row.name, Role(row.role)), row.csrf)

    def sign_out(self, token: str) -> None:
        """End a session; one that is not there has ended."""
        with self._engine.begin() as connection:
            connection.execute(delete(SessionRow).where(SessionRow.token_hash == _hash(token)))

    def _hashed(self, password: str) -> str:
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            expected = f"a password of {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters"
            raise ReviewError(compose(expected, f"one of {len(password)}"))
        return self._hasher.hash(password)

    def _fits(self, hashed: str, password: str) -> bool:
        try:
            return len(password) <= LONGEST_PASSWORD and self._hasher.verify(hashed, password)
        except (Argon2Error, InvalidHashError):
            return False


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _row(connection: Connection, name: str) -> Any:
    query = select(ReaderRow.role, ReaderRow.active, ReaderRow.password_hash)
    return connection.execute(query.where(ReaderRow.name == name)).one_or_none()
