"""Which rows are in no figure, and why."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from calcilens.data_manifests.schema import CONCERN_UNDECIDED, MIN_CONCERN_READERS
from calcilens.training.predictions import pattern_table

SEEN = "seen in training by every member"
NO_PREDICTION = "no prediction"


def seen_in_training(frame: pd.DataFrame) -> pd.Series | None:
    """Tell which rows every member of the model trained on; None where it is not known."""
    if "members_used" not in frame or frame["members_used"].isna().any():
        return None
    return frame["members_used"] == 0


def of_modality(rows: pd.DataFrame, modality: str | None) -> tuple[pd.DataFrame, str | None]:
    """Return the rows that a model for a modality is judged on, and what is to be known of others.

    Args:
        rows: Rows of a manifest.
        modality: CT or radiograph, as on the model's card; None where it is not known.

    Returns:
        The rows of that modality, or all where there is none of it.
    """
    fits = (rows["modality"] == "CT") == (modality == "CT")
    if modality is None or fits.all():
        return rows, None
    if not fits.any():
        why = f"made for {modality}, but all {len(rows)} rows are of another modality"
        return rows, f"{why}: the figures say little of the model"
    why = f"made for {modality}: {int((~fits).sum())} of {len(rows)} rows are of another modality"
    return rows[fits], f"{why} and left out"


def why_left_out(frame: pd.DataFrame, *, include_seen: bool = False) -> pd.DataFrame:
    """Say for each row and head why it is not in the figures; None where it is.

    Returns:
        Columns finding, pattern and concern of text or None, on the index of `frame`.
    """
    no_pattern = pattern_table(frame).max(1) <= 0
    seen = seen_in_training(frame)
    reasons = pd.DataFrame(index=frame.index, columns=list(_WHY_NO_LABEL), dtype=object)
    for head, why in _WHY_NO_LABEL.items():
        missing = no_pattern if head == "pattern" else frame[head].isna()
        reasons.loc[missing, head] = NO_PREDICTION
        if seen is not None and not include_seen:
            reasons.loc[seen, head] = SEEN
        unlabelled = frame[frame[f"{head}_truth"].isna()]
        reasons.loc[unlabelled.index, head] = [why(row) for _, row in unlabelled.iterrows()]
    return reasons.where(reasons.notna(), None)


def _why_no_finding(_: pd.Series) -> str:
    return "no label"


def _why_no_concern(row: pd.Series) -> str:
    votes = row.get("concern_votes")
    if not isinstance(votes, list | np.ndarray) or not len(votes):
        return "no label"
    if len(votes) < MIN_CONCERN_READERS:
        return f"fewer than {MIN_CONCERN_READERS} readers"
    return f"median of the readers is {CONCERN_UNDECIDED}"


def _why_no_pattern(row: pd.Series) -> str:
    if row.get("finding_truth") == 0:
        return "not calcified"
    votes = row.get("pattern_votes")
    return "readers tie" if isinstance(votes, list | np.ndarray) and len(votes) else "no label"


_WHY_NO_LABEL: dict[str, Callable[[pd.Series], str]] = {
    "finding": _why_no_finding,
    "concern": _why_no_concern,
    "pattern": _why_no_pattern,
}


def counted(values: pd.Series) -> dict[str, int]:
    """Return how often each value occurs, the most frequent first; None does not count."""
    return {str(value): int(n) for value, n in values.dropna().value_counts().items()}
