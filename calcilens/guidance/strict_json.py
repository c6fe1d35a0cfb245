"""JSON in which every field stands once and every number is finite.

JSON itself lets the last of two equal fields win, which would take back a concerning feature
without a word, and Python reads 1e400 as infinity.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any

from calcilens.errors import CaseError, compose

_MOST_DIGITS = 300
_PLAIN = re.compile(r"\w{1,40}")


def loads(text: str) -> Any:
    """Return what JSON holds.

    Raises:
        CaseError: A field stands twice in one object; it is named.
        ValueError: It is no JSON, or a number is none or too large.
    """
    return json.loads(
        text,
        parse_constant=_no_number,
        parse_float=_finite,
        parse_int=_whole,
        object_pairs_hook=_once,
    )


def _no_number(name: str) -> float:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _whole(text: str) -> float:
    return int(text) if len(text) <= _MOST_DIGITS else _no_number(text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        said = repr(twice) if _PLAIN.fullmatch(twice) else "one of them"
        raise CaseError(compose("every field once", f"{said} more than once"))
    return found
