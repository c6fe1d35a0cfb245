"""An order as text that fits on a page, and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from calcilens.guidance.evaluate import Statement
from calcilens.guidance.order import NOTICE, PARTS, SCOPE, Order, documents, said
from calcilens.guidance.rulebook import Rule
from calcilens.guidance.terms import data
from calcilens.vocabulary import Code

BABY_YEARS = 2
"""Below this an age is given in days."""
_WIDTH = 100
HEADINGS = {
    "protocol": "Please do",
    "questions": "Please answer",
    "reasons": "Why",
    "missing": "Not known here: questions to the referrer",
    "notes": "Please note",
}


def text(order: Order) -> str:
    """Return the order as lines of at most 100 characters."""
    return "\n".join(_lines(order)) + "\n"


def patient(order: Order) -> str:
    """Return age and sex in words; the name is for the system that sends the order."""
    return f"{_age(order.age)}, {order.sex or 'sex not known'}"


def _age(years: float | None) -> str:
    if years is None:
        return "age not known"
    return f"{int(years)} years" if years >= BABY_YEARS else f"{int(years * 365.25)} days"


def told(order: Order) -> list[str]:
    """Return a line for each heading of what is known, with the concerning features first."""
    lines = [f"{head}: {'; '.join(words)}" for head, words in order.told]
    features = "; ".join(map(_feature, order.concern))
    return ([f"Concerning: {features}"] if features else []) + lines


def _feature(statement: Statement) -> str:
    because = "; ".join(f"{f.words}, {f.origin.value}" for f in statement.because)
    return f"{statement.rule.say} [{', '.join(documents(statement.rule))}] ({because})"


def _lines(order: Order) -> Iterator[str]:
    yield from _wrapped([NOTICE], "")
    yield from ("", order.title.upper())
    yield f"Side and region: {order.place or 'not settled'}"
    yield f"Patient: {patient(order)}; name and number: ____________________"
    yield from ("", "What is known")
    yield from _wrapped(told(order) or ["Nothing was stated."], "  - ")
    for part, heading in HEADINGS.items():
        rules: tuple[Rule, ...] = getattr(order, part)
        if rules:
            yield from ("", heading)
            yield from _wrapped(said(rules), "  - ")
    yield ""
    yield from _wrapped([SCOPE], "")
    known = data("sources")
    for key in sorted({source.document for source in order.sources()}):
        yield from _wrapped([f"[{key}] {known[key]['by']}. {known[key]['title']}"], "")


def _wrapped(lines: Iterable[str], mark: str) -> Iterator[str]:
    for line in lines:
        indent = " " * len(mark)
        yield from textwrap.wrap(line, _WIDTH, initial_indent=mark, subsequent_indent=indent)


def to_json(order: Order) -> dict[str, Any]:
    """Return all that an order says, each statement with its sources."""
    return {
        "notice": NOTICE,
        "kind": order.kind,
        "title": order.title,
        "modality": order.modality,
        "codes": {
            name: _code(getattr(order, name))
            for name in ("procedure", "protocol_code", "region", "side")
        },
        "age": order.age,
        "sex": order.sex,
        "told": [{"head": head, "facts": list(words)} for head, words in order.told],
        "concern": [
            _rule(s.rule) | {"because": [f.words for f in s.because]} for s in order.concern
        ],
        **{part: [_rule(rule) for rule in getattr(order, part)] for part in PARTS},
        "scope": SCOPE,
    }


def _rule(rule: Rule) -> dict[str, Any]:
    cited = [f"{source.document}: {source.section}" for source in rule.sources]
    return {"rule": rule.id, "say": rule.say, "sources": cited}


def _code(code: Code | None) -> dict[str, str] | None:
    if code is None:
        return None
    return {"value": code.value, "scheme": code.scheme, "meaning": code.meaning}
