"""Where a model gave no answer, and how good those are that it did give."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from calcilens.training.figures import BinaryFigures, binary_figures
from calcilens.training.left_out import counted
from calcilens.training.pattern_figures import PatternSummary, pattern_summary
from calcilens.training.predictions import HEADS, WHY_COLUMNS, arrays, named


@dataclass(frozen=True)
class Answered:
    """The figures of a head on the rows that it answered.

    Args:
        kept: Share of the rows of its figures that it answered.
        figures: None where it answered none.
    """

    kept: float
    figures: BinaryFigures | PatternSummary | None


def abstained_by(frame: pd.DataFrame, left_out: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Count rows of a head's figures without an answer: head -> reason -> number.

    Args:
        frame: Truth and predictions.
        left_out: Why a row is not in the figures of a head.
    """
    found = {}
    for column in WHY_COLUMNS:
        head = column.removeprefix("abstained_")
        reasons = frame.loc[left_out[head].isna(), column]
        found[head] = counted(reasons.where(reasons != ""))
    return found


def answered(
    frame: pd.DataFrame, reasons: pd.DataFrame, *, resamples: int
) -> dict[str, Answered | None]:
    """Judge each head on the rows that it answered; None for a head without figures.

    Args:
        frame: Truth and predictions.
        reasons: Why a row is not in the figures of a head.
        resamples: Number of bootstrap resamples.
    """
    found: dict[str, Answered | None] = {}
    for head in (*HEADS, "pattern"):
        rows = frame[reasons[head].isna()]
        kept = rows[rows[f"abstained_{head}"] == ""]
        figures = _figures(kept, head, resamples=resamples) if len(kept) else None
        found[head] = Answered(len(kept) / len(rows), figures) if len(rows) else None
    return found


def _figures(rows: pd.DataFrame, head: str, *, resamples: int) -> BinaryFigures | PatternSummary:
    if head == "pattern":
        return pattern_summary(named(rows))
    return binary_figures(*arrays(rows, head), resamples=resamples)
