"""Rim against centre: open rings, solids, dense centres, in any pose; no answer for other forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calcilens.imaging.candidates import Candidate, candidate
from calcilens.imaging.images import Volume
from calcilens.imaging.measure import Measurement, measure, zones
from tests.imaging.measure.solids import (
    Inside,
    ball,
    box,
    diagonal,
    ellipsoid,
    found,
    scan,
    shell,
    turned,
    volume,
)
from tests.strategies import rotations

SPACING = (1.0, 0.7, 0.7)
SPACINGS = [(0.6, 0.5, 0.5), (1.0, 0.7, 0.7), (2.0, 0.6, 0.6), (3.0, 0.8, 0.8)]
NONE, ASIDE = np.zeros(3), np.array([0, 0, 6.0])


def opened(solid: Inside, gaps: int, width: float) -> Inside:
    """A solid with holes of that radius, mm, through its walls, along as many half axes."""
    ends = np.concatenate([np.eye(3), -np.eye(3)])[:gaps]

    def inside(p: np.ndarray) -> np.ndarray:
        there = solid(p)
        for end in ends:
            along = p @ end
            there = there & ~((along > 0) & ((p**2).sum(-1) - along**2 < width**2))
        return there

    return inside


def layered(outer: Inside, rise: float, core: Inside, core_rise: float) -> tuple[Volume, Candidate]:
    """A solid with another, denser one in it."""
    image, _ = scan(outer, SPACING, rise=rise)
    inner, _ = scan(core, SPACING, rise=core_rise)
    made = volume(image.hu + inner.hu.clip(50) - 50, diagonal(SPACING))
    return made, found(made)


def figure(taken: Measurement) -> float:
    assert taken.rim_ratio is not None, taken.how["rim_ratio"]
    return taken.rim_ratio


def test_the_radial_profile_goes_from_the_rim_inwards() -> None:
    image, _ = scan(ball(7.0), SPACING, rise=200.0)
    grid = np.indices(image.hu.shape) + 0.5 - np.array(image.hu.shape)[:, None, None, None] / 2
    radius = np.sqrt(((grid * np.array(SPACING)[:, None, None, None]) ** 2).sum(0))
    hu = np.where(radius < 7, 900 - 90 * radius, image.hu).astype(np.int16)
    made = volume(hu, diagonal(SPACING))
    profile = measure(made, found(made)).radial_profile
    assert profile is not None
    assert len(profile) >= 5
    assert (np.diff(profile) > 0).all()


@settings(max_examples=16)
@given(
    rotations(),
    st.sampled_from(SPACINGS),
    st.integers(0, 3),
    st.floats(1.2, 4.0),
    st.integers(0, 99),
)
def test_a_dense_rim_is_zonal_however_thin_open_and_turned(
    rotation: np.ndarray, spacing: tuple[float, float, float], gaps: int, wall: float, seed: int
) -> None:
    ring = turned(opened(shell(9.5, 9.5 - wall), gaps, 3.5), rotation, NONE)
    taken = measure(*scan(ring, spacing, noise=10.0, seed=seed))
    assert taken.zoning == "zonal", taken.how["zoning"]
    assert figure(taken) > 3


@settings(max_examples=12)
@given(rotations(), st.sampled_from(SPACINGS), st.floats(150, 1200), st.integers(0, 99))
def test_a_solid_is_even_in_every_pose(
    rotation: np.ndarray, spacing: tuple[float, float, float], rise: float, seed: int
) -> None:
    posed = turned(ellipsoid((9.0, 7.0, 8.0)), rotation, NONE)
    taken = measure(*scan(posed, spacing, rise=rise, noise=10.0, seed=seed))
    assert taken.zoning == "even"
    assert 0.65 < figure(taken) <= 1.2


def test_a_dense_centre_is_the_reverse() -> None:
    taken = measure(*layered(ball(9.0), 150.0, ball(4.0), 800.0))
    assert taken.zoning == "reverse-zonal"
    assert figure(taken) < 0.5


def test_clefts_in_a_solid_make_neither_its_rim_nor_its_centre_the_denser_one() -> None:
    cut, core = opened(ball(9.0), 6, 1.5), ball(4.0)
    taken = measure(*scan(lambda p: cut(p) | core(p), SPACING))
    assert taken.zoning == "even"


@settings(max_examples=6)
@given(rotations(), st.sampled_from(SPACINGS[:3]), st.sampled_from(SPACINGS[:3]))
def test_the_ratio_of_a_rim_half_as_dense_inside_hangs_on_no_grid(
    rotation: np.ndarray, one: tuple[float, float, float], other: tuple[float, float, float]
) -> None:
    ratios = []
    for spacing, posed in ((one, np.eye(3)), (other, rotation)):
        rim, _ = scan(turned(shell(9.5, 6.0), posed, NONE), spacing, rise=800.0)
        core, _ = scan(ball(6.0), spacing, rise=400.0)
        made = volume(rim.hu + core.hu.clip(50) - 50, diagonal(spacing))
        ratios.append(figure(measure(made, found(made))))
    assert ratios[0] == pytest.approx(ratios[1], rel=0.12)
    assert ratios[0] == pytest.approx(2.0, rel=0.2)


def test_large_lesions_of_which_not_every_voxel_is_read_have_the_same_ratio(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image, lesion = scan(opened(shell(9.5, 7.0), 2, 3.5), (0.6, 0.5, 0.5), noise=5.0)
    whole = measure(image, lesion)
    monkeypatch.setattr(zones, "_VOXELS", 4000)
    some = measure(image, lesion)
    assert figure(some) != figure(whole)
    assert figure(some) == pytest.approx(figure(whole), rel=0.1)
    assert some.radial_profile == pytest.approx(whole.radial_profile, abs=30)


@pytest.mark.parametrize(
    "form",
    [
        lambda p: shell(9.0, 7.0)(p) & (p[..., 1] > 0),
        lambda p: ball(3.0)(p - ASIDE) | ball(3.0)(p + ASIDE),
        lambda p: box((18.0, 18.0, 2.0))(p) | box((18.0, 2.0, 18.0))(p),
    ],
)
def test_where_mineral_does_not_lie_all_around_nothing_is_told(form: Inside) -> None:
    taken = measure(*scan(form, SPACING))
    assert (taken.zoning, taken.rim_ratio, taken.radial_profile) == (None, None, None)
    assert "of its convex outline" in taken.how["zoning"]


def test_around_another_dense_body_nothing_is_told() -> None:
    image, lesion = scan(shell(9.5, 8.0), SPACING)
    core, _ = scan(ball(4.5), SPACING)
    both = volume(image.hu + core.hu.clip(50) - 50, diagonal(SPACING))
    taken = measure(both, candidate(both, lesion.box, lesion.mask, "test"))
    assert (taken.zoning, taken.rim_ratio) == (None, None)
    assert "is bone or another lesion" in taken.how["zoning"]


def test_a_thin_lesion_has_no_rim_and_centre() -> None:
    taken = measure(*scan(ball(2.0), SPACING))
    assert (taken.zoning, taken.rim_ratio) == (None, None)
    assert "mm thick" in taken.how["zoning"]
