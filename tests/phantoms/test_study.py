from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from calcilens.errors import UsageError
from calcilens.imaging.anatomy import MINERAL_HU
from calcilens.imaging.candidates import candidate, propose
from calcilens.imaging.images import Plane, Volume
from calcilens.imaging.measure import Measurement, measure
from calcilens.phantoms.scan import Scan
from calcilens.phantoms.study import Plan, Visit, visits
from calcilens.phantoms.write import bounds

PLAN = Plan(seed=2, patterns=("diffuse", "peripheral_zonal"))


@pytest.fixture(scope="module")
def visit() -> Visit:
    return visits(PLAN)[0]


def scan_of(visit: Visit) -> Scan:
    assert isinstance(visit.taken, Scan)
    return visit.taken


@pytest.fixture(scope="module")
def noise_free(visit: Visit) -> tuple[Volume, list[np.ndarray]]:
    """The study's CT without noise, as our reader would give it, and its masks."""
    scan = scan_of(visit)
    scan = replace(scan, settings=replace(scan.settings, noise_hu=0.0))
    image = scan.render(visit.tissue_rng())
    planes = tuple(Plane(f"1.{i}") for i in range(len(image.hu)))
    volume = Volume(image.hu, scan.affine(image), "1", "2", "3", planes)
    return volume, list(image.masks)


@pytest.fixture(scope="module")
def measured(noise_free: tuple[Volume, list[np.ndarray]]) -> list[Measurement]:
    """The lesions by the clinic's threshold, without the bone that their boxes may reach."""
    volume, masks = noise_free
    found = []
    for mask in masks:
        dense = binary_dilation(mask, iterations=2) & (volume.hu >= MINERAL_HU)
        box = bounds(dense)
        part = tuple(slice(a, b) for a, b in box.T)
        found.append(measure(volume, candidate(volume, box, dense[part], "")))
    return found


@pytest.mark.parametrize("number", [0, 1])
def test_truth_is_what_a_noise_free_scan_measures_within_a_voxel(
    visit: Visit, measured: list[Measurement], number: int
) -> None:
    truth, found = visit.lesions[number], measured[number]
    settings = scan_of(visit).settings
    voxel = np.hypot(settings.interval_mm, 1.5 * settings.pixel_mm)
    # Partial volume and blur carry a threshold of 130 HU outwards, never by a voxel.
    for name in ("max_diameter_mm", "skin_distance_mm", "bone_distance_mm"):
        assert getattr(found, name) == pytest.approx(truth[name], abs=2 * voxel), name
    radius = (3 * truth["volume_mm3"] / 4 / np.pi) ** (1 / 3)
    most = 3 * voxel / 2 / radius
    assert found.volume_mm3 == pytest.approx(truth["volume_mm3"], rel=min(most, 0.35))
    assert found.max_hu is not None
    assert found.max_hu <= truth["max_hu"] * 1.05
    assert found.mean_hu == pytest.approx(truth["mean_hu"], rel=0.25)


def test_lesions_and_nothing_else_are_proposed(
    visit: Visit, noise_free: tuple[Volume, list[np.ndarray]]
) -> None:
    volume, masks = noise_free
    boxes = [candidate.box for candidate in propose(volume)]
    lesions = [bounds(mask) for mask in masks]
    for lesion in lesions:
        assert any(np.abs(box - lesion).max() <= 3 for box in boxes)
    for box in boxes:  # a lucent centre may hold mineral of its own
        inside = [(box[0] >= one[0] - 3).all() and (box[1] <= one[1] + 3).all() for one in lesions]
        assert any(inside)


def test_mass_is_what_the_mineral_of_the_image_adds_up_to(visit: Visit) -> None:
    image = scan_of(visit).render(visit.tissue_rng())
    settings = scan_of(visit).settings
    seen = image.mineral.sum() * settings.pixel_mm**2 * settings.interval_mm
    assert seen == pytest.approx(sum(one["mass_mg"] for one in visit.lesions), rel=0.05)


def test_plans_with_anything_else_have_other_uids_and_patients() -> None:
    plans = [
        PLAN,
        replace(PLAN, seed=3),
        replace(PLAN, site="thigh"),
        replace(PLAN, patterns=("diffuse",)),
        replace(PLAN, follow_up=2.0),
        replace(PLAN, modality="radiograph"),
    ]
    assert len({plan.uid("study") for plan in plans}) == len(plans)
    assert len({plan.patient_id() for plan in plans}) == len(plans)
    assert all(plan.uid("study").startswith("2.25.") for plan in plans)


def test_patterns_that_nobody_asked_for_follow_from_the_seed() -> None:
    drawn = [Plan(seed=seed).chosen for seed in range(12)]
    assert drawn == [Plan(seed=seed).chosen for seed in range(12)]
    assert len({patterns for _, patterns in drawn}) > 6
    assert all(site == "calf" and len(set(patterns)) == 2 for site, patterns in drawn)


@pytest.mark.parametrize("factor", [0.0, -1.0, 100.0, float("nan")])
def test_a_factor_that_no_lesion_grows_by_is_refused(factor: float) -> None:
    with pytest.raises(UsageError, match="--follow-up: expected a factor"):
        Plan(follow_up=factor)


def test_an_unknown_modality_is_refused() -> None:
    with pytest.raises(UsageError, match="ct or radiograph, found MR"):
        Plan(modality="MR")
