"""Conditions of rules: true, false or not known, after Kleene's strong logic of three values.

What is not known stays so: it is neither true nor false, and never counts as normal. Facts may
disagree: a test is true if any fact makes it true. So a further fact never turns a true condition
without `none` into another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calcilens.errors import RuleError
from calcilens.guidance.facts import Choices, Fact, Facts, Span
from calcilens.guidance.terms import Term

Verdict = bool | None
"""True, False, or None: not known."""
_BOUNDS = ("above", "at_least", "below", "at_most")


@dataclass(frozen=True)
class Judged:
    """What a condition comes to.

    Args:
        verdict: True, False or None.
        because: Facts that it rests on.
        unknown: Terms that would have to be known to say more; empty where it is settled.
    """

    verdict: Verdict
    because: tuple[Fact, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Test:
    """One term held against what it should be.

    Args:
        term: The term.
        allowed: Values of a choice that pass.
        above: A number has to be larger; `below`: smaller.
        closed: Whether the bounds themselves pass.
    """

    __test__ = False  # pytest would collect it

    term: Term
    allowed: Choices = frozenset()
    above: float | None = None
    below: float | None = None
    closed: bool = False

    def judge(self, facts: Facts) -> Judged:
        """Return the verdict on what is known."""
        held = [(fact, self._holds(fact)) for fact in facts.of(self.term.name)]
        for wanted in (True, None, False):
            because = tuple(fact for fact, verdict in held if verdict is wanted)
            if because:
                return Judged(wanted, because, (self.term.name,) if wanted is None else ())
        return Judged(None, (), (self.term.name,))

    def _holds(self, fact: Fact) -> Verdict:
        if isinstance(fact.value, Span):
            ends = [self._passes(fact.value.low), self._passes(fact.value.high)]
            # Between two ends outside of a bound on either side there may be numbers inside.
            crosses = not any(ends) and self._straddles(fact.value)
            return all(ends) if all(ends) or not (any(ends) or crosses) else None
        inside = fact.value & self.allowed
        return True if inside == fact.value else (None if inside else False)

    def _passes(self, number: float) -> bool:
        if self.above is not None and not self._beyond(number - self.above):
            return False
        return self.below is None or self._beyond(self.below - number)

    def _beyond(self, difference: float) -> bool:
        return difference >= 0 if self.closed else difference > 0

    def _straddles(self, span: Span) -> bool:
        above, below = self.above, self.below
        return above is not None and below is not None and span.low <= above and span.high >= below

    def terms(self) -> Iterator[Term]:
        """Return its term."""
        yield self.term


@dataclass(frozen=True)
class Every:
    """True if every part is."""

    parts: tuple[Condition, ...]

    def judge(self, facts: Facts) -> Judged:
        """Return the verdict on what is known."""
        judged = [part.judge(facts) for part in self.parts]
        failed = [j for j in judged if j.verdict is False]
        if failed:
            return _merged(False, failed)
        open_ones = [j for j in judged if j.verdict is None]
        return _merged(None if open_ones else True, judged)

    def terms(self) -> Iterator[Term]:
        """Return every term in it."""
        return (term for part in self.parts for term in part.terms())


@dataclass(frozen=True)
class Some:
    """True if any part is."""

    parts: tuple[Condition, ...]

    def judge(self, facts: Facts) -> Judged:
        """Return the verdict on what is known."""
        judged = [part.judge(facts) for part in self.parts]
        for verdict in (True, None):
            found = [j for j in judged if j.verdict is verdict]
            if found:
                return _merged(verdict, found)
        return _merged(False, judged)

    def terms(self) -> Iterator[Term]:
        """Return every term in it."""
        return (term for part in self.parts for term in part.terms())


@dataclass(frozen=True)
class Not:
    """True if its part is false."""

    part: Condition

    def judge(self, facts: Facts) -> Judged:
        """Return the verdict on what is known."""
        found = self.part.judge(facts)
        verdict = None if found.verdict is None else not found.verdict
        return Judged(verdict, found.because, found.unknown)

    def terms(self) -> Iterator[Term]:
        """Return every term in it."""
        return self.part.terms()


@dataclass(frozen=True)
class Unknown:
    """True if a term is not narrowed down to one value; never itself unknown."""

    term: Term

    def judge(self, facts: Facts) -> Judged:
        """Return whether nothing settles the term."""
        settled = [
            f for f in facts.of(self.term.name) if isinstance(f.value, Span) or len(f.value) == 1
        ]
        return Judged(not settled, tuple(settled))

    def terms(self) -> Iterator[Term]:
        """Return its term."""
        yield self.term


Condition = Test | Every | Some | Not | Unknown
ALWAYS = Every(())


def _merged(verdict: Verdict, parts: Sequence[Judged]) -> Judged:
    because = dict.fromkeys(fact for part in parts for fact in part.because)
    unknown = dict.fromkeys(term for part in parts for term in part.unknown)
    return Judged(verdict, tuple(because), tuple(unknown) if verdict is None else ())


def parse(node: Any, terms: Mapping[str, Term]) -> Condition:
    """Read a condition as YAML holds it.

    A mapping of terms holds when every one does: ``{lesion.depth: deep, symptoms.pain: true}``.
    ``all``, ``any`` and ``none`` take a list of conditions, ``unknown`` a list of terms, of which
    one has to be unknown.

    Raises:
        RuleError: A term, a value or the form is not known.
    """
    if not isinstance(node, Mapping) or not node:
        raise RuleError(f"expected a mapping of terms, found {node!r}")
    parts = [_part(key, value, terms) for key, value in node.items()]
    return parts[0] if len(parts) == 1 else Every(tuple(parts))


def _part(key: str, value: Any, terms: Mapping[str, Term]) -> Condition:
    if key == "unknown":
        return Some(tuple(Unknown(_term(name, terms)) for name in _list(key, value)))
    if key in ("all", "any", "none"):
        parts = tuple(parse(node, terms) for node in _list(key, value))
        if key == "all":
            return Every(parts)
        return Some(parts) if key == "any" else Not(Some(parts))
    return _test(_term(key, terms), value)


def _list(key: str, value: Any) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise RuleError(f"expected a list under {key!r}, found {value!r}")
    return value


def _term(name: str, terms: Mapping[str, Term]) -> Term:
    if name not in terms:
        raise RuleError(f"expected a term of terms.yaml or derived.yaml, found {name!r}")
    return terms[name]


def _test(term: Term, value: Any) -> Test:
    if isinstance(value, Mapping):
        return _bounded(term, value)
    listed = value if isinstance(value, list) else [value]
    values = {str(v).lower() if isinstance(v, bool) else str(v) for v in listed}
    if not term.values or not values <= set(term.values):
        expected = ", ".join(term.values) or "a bound such as {above: 50}"
        raise RuleError(f"{term.name}: expected {expected}, found {value!r}")
    return Test(term, frozenset(values))


def _bounded(term: Term, value: Mapping[str, Any]) -> Test:
    wrong = [k for k, v in value.items() if k not in _BOUNDS or not isinstance(v, int | float)]
    if term.values or wrong or not value:
        raise RuleError(f"{term.name}: expected bounds {', '.join(_BOUNDS)}, found {dict(value)!r}")
    closed = {key.startswith("at_") for key in value}
    if len(closed) > 1:
        raise RuleError(f"{term.name}: expected both bounds included or both not, found {value!r}")
    above = value.get("above", value.get("at_least"))
    below = value.get("below", value.get("at_most"))
    return Test(term, above=above, below=below, closed=closed.pop())
