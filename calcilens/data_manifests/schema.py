"""Manifests: one row a labelled lesion, in memory and on disk.

Votes stay votes in a manifest; `truth` says what they amount to.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from calcilens.data_manifests import csv_form
from calcilens.data_manifests.columns import (
    BOX_COLUMNS,
    COLUMNS,
    NAMES,
    OLDER_VERSIONS,
    SCHEMA_VERSION,
    TRUTH_COLUMNS,
    Column,
    arrow_schema,
)
from calcilens.data_manifests.faults import check_columns
from calcilens.data_manifests.rows import table_faults
from calcilens.errors import ManifestError, UsageError, compose
from calcilens.files import whole
from calcilens.vocabulary import ABSENT

MIN_CONCERN_READERS = 3
"""Fewer malignancy votes than this say nothing for certain."""
CONCERN_UNDECIDED = 3
"""Median malignancy vote of readers who are undecided."""


@dataclass(eq=False)
class Manifest:
    """A table of labelled lesions and where its images lie.

    Args:
        frame: One row a lesion, the columns of `columns.COLUMNS`. An empty cell is None in
            columns of text and lists, NaN in numbers, NA in counts and flags.
        root: Folder that the paths in the column `image` start from.
        metadata: schema_version, source, created and root, as in the file.
    """

    frame: pd.DataFrame
    root: Path
    metadata: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frame)


def new_manifest(rows: Sequence[Mapping[str, Any]], root: Path) -> Manifest:
    """Make a manifest from rows whose empty cells are None or left out.

    Args:
        rows: One mapping a row, from column name to value.
        root: Folder that the paths in the rows start from.

    Raises:
        ManifestError: A value cannot stand in its column.
    """
    frame = frame_from_rows(rows)
    metadata = {
        "schema_version": SCHEMA_VERSION,
        "source": "|".join(sorted(set(frame["source"]))),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return Manifest(frame, root.resolve(), metadata)


def frame_from_rows(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Make a frame in the dtypes of a manifest from plain rows."""
    return _frame({c.name: [row.get(c.name) for row in rows] for c in COLUMNS})


def plain_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as plain Python values, None where a cell is empty."""
    cells = {c.name: [_plain(v) for v in frame[c.name].tolist()] for c in COLUMNS}
    return [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]


def box_of(row: Mapping[str, Any] | pd.Series) -> np.ndarray:
    """Return the box of a row: (2, 3) int64, start and stop in (z, y, x), voxels."""
    return np.array([int(row[name]) for name in BOX_COLUMNS]).reshape(2, 3)


def read_manifest(path: str | Path, *, root: str | Path | None = None) -> Manifest:
    """Read a manifest from parquet or CSV, by its suffix.

    Args:
        path: The file.
        root: Folder of the images, when they do not lie where the manifest says.

    Raises:
        ManifestError: The file is not a manifest, or a cell cannot stand in it, whatever the
            images are; `validate` looks at those too, and lists all faults.
    """
    manifest = read_unchecked(path, root=root)
    fault = next(table_faults(plain_rows(manifest.frame)), None)
    if fault is not None:
        fix = "`calcilens manifest validate` lists all"
        raise ManifestError(f"{Path(path).name}: {fault}; {fix}")
    return manifest


def read_unchecked(path: str | Path, *, root: str | Path | None = None) -> Manifest:
    """Read a manifest of which only the types of the cells are known to be right.

    Raises:
        ManifestError: The file is not a manifest, or a cell is not of its column's type.
    """
    path = Path(path)
    if not path.is_file():
        raise ManifestError(compose("a manifest", "no such file", where=path.name))
    cells, metadata = _reader(path)(path)
    if metadata.get("schema_version") in OLDER_VERSIONS:
        metadata["schema_version"] = SCHEMA_VERSION  # as the frame is, its new columns empty
    frame = _frame(cells)
    base = Path(root) if root is not None else path.parent / metadata.get("root", ".")
    return Manifest(frame, base.resolve(), metadata)


def write_manifest(manifest: Manifest, path: str | Path) -> None:
    """Write a manifest as parquet or CSV, by the suffix of `path`, whole or not at all.

    Raises:
        ManifestError: The frame has a column that no manifest has, or lacks one,
            or a cell is not of its column's type.
    """
    path = Path(path)
    write = _writer(path)
    check_columns([c for c in manifest.frame.columns if c not in TRUTH_COLUMNS], path.name, NAMES)
    frame = _frame({name: manifest.frame[name].tolist() for name in NAMES})
    root = os.path.relpath(manifest.root.resolve(), path.parent.resolve())
    metadata = {"schema_version": SCHEMA_VERSION} | manifest.metadata
    metadata["root"] = Path(root).as_posix()
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as part:
        write(frame, metadata, part)


def truth(frame: pd.DataFrame) -> pd.DataFrame:
    """Add what the labels and votes of every row amount to.

    An explicit label wins over votes. Finding: 1 where at least half of the readers see
    calcification. Concern: where at least three readers voted and their median is not 3,
    1 when it is above 3. Pattern: the most-voted one where the finding is 1; a tie is none.
    A label may name several patterns, and then all of them are true.

    Returns:
        A copy with the columns finding_truth and concern_truth (float, NaN where unknown)
        and pattern_truth (tuple of one or more keys, None where unknown).
    """
    found = [
        _either(label, _finding_truth, votes)
        for label, votes in zip(frame["finding"], frame["finding_votes"], strict=True)
    ]
    concern = [
        _either(label, _concern_truth, votes)
        for label, votes in zip(frame["concern"], frame["concern_votes"], strict=True)
    ]
    pattern = [
        _pattern_truth(label, votes, calcified == 1)
        for label, votes, calcified in zip(
            frame["pattern"], frame["pattern_votes"], found, strict=True
        )
    ]
    return frame.assign(
        finding_truth=np.array(found, np.float64),
        pattern_truth=pd.Series(pattern, index=frame.index, dtype=object),
        concern_truth=np.array(concern, np.float64),
    )


def _either(label: float, derive: Callable[[Sequence[int]], float], votes: Any) -> float:
    if not np.isnan(label):
        return float(label)
    return derive(votes) if votes is not None else np.nan


def _finding_truth(votes: Sequence[int]) -> float:
    return float(2 * sum(votes) >= len(votes))


def _concern_truth(votes: Sequence[int]) -> float:
    middle = median(votes)
    if len(votes) < MIN_CONCERN_READERS or middle == CONCERN_UNDECIDED:
        return np.nan
    return float(middle > CONCERN_UNDECIDED)


def _pattern_truth(label: Any, votes: Any, calcified: bool) -> tuple[str, ...] | None:
    if label is not None:
        return tuple(dict.fromkeys(map(str, label)))
    if votes is None or not calcified:
        return None
    top = Counter(vote for vote in votes if vote != ABSENT).most_common(2)
    if not top or (len(top) == 2 and top[0][1] == top[1][1]):
        return None
    return (str(top[0][0]),)


# --- files -------------------------------------------------------------------------------------

Cells = Mapping[str, Sequence[Any]]


def _reader(path: Path) -> Callable[[Path], tuple[Cells, dict[str, str]]]:
    return csv_form.read_csv if _suffix(path) == ".csv" else _read_parquet


def _writer(path: Path) -> Callable[[pd.DataFrame, dict[str, str], Path], None]:
    return _write_csv if _suffix(path) == ".csv" else _write_parquet


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise UsageError(compose("a name ending in .parquet or .csv", path.name, where="manifest"))
    return suffix


def _read_parquet(path: Path) -> tuple[Cells, dict[str, str]]:
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise ManifestError(
            compose("a parquet file", f"{type(error).__name__}", where=path.name)
        ) from error
    check_columns(table.column_names, path.name)
    metadata = table.schema.metadata or {}
    given = set(table.column_names)
    empty = [None] * table.num_rows
    cells = {name: table[name].to_pylist() if name in given else empty for name in NAMES}
    return cells, {key.decode(): value.decode() for key, value in metadata.items()}


def _write_parquet(frame: pd.DataFrame, metadata: dict[str, str], path: Path) -> None:
    rows = plain_rows(frame)
    schema = arrow_schema().with_metadata(metadata)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, compression="zstd")


def _write_csv(frame: pd.DataFrame, metadata: dict[str, str], path: Path) -> None:
    csv_form.write_csv(plain_rows(frame), metadata, path)


# --- frames ------------------------------------------------------------------------------------


def _frame(cells: Cells) -> pd.DataFrame:
    return pd.DataFrame({c.name: _series(c, cells[c.name]) for c in COLUMNS})


def _series(column: Column, values: Iterable[Any]) -> pd.Series:
    plain = [_plain(value) for value in values]
    if not column.nullable and None in plain:
        where = f"row {plain.index(None) + 1}, column {column.name}"
        raise ManifestError(compose("a value", "an empty cell", where=where))
    try:
        pa.array(plain, column.type)
        series: pd.Series = pd.Series(plain, dtype=_dtype(column))
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        where = f"{_row_of_unfit(column, plain)}column {column.name}"
        raise ManifestError(
            compose(f"a value of type {column.type}", "another", where=where)
        ) from error
    return series


def _row_of_unfit(column: Column, plain: Sequence[Any]) -> str:
    """Name the row of the first value that is not of the column's type."""
    for number, value in enumerate(plain, start=1):
        try:
            pa.array([value], column.type)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            return f"row {number}, "
    return ""  # each is, by itself


def _dtype(column: Column) -> Any:
    if pa.types.is_integer(column.type):
        return pd.Int64Dtype() if column.nullable else np.dtype(np.int64)
    if pa.types.is_floating(column.type):
        return np.dtype(np.float64)
    return pd.BooleanDtype() if pa.types.is_boolean(column.type) else np.dtype(object)


def _plain(value: Any) -> Any:
    """Turn numpy and pandas scalars, arrays and kinds of nothing into plain Python."""
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(item) for item in value]
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return None
    return value.item() if isinstance(value, np.generic) else value
