from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from calcilens.data_manifests.columns import COLUMNS, Column
from calcilens.data_manifests.rows import fits, row_faults
from calcilens.data_manifests.schema import Manifest, plain_rows, read_manifest, write_manifest
from calcilens.errors import ManifestError
from tests.data_manifests.made import png_manifest, tissue
from tests.data_manifests.strategies import rows

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 7)
    | st.sampled_from([0.0, 0.5, 1.0, -1.0, float("inf"), 2**70])
    | st.sampled_from(
        ["", "a", "a/b.png", "/a", "../a", "1.2", "1..2", "0" * 16, "0" * 64, "9" * 65]
    )
    | st.sampled_from(["CT", "png", "train", "central", "absent", "zzz"])
)
CELLS = SCALARS | st.lists(SCALARS, max_size=3)


@given(cell=CELLS, column=st.sampled_from(COLUMNS))
def test_the_fast_check_lets_nothing_through_that_json_schema_does_not(
    cell: Any, column: Column
) -> None:
    assert not fits(column.rule, cell) or Draft202012Validator(column.rule).is_valid(cell)


@given(row=rows())
def test_the_fast_check_knows_every_good_cell(row: dict[str, Any]) -> None:
    filled = [c for c in COLUMNS if row[c.name] is not None]
    assert [c.name for c in filled if not fits(c.rule, row[c.name])] == []


def test_a_column_that_no_manifest_has_is_a_fault(manifest: Manifest) -> None:
    (row, *_) = plain_rows(manifest.frame)
    assert row_faults(row, 1) == []
    assert len(row_faults(row | {"other": 1}, 1)) == 1


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    made = png_manifest(tmp_path, {f"{n}.png": tissue(n, 32) for n in range(3)})
    write_manifest(made, tmp_path / "m.csv")
    write_manifest(made, tmp_path / "m.parquet")
    return made


def edit_csv(path: Path, column: str, value: str) -> None:
    """Change a cell of row 2."""
    head, names, *lines = path.read_text().splitlines()
    cells = lines[1].split(",")
    cells[names.split(",").index(column)] = value
    lines[1] = ",".join(cells)
    path.write_text("\n".join([head, names, *lines]))


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("readers", "-1", "expected at least 1, found -1"),
        ("spacing_x_mm", "-1", "expected more than 0, found -1.0"),
        ("spacing_x_mm", "nan", "expected a number, found 'nan'"),
        ("diameter_mm", "inf", "expected a number, found 'inf'"),
        ("kvp", "nan", "expected a number, found 'nan'"),
        ("fold", "-1", "expected at least 0, found -1"),
        ("split", "x", "expected one of train, val, test, unused, found 'x'"),
        ("pattern", "zzz", "expected one of diffuse, central"),
        ("concern_votes", "9|9|9", "expected one of 1, 2, 3, 4, 5, found 9"),
        ("modality", "XX", "expected one of CT, CR, DX, RG, MG, found 'XX'"),
        ("image_kind", "jpeg", "expected one of dicom, nifti, png, png_stack, found 'jpeg'"),
        ("finding", "5", "expected one of 0, 1, found 5.0"),
        ("finding", "0.5", "expected one of 0, 1, found 0.5"),
        ("row_id", "0.png", "expected a name of its own, found that of row 1"),
        ("z0", "9" * 23, "expected a whole number of 64 bits, found '9"),
        ("key_plane", "9" * 23, "expected a whole number of 64 bits, found '9"),
        ("finding_votes", "9" * 23, r"expected values joined by '\|', found '9"),
    ],
)
def test_reading_refuses_what_validating_would(
    column: str, value: str, said: str, manifest: Manifest
) -> None:
    edit_csv(manifest.root / "m.csv", column, value)
    with pytest.raises(ManifestError, match=rf"^m\.csv: row 2, column {column}: {said}"):
        read_manifest(manifest.root / "m.csv")


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("diameter_mm", float("inf"), "expected a finite number, found inf"),
        ("image_kind", "jpeg", "expected one of dicom, nifti, png, png_stack, found 'jpeg'"),
        ("z1", 2**63, "expected a value of type int64, found another"),
    ],
)
def test_the_same_holds_of_parquet(column: str, value: Any, said: str, manifest: Manifest) -> None:
    path = manifest.root / "m.parquet"
    table = pq.read_table(path)
    cells = table[column].to_pylist()
    cells[1] = value
    wide = pa.array(cells, pa.uint64()) if column == "z1" else pa.array(cells)
    place = table.column_names.index(column)
    pq.write_table(table.set_column(place, column, wide), path)
    with pytest.raises(ManifestError, match=rf"row 2, column {column}: {said}"):
        read_manifest(path)


def test_a_cell_of_any_length_is_one_short_line(manifest: Manifest) -> None:
    edit_csv(manifest.root / "m.csv", "split", "x" * 10_000)
    with pytest.raises(ManifestError, match="column split") as raised:
        read_manifest(manifest.root / "m.csv")
    assert len(str(raised.value)) < 400
