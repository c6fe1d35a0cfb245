from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from calcilens.data_manifests.rows import row_faults
from calcilens.data_manifests.schema import Manifest, plain_rows, write_manifest
from calcilens.data_manifests.validate import validate, validate_file
from tests.data_manifests.made import png_manifest, save_png, tissue
from tests.data_manifests.strategies import rows


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return png_manifest(tmp_path, {f"{n}.png": tissue(n) for n in range(3)})


def faults(manifest: Manifest, **cells: object) -> list[str]:
    """Return what is said of the manifest after the cells of row 2 are changed."""
    frame = manifest.frame.astype(object)
    for name, value in cells.items():
        frame[name] = [frame[name].iloc[0], value, frame[name].iloc[2]]
    return [str(f) for f in validate(Manifest(frame, manifest.root, manifest.metadata))]


def test_a_good_manifest_has_no_faults(manifest: Manifest) -> None:
    assert faults(manifest) == []


@settings(max_examples=20)
@given(row=rows())
def test_every_promise_of_the_strategy_is_one_of_the_schema(row: dict) -> None:
    assert row_faults(row, 1) == []


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"split": "trian"}, "row 2, column split: expected one of train, val, test, unused, found"
         " 'trian'; did you mean 'train'?"),
        ({"pattern": ["central", "cloudlike"]}, "found 'cloudlike'; did you mean 'cloud_like'?"),
        ({"concern_votes": [6]}, "row 2, column concern_votes: expected one of 1, 2, 3, 4, 5"),
        ({"finding": 0.5}, "row 2, column finding: expected one of 0, 1, found 0.5"),
        ({"spacing_y_mm": 0.0}, "row 2, column spacing_y_mm: expected more than 0, found 0.0"),
        ({"patient_key": "Ann"}, "row 2, column patient_key: expected 16 hexadecimal digits"),
        ({"series_uid": "1.2.x"}, "row 2, column series_uid: expected a UID of digits and dots"),
        ({"image": "/etc/a.png"}, "row 2, column image: expected a path below the manifest's root"),
        ({"image": "a/../../b.png"}, "row 2, column image: expected a path below"),
        ({"image": None}, "row 2, column image: expected a value of type string, found an empty"),
        ({"z1": 0}, "row 2, column z1: expected more than z0 = 0, found 0"),
        ({"x1": 129}, "row 2, column x1: expected at most 128, found 129"),
        ({"y0": -1}, "row 2, column y0: expected at least 0, found -1"),
        ({"key_plane": 1}, "row 2, column key_plane: expected 0 to 0, found 1"),
        ({"key_plane": 1, "z1": 2}, "row 2, column key_plane: expected at most 0, found 1"),
        ({"z1": 2}, "row 2, column z1: expected at most 1, found 2"),
        ({"readers": 2}, "row 2, column readers: expected 1, as many as votes, found 2"),
        ({"image": "no.png"}, "row 2, column image: expected an image, found no such file"),
        ({"mask": "/m.png"}, "row 2, column mask: expected a path below the manifest's root"),
        ({"mask": "no.png"}, "row 2, column mask: expected a mask, found no such file"),
        ({"mask": "small.png"}, "row 2, column mask: expected the shape of the image, (1, 128, 128"
         "), found (1, 64, 128)"),
        ({"mask": "text.png"}, "row 2, column mask: cannot be read: text.png: expected a readable"),
        ({"kvp": 0.0}, "row 2, column kvp: expected more than 0, found 0.0"),
        ({"row_id": "0.png"}, "row 2, column row_id: expected a name of its own, found that of"),
    ],
)  # fmt: skip
def test_each_fault_is_named_by_row_and_column(
    cells: dict[str, object], said: str, manifest: Manifest
) -> None:
    save_png(tissue(1)[:64], manifest.root / "small.png")
    (manifest.root / "text.png").write_text("no picture")
    (fault,) = faults(manifest, **cells)
    assert said in fault
    assert "\n" not in fault


def test_a_lesion_longer_than_its_piece_of_a_series_is_no_fault(manifest: Manifest) -> None:
    assert faults(manifest, key_plane=0, z0=-7, z1=9) == []


def test_a_mask_in_the_grid_of_the_image_is_no_fault(manifest: Manifest) -> None:
    save_png(np.zeros((128, 128), np.uint8), manifest.root / "mask.png")
    assert faults(manifest, mask="mask.png") == []


def test_a_changed_image_is_found(manifest: Manifest) -> None:
    pixels = tissue(1)
    pixels[0, 0] ^= 1
    save_png(pixels, manifest.root / "1.png")
    (fault,) = faults(manifest)
    assert fault.startswith("row 2, column sha256: expected the image as it was")


def test_all_faults_are_found_at_once(manifest: Manifest) -> None:
    (manifest.root / "0.png").unlink()
    found = faults(manifest, modality="MR", split="x", z1=0)
    assert [line.split(":")[0] for line in found] == [
        "row 1, column image",
        "row 2, column modality",
        "row 2, column split",
    ]


def test_unreadable_cells_of_a_csv_are_faults_not_a_failure(
    manifest: Manifest, tmp_path: Path
) -> None:
    write_manifest(manifest, tmp_path / "m.csv")
    text = (tmp_path / "m.csv").read_text().replace("1.png,1.png,png", "1.png,1.png,png,extra")
    (tmp_path / "m.csv").write_text(text.replace("2.png,2.png,", "2.png,"))
    said = [str(fault) for fault in validate_file(tmp_path / "m.csv")]
    assert said[-1] == "row 3: expected 36 cells, found 35"
    assert "row 2: expected 36 cells, found 37" in said


def test_validating_changes_nothing(manifest: Manifest) -> None:
    before = plain_rows(manifest.frame)
    validate(manifest)
    assert plain_rows(manifest.frame) == before


def test_a_folder_of_planes_is_changed_when_a_plane_is_added(tmp_path: Path) -> None:
    from calcilens.data_manifests.pixels import digest

    save_png(np.zeros((4, 4), np.uint8), tmp_path / "a" / "1.png")
    before = digest(tmp_path / "a")
    save_png(np.zeros((4, 4), np.uint8), tmp_path / "a" / "2.png")
    assert digest(tmp_path / "a") != before
