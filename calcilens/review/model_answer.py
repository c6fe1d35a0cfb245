"""What the model says of a lesion, in the words of a reader, and what a reader changes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from calcilens.review.answers import Answer
from calcilens.vocabulary import ConcernLevel


@dataclass(frozen=True)
class ModelAnswer:
    """A model's answer; what it abstained from is empty.

    Args:
        calcified: Whether it calls the lesion a calcification.
        patterns: Those that it cannot rule out, the likeliest first.
        concern: "low", "intermediate" or "high".
    """

    calcified: bool | None
    patterns: tuple[str, ...]
    concern: str | None

    @classmethod
    def of(cls, lesion: Mapping[str, Any]) -> ModelAnswer:
        """Return that of a lesion of report.json."""
        finding, named, level = lesion["finding"], lesion["pattern"], lesion["concern"]["level"]
        silent = finding["abstained"] or finding["probability"] is None
        calcified = None if silent else finding["probability"] >= 0.5
        patterns = () if named["abstained"] else tuple(named["set"])
        return cls(calcified, patterns, None if level == ConcernLevel.UNKNOWN.value else level)

    def changed_by(self, answer: Answer) -> tuple[str, ...]:
        """Return what a reader changes: "finding", "pattern", "concern".

        What the model abstained from cannot be changed. A pattern is changed where the reader
        sees one that the model had ruled out; that none is named changes nothing.
        """
        if self.calcified is not None and answer.calcified is not self.calcified:
            return ("finding",)  # pattern and concern of something else do not compare
        found = []
        if self.patterns and not set(answer.patterns) <= set(self.patterns):
            found.append("pattern")
        if self.concern is not None and answer.concern not in (None, self.concern):
            found.append("concern")
        return tuple(found)
