"""Body, noise, contrast medium and bone: the ground that lesions are sought on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from calcilens.errors import SeriesError
from calcilens.imaging.anatomy import anatomy
from tests.imaging.test_candidates import SHAPE, across, away, leg, volume


def test_the_body_ends_at_the_skin_and_holds_no_table() -> None:
    body = anatomy(volume(leg())).body
    truth = across(55, 60) < 50
    assert (body ^ truth).sum() < 0.02 * truth.sum()
    assert not body[:, 109:].any()


def test_lungs_are_inside_where_a_small_field_of_view_cuts_them_off() -> None:
    hu = np.full(SHAPE, 50.0)
    hu[:, 20:100, :40] = -850
    assert anatomy(volume(hu)).body.all()
    hu[:, 20:100, :40] = -1000
    assert not anatomy(volume(hu)).body[:, 22:98, :38].any()


@pytest.mark.parametrize("noise", [5.0, 20.0, 40.0])
def test_noise_is_measured_in_soft_tissue(noise: float) -> None:
    found = anatomy(volume(leg(noise))).noise
    assert found.voxel_hu == pytest.approx(noise, rel=0.1, abs=1)
    assert found.tissue_hu == pytest.approx(50, abs=2)


def test_means_have_less_noise_than_voxels() -> None:
    spacing = (2.5, 0.4, 0.4)
    white = np.random.default_rng(0).normal(50, 25, (8, 160, 160))
    fine = anatomy(volume(white, spacing)).noise
    assert fine.mean_hu == pytest.approx(25 / 3, rel=0.1)
    blurred = gaussian_filter(white - 50, (0, 1, 1)) * 3.5 + 50
    assert anatomy(volume(blurred, spacing)).noise.mean_hu > 1.5 * fine.mean_hu


def test_contrast_medium_is_told_by_its_vessel_and_spongy_bone_is_none() -> None:
    hu = leg()
    hu[across(25, 85) < 16] = 320
    assert anatomy(volume(hu)).contrast_hu == pytest.approx(320, abs=10)
    hu = leg()
    hu[across(25, 85) < 18] = 900
    hu[across(25, 85) < 15.5] = 320
    assert anatomy(volume(hu)).contrast_hu is None


def test_bone_is_filled_with_its_marrow() -> None:
    bone = anatomy(volume(leg())).bone
    truth = across(65, 60) < 14
    assert (bone ^ truth).sum() < 0.08 * truth.sum()


def test_a_bone_that_the_side_of_the_image_cuts_off_is_bone_with_its_marrow() -> None:
    hu = leg()
    hu[across(55, 108) < 13] = 900
    hu[across(55, 108) < 9] = 40
    cut = hu[:, :, :108]
    bone = anatomy(volume(cut)).bone
    assert bone[8, 55, 100:107].all()
    assert not bone[8, 30, 60]


def test_vertebrae_are_bone_though_each_is_short_and_ends_in_the_image() -> None:
    hu = np.full((60, 120, 120), 50.0)
    grid = np.indices(hu.shape)
    column = np.hypot(grid[1] - 70, grid[2] - 60)
    for start in range(4, 54, 12):
        level = (grid[0] >= start) & (grid[0] < start + 10)
        ends = (grid[0] == start) | (grid[0] == start + 9)
        hu[level & (column < 20)] = 200
        hu[level & (column < 20) & ((column > 17.5) | ends)] = 800
    found = anatomy(volume(hu, (2.0, 1.0, 1.0)))
    assert found.bone[:, 70, 60].sum() >= 45


def test_a_lesion_3_mm_off_a_bone_is_not_swallowed_by_it() -> None:
    hu = gaussian_filter(leg(0), (0, 1.0, 1.0))
    spot = np.zeros(SHAPE)
    spot[away((8, 43, 60)) < 7] = 700
    hu += gaussian_filter(spot, (0.5, 1.0, 1.0))
    bone = anatomy(volume(hu)).bone
    assert not bone[8, 40:45, 60].any()
    assert bone[8, 54:76, 60].all()


def test_given_bones_take_the_place_of_those_found() -> None:
    image = volume(leg())
    mask = across(20, 20) < 5
    assert np.array_equal(anatomy(image, mask).bone, mask)
    assert np.array_equal(anatomy(image).bone, mask)


def test_bones_of_another_shape_are_refused() -> None:
    with pytest.raises(SeriesError, match=r"expected bones of \(16, 120, 120\)"):
        anatomy(volume(leg()), np.zeros((2, 2, 2), bool))


@pytest.mark.parametrize("density", [500.0, 1100.0])
def test_a_lesion_that_touches_bone_is_no_bone(density: float) -> None:
    """Blur joins the two; the blur of the lesion itself is no contact with bone."""
    hu = leg(0)
    lesion = (away((8, 39, 60)) < 12) & (across(65, 60) >= 14)
    hu[lesion] = density
    bone = anatomy(volume(gaussian_filter(hu, (0.3, 0.6, 0.6)))).bone
    assert bone[lesion & (across(65, 60) >= 15)].mean() < 0.1
    assert bone[across(65, 60) < 12].all()


@pytest.mark.parametrize("pixel_mm", [0.4, 1.0])
def test_skin_lies_at_the_surface_of_the_body(pixel_mm: float) -> None:
    """Also where the grid is that of the image."""
    hu = leg()
    ground = anatomy(volume(hu, (2.5, pixel_mm, pixel_mm)))
    skin = ground.grid.fine(ground.skin)
    assert not skin[across(55, 60) * pixel_mm < 50 * pixel_mm - 5].any()
    assert skin[np.abs(across(55, 60) - 49.5) < 0.5].mean() > 0.9
