from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from calcilens.phantoms.leg import NOISE_HU, SHAPE, SPACING_MM, LegPhantom, simulate_leg
from calcilens.vocabulary import PATTERN_KEYS

BONE_HU = 900


@pytest.fixture(scope="module")
def leg() -> LegPhantom:
    return simulate_leg(seed=1)


def voxel(leg: LegPhantom, z_mm: float, y_mm: float, x_mm: float) -> float:
    """HU without noise at a point given from the middle of the leg."""
    index = [
        round((n - 1) / 2 + mm / s)
        for n, mm, s in zip(SHAPE, (z_mm, y_mm, x_mm), SPACING_MM, strict=True)
    ]
    return float(leg.clean[tuple(index)])


@pytest.mark.parametrize(
    ("tissue", "y_mm", "x_mm", "low", "high"),
    [
        ("air", -74, -74, -1000, -990),
        ("fat", 56, 0, -110, -90),
        ("muscle", 40, -10, 50, 60),
        ("tibial cortex", -26 + 10.5, 14, 1200, 1360),
        ("tibial marrow", -26, 14, -80, -50),
        ("fibular marrow", -8, -28, -80, -40),
    ],
)
def test_tissues_have_their_attenuation(
    leg: LegPhantom, tissue: str, y_mm: float, x_mm: float, low: float, high: float
) -> None:
    assert low <= voxel(leg, 0, y_mm, x_mm) <= high, tissue


def test_same_seed_gives_the_same_voxels_and_another_seed_moves_the_lesions(
    leg: LegPhantom,
) -> None:
    again, other = simulate_leg(seed=1), simulate_leg(seed=2)
    np.testing.assert_array_equal(leg.hu, again.hu)
    assert leg.lesions == again.lesions
    assert leg.lesions != other.lesions


def test_masks_hold_the_exact_volume_of_the_mineral_but_for_voxel_size(leg: LegPhantom) -> None:
    for lesion, mask in zip(leg.lesions, leg.masks, strict=True):
        measured = mask.sum() * np.prod(SPACING_MM)
        assert measured == pytest.approx(lesion.mineral_mm3, rel=0.08)


def test_lesions_are_mineral_in_soft_tissue_clear_of_bone(leg: LegPhantom) -> None:
    lesions = np.any(leg.masks, axis=0)
    to_bone = distance_transform_edt(leg.clean < BONE_HU, SPACING_MM)
    assert to_bone[lesions].min() > 5
    assert {lesion.pattern for lesion in leg.lesions} <= set(PATTERN_KEYS)
    assert all(np.median(leg.clean[mask]) > 300 for mask in leg.masks)


def test_zonal_lesion_is_a_shell_around_a_lucent_core_within_a_mass(leg: LegPhantom) -> None:
    lesion = leg.lesions[1]
    z, y, x = lesion.centre_mm
    assert lesion.pattern == "peripheral_zonal"
    assert voxel(leg, z, y, x) < 20
    outside = y + lesion.radii_mm[1] + lesion.mass_mm / 2
    assert voxel(leg, z, outside, x) == pytest.approx(lesion.mass_hu, abs=6)


def test_noise_has_the_stated_strength_and_leaves_the_mean_alone(leg: LegPhantom) -> None:
    noise = leg.hu - leg.clean
    muscle = np.abs(leg.clean - 56) < 1
    assert noise[muscle].std() == pytest.approx(NOISE_HU, rel=0.05)
    assert abs(noise[muscle].mean()) < 0.2
