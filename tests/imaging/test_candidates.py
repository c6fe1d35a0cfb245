"""Candidates: mineral in soft tissue is found; bone, contrast medium and table are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calcilens.imaging.anatomy import anatomy
from calcilens.imaging.candidates import candidate, propose
from calcilens.imaging.geometry import Affine
from calcilens.imaging.images import Plane, Volume
from calcilens.imaging.study import read_study

SPACING = (2.5, 1.0, 1.0)
SHAPE = (16, 120, 120)
SPECK = (8, 30, 60)
"""Middle (z, y, x) of the calcification of `leg`."""


def volume(hu: np.ndarray, spacing: tuple[float, float, float] = SPACING) -> Volume:
    z, y, x = spacing
    affine = Affine.from_dicom([0, 0, 0], [1, 0, 0, 0, 1, 0], [y, x], [0, 0, z])
    planes = tuple(Plane(f"1.2.3.{i}") for i in range(len(hu)))
    return Volume(hu.astype(np.int16), affine, "1.2", "1.2.3", "1.2.9", planes)


def away(centre: tuple[float, float, float]) -> np.ndarray:
    """Distance of every voxel from a point, mm."""
    grid = np.indices(SHAPE).astype(float)
    steps = (grid.T - np.array(centre)) * SPACING
    return np.asarray(np.linalg.norm(steps, axis=-1).T)


def across(y: float, x: float) -> np.ndarray:
    """Distance of every voxel from an axis along z, mm."""
    grid = np.indices(SHAPE).astype(float)
    return np.asarray(np.hypot(grid[1] - y, grid[2] - x))


def leg(noise: float = 8.0) -> np.ndarray:
    """A leg with a hollow bone, a table below, and one calcification of 4 mm radius."""
    hu = np.full(SHAPE, -1000.0)
    hu[across(55, 60) < 50] = 50
    hu[across(65, 60) < 14] = 1100
    hu[across(65, 60) < 9] = 20
    hu[:, 112:114] = 300
    hu[away(SPECK) < 4] = 500
    random = np.random.default_rng(0)
    return hu + random.normal(0, noise, SHAPE)


def middles(found: list) -> list[tuple[int, ...]]:
    return [tuple(np.rint(c.box.mean(0) - 0.5).astype(int).tolist()) for c in found]


def test_the_calcification_is_found_and_bone_and_table_are_not() -> None:
    found = propose(volume(leg()))
    assert len(found) == 1
    assert np.abs(np.array(middles(found)[0]) - SPECK).max() <= 1
    assert found[0].mask is not None
    assert found[0].mask.sum() == pytest.approx((away(SPECK) < 4).sum(), rel=0.05)


def test_no_candidate_in_tissue_and_noise_alone() -> None:
    hu = leg(noise=25.0)
    hu[away(SPECK) < 5] = 50
    assert propose(volume(hu)) == []


def test_vessels_with_contrast_are_no_candidates_but_denser_plaque_is() -> None:
    hu = leg()
    hu[across(25, 85) < 13] = 300
    hu[away((8, 25, 85)) < 4] = 900
    found = propose(volume(hu))
    assert (8, 25, 85) in middles(found)
    assert len(found) == 2
    assert "contrast medium around 300 HU" in found[0].why


def test_beside_contrast_a_compact_piece_is_a_candidate_and_a_long_one_a_vessel() -> None:
    hu = leg()
    hu[across(25, 85) < 13] = 400
    hu[away(SPECK) < 4] = 300
    (found,) = propose(volume(hu))
    assert middles([found]) == [SPECK]
    assert "compact, though no denser than the contrast medium" in found.why
    hu[across(*SPECK[1:]) < 3] = 300
    assert propose(volume(hu)) == []


def test_an_even_mass_inside_the_volume_is_not_taken_for_contrast() -> None:
    hu = leg()
    hu[away((8, 30, 60)) < 13] = 400
    found = propose(volume(hu))
    assert len(found) == 1
    assert anatomy(volume(hu)).contrast_hu is None


def test_a_lesion_with_a_rim_and_a_lucent_centre_is_no_bone() -> None:
    hu = leg()
    hu[away((8, 25, 60)) < 14] = 600
    hu[away((8, 25, 60)) < 10] = 20
    found = propose(volume(hu))
    assert middles(found) == [(8, 25, 60)]


def test_specks_within_3_mm_are_one_lesion_and_farther_ones_are_two() -> None:
    for gap, count in ((2, 1), (8, 2)):
        hu = leg(0)
        hu[away(SPECK) < 5] = 50
        for x in (40, 40 + 3 + gap):
            hu[8:10, 30:33, x : x + 3] = 500
        assert len(propose(volume(hu))) == count


def test_pieces_as_long_as_the_gap_between_them_are_one_lesion() -> None:
    """Two walls of a vessel are one lesion, two specks as far from each other are two."""
    for length, count in ((9, 1), (2, 2)):
        hu = leg(0)
        hu[away(SPECK) < 5] = 50
        for x in (40, 47):
            hu[7:9, 25 : 25 + length, x : x + 2] = 500
        assert len(propose(volume(hu))) == count


def test_a_crowd_of_specks_is_one_lesion_with_its_members() -> None:
    hu = leg(0)
    hu[away(SPECK) < 5] = 50
    for x in range(40, 70, 6):
        hu[8:10, 30:32, x : x + 2] = 600
    (found,) = propose(volume(hu))
    assert len(found.members) == 5
    assert found.mask is not None
    assert np.array_equal(np.any(found.members, axis=0), found.mask)


def test_lesions_12_mm_apart_are_two() -> None:
    hu = leg(0)
    hu[away(SPECK) < 5] = 50
    for x in (38, 66):
        hu[away((8, 28, x)) < 8] = 600
    assert len(propose(volume(hu))) == 2


def cardiac(noise: float) -> np.ndarray:
    """Fat and blood in a field of view without skin, 0.5 mm pixels, 3 mm planes."""
    hu = np.full((12, 160, 160), -90.0)
    grid = np.indices(hu.shape)
    hu[np.hypot(grid[1] - 80, grid[2] - 80) < 60] = 45
    return hu + np.random.default_rng(3).normal(0, noise, hu.shape)


CARDIAC = (3.0, 0.5, 0.5)


@pytest.mark.parametrize("noise", [15.0, 25.0, 35.0])
def test_small_dense_specks_are_found_in_noise_that_is_no_candidate_itself(noise: float) -> None:
    assert propose(volume(cardiac(noise), CARDIAC)) == []
    hu = cardiac(noise)
    places = [(3, 80, 40), (5, 60, 90), (8, 110, 100), (9, 30, 60)]
    for z, y, x in places:
        hu[z, y : y + 4, x : x + 3] += 200
    found = propose(volume(hu, CARDIAC))
    assert len(found) == len(places)


def test_metal_is_no_candidate() -> None:
    hu = leg()
    hu[away(SPECK) < 4] = 3000
    assert propose(volume(hu)) == []


def test_what_touches_the_skin_is_sought_by_its_density() -> None:
    """The table lies against the skin there; mineral in the skin is far denser."""
    hu = leg()
    hu[away(SPECK) < 5] = 50
    hu[2:13, 105:107, 50:70] = 170
    assert propose(volume(hu)) == []
    hu[6:9, 104:107, 56:62] = 500
    assert len(propose(volume(hu))) == 1


def test_a_lesion_beside_bone_is_found_and_given_bone_hides_what_it_covers() -> None:
    hu = leg()
    hu[away((8, 44, 60)) < 5] = 700
    image = volume(hu)
    places = middles(propose(image))
    assert any(np.abs(np.array(p) - (8, 44, 60)).max() <= 2 for p in places)
    bone = (across(65, 60) < 14) | (away((8, 44, 60)) < 6)
    assert middles(propose(image, bone)) == [SPECK]


def test_calcified_cartilage_of_a_rib_is_none_but_a_tendon_s_calcification_is() -> None:
    hu = leg()
    hu[away(SPECK) < 5] = 50
    hu[:, 30:44, 30:90] = 100
    hu[7:10, 35:38, 58:62] = 400
    assert len(propose(volume(hu))) == 1
    hu[:, 15:26, 45:75] = -850
    assert propose(volume(hu)) == []


def test_faint_mineral_deep_in_the_body_is_found_though_it_would_be_skin_at_the_surface() -> None:
    hu = leg()
    hu[away(SPECK) < 4] = 185
    assert middles(propose(volume(hu))) == [SPECK]


def test_bits_within_the_outline_of_a_thin_bone_are_none_and_beside_it_they_are() -> None:
    """The far cortex of a rib, thinner than a voxel, shows in bits."""
    hu = leg(4.0)
    hu[away(SPECK) < 5] = 50
    shell = (across(30, 60) < 9) & (across(30, 60) >= 7)
    z, _, x = np.indices(SHAPE)
    hu[shell & ((x < 62) | (np.abs(z - 8) > 2))] = 700
    hu[8, 30:32, 59:61] = 400
    assert propose(volume(hu)) == []
    hu[8, 30:32, 59:61] = 50
    hu[8, 30:32, 74:76] = 400
    assert len(propose(volume(hu))) == 1


def test_what_lies_in_the_first_planes_is_cut_off_only_where_bone_is_near() -> None:
    for first, y, count in ((1, 30, 1), (1, 42, 0), (0, 30, 0)):
        hu = leg()
        hu[away(SPECK) < 5] = 50
        hu[first : first + 2, y : y + 3, 58:62] = 500
        assert len(propose(volume(hu))) == count


def test_both_legs_are_searched() -> None:
    hu = leg(0)[:, :, 5:115]
    both = np.concatenate([hu, hu], axis=2)
    assert len(propose(volume(both))) == 2


def test_ids_are_stable_and_depend_on_image_and_box() -> None:
    first, again = propose(volume(leg())), propose(volume(leg()))
    assert [c.id for c in first] == [c.id for c in again]
    moved = candidate(volume(leg()), first[0].box + 1, None, "")
    assert moved.id != first[0].id


def test_masks_fill_their_box_and_lie_in_the_image() -> None:
    for c in propose(volume(leg())):
        assert c.mask is not None
        assert c.mask.shape == tuple(c.box[1] - c.box[0])
        for axis in range(3):
            others = tuple(a for a in range(3) if a != axis)
            ends = np.asarray(c.mask.any(others))
            assert ends[0]
            assert ends[-1]
        assert (c.box >= 0).all()
        assert (c.box[1] <= SHAPE).all()


def test_a_volume_of_air_has_no_candidates() -> None:
    assert propose(volume(np.full((4, 20, 20), -1000.0))) == []


@pytest.mark.real
def test_contrast_ribs_and_spine_of_a_real_ct_give_few_candidates(real_data: Path) -> None:
    image = read_study(real_data / "dicom" / "ct-kits00072").images[0]
    assert isinstance(image, Volume)
    ground = anatomy(image)
    assert ground.contrast_hu == pytest.approx(200, abs=30)
    assert len(propose(image)) <= 2


def test_the_key_plane_shows_most_of_the_lesion() -> None:
    image = volume(np.zeros(SHAPE))
    box = [[4, 10, 10], [10, 20, 20]]
    assert candidate(image, box, None, "").key_plane == 6
    mask = np.zeros((6, 10, 10), bool)
    mask[:, 0, 0] = True
    mask[4, :3] = True
    assert candidate(image, box, mask, "").key_plane == 8
    mask[3, :3] = True
    assert candidate(image, box, mask, "").key_plane == 7
    assert candidate(image, box, np.zeros_like(mask), "").key_plane == 6
