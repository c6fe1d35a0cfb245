"""The CSV form of a manifest: the same cells as text, so that people can read and edit it.

The first line is ``# `` and the metadata as JSON. Lists are joined with ``|``, flags are
``true`` and ``false``, an empty cell is empty. Floats are written so that they read back equal.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from calcilens.data_manifests.columns import COLUMNS, NAMES, Column
from calcilens.data_manifests.faults import Fault, check_columns
from calcilens.errors import ManifestError, compose

SEPARATOR = "|"
_FLAGS = {"true": True, "false": False}
_LARGEST = 2**63 - 1


def write_csv(rows: Iterable[Mapping[str, Any]], metadata: dict[str, str], path: Path) -> None:
    """Write plain rows and the metadata."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        stream.write(f"# {json.dumps(metadata)}\n")
        table = csv.writer(stream, lineterminator="\r\n")  # quotes both
        table.writerow(NAMES)
        table.writerows([_to_text(row[name]) for name in NAMES] for row in rows)


def read_csv(path: Path) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """Read the cells by column, and the metadata.

    Raises:
        ManifestError: Naming row and column of the first cell that cannot be read.
    """
    cells, metadata, faults = parse_csv(path)
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise ManifestError(f"{path.name}: {faults[0]}{more}")
    return cells, metadata


def parse_csv(path: Path) -> tuple[dict[str, list[Any]], dict[str, str], list[Fault]]:
    """Read the cells by column, the metadata, and what could not be read (None in its place).

    Raises:
        ManifestError: The file is not text, or its columns are not those of a manifest.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            start = stream.read(1)
            metadata = _metadata(stream.readline(), path) if start == "#" else {}
            stream.seek(0)
            table = list(csv.reader(stream))[1 if start == "#" else 0 :]
    except UnicodeDecodeError as error:
        found, fix = "another encoding", "save it as CSV in UTF-8"
        raise ManifestError(compose("CSV in UTF-8", found, where=path.name, fix=fix)) from error
    except csv.Error as error:
        raise ManifestError(compose("CSV in UTF-8", str(error), where=path.name)) from error
    header, *lines = table or [[]]
    check_columns(header, path.name)
    faults: list[Fault] = []
    cells: dict[str, list[Any]] = {name: [] for name in NAMES}
    for number, line in enumerate((line for line in lines if line), start=1):
        _read_line(dict(zip(header, line, strict=False)), number, cells, faults)
        if len(line) != len(header):
            faults.append(Fault(number, None, compose(f"{len(header)} cells", f"{len(line)}")))
    return cells, metadata, faults


def _metadata(line: str, path: Path) -> dict[str, str]:
    try:
        return {str(key): str(value) for key, value in json.loads(line).items()}
    except (ValueError, AttributeError) as error:
        raise ManifestError(
            compose("metadata as JSON after '#'", "something else", where=f"{path.name}, line 1")
        ) from error


def _read_line(
    line: Mapping[str, str], number: int, cells: dict[str, list[Any]], faults: list[Fault]
) -> None:
    for column in COLUMNS:
        try:
            cells[column.name].append(from_text(column, line.get(column.name, "")))
        except ValueError:
            cells[column.name].append(None)
            message = compose(wanted(column, line[column.name]), repr(line[column.name])[:80])
            faults.append(Fault(number, column.name, message))


def from_text(column: Column, text: str) -> Any:
    """Turn the text of a cell into its value, None where it is empty.

    Raises:
        ValueError: The text is not a value of the column's type.
    """
    if text == "":
        return None
    if column.is_list:
        parse = _parser(column.type.value_type)
        return [parse(part.strip()) for part in text.split(SEPARATOR)]
    return _parser(column.type)(text)


def wanted(column: Column, found: str) -> str:
    """Say what a cell of the column holds, for one in which that was not found."""
    if column.is_list:
        return f"values joined by {SEPARATOR!r}"
    parser = _parser(column.type)
    if parser is _whole:
        large = found.strip().lstrip("+-").isdigit()
        return f"a whole number{' of 64 bits' if large else ''}"
    words: dict[Callable[[str], Any], str] = {_number: "a number", _flag: "true or false"}
    return words.get(parser, "a text")


def _parser(kind: pa.DataType) -> Callable[[str], Any]:
    if pa.types.is_integer(kind):
        return _whole
    if pa.types.is_floating(kind):
        return _number
    return _flag if pa.types.is_boolean(kind) else str


def _whole(text: str) -> int:
    value = int(text)
    if abs(value) > _LARGEST:
        raise ValueError(text)
    return value


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _flag(text: str) -> bool:
    if text.strip().lower() not in _FLAGS:
        raise ValueError(text)
    return _FLAGS[text.strip().lower()]


def _to_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return SEPARATOR.join(_to_text(item) for item in value)
    return repr(value) if isinstance(value, float) else str(value)
