"""Conditions follow Kleene's logic: what is not known stays so until facts settle it."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcilens.guidance.conditions import Condition, Verdict, parse
from calcilens.guidance.facts import Fact, Facts, Origin, Span, Value, flag
from calcilens.guidance.terms import Term

TERMS = {
    "a.flag": Term("a.flag", "flag", ("true", "false")),
    "a.other": Term("a.other", "other", ("true", "false")),
    "a.choice": Term("a.choice", "choice", ("red", "green", "blue")),
    "a.size": Term("a.size", "size", unit="mm", most=100),
}
POSSIBLE: dict[str, tuple[Any, ...]] = {
    "a.flag": ("true", "false"),
    "a.other": ("true", "false"),
    "a.choice": ("red", "green", "blue"),
    "a.size": (0, 5, 10, 15, 20),
}


def known(**values: Value) -> Facts:
    return Facts(Fact(f"a.{name}", value, Origin.REPORTED, name) for name, value in values.items())


def read(node: Any) -> Condition:
    return parse(node, TERMS)


def atoms() -> st.SearchStrategy[Any]:
    bounds = st.sampled_from(["above", "below", "at_least", "at_most"])
    sizes = st.builds(
        lambda bound, at: {"a.size": {bound: at}}, bounds, st.sampled_from([0, 5, 10, 15])
    )
    colours = st.lists(st.sampled_from(POSSIBLE["a.choice"]), min_size=1, max_size=2)
    return (
        st.builds(lambda value: {"a.flag": value}, st.booleans())
        | st.builds(lambda value: {"a.other": value}, st.booleans())
        | st.builds(lambda value: {"a.choice": value}, colours)
        | sizes
    )


def conditions() -> st.SearchStrategy[Any]:
    keys = st.sampled_from(["all", "any", "none"])
    return st.recursive(
        atoms(),
        lambda inner: st.builds(
            lambda key, parts: {key: parts}, keys, st.lists(inner, min_size=1, max_size=3)
        ),
        max_leaves=6,
    )


def worlds() -> st.SearchStrategy[dict[str, Any]]:
    """One value for every term: a world in which nothing is unknown."""
    return st.fixed_dictionaries({k: st.sampled_from(v) for k, v in POSSIBLE.items()})


def in_world(world: dict[str, Any]) -> Facts:
    return Facts(
        Fact(k, Span(v, v) if isinstance(v, int) else frozenset({v}), Origin.REPORTED, k)
        for k, v in world.items()
    )


def plainly(node: Any, world: dict[str, Any]) -> bool:
    """What a condition comes to where everything is known, written out anew."""
    results = []
    for key, value in node.items():
        if key in ("all", "any", "none"):
            inner = [plainly(one, world) for one in value]
            results.append({"all": all(inner), "any": any(inner), "none": not any(inner)}[key])
        elif isinstance(value, dict):
            ((bound, at),) = value.items()
            number = world[key]
            tests = {"above": number > at, "below": number < at}
            results.append({**tests, "at_least": number >= at, "at_most": number <= at}[bound])
        else:
            wanted = value if isinstance(value, list) else [str(value).lower()]
            results.append(world[key] in wanted)
    return all(results)


@given(conditions(), worlds())
def test_where_everything_is_known_it_is_ordinary_logic(node: Any, world: dict[str, Any]) -> None:
    judged = read(node).judge(in_world(world))
    assert judged.verdict is plainly(node, world)
    assert judged.unknown == ()


@given(conditions(), worlds(), st.sets(st.sampled_from(sorted(POSSIBLE))))
def test_a_verdict_on_part_of_the_facts_holds_in_every_world_with_them(
    node: Any, world: dict[str, Any], hidden: set[str]
) -> None:
    facts = in_world({k: v for k, v in world.items() if k not in hidden})
    judged = read(node).judge(facts)
    filled = (
        dict(zip(sorted(hidden), v, strict=True))
        for v in product(*(POSSIBLE[k] for k in sorted(hidden)))
    )
    truths = {plainly(node, {**world, **rest}) for rest in filled}
    if judged.verdict is None:
        assert set(judged.unknown) <= hidden
        assert judged.unknown
    else:
        assert truths == {judged.verdict}


@pytest.mark.parametrize(
    ("value", "test", "verdict"),
    [
        (frozenset({"red"}), ["red", "blue"], True),
        (frozenset({"green"}), ["red"], False),
        (frozenset({"red", "green"}), "red", None),
        (frozenset({"red", "green"}), "blue", False),
        (frozenset({"red", "blue"}), ["red", "blue"], True),
        (Span(10, 20), {"above": 5}, True),
        (Span(10, 20), {"above": 10}, None),
        (Span(10, 20), {"at_least": 10}, True),
        (Span(10, 20), {"above": 20}, False),
        (Span(10, 20), {"at_most": 15}, None),
        (Span(0, 100), {"above": 40, "below": 60}, None),
        (Span(0, 30), {"above": 40, "below": 60}, False),
        (Span(45, 55), {"above": 40, "below": 60}, True),
    ],
)
def test_a_fact_that_is_not_narrowed_down_gives_no_verdict(
    value: Value, test: Any, verdict: Verdict
) -> None:
    name = "size" if isinstance(value, Span) else "choice"
    assert read({f"a.{name}": test}).judge(known(**{name: value})).verdict is verdict


@given(conditions(), worlds(), worlds())
def test_a_further_fact_never_takes_a_verdict_from_a_condition_without_none(
    node: Any, world: dict[str, Any], other: dict[str, Any]
) -> None:
    if "'none'" in str(node) or read(node).judge(in_world(world)).verdict is not True:
        return
    assert read(node).judge(in_world(world) + in_world(other)).verdict is True


def test_unknown_is_true_until_one_fact_settles_the_term() -> None:
    asked = read({"unknown": ["a.choice", "a.flag"]})
    assert asked.judge(Facts()).verdict is True
    assert asked.judge(known(choice=frozenset({"red"}))).verdict is True
    unsettled = known(choice=frozenset({"red", "blue"}), flag=flag(True))
    assert asked.judge(unsettled).verdict is True
    assert asked.judge(known(choice=frozenset({"red"}), flag=flag(False))).verdict is False


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"a.nothing": True}, "expected a term of terms.yaml"),
        ({"a.choice": "purple"}, "expected red, green, blue"),
        ({"a.size": 5}, "expected a bound"),
        ({"a.size": {"over": 5}}, "expected bounds"),
        ({"a.size": {"above": 5, "at_most": 9}}, "both bounds included or both not"),
        ({"a.flag": {"above": 5}}, "expected bounds"),
        ({"all": []}, "expected a list under 'all'"),
        ({"unknown": "a.flag"}, "expected a list under 'unknown'"),
        ({}, "expected a mapping of terms"),
        (["a.flag"], "expected a mapping of terms"),
    ],
)
def test_a_condition_that_means_nothing_is_refused(node: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(node)
