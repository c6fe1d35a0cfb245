"""A library of reports for tests, without files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from calcilens.errors import NotThere
from calcilens.review.accounts import Reader, Role
from calcilens.review.answers import Answer

STUDY = "1.2.3"
ANN, BEN, CAT = (Reader(name, Role.READER) for name in ("ann", "ben", "cat"))
DORA = Reader("dora", Role.ADJUDICATOR)
EVE = Reader("eve", Role.ADMINISTRATOR)
YES, NO = Answer(True, ("diffuse",), "low"), Answer(False)


@dataclass(frozen=True)
class FakeReport:
    raw: bytes = b"{}"
    lesion_ids: tuple[str, ...] = ("L1", "L2")

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.raw).hexdigest()


@dataclass
class FakeReports:
    known: dict[str, FakeReport] = field(default_factory=lambda: {STUDY: FakeReport()})

    def report(self, study_uid: str) -> FakeReport:
        if study_uid not in self.known:
            raise NotThere("expected a study, found none")
        return self.known[study_uid]
