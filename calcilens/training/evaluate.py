"""How good a model is on the rows of a manifest: figures, groups and what was left out.

The core, `score`, takes a table of truth and predictions, so that anyone's predictions can be
judged by the same rules as ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from calcilens.data_manifests.columns import SPLITS
from calcilens.data_manifests.schema import (
    CONCERN_UNDECIDED,
    MIN_CONCERN_READERS,
    Manifest,
    truth,
)
from calcilens.errors import InputError, ManifestError, UsageError, compose
from calcilens.training.figures import (
    AreaFigures,
    BinaryFigures,
    PatternFigures,
    area_figures,
    binary_figures,
    pattern_figures,
)
from calcilens.training.metrics import RESAMPLES
from calcilens.training.predictions import HEADS, join, pattern_table
from calcilens.vocabulary import PATTERN_KEYS

if TYPE_CHECKING:
    from calcilens.models.loading import LoadedModel

SEEN = "seen in training by every member"
NO_PREDICTION = "no prediction"
SIZE_EDGES_MM = (6.0, 10.0, 20.0)
SIZE_NAMES = ("<6 mm", "6-10 mm", "10-20 mm", ">=20 mm")
UNKNOWN = "unknown"
_CHUNK = 128
"""Rows predicted between two steps of the progress bar."""


@dataclass(frozen=True)
class Group:
    """A part of the rows that share a property."""

    n: int
    finding: AreaFigures | None
    concern: AreaFigures | None


@dataclass(frozen=True)
class Scores:
    """The figures of all heads; a head is None where no row has a label and a prediction."""

    n: int
    """Rows looked at: those of the split, without the ones seen in training."""
    n_in_split: int
    n_patients: int
    finding: BinaryFigures | None
    pattern: PatternFigures | None
    concern: BinaryFigures | None
    abstained: int
    n_seen_in_training: int | None
    """Rows that every member of the model trained on; None where it is not known."""
    seen_included: bool
    members_used: dict[str, int] | None
    """How many members answered -> number of rows; None where it is not known."""
    left_out: dict[str, dict[str, int]]
    """Head -> reason -> number of rows of the split that are not in its figures."""
    by_group: dict[str, dict[str, Group]]

    def as_json(self) -> dict[str, Any]:
        """Return plain values for `json.dumps`."""
        return asdict(self)


def select_rows(manifest: Manifest, split: str) -> pd.DataFrame:
    """Return the rows of a split, with the truth that their labels and votes amount to.

    Raises:
        UsageError: There is no such split.
        ManifestError: The manifest has no row in it.
    """
    if split not in ("all", *SPLITS):
        raise UsageError(compose(f"all, {', '.join(SPLITS)}", repr(split), where="--split"))
    frame = manifest.frame
    rows = frame if split == "all" else frame[(frame["split"] == split).fillna(False)]
    if rows.empty:
        there = ", ".join(sorted(set(frame["split"].dropna()))) or "none"
        fix = "`calcilens manifest split` makes splits" if there == "none" else None
        raise ManifestError(
            compose("rows to evaluate", f"no row of split {split}; splits there: {there}", fix=fix)
        )
    return truth(rows)


def predict(
    manifest: Manifest,
    model: LoadedModel,
    rows: pd.DataFrame,
    advance: Callable[[int], None] = lambda rows: None,
) -> pd.DataFrame:
    """Run a model over rows.

    Args:
        manifest: Where the rows and their images come from.
        model: What to run.
        rows: Rows of the manifest.
        advance: Is told how many rows were done since the last call.

    Returns:
        row_id and the columns of `calcilens.training.predictions`.
    """
    from calcilens.training.predict_rows import predict_manifest

    parts: list[pd.DataFrame] = []
    for start in range(0, len(rows), _CHUNK):
        part = rows.iloc[start : start + _CHUNK]
        found = predict_manifest(manifest, model, part)
        parts.append(found.assign(row_id=part["row_id"].to_numpy()))
        advance(len(part))
    return pd.concat(parts, ignore_index=True)


def evaluate(
    manifest: Manifest, model: LoadedModel, split: str = "all", *, include_seen: bool = False
) -> Scores:
    """Judge a model on a split of a manifest.

    Example:
        >>> scores = evaluate(read_manifest("lidc.parquet"), load_model("lidc-ct"), "test")
        ... # doctest: +SKIP
    """
    rows = select_rows(manifest, split)
    predictions = predict(manifest, model, rows)
    return score(join(rows, predictions, "model"), include_seen=include_seen)


def score(frame: pd.DataFrame, *, include_seen: bool = False, resamples: int = RESAMPLES) -> Scores:
    """Compute all figures from truth and predictions.

    Args:
        frame: One row a lesion: patient_key, the truth columns of `truth`, the predictions of
            `join`; for groups readers, diameter_mm, contrast, split and source.
        include_seen: Keep rows that every member of the model trained on.
        resamples: Number of bootstrap resamples of patients.

    Raises:
        InputError: No row has both a label and a prediction.
    """
    reasons = why_left_out(frame, include_seen=include_seen)
    left_out = {head: _counted(reasons[head]) for head in (*HEADS, "pattern")}
    if reasons.notna().all(axis=None):
        raise InputError(compose("a row with label and prediction", f"only {left_out}"))
    seen = seen_in_training(frame)
    used = frame if seen is None or include_seen else frame[~seen]
    finding, concern = (
        _binary(frame[reasons[head].isna()], head, resamples=resamples) for head in HEADS
    )
    return Scores(
        n=len(used),
        n_in_split=len(frame),
        n_patients=used["patient_key"].nunique(),
        finding=finding,
        pattern=_pattern(frame[reasons["pattern"].isna()], resamples=resamples),
        concern=concern,
        abstained=int(used["abstained"].sum()),
        n_seen_in_training=None if seen is None else int(seen.sum()),
        seen_included=include_seen,
        members_used=None if seen is None else _counted(used["members_used"].astype(int)),
        left_out=left_out,
        by_group=_groups(used, reasons.loc[used.index], resamples=resamples),
    )


def seen_in_training(frame: pd.DataFrame) -> pd.Series | None:
    """Tell which rows every member of the model trained on; None where it is not known."""
    if "members_used" not in frame or frame["members_used"].isna().any():
        return None
    return frame["members_used"] == 0


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


def _counted(reasons: pd.Series) -> dict[str, int]:
    return {str(reason): int(n) for reason, n in reasons.dropna().value_counts().items()}


def _binary(rows: pd.DataFrame, head: str, *, resamples: int) -> BinaryFigures | None:
    return binary_figures(*arrays(rows, head), resamples=resamples) if len(rows) else None


def arrays(rows: pd.DataFrame, head: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return truth, probability and patient of the rows of a binary head, (n,) each."""
    columns = (f"{head}_truth", head, "patient_key")
    t, p, patient = (rows[name].to_numpy() for name in columns)
    return t, p, patient


def _pattern(rows: pd.DataFrame, *, resamples: int) -> PatternFigures | None:
    if rows.empty:
        return None
    return pattern_figures(
        rows["pattern_truth"].to_numpy(object),
        pattern_table(rows),
        PATTERN_KEYS,
        rows["patient_key"].to_numpy(),
        sets=list(rows["pattern_set"]) if "pattern_set" in rows else None,
        resamples=resamples,
    )


def _groups(
    frame: pd.DataFrame, reasons: pd.DataFrame, *, resamples: int
) -> dict[str, dict[str, Group]]:
    found = {}
    for property_name, names in group_names(frame).items():
        parts = {str(name): frame[names == name] for name in names.unique()}
        found[property_name] = {
            name: _group(parts[name], reasons, resamples=resamples)
            for name in sorted(parts, key=_group_order)
        }
    return found


def _group_order(name: str) -> tuple[int, str]:
    if name == UNKNOWN:
        return len(SIZE_NAMES), name
    return (SIZE_NAMES.index(name) if name in SIZE_NAMES else 0), name


def _group(part: pd.DataFrame, reasons: pd.DataFrame, *, resamples: int) -> Group:
    areas = {}
    for head in HEADS:
        rows = part[reasons.loc[part.index, head].isna()]
        areas[head] = area_figures(*arrays(rows, head), resamples=resamples) if len(rows) else None
    return Group(len(part), areas["finding"], areas["concern"])


def group_names(frame: pd.DataFrame) -> dict[str, pd.Series]:
    """Return the name of the group that each row belongs to, a series a property."""
    names = {}
    if "readers" in frame:
        names["readers"] = frame["readers"].astype(str)
    if "diameter_mm" in frame:
        bins = [0, *SIZE_EDGES_MM, np.inf]
        sizes = pd.cut(frame["diameter_mm"], bins, right=False, labels=SIZE_NAMES)
        names["size"] = sizes.astype(object)
    if "contrast" in frame:
        names["contrast"] = frame["contrast"].map({True: "yes", False: "no"}).astype(object)
    for column in ("split", "source"):
        if column in frame:
            names[column] = frame[column].astype(object)
    return {key: series.where(series.notna(), UNKNOWN) for key, series in names.items()}
