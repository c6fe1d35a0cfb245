"""What readers are called in an export."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from calcilens.review.journal import Entry


def names(entries: Iterable[Entry], *, pseudonyms: bool) -> Mapping[str, str]:
    """Return what each reader is called: the sign-in name, or reader-1, reader-2 by first entry.

    Args:
        entries: In their order.
        pseudonyms: Whether names are to stay here.
    """
    known = dict.fromkeys(entry.reader for entry in entries)
    if not pseudonyms:
        return {name: name for name in known}
    return {name: f"reader-{number}" for number, name in enumerate(known, 1)}
