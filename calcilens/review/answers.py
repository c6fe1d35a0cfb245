"""What a reader says of a lesion, and whether two say the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from calcilens.errors import ReviewError, compose
from calcilens.vocabulary import PATTERN_KEYS, ConcernLevel

LONGEST_COMMENT = 2000
_LEVELS = tuple(level.value for level in ConcernLevel if level is not ConcernLevel.UNKNOWN)
_CONFIDENCE = range(1, 6)


@dataclass(frozen=True)
class Answer:
    """A reader's answer on one lesion.

    Args:
        calcified: Whether it is a calcification; None: the reader cannot say.
        patterns: Keys of all patterns that it shows, sorted; none where it is not calcified.
        concern: "low", "intermediate" or "high"; None: the reader cannot say.
        confidence: 1 (a guess) to 5 (certain).
        comment: In the reader's words.
        box: First voxel and the one after the last, (z, y, x), where the reader drew it anew.
        mask: Name of a mask that the reader drew, kept beside the journal.
    """

    calcified: bool | None
    patterns: tuple[str, ...] = ()
    concern: str | None = None
    confidence: int = 3
    comment: str = ""
    box: tuple[tuple[int, int, int], tuple[int, int, int]] | None = None
    mask: str | None = None

    def __post_init__(self) -> None:
        unknown = [key for key in self.patterns if key not in PATTERN_KEYS]
        if unknown:
            raise _wrong("patterns", f"some of {', '.join(PATTERN_KEYS)}", ", ".join(unknown)[:80])
        if self.patterns and not self.calcified:
            raise _wrong("patterns", "none where it is not a calcification", str(self.patterns[0]))
        if self.concern not in (None, *_LEVELS):
            raise _wrong("concern", f"one of {', '.join(_LEVELS)}", str(self.concern)[:20])
        if self.confidence not in _CONFIDENCE:
            raise _wrong("confidence", "1 to 5", str(self.confidence)[:20])
        if len(self.comment) > LONGEST_COMMENT:
            found = f"{len(self.comment)} of them"
            raise _wrong("comment", f"at most {LONGEST_COMMENT} characters", found)
        if not _text(self.comment):
            raise _wrong("comment", "text of whole characters", "half of one")
        if self.box is not None and not all(0 <= a < b for a, b in zip(*self.box, strict=True)):
            raise _wrong("box", "a first voxel before the last", str(self.box)[:80])

    def agrees(self, other: Answer) -> bool:
        """Whether both say the same on what they are asked: calcified, patterns and concern."""
        mine = (self.calcified, set(self.patterns), self.concern)
        return mine == (other.calcified, set(other.patterns), other.concern)

    def as_json(self) -> dict[str, Any]:
        """Return it as the journal holds it."""
        return asdict(self)


def answer_from(content: Any) -> Answer:
    """Read an answer that came from a page or the journal.

    Raises:
        ReviewError: It is none; the message names the field.
    """
    if not isinstance(content, Mapping):
        raise _wrong("answer", "an object", type(content).__name__)
    names = Answer.__dataclass_fields__
    if set(content) - set(names) or "calcified" not in content:
        found = ", ".join(sorted(map(str, content)))[:80]
        raise _wrong("answer", f"calcified and some of {', '.join(names)}", found or "nothing")
    values = dict(content)
    for name, kinds in _KINDS.items():
        value = values.get(name)
        if name in values and not (isinstance(value, kinds) and _plain(name, value)):
            raise _wrong(name, " or ".join(k.__name__ for k in kinds), type(value).__name__)
    values["patterns"] = tuple(sorted(set(values.get("patterns", ()))))
    values["box"] = _box(values.get("box"))
    return Answer(**values)


_NONE = type(None)
_KINDS: dict[str, tuple[type, ...]] = {
    "calcified": (bool, _NONE),
    "patterns": (list, tuple),
    "concern": (str, _NONE),
    "confidence": (int,),
    "comment": (str,),
    "box": (list, tuple, _NONE),
    "mask": (str, _NONE),
}


def _plain(name: str, value: Any) -> bool:
    if name == "confidence":
        return not isinstance(value, bool)
    return name != "patterns" or all(isinstance(key, str) for key in value)


def _box(value: Any) -> tuple[tuple[int, int, int], tuple[int, int, int]] | None:
    if value is None:
        return None
    whole = [n for end in value if isinstance(end, list | tuple) for n in end]
    if len(value) != 2 or len(whole) != 6 or not all(type(n) is int for n in whole):
        raise _wrong("box", "[[z, y, x], [z, y, x]] of whole numbers", str(value)[:80])
    z0, y0, x0, z1, y1, x1 = whole
    return (z0, y0, x0), (z1, y1, x1)


def _text(value: str) -> bool:
    """Whether it can be kept: half a character, a lone surrogate, cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _wrong(field: str, expected: str, found: str) -> ReviewError:
    return ReviewError(compose(expected, found, where=field))
