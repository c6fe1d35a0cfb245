"""What a row of a manifest promises, whatever its image is: checked cell by cell, then together.

The rules are those of the JSON Schema in `columns`. It names what breaks them; that nothing does
is found out first, and many times as fast, so that every manifest is checked where it is read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from calcilens.data_manifests.columns import (
    BOX_COLUMNS,
    COLUMNS,
    NAMES,
    VOTE_COLUMNS,
    Rule,
    json_schema,
)
from calcilens.data_manifests.faults import Fault, near_word
from calcilens.errors import compose

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator, ValidationError

Row = Mapping[str, Any]
_SHOWN = 80
"""Characters of a cell that a message shows."""


def count_readers(row: Row) -> int:
    """Return the number of votes of the most-voted head, else 1."""
    return max([1, *(len(row.get(name) or ()) for name in VOTE_COLUMNS)])


def table_faults(rows: Iterable[Row]) -> Iterator[Fault]:
    """Find what is wrong with rows, each by itself and then with a name that is not its own."""
    kept = list(rows)
    for number, row in enumerate(kept, start=1):
        yield from row_faults(row, number)
    yield from repeats(kept)


def row_faults(row: Row, number: int) -> list[Fault]:
    """Find what is wrong with the values of a row, without looking at its image."""
    return _broken_rules(row, number) or list(_contradictions(row, number))


def repeats(rows: Iterable[Row]) -> Iterator[Fault]:
    """Find rows that have the name of an earlier one."""
    first: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        if first.setdefault(row["row_id"], number) != number:
            message = compose("a name of its own", f"that of row {first[row['row_id']]}")
            yield Fault(number, "row_id", message)


def fits(rule: Rule, value: Any) -> bool:
    """Tell whether a value keeps a rule; never where JSON Schema says that it does not."""
    kinds = _KINDS[rule["type"]]
    if not isinstance(value, kinds) or isinstance(value, bool) != (kinds is bool):
        return False
    return all(_TESTS[word](limit, value) for word, limit in rule.items() if word != "type")


_KINDS: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": int | float,
    "boolean": bool,
    "array": list,
}
_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "enum": lambda words, value: value in words,
    "minimum": lambda least, value: bool(value >= least),
    "exclusiveMinimum": lambda least, value: bool(value > least),
    "minLength": lambda least, value: len(value) >= least,
    "maxLength": lambda most, value: len(value) <= most,
    "minItems": lambda least, value: len(value) >= least,
    "pattern": lambda pattern, value: re.search(pattern, value) is not None,
    "items": lambda rule, value: all(fits(rule, item) for item in value),
}


def _broken_rules(row: Row, number: int) -> list[Fault]:
    known = all(
        column.nullable if row.get(column.name) is None else fits(column.rule, row[column.name])
        for column in COLUMNS
    )
    if known and row.keys() <= set(NAMES):
        return []
    broken = _validator().iter_errors(dict(row))
    found = sorted(broken, key=lambda error: error.validator != "enum")
    errors = {str(error.path[0]) if error.path else "": error for error in reversed(found)}
    return [_fault(errors[name], number) for name in sorted(errors)]


@cache
def _validator() -> Draft202012Validator:
    from jsonschema import Draft202012Validator  # takes long to load, and is seldom needed

    return Draft202012Validator(json_schema())


def _fault(error: ValidationError, number: int) -> Fault:
    column = str(error.path[0]) if error.path else None
    rule: Any = error.validator_value
    found = "an empty cell" if error.instance is None else repr(error.instance)[:_SHOWN]
    fix = None
    if error.validator == "enum":
        words = [str(word) for word in rule if word is not None]
        expected, fix = f"one of {', '.join(words)}", near_word(error.instance, words)
    elif error.validator == "type":
        kinds = [rule] if isinstance(rule, str) else rule
        expected = f"a value of type {next(kind for kind in kinds if kind != 'null')}"
    elif error.validator in _LIMITS:
        expected = f"{_LIMITS[error.validator]} {rule}"
    else:
        expected = _FORMS.get(str(column), f"{error.validator} {rule}")
    return Fault(number, column, compose(expected, found, fix=fix))


_LIMITS = {"minimum": "at least", "exclusiveMinimum": "more than", "minItems": "a length of"}
_UID_FORM = "a UID of digits and dots, at most 64 characters"
_FORMS = {
    "image": "a path below the manifest's root, relative, with '/' between its parts",
    "mask": "a path below the manifest's root, relative, with '/' between its parts",
    "patient_key": "16 hexadecimal digits",
    "sha256": "64 hexadecimal digits",
    "study_uid": _UID_FORM,
    "series_uid": _UID_FORM,
    "sop_uid": _UID_FORM,
    "row_id": "a text",
    "source": "a text",
}


def _contradictions(row: Row, number: int) -> Iterator[Fault]:
    for low, high in zip(BOX_COLUMNS[:3], BOX_COLUMNS[3:], strict=True):
        if row[low] >= row[high]:
            yield Fault(number, high, compose(f"more than {low} = {row[low]}", f"{row[high]}"))
    if row["readers"] != count_readers(row):
        message = compose(f"{count_readers(row)}, as many as votes", f"{row['readers']}")
        yield Fault(number, "readers", message)
    key = row["key_plane"]
    if key is not None and not row["z0"] <= key < row["z1"]:
        found = f"{key}"
        yield Fault(number, "key_plane", compose(f"{row['z0']} to {row['z1'] - 1}", found))
    for name in NAMES:
        if row.get(name) in (math.inf, -math.inf):
            yield Fault(number, name, compose("a finite number", f"{row[name]}"))
