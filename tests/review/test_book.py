"""The journal in memory is the journal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from calcilens.review.book import Book
from calcilens.review.database import opened
from calcilens.review.journal import Draft, Entry, Journal


def test_a_reading_that_breaks_off_loses_no_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path / "r.sqlite") as engine:
        journal = Journal(engine)
        made = [journal.append(Draft("ada", "k", "1.2", None, {"n": n})) for n in range(4)]
        book, whole = Book(journal), journal.entries

        def broken(*args: Any, **more: Any) -> Iterator[Entry]:
            for number, entry in enumerate(whole(*args, **more)):
                if number == 2:
                    raise OSError("the disk went away")
                yield entry

        monkeypatch.setattr(journal, "entries", broken)
        with pytest.raises(OSError, match="the disk went away"):
            book.of("1.2")
        monkeypatch.undo()
        assert book.of("1.2") == tuple(made)
