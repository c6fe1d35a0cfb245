"""Whether a database of reviews is as it was written: journal, what it names, and its guards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from sqlalchemy import Connection, Engine, select, text

from calcilens.review.accounts import Role
from calcilens.review.attachments import Attachments
from calcilens.review.database import reading
from calcilens.review.journal import Checked, Entry, Journal
from calcilens.review.state import Kind
from calcilens.review.tables import ReaderRow

_GUARDS = {
    f"{table}_{what}" for table in ("entries", "attachments") for what in ("update", "delete")
}
_TRIGGERS = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT tgname FROM pg_trigger WHERE tgenabled <> 'D'",
}
_BY_READERS = (Kind.COMMITTED, Kind.VERDICT, Kind.ADDED, Kind.WITHDRAWN, Kind.SIGNED)


def verified(engine: Engine, head: str | None = None) -> Checked:
    """Look for any change since the entries were made.

    Args:
        engine: As `calcilens.review.database.opened` gives it.
        head: As `Journal.check` takes it.
    """
    journal = Journal(engine)
    checked = journal.check(head)
    with reading(engine) as connection:
        faults = [*checked.faults, *_guards(connection)]
        roles = _roles(connection)
    if not checked.faults:  # entries that were changed name anything
        faults += Attachments(engine).faults(journal.entries())
        faults += _of_nobody(journal.entries(), roles)
    return replace(checked, faults=tuple(faults))


def _guards(connection: Connection) -> Iterator[str]:
    there = set(connection.execute(text(_TRIGGERS[connection.dialect.name])).scalars())
    for name in sorted(_GUARDS - there):
        yield f"the trigger {name}, which refuses changes, is gone"


def _roles(connection: Connection) -> Mapping[str, str]:
    rows = connection.execute(select(ReaderRow.name, ReaderRow.role))
    return {str(name): str(role) for name, role in rows}


def _of_nobody(entries: Iterable[Entry], roles: Mapping[str, str]) -> Iterator[str]:
    """Yield who cannot have said what they are said to have said: roles never change."""
    found = {}
    for entry in entries:
        role = roles.get(entry.reader)
        if role is None:
            found[entry.reader] = f"entry {entry.seq} is of {entry.reader}, who is no reader"
        elif not _may(role, entry.kind):
            found[entry.reader] = f"entry {entry.seq}: {entry.reader}, now {role}, cannot say that"
    yield from found.values()


def _may(role: str, kind: str) -> bool:
    if kind == Kind.SETTLED:
        return role == Role.ADJUDICATOR
    return role != Role.ADMINISTRATOR or kind not in _BY_READERS
