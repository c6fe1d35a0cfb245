"""Files of a case, and what several of them say together."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from calcilens.errors import CaseError, compose
from calcilens.guidance.strict_json import loads

_MOST_BYTES = 10_000_000
_NOT_COMPARED = ("schema_version", "title")


class Told(NamedTuple):
    """What one file tells.

    Args:
        where: What errors call it.
        content: As JSON holds it: a case of ours, or FHIR resources.
    """

    where: str
    content: Any


def read_files(paths: Sequence[Path]) -> list[Told]:
    """Return what JSON files hold, unchecked.

    Raises:
        CaseError: One cannot be read.
    """
    return [Told(path.name, _read(path)) for path in paths]


def _read(path: Path) -> Any:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise CaseError(compose("a case of at most 10 MB", "a larger file"))
        return loads(path.read_text("utf-8-sig"))
    except CaseError as error:
        raise CaseError(f"{path.name}: {error}") from error
    except json.JSONDecodeError as error:
        found = f"a mistake in line {error.lineno}, column {error.colno}: {error.msg}"
        raise CaseError(compose("a JSON file", found, where=path.name)) from error
    except (ValueError, RecursionError) as error:
        raise CaseError(compose("a JSON file", "text that is none", where=path.name)) from error
    except OSError as error:
        found = error.strerror or "an error of the system"
        raise CaseError(compose("a file that can be read", found, where=path.name)) from error


def merged(files: Sequence[Told]) -> dict[str, Any]:
    """Return one case of ours from several, field by field.

    Args:
        files: Cases of ours that have passed the schema.

    Raises:
        CaseError: Two files state a field differently; it is named, with both.
    """
    found: dict[tuple[str, ...], tuple[str, Any]] = {}
    for where, content in files:
        for field, value in _fields(content):
            before, known = found.get(field, (where, value))
            found[field] = (before, _agreed(known, value, field, f"{before}, {where}"))
    case: dict[str, Any] = {}
    for (*sections, word), (_, value) in found.items():
        part = case
        for section in sections:
            part = part.setdefault(section, {})
        part[word] = value
    return case


def _fields(content: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Return each field that is stated: section and word, and its value."""
    for name, part in content.items():
        if not isinstance(part, Mapping):
            yield (name,), part
            continue
        yield from (((name, word), value) for word, value in part.items() if value is not None)


def _agreed(known: Any, value: Any, field: tuple[str, ...], where: str) -> Any:
    """Return the value that two files state; of a flag, the one with its date."""
    if field[0] in _NOT_COMPARED or known == value:
        return known
    first, second = _dated(known), _dated(value)
    if first and second and first[0] is second[0] and None in (first[1], second[1]):
        return known if first[1] else value
    raise CaseError(
        compose("the same in both", "two values", where=f"{where}: {'.'.join(field)}",
                fix="correct or remove one of them")
    )  # fmt: skip


def _dated(value: Any) -> tuple[bool, str | None] | None:
    """Return whether a flag is present, and since when; None for what is no flag."""
    if isinstance(value, bool):
        return value, None
    if isinstance(value, Mapping) and "present" in value:
        return value["present"], value.get("since")
    return None
