"""How good a model is on the rows of a manifest: figures, groups and what was left out.

The core, `score`, takes a table of truth and predictions, so that anyone's predictions can be
judged by the same rules as ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from calcilens.data_manifests.columns import SPLITS
from calcilens.data_manifests.schema import Manifest, truth
from calcilens.errors import InputError, ManifestError, UsageError, compose
from calcilens.training.conformal_check import ConformalCheck, conformal_check
from calcilens.training.figures import BinaryFigures, binary_figures
from calcilens.training.flags import FlagFigures
from calcilens.training.groups import Group, by_group
from calcilens.training.left_out import counted, of_modality, seen_in_training, why_left_out
from calcilens.training.metrics import RESAMPLES
from calcilens.training.pattern_figures import PatternFigures, pattern_figures
from calcilens.training.predictions import HEADS, arrays, join, named
from calcilens.training.selective import Answered, abstained_by, answered

if TYPE_CHECKING:
    from calcilens.models.loading import LoadedModel
    from calcilens.training.out_of_domain import OutOfDomainFigures
    from calcilens.training.saliency_rows import SaliencyFigures

_CHUNK = 128
"""Rows predicted between two steps of the progress bar."""


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
    """Rows on which the model did not say whether they are calcified."""
    abstained_by: dict[str, dict[str, int]]
    """Head -> reason -> number of rows of its figures without an answer."""
    selective: dict[str, Answered | None]
    """Head -> figures of the rows that it answered; the figures above hold all rows."""
    conformal_check: ConformalCheck | None
    """None where no pattern is known, or of too few patients or lesions for a threshold."""
    n_seen_in_training: int | None
    """Rows that every member of the model trained on; None where it is not known."""
    seen_included: bool
    members_used: dict[str, int] | None
    """How many members answered -> number of rows; None where it is not known."""
    left_out: dict[str, dict[str, int]]
    """Head -> reason -> number of rows of the split that are not in its figures."""
    by_group: dict[str, dict[str, Group]]
    flags: dict[str, FlagFigures] | None = None
    """Level of concern -> what it is worth; None for predictions without a model's limits."""
    other_modality: str | None = None
    """What is to be known of rows of another modality than the model's; None without any."""
    out_of_domain: OutOfDomainFigures | None = None
    """None where no strangers were shown."""
    saliency: SaliencyFigures | None = None
    """None where the maps were not judged."""

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
    rows, other = of_modality(select_rows(manifest, split), model.card.get("modality"))
    predictions = predict(manifest, model, rows)
    scores = score(join(rows, predictions, "model"), include_seen=include_seen)
    return replace(scores, other_modality=other)


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
    left_out = {head: counted(reasons[head]) for head in (*HEADS, "pattern")}
    if reasons.notna().all(axis=None):
        whys = (f"{n} {why}" for whys in left_out.values() for why, n in whys.items())
        found = "none: " + ", ".join(dict.fromkeys(whys))
        raise InputError(compose("a row with label and prediction", found))
    seen = seen_in_training(frame)
    used = frame if seen is None or include_seen else frame[~seen]
    finding, concern = (
        _binary(frame[reasons[head].isna()], head, resamples=resamples) for head in HEADS
    )
    shown = frame[reasons["pattern"].isna()]
    return Scores(
        n=len(used),
        n_in_split=len(frame),
        n_patients=used["patient_key"].nunique(),
        finding=finding,
        pattern=_pattern(shown, resamples=resamples),
        concern=concern,
        abstained=int(used["abstained"].sum()),
        abstained_by=abstained_by(used, reasons.loc[used.index]),
        selective=answered(used, reasons.loc[used.index], resamples=resamples),
        conformal_check=_check(shown),
        n_seen_in_training=None if seen is None else int(seen.sum()),
        seen_included=include_seen,
        members_used=None if seen is None else counted(used["members_used"].astype(int)),
        left_out=left_out,
        by_group=by_group(used, reasons.loc[used.index], resamples=resamples),
    )


def _binary(rows: pd.DataFrame, head: str, *, resamples: int) -> BinaryFigures | None:
    return binary_figures(*arrays(rows, head), resamples=resamples) if len(rows) else None


def _pattern(rows: pd.DataFrame, *, resamples: int) -> PatternFigures | None:
    if rows.empty:
        return None
    return pattern_figures(named(rows), rows["patient_key"].to_numpy(), resamples=resamples)


def _check(rows: pd.DataFrame) -> ConformalCheck | None:
    return conformal_check(named(rows), rows["patient_key"].to_numpy()) if len(rows) else None
