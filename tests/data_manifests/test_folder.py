from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest

from calcilens.data_manifests.builders.folder import (
    GIVEN,
    ID_IN_PATH,
    NEEDED,
    NO_PATIENT,
    build_folder,
)
from calcilens.data_manifests.pixels import load_stack
from calcilens.data_manifests.schema import box_of
from calcilens.data_manifests.validate import validate
from calcilens.errors import ManifestError, UsageError
from calcilens.patients import default_salt_path, patient_key, read_salt
from tests import dicom_factory as factory
from tests.data_manifests.made import save_png, tissue, write_table

SALT = b"0123456789abcdef"
BOX = {"y0": 1, "x0": 2, "y1": 4, "x1": 6}
DEEP = {"z0": 0, "z1": 3, **BOX}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One image of each kind."""
    save_png(tissue(1), tmp_path / "picture.png")
    save_png(tissue(1).astype(np.uint16) * 257, tmp_path / "deep.png")
    for plane in (1, 2, 10):
        save_png(tissue(plane), tmp_path / "planes" / f"{plane}.png")
    image = nibabel.Nifti1Image(factory.ramp((8, 6, 4)).astype(np.int16), np.diag([0.5, 0.6, 2, 1]))
    nibabel.save(image, tmp_path / "volume.nii.gz")
    factory.save_all(factory.ct_slices(factory.ramp()), tmp_path / "ct")
    factory.save(factory.radiograph(factory.ramp((10, 12))), tmp_path / "knee.dcm")
    return tmp_path


def build(root: Path, *rows: dict[str, Any], **how: Any) -> Any:
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = [{name: row.get(name, "") for name in names} for row in rows]
    return build_folder(write_table(root / "lesions.csv", table), SALT, **how)


@pytest.mark.parametrize(
    ("row", "kind", "modality", "shape"),
    [
        ({"image": "picture.png", "modality": "MG", **BOX}, "png", "MG", (1, 128, 128)),
        ({"image": "deep.png", "modality": "DX", **BOX}, "png", "DX", (1, 128, 128)),
        ({"image": "planes", "modality": "CT", **DEEP}, "png_stack", "CT", (3, 128, 128)),
        ({"image": "volume.nii.gz", "modality": "CT", **DEEP}, "nifti", "CT", (4, 6, 8)),
        ({"image": "ct", **DEEP}, "dicom", "CT", (4, 6, 8)),
        ({"image": "knee.dcm", **BOX}, "dicom", "DX", (1, 10, 12)),
    ],
)
def test_each_kind_of_image_becomes_a_valid_row(
    row: dict[str, Any], kind: str, modality: str, shape: tuple[int, ...], root: Path
) -> None:
    built = build(root, row | {"patient": "p", "finding": 1, "pattern_votes": "diffuse|absent"})
    found = built.manifest.frame.iloc[0]
    assert (found["image_kind"], found["modality"]) == (kind, modality)
    assert load_stack(built.manifest, found).shape == shape
    assert box_of(found)[:, 1:].tolist() == [[1, 2], [4, 6]]
    assert (found["finding"], found["pattern_votes"]) == (1, ["diffuse", "absent"])
    assert found["readers"] == 2
    assert built.refused == ()
    assert validate(built.manifest) == []


def test_nifti_is_read_last_axis_first_with_its_scale_and_spacing(root: Path) -> None:
    built = build(root, {"image": "volume.nii.gz", "modality": "CT", "patient": "p", **DEEP})
    row = built.manifest.frame.iloc[0]
    stack = load_stack(built.manifest, row)
    assert stack[3, 2, 1] == factory.ramp((8, 6, 4))[1, 2, 3]
    np.testing.assert_allclose(row["spacing_z_mm":"spacing_x_mm"].tolist(), [2, 0.6, 0.5])


def test_dicom_says_its_own_uids_and_spacing(root: Path) -> None:
    row = build(root, {"image": "ct", "patient": "p", **DEEP}).manifest.frame.iloc[0]
    assert (row["study_uid"], row["series_uid"]) == (factory.STUDY_UID, factory.SERIES_UID)
    assert row["spacing_z_mm":"spacing_x_mm"].tolist() == pytest.approx([2, 0.5, 0.75])


def test_each_bad_row_is_one_line_and_the_good_ones_stay(root: Path) -> None:
    good = {"image": "picture.png", "modality": "CT", "patient": "p", **BOX}
    built = build(
        root,
        good,
        good | {"image": "gone.png"},
        good | {"x1": "six"},
        good | {"x1": 129},
        good | {"y1": 1},
        good | {"modality": "MR"},
        good | {"pattern": "popcron", "x0": 3},
        good | {"concern_votes": "2|9"},
        good | {"image": "../secret.png"},
        good | {"modality": ""},
        good,
    )
    assert len(built.manifest) == 1
    said = [str(fault) for fault in built.refused]
    assert said == [
        "row 2, column image: expected an image, found no such file or folder",
        "row 3, column x1: expected a whole number, found 'six'",
        "row 4, column x1: expected at most 128, found 129",
        "row 5, column y1: expected more than y0 = 1, found 1",
        "row 6, column modality: expected one of CT, CR, DX, RG, MG, found 'MR'",
        said[5],
        "row 8, column concern_votes: expected one of 1, 2, 3, 4, 5, found 9",
        "row 9, column image: expected an image below --root, found '../secret.png'",
        "row 10, column modality: expected one of CT, CR, DX, RG, MG, found an empty cell",
        "the same box of the same image is listed twice; the first row counts",
    ]
    assert said[5].startswith("row 7, column pattern: expected one of diffuse")
    assert said[5].endswith("found 'popcron'; did you mean 'popcorn'?")


def test_a_broken_image_is_named_with_its_reason(root: Path) -> None:
    (root / "broken.dcm").write_bytes(b"\0" * 200)
    good = {"image": "picture.png", "modality": "CT", "patient": "p", **BOX}
    (fault,) = build(root, good, good | {"image": "broken.dcm"}).refused
    assert (fault.row, fault.column) == (2, "image")


def test_a_misspelt_column_is_refused_with_the_near_word(root: Path) -> None:
    with pytest.raises(ManifestError, match=r"'findings'; did you mean 'finding'\?"):
        build(root, {"image": "picture.png", **BOX, "findings": 1})
    with pytest.raises(ManifestError, match="expected columns image, y0, x0, y1, x1, found no y0"):
        build(root, {"image": "picture.png"})


def test_a_table_with_semicolons_and_decimal_commas_is_the_same_table(root: Path) -> None:
    row = {"image": "picture.png", "modality": "CT", "spacing_y_mm": 0.75, "diameter_mm": 7.5}
    rows = [row | {"patient": p, **BOX} for p in ("a,b", "c")]
    usual = build(root, *rows).manifest.frame
    lines = [";".join(rows[0]), *(";".join(map(str, r.values())) for r in rows)]
    text = "\n".join(lines).replace("0.75", "0,75").replace("7.5", "7,5")
    (root / "semicolons.csv").write_text(text, encoding="utf-8-sig")
    found = build_folder(root / "semicolons.csv", SALT).manifest.frame
    pd.testing.assert_frame_equal(found, usual)
    assert found["diameter_mm"].tolist() == [7.5]


def test_a_mask_is_taken_over_and_one_that_does_not_fit_refuses_its_row(root: Path) -> None:
    save_png(tissue(1), root / "mask.png")
    save_png(tissue(1)[:50], root / "small.png")
    row = {"image": "picture.png", "modality": "CT", **BOX}
    built = build(root, row | {"mask": "mask.png"}, row | {"mask": "small.png", "x1": 33})
    assert built.manifest.frame["mask"].tolist() == ["mask.png"]
    (fault,) = built.refused
    assert (fault.row, fault.column) == (2, "mask")
    assert "expected the shape of the image" in fault.message


def test_the_documented_table_has_the_columns_of_a_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "manifests.md").read_text()
    shown = page.split("```csv\n")[1].split("```")[0].splitlines()
    names = shown[0].split(",")
    assert set(NEEDED) <= set(names) <= set(GIVEN)
    assert {len(line.split(",")) for line in shown} == {len(names)}


def test_patients_come_from_the_table_then_from_dicom_then_from_the_image(root: Path) -> None:
    built = build(
        root,
        {"image": "ct", "patient": "", **DEEP},
        {"image": "knee.dcm", "patient": "ann", **BOX},
        {"image": "picture.png", "modality": "CT", **BOX},
    )
    expected = [patient_key(p, SALT) for p in ("SECRET-ID", "ann", "picture.png")]
    assert built.manifest.frame["patient_key"].tolist() == expected
    assert built.notes == (f"2 {NO_PATIENT}",)


def test_no_identifier_gets_into_the_manifest_and_one_in_a_path_is_pointed_out(root: Path) -> None:
    save_png(tissue(3), root / "Ann-17" / "a.png")
    rows = [
        {"image": image, "modality": "DX", "patient": "ann-17", **BOX}
        for image in ("Ann-17/a.png", "picture.png")
    ]
    built = build(root, *rows)
    assert "ann-17" not in built.manifest.frame.drop(columns="image").to_csv().lower()
    assert built.notes == (f"1 {ID_IN_PATH}",)


def test_the_same_patient_has_another_key_under_another_salt() -> None:
    assert patient_key("p", SALT) == patient_key(" p ", SALT) != patient_key("p", SALT[::-1])


def test_a_salt_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "config" / "patient.salt"
    salt = read_salt(path)
    assert read_salt(path) == salt
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("short")
    with pytest.raises(UsageError, match="at least 16 bytes of salt, found 5"):
        read_salt(path)


def test_the_salt_lies_in_the_users_config_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/home/me/conf")
    assert default_salt_path() == Path("/home/me/conf/calcilens/patient.salt")


@pytest.mark.parametrize("image", ["\0", "a\0.png", "../picture.png"])
def test_a_path_that_is_none_is_refused_by_row_and_column(image: str, root: Path) -> None:
    with pytest.raises(ManifestError, match="row 1, column image: expected an image below --root"):
        build(root, {"image": image, "modality": "MG", **BOX})
