"""The fast check of a report says the same as the one that words faults."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from calcilens.inference.report import to_json
from calcilens.inference.report_schema import fault_of, schema
from tests.inference.reports import report


def places(part: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where every value of JSON stands."""
    yield path
    items = part.items() if isinstance(part, dict) else enumerate(part)
    for key, inner in items if isinstance(part, dict | list) else ():
        yield from places(inner, (*path, key))
