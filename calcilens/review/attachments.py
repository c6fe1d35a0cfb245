"""What entries of the journal name by hash: reports as they were read, masks that were drawn.

The hash stands in the journal, so a change to what it names shows too.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import IntegrityError

from calcilens.errors import NotThere, compose
from calcilens.review.database import reading
from calcilens.review.journal import Entry
from calcilens.review.tables import AttachmentRow

_LEVEL = 6
_MOST_BYTES = 128 * 2**20
"""Of a content: twice the largest report. What was changed may claim to be any size."""


class Attachments:
    """Contents by their SHA-256.

    Args:
        engine: As `calcilens.review.database.opened` gives it.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def put(self, content: bytes) -> str:
        """Keep a content for good; return its name."""
        name = hashlib.sha256(content).hexdigest()
        if self.has(name):
            return name
        row = {"sha256": name, "content": zlib.compress(content, _LEVEL)}
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(AttachmentRow).values(**row))
        except IntegrityError:  # another one has put the same meanwhile
            if not self.has(name):
                raise
        return name

    def has(self, name: str) -> bool:
        """Tell whether there is such a content."""
        query = select(AttachmentRow.sha256).where(AttachmentRow.sha256 == name)
        with reading(self._engine) as connection:
            return connection.execute(query).first() is not None

    def get(self, name: str) -> bytes:
        """Return a content.

        Raises:
            NotThere: There is none of that name, or it is not what was kept.
        """
        query = select(AttachmentRow.content).where(AttachmentRow.sha256 == name)
        with reading(self._engine) as connection:
            row = connection.execute(query).first()
        content = None if row is None else _whole(row.content, name)
        if content is None:
            found = "none" if row is None else "another content"
            raise NotThere(compose("an attachment of this hash", found, where=name[:64]))
        return content

    def faults(self, entries: Iterable[Entry]) -> Iterator[str]:
        """Yield what entries name and is not there as it was kept, one line each."""
        fine: set[str] = set()
        for entry in entries:
            for name in sorted(_named(entry) - fine):
                try:
                    self.get(name)
                    fine.add(name)
                except NotThere as error:
                    yield f"entry {entry.seq} names what is not there: {error}"


def _whole(content: Any, name: str) -> bytes | None:
    try:
        found = zlib.decompressobj().decompress(content, _MOST_BYTES)
    except (zlib.error, TypeError):  # SQLite holds anything in any column
        return None
    return found if hashlib.sha256(found).hexdigest() == name else None


def _named(entry: Entry) -> set[str]:
    answer = entry.body.get("answer") or {}
    return {str(name) for name in (entry.body.get("report"), answer.get("mask")) if name}
