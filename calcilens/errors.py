"""All errors that Calcilens raises on purpose.

    CalcilensError
    +-- UsageError              a wrong option or argument             (exit code 2)
    +-- InputError              a file or value that cannot be used    (exit code 1)
        +-- StudyError          nothing in the given path can be read as a study
        +-- SeriesError         one series cannot be used; the study goes on
        +-- PixelError          pixels cannot be decoded; the study goes on
        +-- CaseError           a case of a patient cannot be used
        +-- RuleError           a rule of guidance is broken
        +-- RoiError            a lesion list (JSON, CSV, SEG, RTSTRUCT) cannot be used
        +-- ManifestError       a manifest breaks its schema or its promises
        |   +-- LeakageError    the same patient or image on both sides of a split
        +-- ModelError          weights or card are missing, changed or of another kind
        +-- ReviewError         reviews cannot be kept or read
        |   +-- NotThere        there is no such study, lesion or reader
        |   +-- NotAllowed      this reader may not do it, or not now
        |   +-- Conflict        somebody entered another answer meanwhile
        +-- ArchiveError        an archive refuses, or answers what cannot be used
            +-- Unreachable     it does not answer, or breaks off: worth another try
            +-- NotOffered      it offers no such service

The command line prints the message of any of these as one line, without a traceback.
Messages say what was expected, what was found, where, and what to do. They carry UIDs,
never names or numbers of patients.
"""

from __future__ import annotations

from collections.abc import Mapping


def compose(expected: str, found: str, *, where: str | None = None, fix: str | None = None) -> str:
    """Compose the one-line message of an error.

    Args:
        expected: What was needed, as a noun phrase ("a float between 0 and 1").
        found: What was there instead.
        where: File, UID, argument or row and column.
        fix: The next step for the user.

    Returns:
        One line: ``where: expected ..., found ...; fix``.
    """
    head = f"{where}: " if where else ""
    tail = f"; {fix}" if fix else ""
    line = f"{head}expected {expected}, found {found}{tail}"
    return " ".join(line.split())


def unexpected(error: Exception) -> str:
    """Say of an error that nobody raised on purpose what it is, and what the user can do."""
    return (
        f"unexpected {type(error).__name__}; this is a fault of the program: "
        "run again with CALCILENS_DEBUG=1 and report what it prints"
    )


class CalcilensError(Exception):
    """Base of every error that Calcilens raises on purpose."""

    exit_code = 1


class UsageError(CalcilensError):
    """A wrong option or argument."""

    exit_code = 2


class InputError(CalcilensError):
    """A file or value that cannot be used."""


class StudyError(InputError):
    """Nothing in the given path can be read as a study."""


class SeriesError(InputError):
    """One series cannot be used; the rest of the study goes on."""


class PixelError(InputError):
    """Pixel data cannot be decoded; the rest of the study goes on."""


class CaseError(InputError):
    """What is told of a patient cannot be used."""


class RuleError(InputError, ValueError):
    """A rule of guidance, or a word that it uses, is broken."""


class RoiError(InputError):
    """A list of lesions cannot be used."""


class ManifestError(InputError):
    """A manifest breaks its schema or its promises."""


class LeakageError(ManifestError):
    """The same patient or image stands on both sides of a split."""


class ModelError(InputError):
    """Weights or card are missing, changed or of another kind."""


class ReviewError(InputError):
    """Reviews cannot be kept or read."""


class NotThere(ReviewError):  # noqa: N818 - it names a state, not a fault
    """There is no such study, lesion or reader."""


class NotAllowed(ReviewError):  # noqa: N818 - it names a state, not a fault
    """This reader may not do it, or not now."""


class Conflict(ReviewError):  # noqa: N818 - it names a state, not a fault
    """Somebody entered another answer meanwhile.

    Args:
        message: One line.
        current: The answer that stands: seq, reader and answer.
    """

    def __init__(self, message: str, current: Mapping[str, object]) -> None:
        super().__init__(message)
        self.current = current


class ArchiveError(InputError):
    """An archive refuses, or answers what cannot be used."""


class Unreachable(ArchiveError):  # noqa: N818 - it names a state, not a fault
    """An archive does not answer, breaks off or is overloaded: worth another try."""


class NotOffered(ArchiveError):  # noqa: N818 - it names a state, not a fault
    """An archive offers none of the services that are needed."""
