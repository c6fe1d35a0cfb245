"""Conditions as clauses: the fewest facts that make one true, whatever else is known.

An independent reading of the conditions: it holds derived facts against what they follow from, so
that two rules can be compared down to what a case states.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise, product

from calcilens.guidance.conditions import Condition, Every, Not, Some, Test, Unknown
from calcilens.guidance.rulebook import Rule, rulebook
from calcilens.guidance.terms import Term

Clause = dict[str, frozenset[str | float | None]]
"""Values that each term may take; None: not known."""


def clauses(node: Condition) -> list[Clause]:
    """Return every clause of which one has to hold; none where the condition never can."""
    if isinstance(node, Every):
        return _joined([clauses(part) for part in node.parts])
    if isinstance(node, Some):
        return [clause for part in node.parts for clause in clauses(part)]
    if isinstance(node, Not):
        return _refuted(node.part)
    if isinstance(node, Unknown):
        return [{node.term.name: frozenset({None})}]
    return _tested(node)


def _tested(test: Test) -> list[Clause]:
    behind = _derived().get(test.term.name)
    if behind is None:
        return _clause(test.term, {v for v in values(test.term) if _passes(test, v)})
    held = clauses(behind.when) if "true" in test.allowed else []
    return held + (_refuted(behind.when) if "false" in test.allowed else [])


def _refuted(node: Condition) -> list[Clause]:
    """Return the clauses under which a condition is false, and not merely unknown."""
    if isinstance(node, Every):
        return [clause for part in node.parts for clause in _refuted(part)]
    if isinstance(node, Some):
        return _joined([_refuted(part) for part in node.parts])
    if isinstance(node, Not):
        return clauses(node.part)
    if isinstance(node, Unknown):
        return _clause(node.term, set(values(node.term)))
    behind = _derived().get(node.term.name)
    if behind is None:
        return _clause(node.term, {v for v in values(node.term) if not _passes(node, v)})
    held = _refuted(behind.when) if "true" in node.allowed else []
    return held + (clauses(behind.when) if "false" in node.allowed else [])


def _clause(term: Term, allowed: Iterable[str | float]) -> list[Clause]:
    found: frozenset[str | float | None] = frozenset(allowed)
    return [{term.name: found}] if found else []


def _passes(test: Test, value: str | float) -> bool:
    if isinstance(value, str):
        return value in test.allowed
    above, below = test.above, test.below
    if test.closed:
        return (above is None or value >= above) and (below is None or value <= below)
    return (above is None or value > above) and (below is None or value < below)


def _joined(parts: Iterable[list[Clause]]) -> list[Clause]:
    found = []
    for chosen in product(*parts):
        clause: Clause = {}
        for part in chosen:
            for term, allowed in part.items():
                clause[term] = clause.get(term, allowed) & allowed
        if all(clause.values()):
            found.append(clause)
    return found


def branches(node: Condition) -> Iterator[Condition]:
    """Return a condition and every condition in it."""
    yield node
    if isinstance(node, Every | Some):
        for part in node.parts:
            yield from branches(part)
    elif isinstance(node, Not):
        yield from branches(node.part)


@cache
def _derived() -> dict[str, Rule]:
    return {rule.id: rule for rule in rulebook().derived}


@cache
def values(term: Term) -> tuple[str | float, ...]:
    """Return what a term may be; of a number, one for every stretch that rules tell apart."""
    if term.values:
        return term.values
    ends = {term.least, term.most} | set(_bounds().get(term.name, ()))
    inner = [(low + high) / 2 for low, high in pairwise(sorted(ends))]
    return tuple(sorted({*ends, *inner}))


@cache
def _bounds() -> dict[str, set[float]]:
    found: dict[str, set[float]] = {}
    rules = (*rulebook().rules(), *rulebook().derived)
    for node in (n for rule in rules for n in branches(rule.when)):
        if isinstance(node, Test):
            bounds = {b for b in (node.above, node.below) if b is not None}
            found.setdefault(node.term.name, set()).update(bounds)
    return found
