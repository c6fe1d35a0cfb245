"""What reading a study says beside its images: which series there are and what was left out."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Skipped:
    """A file or series that was left out.

    Args:
        what: File name relative to the input, or a series UID.
        reason: Why, in one line, without a patient's name or number.
    """

    what: str
    reason: str

    def to_json(self) -> dict[str, str]:
        """Return it as reports and the command line have it."""
        return {"file_or_series": self.what, "reason": self.reason}

    def coded(self) -> Skipped:
        """Return it for a report: the name of a file may be a patient's, a hash of it is none."""
        if re.fullmatch(r"[0-9.]+", self.what):
            return self
        code = hashlib.sha256(self.what.encode()).hexdigest()[:8]
        return Skipped(f"file {code}", self.reason)


def replaced(skipped: Skipped, sop_uid: str) -> Skipped:
    """Say of a file that failed that another one of the same UID stands in for it."""
    used = f"another file of SOPInstanceUID {sop_uid} is used in its place"
    return Skipped(skipped.what, f"{skipped.reason}; {used}")


@dataclass(frozen=True)
class SeriesInfo:
    """One series of a study, used or not.

    Args:
        shape: (Z, Y, X) of a volume or (Y, X) of a radiograph; None where nothing was read.
        spacing_mm: Voxel spacing in the order of `shape`; None where it is not known.
        why_not: Why the series was left out; None where it was used.
        series_number: SeriesNumber, under which viewers list it; None where the files give none.
    """

    series_uid: str
    study_uid: str
    modality: str
    shape: tuple[int, ...] | None
    spacing_mm: tuple[float, ...] | None
    used: bool
    why_not: str | None
    series_number: int | None = None
