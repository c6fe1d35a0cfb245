"""Patience with an archive: how often and how long to wait before another try."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from calcilens.errors import Unreachable

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """How patient to be.

    Args:
        attempts: Failures in a row, without anything gained between, that end the work.
        first_s: Wait after the first failure; it doubles with each.
        longest_s: Longest wait.
        timeout_s: How long one answer may take.
    """

    attempts: int = 5
    first_s: float = 1.0
    longest_s: float = 60.0
    timeout_s: float = 30.0

    def delay_s(self, failures: int) -> float:
        """Return the wait after so many failures in a row."""
        return float(min(self.longest_s, self.first_s * 2 ** min(failures - 1, 30)))


@contextmanager
def first_goes_last(left: dict[str, T]) -> Iterator[None]:
    """Put what stopped a step behind the rest of the work: one object must not hold up the others.

    Args:
        left: What is left to do, in order; what is done has been taken out.
    """
    try:
        yield
    except Unreachable:
        for key in list(left)[:1]:
            left[key] = left.pop(key)
        raise


def persist(
    step: Callable[[], None],
    gained: Callable[[], int],
    patience: Patience,
    tell: Callable[[str], None],
) -> None:
    """Repeat a step until it ends well.

    Args:
        step: Does what is left to do; raises Unreachable where another try may help.
        gained: How much is done so far: an archive that dies after every object is not given up.
        patience: When to give up.
        tell: Gets one line a failure.

    Raises:
        Unreachable: It failed too often without gaining anything.
    """
    failures, before = 0, gained()
    while True:
        try:
            return step()
        except Unreachable as error:
            now = gained()
            failures, before = (1 if now > before else failures + 1), now
            if failures >= patience.attempts:
                raise
            wait = patience.delay_s(failures)
            tell(f"{error}; next try in {wait:.3g} s ({failures} of {patience.attempts} failed)")
            time.sleep(wait)
