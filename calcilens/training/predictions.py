"""Predictions of any origin beside their rows: read, checked and joined."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from calcilens.data_manifests.columns import TRUTH_COLUMNS
from calcilens.errors import InputError, compose
from calcilens.training.metrics import ROUNDING
from calcilens.training.pattern_figures import NamedRows, named_rows
from calcilens.vocabulary import PATTERN_KEYS

HEADS = ("finding", "concern")
PATTERN_COLUMNS = tuple(f"pattern_{key}" for key in PATTERN_KEYS)
WHY_COLUMNS = tuple(f"abstained_{head}" for head in ("finding", "pattern", "concern"))
"""Why a head gives no answer, in words; empty where it does."""
NO_REASON = "no reason given"
_OTHERS = ("abstained", *WHY_COLUMNS, "members_used", "pattern_set", "out_of_domain")
_NOT_PROBABILITIES = ("pattern_set", "pattern_truth")
WHY_NOT = "why_not_"
"""Before the name of a head: why a row is not in its figures, as `evaluate` writes it."""
PROBABILITIES = (*HEADS, *PATTERN_COLUMNS)
_SUM_WITHIN = 0.05
"""18 probabilities rounded to two decimals sum to 1 within this."""
_TRUE = {"true", "1", "1.0", "yes"}
_FALSE = {"false", "0", "0.0", "no", "", "nan"}


def read_predictions(path: Path) -> pd.DataFrame:
    """Read predictions from a CSV: row_id and any of finding, concern, pattern_<key>.

    Semicolons may stand between the cells, and then decimal commas in them, as spreadsheets write
    them in much of Europe.

    Optional columns: abstained (0 or 1), members_used (models of an ensemble that did not train
    on the row's patient; 0 means seen by all), pattern_set (keys joined by `|`),
    abstained_finding, abstained_pattern, abstained_concern (why there is no answer; empty where
    there is one).

    Raises:
        InputError: The file is not such a table, names a row twice, or a cell is no probability.
    """
    texts = dict.fromkeys(("row_id", "pattern_set", *WHY_COLUMNS), str)
    try:
        cells, decimals = _separators(path)
        _check_lengths(path, cells)
        frame = pd.read_csv(
            path, dtype=texts, encoding="utf-8-sig", sep=cells, decimal=decimals, index_col=False
        )
    except UnicodeDecodeError as error:
        found, fix = "another encoding", "save it as CSV in UTF-8"
        raise InputError(compose("text in UTF-8", found, where=path.name, fix=fix)) from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error) as error:
        found = f"{type(error).__name__}: {error}"
        raise InputError(compose("a CSV of predictions", found, where=path.name)) from error
    _check_columns(frame, path.name)
    _check_filled(frame, path.name)
    for name in set(PROBABILITIES) & set(frame):
        frame[name] = _probabilities(frame, name, path.name)
    if "members_used" in frame:
        _check_cells(frame, "members_used", path.name, "a whole number or an empty cell", _is_count)
    if "abstained" in frame:
        _check_cells(frame, "abstained", path.name, "0 or 1", _is_flag)
    if "out_of_domain" in frame:
        wanted = "a number or an empty cell"
        _check_cells(frame, "out_of_domain", path.name, wanted, _is_number)
    if "pattern_set" in frame:
        frame["pattern_set"] = [_keys(cell) for cell in frame["pattern_set"]]
        _check_cells(frame, "pattern_set", path.name, "patterns of the vocabulary", _are_patterns)
    return frame


def unread_columns(frame: pd.DataFrame) -> list[str]:
    """Return the columns of predictions that mean nothing here; a misspelt one is among them.

    Those that `evaluate` writes itself are known, and columns without a name are no mistake.
    """
    written = (*TRUTH_COLUMNS, *(f"{WHY_NOT}{head}" for head in (*HEADS, "pattern")))
    known = {"row_id", *PROBABILITIES, *_OTHERS, *written}
    names = [str(name) for name in frame]
    return [name for name in names if name not in known and not name.startswith("Unnamed: ")]


def sums_warning(frame: pd.DataFrame) -> str | None:
    """Say which rows have patterns that do not share out a probability of 1 among them.

    Rankings can still be judged then; calibration, sets and what is named first hang on the sum.
    """
    sums = pattern_table(frame).sum(1)
    wrong = (sums > 0) & (np.abs(sums - 1) > _SUM_WITHIN)
    if not wrong.any():
        return None
    first = int(np.flatnonzero(wrong)[0])
    return (
        f"the patterns of {int(wrong.sum())} of {len(frame)} rows do not sum to 1 "
        f"(mean {sums[wrong].mean():.2f}; the first, {frame['row_id'].iloc[first]}, "
        f"{sums[first]:.2f}): their calibration says nothing"
    )


def _separators(path: Path) -> tuple[str, str]:
    """Return what stands between cells, and before the decimals in them."""
    with path.open(encoding="utf-8-sig") as stream:
        header = stream.readline()
    return (";", ",") if header.count(";") > header.count(",") else (",", ".")


def _check_lengths(path: Path, separator: str) -> None:
    """Refuse the first line that has more or fewer cells than the heading.

    pandas would take the first cells of longer lines for names of the rows.
    """
    with path.open(encoding="utf-8-sig", newline="") as stream:
        lines = csv.reader(stream, delimiter=separator)
        header = next(lines, [])
        for line in lines:
            if line and len(line) != len(header):
                where = f"{path.name}, line {lines.line_num}"
                fix = f"does it end in {separator!r}?" if not line[-1] else None
                wanted = f"{len(header)} cells, as in the heading"
                raise InputError(compose(wanted, f"{len(line)}", where=where, fix=fix))


def _check_filled(frame: pd.DataFrame, where: str) -> None:
    """Refuse a template that nobody filled in."""
    given = frame[[name for name in PROBABILITIES if name in frame]]
    if not given.notna().any(axis=None):
        found, fix = "only empty cells", "fill in the columns of probabilities"
        raise InputError(compose("predictions", found, where=where, fix=fix))


def _check_cells(
    frame: pd.DataFrame, name: str, where: str, wanted: str, fits: Callable[[Any], bool]
) -> None:
    """Refuse the first cell of a column that does not fit."""
    for row_id, cell in zip(frame["row_id"], frame[name], strict=True):
        if not fits(cell):
            spot = f"{where}, row_id {row_id}, column {name}"
            raise InputError(compose(wanted, f"{cell}"[:80], where=spot))


def _is_count(cell: Any) -> bool:
    if isinstance(cell, str | bool):
        return False
    return bool(pd.isna(cell) or (np.isfinite(cell) and cell >= 0 and float(cell).is_integer()))


def _is_number(cell: Any) -> bool:
    return bool(pd.isna(cell) or pd.notna(pd.to_numeric(cell, errors="coerce")))


def _is_flag(cell: Any) -> bool:
    return str(cell).lower() in _TRUE | _FALSE


def _are_patterns(keys: Any) -> bool:
    return set(keys) <= set(PATTERN_KEYS)


def _check_columns(frame: pd.DataFrame, where: str) -> None:
    unknown = [
        name
        for name in frame.columns
        if name.startswith("pattern_") and name not in (*PATTERN_COLUMNS, *_NOT_PROBABILITIES)
    ]
    if unknown:
        raise InputError(
            compose("pattern columns of the vocabulary", ", ".join(unknown), where=where)
        )
    if "row_id" not in frame or not set(PROBABILITIES) & set(frame):
        raise InputError(
            compose(
                "the column row_id and any of finding, concern, pattern_<key>",
                f"columns {', '.join(map(str, frame.columns[:8]))}",
                where=where,
            )
        )
    twice = frame.loc[frame["row_id"].duplicated(), "row_id"]
    if len(twice):
        found = f"{twice.iloc[0]} twice ({len(twice)} repeated rows)"
        fix = "remove one of each"
        raise InputError(compose("every row_id once", found, where=where, fix=fix))


def _probabilities(frame: pd.DataFrame, name: str, where: str) -> np.ndarray:
    values = pd.to_numeric(frame[name], errors="coerce").to_numpy(np.float64)
    wrong = frame[name].notna().to_numpy() & ~((values >= -ROUNDING) & (values <= 1 + ROUNDING))
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        found = f"{frame[name].iloc[first]} and {int(wrong.sum()) - 1} more such cells"
        spot = f"{where}, row_id {frame['row_id'].iloc[first]}, column {name}"
        raise InputError(compose("a probability in 0..1 or an empty cell", found, where=spot))
    return np.asarray(values.clip(0, 1))


def _keys(cell: Any) -> list[str]:
    return cell.split("|") if isinstance(cell, str) and cell else []


def join(rows: pd.DataFrame, predictions: pd.DataFrame, where: str) -> pd.DataFrame:
    """Set predictions beside the rows they belong to; predictions of other rows are left aside.

    Args:
        rows: Rows of a manifest with truth columns.
        predictions: One row a prediction, with row_id.
        where: Name of the predictions in an error.

    Returns:
        Truth and prediction, one row each; labels and votes keep only their truth columns,
        and a probability that is not there is NaN (0 for single patterns).

    Raises:
        InputError: A row has no prediction.
    """
    lacking = rows.loc[~rows["row_id"].isin(predictions["row_id"]), "row_id"]
    if len(lacking):
        found = f"none for {len(lacking)} of {len(rows)}, the first {lacking.iloc[0]}"
        raise InputError(compose("a prediction for every row", found, where=where))
    given = [c for c in predictions if c in (*PROBABILITIES, *_OTHERS)]
    kept = rows.drop(columns=["finding", "concern", "pattern"], errors="ignore")
    right = predictions[["row_id", *given]].set_index("row_id").loc[list(rows["row_id"])]
    frame = pd.concat([kept.reset_index(drop=True), right.reset_index(drop=True)], axis=1)
    for head in HEADS:
        frame[head] = frame[head].astype(np.float64) if head in frame else np.nan
    return _with_abstentions(frame)


def _with_abstentions(frame: pd.DataFrame) -> pd.DataFrame:
    """Say of every row whether, and of every head why, there is no answer.

    A flag without any reasons holds for all heads; reasons alone set the flag where the finding
    has one.
    """
    given = {name: frame[name].fillna("") for name in WHY_COLUMNS if name in frame}
    empty = pd.Series("", frame.index, dtype=object)
    if "abstained" in frame:
        flags = frame["abstained"].map(str).str.lower().isin(sorted(_TRUE))
    else:
        flags = given.get(WHY_COLUMNS[0], empty) != ""
    without = empty if given else empty.mask(flags, NO_REASON)
    whys = {name: given.get(name, without) for name in WHY_COLUMNS}
    return frame.assign(abstained=flags, **whys)


def pattern_table(frame: pd.DataFrame) -> np.ndarray:
    """Return the probability of every pattern (n, 18); 0 where none is given."""
    columns = [
        frame[name].to_numpy(np.float64) if name in frame else np.zeros(len(frame))
        for name in PATTERN_COLUMNS
    ]
    return np.asarray(np.nan_to_num(np.stack(columns, 1)))


def arrays(rows: pd.DataFrame, head: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return truth, probability and patient of the rows of a binary head, (n,) each."""
    columns = (f"{head}_truth", head, "patient_key")
    t, p, patient = (rows[name].to_numpy() for name in columns)
    return t, p, patient


def named(rows: pd.DataFrame) -> NamedRows:
    """Return truth, probability and set of the rows of the pattern head as tables."""
    sets = rows["pattern_set"].tolist() if "pattern_set" in rows else None
    return named_rows(rows["pattern_truth"].tolist(), pattern_table(rows), PATTERN_KEYS, sets)
