"""What readers say of a report, as plain values: what a verified report is made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Outline:
    """A closed line on one plane of an image.

    Args:
        sop_uid: Of the file that the plane comes from.
        frame: Of the file, from 1; None where it has one alone.
        points: (x, y) in pixels; the middle of the first one is (0.5, 0.5).
    """

    sop_uid: str
    frame: int | None
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Verdict:
    """The final answer on one lesion.

    Args:
        lesion: Its name; of a lesion of the report, the one that it has there.
        tracking_uid: Of the report, or of the lesion that was added.
        readers: Who says it, by sign-in name.
        calcified: Whether it is a calcification; None: cannot be said.
        patterns: Keys of all patterns that it shows.
        concern: "low", "intermediate" or "high"; None: cannot be said.
        confidence: 1 (a guess) to 5 (certain).
        comment: In the reader's words.
        changed: Which of the model's answers it changes: "finding", "pattern", "concern".
        outlines: Where the reader drew it, the plane that shows it best first; empty where the
            outline of the report stands.
        added: Whether the program had missed it.
    """

    lesion: str
    tracking_uid: str
    readers: tuple[str, ...]
    calcified: bool | None
    patterns: tuple[str, ...] = ()
    concern: str | None = None
    confidence: int = 3
    comment: str = ""
    changed: tuple[str, ...] = ()
    outlines: tuple[Outline, ...] = ()
    added: bool = False


@dataclass(frozen=True)
class Verification:
    """Who stands behind a report, and what they say of it.

    Args:
        observers: Sign-in name of each who verified it, and when: UTC, ISO 8601.
        organisation: Theirs.
        head: Hash of the journal's last entry on the study.
        verdicts: One a lesion.
    """

    observers: tuple[tuple[str, str], ...]
    organisation: str
    head: str
    verdicts: tuple[Verdict, ...]
