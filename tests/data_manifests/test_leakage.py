from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from calcilens.data_manifests.builders.build import Built
from calcilens.data_manifests.leakage import (
    check_leakage,
    find_copies,
    require_no_leakage,
)
from calcilens.data_manifests.schema import Manifest
from calcilens.data_manifests.splits import with_folds
from calcilens.errors import LeakageError, ManifestError
from tests.data_manifests.made import png_manifest, save_png, tissue

Change = Callable[[np.ndarray], np.ndarray]


def shifted(y: int, x: int) -> Change:
    return lambda a: np.pad(a, 2, mode="edge")[2 - y : 130 - y, 2 - x : 130 - x]


def jpeg(quality: int) -> Change:
    def save(a: np.ndarray) -> np.ndarray:
        stream = io.BytesIO()
        Image.fromarray(a).save(stream, "JPEG", quality=quality)
        return np.array(Image.open(stream))

    return save


CHANGES: dict[str, Change] = {
    "one pixel right": shifted(0, 1),
    "one pixel up": shifted(-1, 0),
    "one pixel down and left": shifted(1, -1),
    "JPEG 60": jpeg(60),
    "JPEG 75": jpeg(75),
    "JPEG 95": jpeg(95),
    "JPEG 60, one pixel": lambda a: jpeg(60)(shifted(1, 1)(a)),
    "16 bits": lambda a: a.astype(np.uint16) * 257,
    "6 bits": lambda a: a // 4 * 4,
    "darker": lambda a: (a * 0.6 + 10).astype(np.uint8),
}


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Six pictures of six patients, three to train and three to test on."""
    splits = ["train"] * 3 + ["test"] * 3
    return png_manifest(tmp_path, {f"{n}.png": tissue(n) for n in range(6)}, split=splits)


def kinds(manifest: Manifest) -> list[tuple[str, str, str]]:
    leaks = check_leakage(manifest, manifest.frame["split"])
    return [(leak.kind, leak.row_a, leak.row_b) for leak in leaks]


def test_different_pictures_of_different_patients_do_not_leak(manifest: Manifest) -> None:
    assert kinds(manifest) == []
    require_no_leakage(manifest)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_copy_across_splits_is_found(change: Change, manifest: Manifest) -> None:
    save_png(change(tissue(1)), manifest.root / "4.png")
    assert kinds(manifest) == [("same pixels", "1.png", "4.png")]


def test_the_shift_of_a_copy_is_said(manifest: Manifest) -> None:
    save_png(shifted(-1, 1)(tissue(1)), manifest.root / "4.png")
    (leak,) = check_leakage(manifest, manifest.frame["split"])
    assert leak.shift == (-1, 1)
    assert leak.correlation == pytest.approx(1, abs=0.02)


def test_a_copy_within_a_split_is_no_leak(manifest: Manifest) -> None:
    save_png(shifted(0, 1)(tissue(1)), manifest.root / "2.png")
    assert kinds(manifest) == []


def test_a_patient_on_both_sides_is_found(manifest: Manifest) -> None:
    manifest.frame["patient_key"] = [f"{n % 5:016x}" for n in range(6)]
    assert kinds(manifest) == [("same patient", "0.png", "5.png")]


def test_overlapping_crops_of_one_patient_on_one_side_are_no_leak(manifest: Manifest) -> None:
    save_png(shifted(0, 1)(tissue(1)), manifest.root / "2.png")
    manifest.frame["patient_key"] = [f"{max(n, 2):016x}" for n in range(6)]
    assert kinds(manifest) == []


@pytest.mark.parametrize(
    ("column", "kind"),
    [("sha256", "same file"), ("series_uid", "same series"), ("sop_uid", "same instance")],
)
def test_the_same_file_series_or_instance_under_two_patients_is_found(
    column: str, kind: str, manifest: Manifest
) -> None:
    values = [str(n) for n in range(6)]
    manifest.frame[column] = [*values[:5], values[0]]
    assert kinds(manifest) == [(kind, "0.png", "5.png")]


def test_folds_are_sides_too_and_rows_that_stand_nowhere_do_not_count(manifest: Manifest) -> None:
    save_png(tissue(1), manifest.root / "4.png")
    fold = pd.array([0, 1, None, 0, None, 1], dtype="Int64")
    frame = manifest.frame.assign(split="train", fold=fold)
    assert check_leakage(Manifest(frame, manifest.root), frame[["split", "fold"]]) == []
    frame = frame.assign(fold=pd.array([0, 1, 0, 0, 0, 0], dtype="Int64"))
    (leak,) = check_leakage(Manifest(frame, manifest.root), frame[["split", "fold"]])
    assert (leak.row_a, leak.split_a, leak.split_b) == ("1.png", "fold 1", "fold 0")
    frame = frame.assign(split=["unused" if n == 4 else "train" for n in range(6)], fold=None)
    require_no_leakage(Manifest(frame, manifest.root))


def test_training_is_refused_with_one_line_that_names_the_first_pairs(manifest: Manifest) -> None:
    manifest.frame["patient_key"] = [f"{n % 3:016x}" for n in range(6)]
    message = r"3 pairs of rows .*same patient in 0\.png \(train\) and 3\.png \(test\)"
    with pytest.raises(LeakageError, match=message) as refused:
        require_no_leakage(manifest)
    assert "\n" not in str(refused.value)


def test_copies_that_the_split_knows_of_stay_on_one_side(manifest: Manifest) -> None:
    save_png(jpeg(80)(tissue(1)), manifest.root / "4.png")
    copies = find_copies(manifest)
    assert [(copy.first, copy.second) for copy in copies] == [(1, 4)]
    folded = with_folds(
        Manifest(manifest.frame.assign(split=None), manifest.root), 5, copies=copies
    )
    require_no_leakage(folded)


def test_even_pictures_are_not_copies_of_each_other(manifest: Manifest) -> None:
    for number, grey in ((1, 10), (4, 200)):
        save_png(np.full((128, 128), grey, np.uint8), manifest.root / f"{number}.png")
    assert kinds(manifest) == []


def test_one_bright_lesion_on_noise_does_not_make_two_pictures_the_same(manifest: Manifest) -> None:
    y, x = np.mgrid[:128, :128]
    lesion = 150 * np.exp(-((y - 64) ** 2 + (x - 64) ** 2) / 50)
    for number in (1, 4):
        noise = np.random.default_rng(number).normal(40, 8, (128, 128))
        save_png((noise + lesion).clip(0, 255).astype(np.uint8), manifest.root / f"{number}.png")
    assert kinds(manifest) == []


def test_the_same_large_image_is_found_though_the_lesions_are_apart(tmp_path: Path) -> None:
    large = np.kron(tissue(7), np.ones((4, 4), np.uint8))
    manifest = png_manifest(
        tmp_path, {"a.png": large, "b.png": large + 1}, split=["train", "test"], sop_uid=["1", "2"]
    )
    manifest.frame.loc[1, ["y0", "x0", "y1", "x1"]] = [400, 400, 440, 440]
    assert kinds(manifest) == [("same pixels", "a.png", "b.png")]


def test_a_missing_image_is_named_by_its_row(manifest: Manifest) -> None:
    (manifest.root / "3.png").unlink()
    with pytest.raises(ManifestError, match=r"row 3\.png: expected an image, found no such file"):
        check_leakage(manifest, manifest.frame["split"])


@pytest.mark.real
@pytest.mark.slow
def test_the_public_set_split_by_patient_raises_no_false_alarm(lidc: Built) -> None:
    (copy,) = find_copies(lidc.manifest)  # one patient of the set has two names
    assert copy.match.correlation > 0.8
    folded = with_folds(lidc.manifest, 5, copies=[copy])
    assert check_leakage(folded, folded.frame["fold"]) == []
