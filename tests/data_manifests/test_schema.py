from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from calcilens.data_manifests.columns import ADDED, COLUMNS, NAMES, arrow_schema, json_schema
from calcilens.data_manifests.schema import (
    Manifest,
    frame_from_rows,
    plain_rows,
    read_manifest,
    truth,
    write_manifest,
)
from calcilens.errors import ManifestError, UsageError
from calcilens.vocabulary import ABSENT, PATTERN_KEYS
from tests.data_manifests.strategies import manifests, rows

FORMS = ("m.parquet", "m.csv")


def written(manifest: Manifest, path: Path) -> Manifest:
    write_manifest(manifest, path)
    return read_manifest(path)


def one_row(**cells: object) -> pd.DataFrame:
    needed: dict[str, object] = {
        "row_id": "r",
        "image": "i.png",
        "image_kind": "png",
        "modality": "CT",
    }
    needed |= dict.fromkeys(("z0", "y0", "x0"), 0) | dict.fromkeys(("z1", "y1", "x1"), 1)
    needed |= {"patient_key": "0" * 16, "source": "s", "readers": 1, "sha256": "0" * 64}
    return frame_from_rows([needed | cells])


@pytest.mark.parametrize("name", FORMS)
@settings(max_examples=20)
@given(manifest=manifests())
def test_writing_and_reading_gives_the_same_manifest(
    name: str, manifest: Manifest, tmp_path: Path
) -> None:
    again = written(manifest, tmp_path / name)
    pd.testing.assert_frame_equal(again.frame, manifest.frame, check_exact=True)
    assert again.root == manifest.root
    assert manifest.metadata.items() <= again.metadata.items()


@settings(max_examples=20)
@given(manifest=manifests())
def test_both_forms_of_a_manifest_hold_the_same_cells(manifest: Manifest, tmp_path: Path) -> None:
    parquet, text = (written(manifest, tmp_path / name) for name in FORMS)
    assert plain_rows(parquet.frame) == plain_rows(text.frame) == plain_rows(manifest.frame)
    assert parquet.metadata == text.metadata


@given(row=rows())
def test_every_valid_row_fits_the_json_schema(row: dict) -> None:
    filled = {name: row.get(name) for name in NAMES}
    assert [e.message for e in Draft202012Validator(json_schema()).iter_errors(filled)] == []


def test_the_packaged_json_schema_is_that_of_the_columns() -> None:
    packaged = files("calcilens.data_manifests").joinpath("manifest.schema.json").read_text()
    assert json.loads(packaged) == json_schema()


def test_the_parquet_file_has_the_arrow_schema_and_the_metadata(tmp_path: Path) -> None:
    manifest = Manifest(one_row(), tmp_path, {"source": "s"})
    write_manifest(manifest, tmp_path / "m.parquet")
    found = pq.read_schema(tmp_path / "m.parquet")
    assert found.remove_metadata().equals(arrow_schema())
    assert found.metadata == {b"schema_version": b"2", b"source": b"s", b"root": b"."}


def test_manifest_and_images_can_move_together(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    write_manifest(Manifest(one_row(), old / "images"), old / "m.csv")
    old.rename(new)
    assert read_manifest(new / "m.csv").root == new / "images"
    assert read_manifest(new / "m.csv", root=tmp_path).root == tmp_path


@pytest.mark.parametrize("name", FORMS)
def test_a_failed_write_leaves_the_old_file_and_nothing_else(name: str, tmp_path: Path) -> None:
    write_manifest(Manifest(one_row(), tmp_path), tmp_path / name)
    before = (tmp_path / name).read_bytes()
    broken = one_row().assign(z0=["three"])
    with pytest.raises(ManifestError, match="column z0"):
        write_manifest(Manifest(broken, tmp_path), tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == before


@pytest.mark.parametrize("name", FORMS)
def test_a_file_of_the_first_version_is_read_with_its_new_columns_empty(
    name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    write_manifest(Manifest(one_row(), tmp_path), path)
    as_version_1(path)
    old = read_manifest(path)
    pd.testing.assert_frame_equal(old.frame, one_row())
    assert old.metadata["schema_version"] == "2"
    again = written(old, tmp_path / f"again-{name}")
    pd.testing.assert_frame_equal(again.frame, old.frame)


def as_version_1(path: Path) -> None:
    """Make of a file of one row what the first version would have written."""
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        metadata = table.schema.metadata | {b"schema_version": b"1"}
        pq.write_table(table.drop_columns(list(ADDED)).replace_schema_metadata(metadata), path)
        return
    head, *lines = path.read_text().splitlines()
    places = [i for i, name in enumerate(NAMES) if name not in ADDED]
    cells = [line.split(",") for line in lines]
    lines = [",".join(line[i] for i in places) for line in cells]
    path.write_text("\n".join([head.replace('"2"', '"1"'), *lines]))


def test_truth_columns_are_not_written(tmp_path: Path) -> None:
    assert list(written(Manifest(truth(one_row()), tmp_path), tmp_path / "m.csv").frame) == [*NAMES]


def test_a_misspelt_column_is_refused_with_the_near_word(tmp_path: Path) -> None:
    manifest = Manifest(one_row().assign(modalty="CT"), tmp_path)
    with pytest.raises(ManifestError, match="'modalty'; did you mean 'modality'"):
        write_manifest(manifest, tmp_path / "m.csv")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.csv", "row_id,image\n", "m.csv: expected all columns of a manifest, found no image_k"),
        (
            "m.csv",
            "\xff\xfe",
            "m.csv: expected CSV in UTF-8, found another encoding; save it as CSV",
        ),
        ("m.csv", "# 7\n", "m.csv, line 1: expected metadata as JSON"),
        ("m.csv", "", "m.csv: expected all columns"),
        ("m.parquet", "not parquet", "m.parquet: expected a parquet file"),
    ],
)
def test_what_is_no_manifest_is_refused_in_one_line(
    name: str, content: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(ManifestError, match=message) as refused:
        read_manifest(tmp_path / name)
    assert "\n" not in str(refused.value)


def test_a_missing_file_and_an_unknown_suffix_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"m\.csv: expected a manifest, found no such file"):
        read_manifest(tmp_path / "m.csv")
    with pytest.raises(UsageError, match=r"ending in \.parquet or \.csv, found m\.xlsx"):
        write_manifest(Manifest(one_row(), tmp_path), tmp_path / "m.xlsx")


@pytest.mark.parametrize("bad", ["z0", "finding_votes", "contrast"])
def test_a_cell_of_another_type_is_named_by_row_and_column(bad: str, tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    write_manifest(Manifest(one_row(), tmp_path), path)
    head, names, line = path.read_text().splitlines()
    cells = dict(zip(names.split(","), line.split(","), strict=True)) | {bad: "many"}
    path.write_text("\n".join([head, names, line, ",".join(cells.values())]))
    with pytest.raises(ManifestError, match=rf"m\.csv: row 2, column {bad}: .*found 'many'"):
        read_manifest(path)


def test_every_column_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "manifests.md").read_text()
    assert [c.name for c in COLUMNS if f"| `{c.name}` | {c.about} |" not in page] == []


# --- truth -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("votes", "expected"),
    [([1], 1), ([0], 0), ([1, 0], 1), ([1, 0, 0], 0), ([1, 1, 0], 1), ([0, 0, 1, 1], 1)],
)
def test_a_finding_is_true_where_at_least_half_of_the_readers_see_it(
    votes: list[int], expected: int
) -> None:
    assert truth(one_row(finding_votes=votes))["finding_truth"].tolist() == [expected]


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ([5, 5], np.nan),  # fewer than three readers
        ([3, 3, 5], np.nan),  # undecided
        ([2, 4, 3, 3], np.nan),
        ([2, 2, 5], 0),
        ([3, 4, 4], 1),
        ([3, 4, 3, 4], 1),  # median 3.5
        ([1, 2, 3, 4], 0),  # median 2.5
    ],
)
def test_concern_needs_three_readers_who_are_decided(votes: list[int], expected: float) -> None:
    found = truth(one_row(concern_votes=votes))["concern_truth"]
    np.testing.assert_array_equal(found, [expected])


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        (["diffuse", "diffuse", "central"], ("diffuse",)),
        (["diffuse", ABSENT, ABSENT], ("diffuse",)),
        (["diffuse", "central"], None),
        ([ABSENT, ABSENT], None),
    ],
)
def test_pattern_is_the_most_voted_one_and_a_tie_is_none(
    votes: list[str], expected: tuple[str, ...] | None
) -> None:
    found = truth(one_row(finding=1.0, pattern_votes=votes))["pattern_truth"]
    assert found.tolist() == [expected]


def test_pattern_is_unknown_where_most_readers_see_no_calcification() -> None:
    frame = one_row(finding_votes=[1, 0, 0], pattern_votes=["diffuse", ABSENT, ABSENT])
    assert truth(frame)["pattern_truth"].tolist() == [None]


def test_explicit_labels_win_over_votes() -> None:
    frame = one_row(
        finding=0.0,
        finding_votes=[1, 1],
        concern=0.0,
        concern_votes=[5, 5, 5],
        pattern=["central"],
        pattern_votes=["diffuse"],
    )
    found = truth(frame).iloc[0]
    assert (found["finding_truth"], found["concern_truth"]) == (0, 0)
    assert found["pattern_truth"] == ("central",)


def test_all_patterns_of_a_label_are_true() -> None:
    frame = one_row(finding=1.0, pattern=["central", "popcorn", "central"])
    assert truth(frame)["pattern_truth"].tolist() == [("central", "popcorn")]


def test_without_labels_nothing_is_true() -> None:
    found = truth(one_row()).iloc[0]
    assert np.isnan([found["finding_truth"], found["concern_truth"]]).all()
    assert found["pattern_truth"] is None


@given(
    found=st.lists(st.integers(0, 1), min_size=1, max_size=8),
    concern=st.lists(st.integers(1, 5), min_size=1, max_size=8),
    pattern=st.lists(st.sampled_from([*PATTERN_KEYS[:4], ABSENT]), min_size=1, max_size=8),
    random=st.randoms(use_true_random=False),
)
def test_the_order_of_readers_changes_no_truth(
    found: list[int], concern: list[int], pattern: list[str], random: object
) -> None:
    def shuffled(votes: Sequence[object]) -> list[object]:
        order = list(votes)
        random.shuffle(order)  # type: ignore[attr-defined]
        return order

    one = one_row(finding_votes=found, concern_votes=concern, pattern_votes=pattern)
    other = one_row(
        finding_votes=shuffled(found),
        concern_votes=shuffled(concern),
        pattern_votes=shuffled(pattern),
    )
    columns = ["finding_truth", "pattern_truth", "concern_truth"]
    pd.testing.assert_frame_equal(truth(one)[columns], truth(other)[columns])
