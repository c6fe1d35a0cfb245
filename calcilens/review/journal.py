"""The journal of reviews: entries are added and never changed, and each holds the last one's hash.

So a change to any entry, or the loss of one, shows: `check` finds it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, update

from calcilens.errors import ReviewError, compose
from calcilens.review.database import reading
from calcilens.review.tables import EntryRow, HeadRow

GENESIS = "0" * 64
"""What the first entry has in place of the last one's hash."""
_ENTRIES = EntryRow.__table__
_CHUNK = 1000


@dataclass(frozen=True)
class Draft:
    """What is to be entered.

    Args:
        reader: Who says it, by sign-in name.
        kind: What it is, such as "verdict".
        study_uid: Of which study.
        lesion: Of which lesion; None for the study as a whole.
        body: What is said, as JSON holds it.
    """

    reader: str
    kind: str
    study_uid: str
    lesion: str | None
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Entry(Draft):
    """An entry of the journal.

    Args:
        seq: Its number, from 1.
        time: UTC, ISO 8601.
        previous: Hash of the entry before it.
        hash: Of all the rest.
    """

    seq: int
    time: str
    previous: str
    hash: str


@dataclass(frozen=True)
class Checked:
    """What a check of the journal found.

    Args:
        entries: How many there are.
        head: Hash of the last one.
        faults: What is wrong, one line each; empty where all is as it was entered.
    """

    entries: int
    head: str
    faults: tuple[str, ...]


def hash_of(seq: int, time: str, draft: Draft, previous: str) -> str:
    """Return the hash of an entry: SHA-256 of its fields as JSON without spaces, in this order."""
    fields = [
        seq, time, draft.reader, draft.kind, draft.study_uid, draft.lesion,
        canonical(draft.body), previous,
    ]  # fmt: skip
    return hashlib.sha256(canonical(fields).encode()).hexdigest()


def canonical(value: Any) -> str:
    """Return JSON that is the same for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


class Journal:
    """Entries in a database.

    Args:
        engine: As `calcilens.review.database.opened` gives it.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def append(self, draft: Draft, *, unless: Callable[[Connection], None] | None = None) -> Entry:
        """Enter something; when this returns, it is on disk for good.

        Args:
            draft: What to enter.
            unless: Is asked within the same transaction, and raises where it must not be.
        """
        with self._engine.begin() as connection:
            query = select(HeadRow.count, HeadRow.hash).with_for_update()
            count, last = connection.execute(query).one()
            if unless is not None:
                unless(connection)
            seq, time = count + 1, datetime.now(UTC).isoformat(timespec="milliseconds")
            entry = Entry(
                draft.reader, draft.kind, draft.study_uid, draft.lesion, dict(draft.body),
                seq, time, last, hash_of(seq, time, draft, last),
            )  # fmt: skip
            connection.execute(insert(EntryRow).values(_row(entry)))
            connection.execute(update(HeadRow).values(count=seq, hash=entry.hash))
        return entry

    def entries(
        self,
        study_uid: str | None = None,
        after: int = 0,
        connection: Connection | None = None,
    ) -> Iterator[Entry]:
        """Return the entries in their order.

        Args:
            study_uid: Those of one study; None for all.
            after: Those with a higher number.
            connection: Of a transaction that has begun; by default one of its own.
        """
        query = select(_ENTRIES).where(_ENTRIES.c.seq > after).order_by(_ENTRIES.c.seq)
        if study_uid is not None:
            query = query.where(_ENTRIES.c.study_uid == study_uid)
        with nullcontext(connection) if connection else reading(self._engine) as used:
            for row in used.execute(query.execution_options(yield_per=_CHUNK)):
                yield _entry(row)

    def check(self, head: str | None = None) -> Checked:
        """Look for any change since the entries were made.

        Args:
            head: Hash that an entry must have: one that was noted down elsewhere. It shows that
                nothing was taken off the end before it.
        """
        faults: list[str] = []
        count, last, seen = 0, GENESIS, head is None
        for entry in self._readable(faults):
            count += 1
            faults += _faults(entry, count, last)
            last, seen = entry.hash, seen or entry.hash == head
        with reading(self._engine) as connection:
            rows = connection.execute(select(HeadRow.count, HeadRow.hash)).all()
        if [tuple(row) for row in rows] != [(count, last)]:
            faults.append(
                f"the journal ends with entry {count}, which is not the one noted as last"
            )
        if not seen:
            faults.append(f"no entry has the hash {head}")
        return Checked(count, last, tuple(faults))

    def _readable(self, faults: list[str]) -> Iterator[Entry]:
        """Return entries; one that no program of ours wrote is a fault, and the rest goes on."""
        query = select(_ENTRIES).order_by(_ENTRIES.c.seq)
        with reading(self._engine) as connection:
            for row in connection.execute(query.execution_options(yield_per=_CHUNK)):
                try:
                    yield _as_written(row)
                except ReviewError as error:
                    faults.append(str(error))


def _faults(entry: Entry, number: int, last: str) -> list[str]:
    found = []
    if entry.seq != number:
        found.append(f"entry {number} is missing: the next one is {entry.seq}")
    if entry.previous != last:
        found.append(f"entry {entry.seq} does not follow the one before it")
    if entry.hash != hash_of(entry.seq, entry.time, entry, entry.previous):
        found.append(f"entry {entry.seq} was changed")
    return found


def _row(entry: Entry) -> dict[str, Any]:
    return {**vars(entry), "body": canonical(entry.body)}


def _as_written(row: Any) -> Entry:
    """Return an entry that is stored as `append` stores it, letter by letter.

    Raises:
        ReviewError: It is not: other spaces, a key twice, bytes in place of text.
    """
    where, fields = f"entry {row.seq}", dict(row._mapping)
    texts = [value for name, value in fields.items() if name not in ("seq", "lesion")]
    if not all(isinstance(value, str) for value in texts):
        raise ReviewError(compose("text in every field", "something else", where=where))
    entry = _entry(row)
    try:
        same = canonical(entry.body) == row.body and isinstance(entry.body, dict)
    except ValueError:  # numbers that JSON does not have
        same = False
    if not same:
        raise ReviewError(compose("JSON as it was entered", "other text", where=where))
    return entry


def _entry(row: Any) -> Entry:
    values = dict(row._mapping)
    try:
        body = json.loads(values.pop("body"))
    except (ValueError, TypeError, RecursionError) as error:
        where = f"entry {values['seq']}"
        raise ReviewError(compose("JSON", "text that is none", where=where)) from error
    return Entry(**values, body=body)
