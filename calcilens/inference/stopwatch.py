"""How long each stage of a run takes, and which one is under way."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import TypeVar

Result = TypeVar("Result")


class Stopwatch:
    """Seconds by stage.

    Args:
        tell: Called with the name of a stage when it begins; not of one within another.
    """

    def __init__(self, tell: Callable[[str], None] = lambda stage: None) -> None:
        self.seconds: dict[str, float] = {}
        self._tell = tell
        self._open = 0

    def time(self, stage: str, work: Callable[[], Result]) -> Result:
        """Run `work` and add its time to a stage."""
        if not self._open:
            self._tell(stage)
        self._open += 1
        start = perf_counter()
        try:
            return work()
        finally:
            self._open -= 1
            self.seconds[stage] = self.seconds.get(stage, 0.0) + perf_counter() - start
