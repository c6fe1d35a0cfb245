"""Figures, plots and table of the reviews for the page, made anew only when something was said."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from calcilens.errors import NotThere, compose
from calcilens.review.book import Book
from calcilens.review.cases import Reviewed, reviewed
from calcilens.review.export.names import names
from calcilens.review.export.tables import verdicts_csv
from calcilens.review.journal import Journal
from calcilens.review.library import Library
from calcilens.review.state import Phase
from calcilens.review.statistics import statistics

if TYPE_CHECKING:
    from calcilens.review.plots import Plot

_OVER = (Phase.DISPUTED, Phase.DONE)


class Figures:
    """What all reviews amount to.

    Only studies that all their readers have signed count: of the others, whoever still reads one
    could learn what was said.

    Args:
        engine: As `calcilens.review.database.opened` gives it.
        library: The reports that are reviewed.
        readers: Wanted for a study.
    """

    def __init__(self, engine: Engine, library: Library, readers: int) -> None:
        self._journal, self._library, self._readers = Journal(engine), library, readers
        self._book, self._lock = Book(self._journal), threading.Lock()
        self._of: tuple[tuple[str, str], ...] | None = None
        self._figures: dict[str, Any] = {}
        self._plots: Mapping[str, Plot] = {}

    def numbers(self) -> dict[str, Any]:
        """Return the figures, and under `plots` what plots there are."""
        self._refresh()
        plots = [{"name": name, "text": plot.text} for name, plot in self._plots.items()]
        return {**self._figures, "plots": plots}

    def plot(self, name: str) -> bytes:
        """Return a plot as SVG.

        Raises:
            NotThere: There is none of this name.
        """
        self._refresh()
        if name not in self._plots:
            raise NotThere(compose("a plot", "none of this name"))
        return self._plots[name].svg

    def table(self) -> str:
        """Return all answers as CSV."""
        return verdicts_csv(self._studies(), self._names(), {})

    def _refresh(self) -> None:
        from calcilens.review.plots import draw  # takes long to load, and is seldom needed

        with self._lock:
            studies = self._studies()
            key = tuple((study.head, study.report.sha256) for study in studies)
            if key != self._of:
                self._figures = dict(statistics(studies, self._names()))
                self._plots = draw(self._figures)
                self._of = key

    def _studies(self) -> list[Reviewed]:
        found = reviewed(self._book, self._library, self._readers)
        return [study for study in found if study.phase in _OVER]

    def _names(self) -> Mapping[str, str]:
        return names(self._journal.entries(), pseudonyms=False)
