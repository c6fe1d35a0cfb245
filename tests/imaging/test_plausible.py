"""What is no CT of a body is refused in one line; what is one, however odd, is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calcilens.errors import SeriesError
from calcilens.imaging.images import Radiograph, Volume
from calcilens.imaging.noise import _MOST_OFFSETS, ball
from calcilens.imaging.plausible import check_hu
from calcilens.imaging.study import Study, read_study
from tests import dicom_factory as factory

SHAPE = (6, 60, 60)


def noisy(hu: float, deviation: float = 20.0) -> np.ndarray:
    return np.random.default_rng(0).normal(hu, deviation, SHAPE)


def with_box(hu: np.ndarray, value: float, side: int) -> np.ndarray:
    out = hu.copy()
    out[:, :side, :side] = value
    return out


def read(folder: Path, stored: np.ndarray, **tags: Any) -> Study:
    """Read a CT of stored values beside a radiograph that is fine."""
    good = factory.radiograph(factory.ramp((8, 8)), SeriesInstanceUID=f"{factory.ROOT}.2")
    return read_study(factory.save_all([*factory.ct_slices(stored, **tags), good], folder))


def body() -> np.ndarray:
    """Stored values of soft tissue in air."""
    return with_box(noisy(1064), 24, 30).astype(np.uint16)


@pytest.mark.parametrize(
    "hu",
    [
        noisy(40, 3),  # one smooth organ fills the field of view
        with_box(noisy(-850, 40), 20, 4),  # lung with a vessel
        with_box(noisy(-1000), 40, 3),  # a finger in a large field of view
        with_box(noisy(60), 3071, 28),  # a prosthesis cut off at 12 bits
        with_box(noisy(60), 20_000, 28),  # the same on the extended scale
        with_box(noisy(900, 300), 2500, 20),  # teeth
        with_box(noisy(40), -8192, 50),  # padding that the file does not declare
    ],
)
def test_an_unusual_ct_of_a_body_is_read(hu: np.ndarray) -> None:
    check_hu(hu.astype(np.float32))
    check_hu(np.rint(hu).astype(np.int16))


@pytest.mark.parametrize(
    ("hu", "reason"),
    [
        (np.full(SHAPE, 3071), "voxels differ by 10 HU or more, found 3071 to 3071"),
        (noisy(40) * 1e-9 - 1024, "voxels differ by 10 HU or more"),
        (-1024 - abs(noisy(1000, 300)), "above -200 HU and below 300 HU"),
        (noisy(9000, 500), "above -200 HU and below 300 HU"),
        (with_box(noisy(20_000, 4000), -1000, 40), "at most 25% of a CT denser than 3071 HU"),
        (with_box(noisy(40), np.nan, 1), "finite"),
        (with_box(noisy(40), np.inf, 1), "finite"),
    ],
)
def test_values_that_no_body_has_are_refused(hu: np.ndarray, reason: str) -> None:
    with pytest.raises(SeriesError, match=reason) as said:
        check_hu(hu.astype(np.float32))
    assert "\n" not in str(said.value)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"RescaleSlope": "1000"}, "RescaleSlope"),
        ({"RescaleSlope": "1e36"}, "RescaleSlope"),
        ({"RescaleSlope": "1e300"}, "RescaleSlope"),
        ({"RescaleIntercept": "1e300"}, "RescaleIntercept"),
        ({"RescaleSlope": "1e-9"}, "voxels differ"),
        ({"RescaleSlope": "-1"}, "above -200 HU"),
        ({"BitsStored": 8, "HighBit": 7}, "stored values of 8 bits, as BitsStored says"),
        ({"PixelSpacing": [0.000382, 0.000382]}, "PixelSpacing from 0.01 to 10 mm"),
        ({"PixelSpacing": [0.0382, 0.0382]}, "pixels from 0.05 mm where planes are 2 mm apart"),
        ({"PixelSpacing": [1e4, 1e4]}, "PixelSpacing from 0.01 to 10 mm"),
    ],
    ids=str,
)
def test_a_ct_that_would_look_empty_is_refused_once_and_the_rest_is_read(
    tags: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    study = read(tmp_path, body(), **tags)
    assert [image.modality for image in study.images] == ["DX"]
    (skipped,) = study.skipped
    assert skipped.what == factory.SERIES_UID
    assert reason in skipped.reason


@pytest.mark.parametrize("step", [0.007, 1500.0])
def test_planes_that_no_scanner_makes_are_refused(step: float, tmp_path: Path) -> None:
    (skipped,) = read(tmp_path, body(), step=(0, 0, step)).skipped
    assert f"expected planes from 0.01 to 50 mm apart, found {step:g}" in skipped.reason


@pytest.mark.parametrize(
    ("spacing", "step"), [(0.01, 0.01), (0.02, 0.1), (0.05, 2.0), (0.061, 2.0), (3.9, 2.0)]
)
def test_spacings_that_scanners_of_specimens_and_patients_have_are_read(
    spacing: float, step: float, tmp_path: Path
) -> None:
    study = read(tmp_path, body(), spacing=(spacing, spacing), step=(0, 0, step))
    assert study.skipped == ()
    (volume,) = (i for i in study.images if isinstance(i, Volume))
    assert volume.spacing_mm == pytest.approx((step, spacing, spacing))


def test_films_of_magnified_specimens_keep_their_fine_calibration(tmp_path: Path) -> None:
    fine: dict[str, Any] = {"PixelSpacing": [0.01, 0.01], "PixelSpacingCalibrationType": "FIDUCIAL"}
    film = factory.radiograph(factory.ramp((40, 50)), **fine)
    (image,) = read_study(factory.save(film, tmp_path / "film.dcm")).images
    assert image.spacing_mm == (0.01, 0.01)


@pytest.mark.parametrize("bits", [4, 8, 10])
def test_a_film_of_which_bits_stored_would_cut_off_a_part_is_refused(
    bits: int, tmp_path: Path
) -> None:
    stored = np.linspace(0, 4095, 4096).reshape(64, 64).astype(np.uint16)
    film = factory.radiograph(stored, BitsStored=bits, HighBit=bits - 1)
    (skipped,) = read_study(factory.save(film, tmp_path / "film.dcm")).skipped
    assert f"expected stored values of {bits} bits" in skipped.reason


def smooth(low: int, high: int) -> np.ndarray:
    """A film that rises evenly, with noise, as far as values go."""
    rng = np.random.default_rng(0)
    return np.rint(np.linspace(low, high, 4096).reshape(64, 64) + rng.normal(0, 20, (64, 64)))


@pytest.mark.parametrize(
    ("kind", "low", "high"), [(np.uint16, 100, 3900), (np.int16, -1900, 1900), (np.int16, 0, 1500)]
)
def test_one_stored_bit_too_few_is_told_by_the_jumps_that_it_would_make(
    kind: type, low: int, high: int, tmp_path: Path
) -> None:
    stored: np.ndarray = smooth(low, high).astype(kind)
    right = factory.radiograph(stored, BitsStored=12, HighBit=11)
    assert read_study(factory.save(right, tmp_path / "right.dcm")).skipped == ()
    wrong = factory.radiograph(stored, BitsStored=11, HighBit=10)
    (skipped,) = read_study(factory.save(wrong, tmp_path / "wrong.dcm")).skipped
    assert "expected stored values of 11 bits, as BitsStored says" in skipped.reason


def test_a_drawn_overlay_above_the_stored_bits_is_dropped_and_the_film_is_read(
    tmp_path: Path,
) -> None:
    stored: np.ndarray = smooth(100, 1900).astype(np.uint16)
    drawn = stored.copy()
    drawn[10:50, 30] |= 0x800
    drawn[10, 20:40] |= 0x800
    film = factory.radiograph(drawn, BitsStored=11, HighBit=10)
    (image,) = read_study(factory.save(film, tmp_path / "film.dcm")).images
    assert isinstance(image, Radiograph)
    np.testing.assert_array_equal(image.pixels, stored)


@pytest.mark.parametrize("kind", ["overlay", "sign"])
def test_overlays_and_signs_above_the_stored_bits_are_no_part_of_the_value(
    kind: str, tmp_path: Path
) -> None:
    stored = body().astype(np.int16) - (1024 if kind == "sign" else 0)
    above = stored.copy() if kind == "sign" else stored | np.int16(0x1000) * (stored > 1070)
    tags = {"RescaleIntercept": 0 if kind == "sign" else -1024}
    study = read(tmp_path, above if kind == "sign" else above.astype(np.uint16), **tags)
    (volume,) = (i for i in study.images if isinstance(i, Volume))
    np.testing.assert_array_equal(volume.hu, stored + tags["RescaleIntercept"])


@pytest.mark.parametrize("spacing", [(0.05,) * 3, (5.0, 0.02, 0.02), (0.7,) * 3, (9.0,) * 3])
def test_a_ball_is_even_and_never_large(spacing: tuple[float, float, float]) -> None:
    offsets = ball(spacing, 0.75)
    assert 1 <= len(offsets) <= _MOST_OFFSETS
    assert (offsets == 0).all(1).any()
    assert abs(offsets.mean(0)).max() < 0.5
    assert np.linalg.norm(offsets * spacing, axis=1).max() <= 0.75
