"""What is known of a patient and a lesion: facts with their origin, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Origin(StrEnum):
    """Where a fact comes from."""

    MEASURED = "measured"
    PREDICTED = "predicted"
    REPORTED = "reported"
    DERIVED = "derived"


@dataclass(frozen=True)
class Span:
    """A number that is known to lie between two ends, both included."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.high:  # also where one is not a number
            raise ValueError(f"expected low <= high, found {self.low} and {self.high}")


Choices = frozenset[str]
"""What a choice may be: one value where it is known, several where it is not narrowed down."""
TRUE: Choices = frozenset({"true"})
FALSE: Choices = frozenset({"false"})
Value = Choices | Span


def flag(is_so: bool) -> Choices:
    """Return the value of a flag."""
    return TRUE if is_so else FALSE


@dataclass(frozen=True)
class Fact:
    """One statement on one term.

    Args:
        term: As rules name it, ``section.word``.
        value: Choices that remain, or the span of a number.
        origin: Measured by the program, predicted by a network, reported in the case, or derived.
        words: The statement for a reader, such as "largest diameter 62 mm".
    """

    term: str
    value: Value
    origin: Origin
    words: str


class Facts:
    """All facts of one patient and lesion; several may speak of one term and even disagree."""

    def __init__(self, facts: Iterable[Fact] = ()) -> None:
        self._by_term: dict[str, tuple[Fact, ...]] = {}
        for fact in facts:
            self._by_term[fact.term] = (*self._by_term.get(fact.term, ()), fact)

    def of(self, term: str) -> tuple[Fact, ...]:
        """Return the facts on a term; none where nothing is known."""
        return self._by_term.get(term, ())

    def __iter__(self) -> Iterator[Fact]:
        return (fact for facts in self._by_term.values() for fact in facts)

    def __add__(self, others: Iterable[Fact]) -> Facts:
        return Facts([*self, *others])


def whole(number: float) -> Span:
    """Return the span of a number that is known.

    Raises:
        ValueError: It is not finite.
    """
    if not math.isfinite(number):
        raise ValueError(f"expected a finite number, found {number}")
    return Span(number, number)
