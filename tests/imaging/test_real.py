"""Real images: every file of the archive is read as it should be, or named with its reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calcilens.imaging.images import Radiograph, Volume
from calcilens.imaging.study import Study, read_all, read_studies, read_study

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def radiographs(real_data: Path) -> dict[str, list[Radiograph]]:
    """Radiographs by body part."""
    parts: dict[str, list[Radiograph]] = {}
    for study in read_studies(real_data / "dicom" / "radiographs"):
        assert study.skipped == ()
        for image in study.images:
            assert isinstance(image, Radiograph)
            parts.setdefault(image.body_part or "", []).append(image)
    return parts


def test_all_transfer_syntaxes_of_one_radiograph_give_the_same_pixels(
    radiographs: dict[str, list[Radiograph]],
) -> None:
    assert {part: len(images) for part, images in radiographs.items()} == {
        "HIP": 3, "EXTREMITY": 3, "CHEST": 1, "HAND": 1,
    }  # fmt: skip
    for images in radiographs.values():
        for image in images[1:]:
            np.testing.assert_array_equal(image.pixels, images[0].pixels)
            np.testing.assert_array_equal(image.display, images[0].display)


@pytest.mark.parametrize(
    ("part", "bone", "air"),
    [
        ("HAND", (1600, 940), (1800, 200)),  # shaft of a metacarpal, and beside the hand
        ("EXTREMITY", (640, 815), (640, 560)),  # cortex of the tibia, and beside the leg
        ("CHEST", (1000, 950), (600, 640)),  # spine and heart, and an apex
    ],
)
def test_bone_is_brighter_than_air(
    part: str, bone: tuple[int, int], air: tuple[int, int], radiographs: dict[str, list[Radiograph]]
) -> None:
    image = radiographs[part][0]
    for pixels in (image.pixels, image.display):
        light, dark = (pixels[y - 9 : y + 10, x - 9 : x + 10].mean() for y, x in (bone, air))
        assert light > dark + 0.05 * float(np.ptp(pixels))


def test_none_of_the_radiographs_is_calibrated(
    radiographs: dict[str, list[Radiograph]],
) -> None:
    assert all(i.spacing_mm is None and i.spacing_how for p in radiographs.values() for i in p)


def test_the_abdominal_ct_is_in_hounsfield_units_feet_first(real_data: Path) -> None:
    study = read_study(real_data / "dicom" / "ct-kits00072")
    (volume,) = study.images
    assert isinstance(volume, Volume)
    assert study.skipped == ()
    assert volume.hu.dtype == np.int16
    assert volume.hu.shape == (18, 512, 512)
    assert volume.spacing_mm == pytest.approx((2.5, 0.6640625, 0.6640625))
    assert volume.hu.min() == -1024
    assert 900 < volume.hu.max() < 2000
    liver = volume.hu[0, 240:280, 100:140]  # at the patient's right, in the lowest plane
    assert 80 < liver.mean() < 160
    assert volume.affine.to_mm((0, 0, 120))[0] < volume.affine.to_mm((0, 0, 400))[0]


def test_every_unreadable_file_has_a_reason_beside_good_series(real_data: Path) -> None:
    root = real_data / "dicom"
    names = sorted(p.name for p in (root / "unreadable").iterdir())
    studies, left_out = read_all([root / "unreadable", root / "ct-kits00072"])
    told = [*left_out, *(s for study in studies for s in study.skipped)]
    assert len(names) == 4
    assert sorted(s.what for s in told) == names
    assert [image.modality for study in studies for image in study.images] == ["CT"]
    assert all(_is_one_line(s.reason) for s in told)


def _is_one_line(reason: str) -> bool:
    return 15 < len(reason) < 250 and "\n" not in reason


def test_read_study_takes_the_good_one(real_data: Path) -> None:
    root = real_data / "dicom"
    study: Study = read_study([root / "unreadable", root / "ct-kits00072"])
    assert study.modalities == ("CT",)
    assert len(study.skipped) == 4


def test_no_reason_names_a_patient(real_data: Path) -> None:
    studies, left_out = read_all(real_data / "dicom")
    told = [*left_out, *(s for study in studies for s in study.skipped)]
    assert "^" not in " ".join(f"{s.what} {s.reason}" for s in told)
