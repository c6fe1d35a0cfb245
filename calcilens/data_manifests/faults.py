"""What is wrong with a table, said by row and column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any

from calcilens.data_manifests.columns import NAMES, NEEDED
from calcilens.errors import ManifestError, compose


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    Args:
        row: Number of the row, from 1 below the heading; None when it is about the table.
        column: Name of the column; None when it is about the row or the table.
        message: What was expected, what was found, what to do.
    """

    row: int | None
    column: str | None
    message: str

    def __str__(self) -> str:
        places = (
            f"row {self.row}" if self.row is not None else None,
            f"column {self.column}" if self.column is not None else None,
        )
        where = ", ".join(place for place in places if place)
        return f"{where}: {self.message}" if where else self.message

    def to_dict(self) -> dict[str, Any]:
        """Return the fault as plain data."""
        return asdict(self)


def near_word(word: object, words: Sequence[str]) -> str | None:
    """Suggest the word that was probably meant."""
    near = get_close_matches(str(word).lower(), words, n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else None


def check_columns(found: Iterable[str], where: str, needed: Sequence[str] = NEEDED) -> None:
    """Refuse a table that lacks a column of a manifest, or has one that no manifest has.

    Raises:
        ManifestError: Naming the first such column and, where there is one, the near word.
    """
    columns = list(found)
    unknown = [name for name in columns if name not in NAMES]
    if unknown:
        fix = near_word(unknown[0], NAMES) or "remove that column"
        message = compose("only columns of a manifest", repr(unknown[0]), where=where, fix=fix)
        raise ManifestError(message)
    missing = [name for name in needed if name not in columns]
    if missing:
        raise ManifestError(
            compose("all columns of a manifest", f"no {', '.join(missing)}", where=where)
        )
