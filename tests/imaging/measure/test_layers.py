"""Skin, fascia and compartment: known depths, and nothing where the image is cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from calcilens.imaging.candidates import candidate
from calcilens.imaging.measure import measure
from calcilens.imaging.measure.surfaces import least_mm
from tests.imaging.measure.solids import ball, diagonal, scan, volume

SPACING = (1.5, 0.8, 0.8)


def test_a_lesion_in_muscle_is_deep_by_the_known_way() -> None:
    taken = measure(*scan(ball(4.0), SPACING, half_mm=24, layers=(20.0, 10.0), noise=10.0))
    assert (taken.depth, taken.compartment) == ("deep", "muscle")
    assert taken.fascia_distance_mm == pytest.approx(6.0, abs=1.5)
    assert taken.skin_distance_mm == pytest.approx(16.0, abs=1.0)
    assert taken.soft_tissue_mm is None
    assert "as dense" in taken.how["soft_tissue_mm"]


def test_a_lesion_in_fat_is_subcutaneous_by_the_known_way() -> None:
    taken = measure(*scan(ball(4.0), SPACING, half_mm=24, layers=(14.0, -9.0), noise=10.0))
    assert (taken.depth, taken.compartment) == ("subcutaneous", "subcutaneous")
    assert taken.fascia_distance_mm == pytest.approx(5.0, abs=1.5)
    assert taken.soft_tissue_mm == 0


@settings(max_examples=12)
@given(st.floats(-12, 12), st.integers(0, 99))
def test_depth_is_right_or_withheld_within_the_error_of_the_fascia(under: float, seed: int) -> None:
    layers = (under + 18.0, under)
    taken = measure(*scan(ball(3.0), SPACING, half_mm=32, layers=layers, noise=10.0, seed=seed))
    true = "deep" if under > 0 else "subcutaneous"
    away = abs(abs(under) - 3.0)
    if away > 3.5:
        assert taken.depth == true
    if away < 0.5:
        assert (taken.depth, taken.compartment) == (None, None)
    if taken.depth is None:
        assert "within the error of the border between fat and muscle" in taken.how["depth"]
        assert taken.how["depth"] in taken.how["compartment"]
        assert taken.fascia_distance_mm is not None
        assert taken.fascia_distance_mm < taken.uncertainty["fascia_distance_mm"]


def test_a_soft_mass_around_mineral_in_fat_is_measured() -> None:
    image, lesion = scan(ball(3.0), SPACING, half_mm=28, layers=(22.0, -20.0))
    mass, _ = scan(ball(8.0), SPACING, half_mm=28, layers=(22.0, -20.0), rise=150.0)
    both = volume(np.maximum(image.hu, np.minimum(mass.hu, 50)), diagonal(SPACING))
    taken = measure(both, lesion)
    assert taken.soft_tissue_mm == pytest.approx(5.0, abs=2.0)


def test_without_fat_no_fascia_is_claimed() -> None:
    taken = measure(*scan(ball(4.0), SPACING))
    assert (taken.depth, taken.fascia_distance_mm, taken.compartment) == (None, None, None)
    assert "no border" in taken.how["depth"]
    assert "unknown depth" in taken.how["compartment"]


def test_lung_at_its_rim_is_no_fat_under_the_skin() -> None:
    image, lesion = scan(ball(3.0), SPACING, half_mm=30, layers=(24.0, 14.0))
    hu = image.hu.copy()
    rim = hu.shape[1] // 2 + 8  # 3 mm below the ball; fascia lies 11 mm above it
    hu[:, rim : rim + 20, 10:66] = -800
    hu[:, 8:rim, 8:18] = -100  # fat runs from under the skin to the lung, as between ribs
    hu[:, rim - 2 : rim, 18:66] = -150
    taken = measure(volume(hu, diagonal(SPACING)), lesion)
    assert taken.fascia_distance_mm == pytest.approx(11, abs=2)
    assert taken.depth == "deep"


def test_skin_outside_the_image_is_not_guessed() -> None:
    image, lesion = scan(ball(4.0), SPACING, layers=(14.0, 8.0))
    inner = np.ascontiguousarray(image.hu[:, 12:32, 8:32])
    taken = measure(
        volume(inner, diagonal(SPACING)),
        candidate(image, lesion.box - [0, 12, 8], lesion.mask, "test"),
    )
    for name in ("skin_distance_mm", "fascia_distance_mm", "depth"):
        assert getattr(taken, name) is None
        assert "outside the image" in taken.how[name]


def test_without_bone_there_is_no_distance_to_it() -> None:
    taken = measure(*scan(ball(4.0), SPACING))
    assert (taken.bone_distance_mm, taken.bone_erosion) == (None, None)
    assert "no bone" in taken.how["bone_distance_mm"]


def test_the_way_to_a_bone_is_the_known_one() -> None:
    image, lesion = scan(ball(3.0), SPACING, half_mm=24, layers=(20.0, 0.0))
    shape = np.array(image.hu.shape)
    y, x = (((np.arange(n) + 0.5) - n / 2) * s for n, s in zip(shape[1:], SPACING[1:], strict=True))
    radius = np.hypot(y[:, None] - 14, x[None])
    hu = image.hu.copy()
    hu[:, radius < 6] = 1200
    hu[:, radius < 3.5] = -50
    taken = measure(volume(hu, diagonal(SPACING)), lesion)
    assert taken.bone_distance_mm == pytest.approx(14 - 6 - 3, abs=1.2)
    assert taken.bone_erosion is False


@given(st.integers(0, 10_000), st.floats(0, 40), st.floats(0.1, 20))
def test_the_shortest_way_is_found_from_a_few_points_first(
    seed: int, shift: float, wide: float
) -> None:
    rng = np.random.default_rng(seed)
    border = rng.normal(0, 5, (rng.integers(1, 300), 3))
    surface = rng.normal(shift, wide, (rng.integers(1, 3000), 3))
    tree = cKDTree(border)
    assert least_mm(tree, surface) == pytest.approx(float(np.min(tree.query(surface)[0])))
