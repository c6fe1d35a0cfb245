"""The fast check of a report says the same as the one that words faults."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from calcilens.inference.report import to_json
from calcilens.inference.report_schema import fault_of, schema
from tests.inference.reports import reported

OTHERS: tuple[Any, ...] = (
    None, True, 0, -1, 2.5, 1e308, 10**30, "", "other", "a\n", "\ud800", [], [None], {}, {"a": 1},
)  # fmt: skip


@cache
def content() -> Any:
    return to_json(reported(), [])


def places(part: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where every value of JSON stands, but the whole."""
    items = part.items() if isinstance(part, dict) else enumerate(part)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, key))


@given(st.data())
def test_both_checks_find_the_same_reports_good(data: st.DataObject) -> None:
    changed = json.loads(json.dumps(content()))
    *path, last = data.draw(st.sampled_from(list(places(changed))))
    inner = changed
    for key in path:
        inner = inner[key]
    if data.draw(st.booleans()):
        inner[last] = copy.deepcopy(data.draw(st.sampled_from(OTHERS)))
    else:
        del inner[last]
    slow = next(iter(Draft202012Validator(schema()).iter_errors(changed)), None)
    found = fault_of(changed)
    assert (found is None) == (slow is None)
    if found is not None and slow is not None:
        assert (found.json_path, found.message) == (slow.json_path, slow.message)


def test_a_good_report_needs_no_slow_check(monkeypatch: pytest.MonkeyPatch) -> None:
    made = content()
    monkeypatch.setattr(Draft202012Validator, "iter_errors", None)
    assert fault_of(made) is None
