from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from calcilens.data_manifests.builders.phantoms import TRUTH, build_phantoms
from calcilens.data_manifests.pixels import load_mask, load_stack
from calcilens.data_manifests.schema import plain_rows, truth
from calcilens.data_manifests.validate import validate
from calcilens.errors import ManifestError, UsageError
from tests.data_manifests.made import save_png

BOX = [[1, 4, 6], [4, 12, 16]]


def line(number: int, **cells: Any) -> dict[str, Any]:
    """Return the truth of a simulated lesion in CT, with keys that the builder does not know."""
    return {
        **{"id": f"ct-{number}", "image": f"images/{number}.nii", "mask": f"masks/{number}.nii.gz"},
        **{"modality": "CT", "box": BOX, "key_plane": 2, "spacing_mm": [2.0, 0.7, 0.7]},
        **{"person": number // 2, "seed": 3, "domain": "usual", "finding": 1, "concern": 0},
        **{"patterns": ["central", "popcorn"], "site": "thigh", "kvp": 120, "kernel": "smooth"},
        **{"diameter_mm": 7.5, "volume_mm3": 210.0},
        **cells,
    }


def radiograph(number: int) -> dict[str, Any]:
    files = {"image": f"images/{number}.png", "mask": None, "id": f"dx-{number}"}
    view = {"modality": "DX", "box": [[0, 4, 6], [1, 12, 16]], "key_plane": 0}
    absent = {"finding": 0, "patterns": [], "spacing_mm": [None, None, None], "diameter_mm": None}
    return line(number, **files, **view, **absent)


def written(root: Path, *lines: dict[str, Any]) -> Path:
    """Write images, masks and truth as `calcilens phantoms patches` does."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for number, of in enumerate(lines):
        voxels = np.random.default_rng(number).integers(-100, 900, (5, 20, 24)).astype(np.int16)
        if of["modality"] == "DX":
            save_png(voxels[0].astype(np.uint16), root / of["image"])
            continue
        nibabel.save(nibabel.Nifti1Image(voxels.T, np.eye(4)), root / of["image"])
        mask = (voxels > 800).astype(np.uint8)
        nibabel.save(nibabel.Nifti1Image(mask.T, np.eye(4)), root / of["mask"])
    (root / TRUTH).write_text("".join(f"{json.dumps(of)}\n" for of in lines))
    return root


def test_the_truth_of_a_folder_becomes_a_manifest_without_faults(tmp_path: Path) -> None:
    made = build_phantoms(written(tmp_path, line(0), line(1), radiograph(2)))
    assert validate(made) == []
    frame = truth(made.frame)
    assert frame["pattern_truth"].tolist() == [("central", "popcorn")] * 2 + [None]
    assert frame["finding_truth"].tolist() == [1, 1, 0]
    assert frame["source"].tolist() == ["phantom-ct"] * 2 + ["phantom-radiograph"]
    row, _, view = plain_rows(made.frame)
    assert [row[f"spacing_{axis}_mm"] for axis in "zyx"] == [2.0, 0.7, 0.7]
    assert (row["site"], row["kvp"], row["kernel"]) == ("thigh", 120, "smooth")
    assert view["spacing_y_mm"] is None is view["mask"]


def test_images_and_masks_come_in_the_axes_of_the_box(tmp_path: Path) -> None:
    made = build_phantoms(written(tmp_path, line(0)))
    row = made.frame.iloc[0]
    stack, mask = load_stack(made, row), load_mask(made, row)
    assert stack.shape == (5, 20, 24)
    assert stack.dtype == np.int16
    np.testing.assert_array_equal(mask, np.asarray(stack, int) > 800)


def test_a_person_keeps_its_key_and_is_another_in_another_domain_or_seed(tmp_path: Path) -> None:
    others = (line(2, domain="unseen", person=0), line(3, seed=4, person=0))
    made = build_phantoms(written(tmp_path, line(0), line(1), *others)).frame
    keys = made["patient_key"].tolist()
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
    assert made["row_id"].nunique() == 4


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"patterns": ["cloudlike"]}, "row 1, column pattern: .*did you mean 'cloud_like'"),
        ({"image": "images/none.nii"}, "truth.jsonl, line 1: expected its image, found no such"),
        ({"box": [1, 2]}, "truth.jsonl, line 1: expected the truth of a lesion, found other"),
        ({"modality": "MR"}, "truth.jsonl, line 1: expected the truth of a lesion"),
        ({"finding": 2}, "row 1, column finding: expected one of 0, 1, found 2"),
    ],
)
def test_a_line_that_is_wrong_is_named(wrong: dict[str, Any], said: str, tmp_path: Path) -> None:
    written(tmp_path, line(0))
    (tmp_path / TRUTH).write_text(json.dumps(line(0, **wrong)))
    with pytest.raises(ManifestError, match=said):
        build_phantoms(tmp_path)


def test_a_folder_without_truth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--root: expected truth\.jsonl, found no such file"):
        build_phantoms(tmp_path)
    for text, said in (
        ("{", "JSON on every line"),
        ("[" * 100_000, "JSON on every line"),
        ("{}", "found no id"),
        ("", "at least one"),
        ("null", r"truth\.jsonl, line 1: expected a JSON object"),
        ("[1]", r"truth\.jsonl, line 1: expected a JSON object"),
    ):
        (tmp_path / TRUTH).write_text(text)
        with pytest.raises(ManifestError, match=said):
            build_phantoms(tmp_path)


def test_a_lesion_that_stands_there_twice_is_refused(tmp_path: Path) -> None:
    written(tmp_path, line(0), line(1))
    (tmp_path / TRUTH).write_text("".join(f"{json.dumps(line(n))}\n" for n in (0, 1, 0)))
    with pytest.raises(ManifestError, match="line 3: expected every lesion once, found the lesion"):
        build_phantoms(tmp_path)
