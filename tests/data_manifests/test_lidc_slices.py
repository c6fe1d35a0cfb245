from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from calcilens.data_manifests.builders.build import Built, summarise
from calcilens.data_manifests.builders.lidc_slices import (
    FOLDER,
    NO_IMAGES,
    NO_LABELS,
    NO_MASK,
    build_lidc_slices,
)
from calcilens.data_manifests.pixels import load_stack
from calcilens.data_manifests.schema import box_of, truth
from calcilens.data_manifests.validate import validate
from calcilens.errors import ManifestError, UsageError
from tests.data_manifests.made import LABELS, lidc_nodule, write_table


@pytest.fixture
def root(tmp_path: Path) -> Path:
    lidc_nodule(tmp_path / FOLDER)
    return tmp_path


def test_a_nodule_becomes_a_row_with_all_votes_and_the_median_box(root: Path) -> None:
    labels = write_table(root / "labels.csv", [LABELS | {"series_uid": "1.2.3"}])
    built = build_lidc_slices(root, labels)
    row = built.manifest.frame.iloc[0]
    assert row["finding_votes"] == [0, 1, 1, 1]
    assert row["pattern_votes"] == ["absent", "diffuse", "diffuse", "eccentric"]
    assert row["concern_votes"] == [1, 2, 2, 5]
    assert (row["readers"], row["key_plane"], row["contrast"]) == (4, 1, True)
    assert row["series_uid"] == "1.2.3"
    assert box_of(row).tolist() == [[0, 41, 50], [3, 60, 82]]
    assert row["spacing_z_mm":"spacing_x_mm"].tolist() == [2.5, 0.7, 0.7]
    assert load_stack(built.manifest, row).shape == (3, 128, 128)
    assert built.refused == ()
    assert validate(built.manifest) == []


def test_slices_are_ordered_by_number_not_by_name(root: Path) -> None:
    lidc_nodule(root / FOLDER, "P-2", slices=(2, 10), boxes=[(1, 1, 5, 5)])
    key = LABELS | {"patient_id": "P-2", "key_slice": "slice-2.png"}
    built = build_lidc_slices(root, write_table(root / "labels.csv", [key]))
    assert built.manifest.frame["key_plane"].tolist() == [0]


def test_an_empty_mask_is_no_vote_for_a_smaller_box(root: Path) -> None:
    lidc_nodule(root / FOLDER, "P-2", boxes=[(10, 10, 20, 20), None, None, None])
    labels = write_table(root / "labels.csv", [LABELS | {"patient_id": "P-2"}])
    row = build_lidc_slices(root, labels).manifest.frame.iloc[0]
    assert box_of(row).tolist() == [[0, 10, 10], [3, 20, 20]]


def test_the_set_itself_or_the_folder_holding_it_give_the_same_rows(root: Path) -> None:
    labels = write_table(root / "labels.csv", [LABELS])
    one, other = (build_lidc_slices(r, labels).manifest for r in (root, root / FOLDER))
    assert one.frame.equals(other.frame)
    assert one.root == other.root == root / FOLDER


def test_optional_columns_may_be_missing(root: Path) -> None:
    needed = ("patient_id", "nodule", "calc_votes", "malignancy_votes")
    labels = write_table(root / "labels.csv", [{name: LABELS[name] for name in needed}])
    built = build_lidc_slices(root, labels)
    row = built.manifest.frame.iloc[0]
    empty = ["series_uid", "key_plane", "diameter_mm", "spacing_z_mm", "contrast"]
    assert row[empty].isna().all()
    assert row["finding_votes"] == [0, 1, 1, 1]


def test_what_cannot_be_used_is_counted_by_kind_and_costs_nothing_else(root: Path) -> None:
    lidc_nodule(root / FOLDER, "P-1", "nodule-1", boxes=[None])
    lidc_nodule(root / FOLDER, "P-1", "nodule-2")
    lidc_nodule(root / FOLDER, "P-1", "nodule-3")
    lidc_nodule(root / FOLDER, "P-9", "nodule-0")
    (root / FOLDER / "P-9" / "nodule-0" / "images" / "slice-9.png").write_bytes(b"no picture")
    (root / FOLDER / "P-9" / "nodule-0" / "mask-0" / "slice-9.png").write_bytes(b"no picture")
    rows = [
        LABELS,
        LABELS | {"nodule": "nodule-1"},
        LABELS | {"patient_id": "P-7"},
        LABELS | {"patient_id": "P-8"},
        LABELS | {"nodule": "nodule-2", "calc_votes": "6|7"},
        LABELS | {"patient_id": "P-9"},
        LABELS,
    ]
    built = build_lidc_slices(root, write_table(root / "labels.csv", rows))
    assert len(built.manifest) == 1
    said = summarise(built.refused)
    assert said == [
        f"row 2: {NO_MASK}",
        f"2 times, first: row 3: {NO_IMAGES}",
        "row 5, column calc_votes: expected votes 1 to 6, found 6|7",
        "row 6: slice-9.png: expected a readable PNG, found UnidentifiedImageError",
        "row 7, column nodule: the same nodule is listed twice; the first row counts",
        NO_LABELS,
    ]
    assert not [line for line in said if "P-" in line]


def test_patients_are_hashed_and_one_patient_has_one_key(root: Path) -> None:
    lidc_nodule(root / FOLDER, "P-1", "nodule-1")
    lidc_nodule(root / FOLDER, "P-2")
    other = [LABELS | {"nodule": "nodule-1"}, LABELS | {"patient_id": "P-2"}]
    built = build_lidc_slices(root, write_table(root / "labels.csv", [LABELS, *other]))
    a, b, c = built.manifest.frame["patient_key"]
    assert a == b != c
    assert "P-1" not in built.manifest.frame.drop(columns="image").to_csv()


def test_an_archive_is_refused_with_how_to_unpack_it(root: Path) -> None:
    with tarfile.open(root / "set.tar.gz", "w:gz") as archive:
        archive.add(root / FOLDER, FOLDER)
    with pytest.raises(UsageError, match=r"unpack it: tar -xf set\.tar\.gz"):
        build_lidc_slices(root / "set.tar.gz", root / "labels.csv")


def test_another_folder_or_table_is_refused(root: Path, tmp_path: Path) -> None:
    labels = write_table(root / "labels.csv", [LABELS])
    with pytest.raises(UsageError, match="PATIENT/nodule-0, found none"):
        build_lidc_slices(root / FOLDER / "P-1" / "nodule-0", labels)
    with pytest.raises(ManifestError, match=r"rows\.csv: expected columns .* no calc_votes"):
        build_lidc_slices(root, write_table(root / "rows.csv", [{"patient_id": 1, "nodule": 2}]))
    with pytest.raises(ManifestError, match="at least one nodule with images"):
        build_lidc_slices(root, write_table(root / "l.csv", [LABELS | {"nodule": "x"}]))


@pytest.mark.real
def test_the_public_set_is_read_whole(lidc: Built) -> None:
    frame = truth(lidc.manifest.frame)
    assert lidc.refused == ()
    assert (len(frame), frame["patient_key"].nunique()) == (2165, 721)
    assert (frame["finding_truth"].sum(), frame["concern_truth"].count()) == (285, 707)
    assert (frame[["key_plane", "diameter_mm", "contrast"]].notna()).all(axis=None)
