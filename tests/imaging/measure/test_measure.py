"""Measurements: solids of known size in any pose, voxel and noise; nothing is guessed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from calcilens.imaging.candidates import candidate
from calcilens.imaging.images import Plane, Radiograph
from calcilens.imaging.measure import FIGURES, Measurement, diameter_mm, measure
from calcilens.imaging.measure.density import HU_PER_G_CM3
from calcilens.phantoms.materials import BASE_NAMES, hu_per_density
from tests.imaging import scene
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
from tests.strategies import boxes, rotations, shapes

SPACINGS = [(0.6, 0.5, 0.5), (1.0, 0.7, 0.7), (2.0, 0.6, 0.6), (3.0, 0.8, 0.8)]


def figure(taken: Measurement, name: str) -> float:
    value = getattr(taken, name)
    assert value is not None, taken.how[name]
    return float(value)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("radius", [3.0, 6.0])
@pytest.mark.parametrize("rise", [250.0, 1200.0])
def test_a_ball_has_its_known_size_and_depth(
    spacing: tuple[float, float, float], radius: float, rise: float
) -> None:
    taken = measure(*scan(ball(radius), spacing, rise=rise, noise=8.0, layers=(13.0, 0.0)))
    true = 4 / 3 * np.pi * radius**3
    # A thick plane is wider than the border of the ball: docs/measure.md says by how much.
    most = 0.1 if radius > 4 and spacing[0] <= 2 else 0.2
    assert figure(taken, "volume_mm3") == pytest.approx(true, rel=most)
    assert figure(taken, "max_diameter_mm") == pytest.approx(2 * radius, abs=max(spacing))
    assert figure(taken, "skin_distance_mm") == pytest.approx(13 - radius, abs=1.0)
    assert figure(taken, "mass_mg") == pytest.approx(true * rise / HU_PER_G_CM3[120], rel=0.1)
    assert taken.axes_mm == pytest.approx([2 * radius] * 3, abs=max(spacing))


@settings(max_examples=12)
@given(rotations(), st.sampled_from(SPACINGS), st.floats(-0.5, 0.5), st.integers(0, 99))
def test_the_pose_of_a_solid_changes_no_figure_beyond_its_uncertainty(
    rotation: np.ndarray, spacing: tuple[float, float, float], part: float, seed: int
) -> None:
    radii = (7.0, 5.0, 4.0)
    posed = turned(ellipsoid(radii), rotation, part * np.array(spacing))
    taken = measure(*scan(posed, spacing, noise=8.0, seed=seed))
    true = {"volume_mm3": 4 / 3 * np.pi * 7.0 * 5.0 * 4.0, "max_diameter_mm": 14.0}
    for name, value in true.items():
        assert abs(figure(taken, name) - value) < 3 * taken.uncertainty[name], name
    assert taken.axes_mm == pytest.approx([14.0, 10.0, 8.0], abs=3 * taken.uncertainty["axes_mm"])


@settings(max_examples=8)
@given(st.sampled_from(SPACINGS[:3]), st.floats(-0.5, 0.5), st.floats(0.0, 1.0), st.integers(0, 99))
def test_two_scans_of_one_solid_agree_within_their_uncertainty(
    spacing: tuple[float, float, float], part: float, turn: float, seed: int
) -> None:
    matrix = np.array(
        [[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]]
    )
    solid = ellipsoid((5.0, 7.0, 5.0))
    first = measure(*scan(solid, (1.0, 0.7, 0.7), noise=10.0, seed=seed))
    moved = turned(solid, matrix, part * np.array(spacing))
    second = measure(*scan(moved, spacing, noise=10.0, seed=seed + 1))
    ratio = np.log(figure(second, "volume_mm3") / figure(first, "volume_mm3"))
    sd = [m.uncertainty["volume_repeat_mm3"] / figure(m, "volume_mm3") for m in (first, second)]
    assert abs(ratio) < max(3.5 * float(np.hypot(sd[0], sd[1])), 0.07)


@pytest.mark.parametrize("spacing", SPACINGS[:3])
@pytest.mark.parametrize(
    ("solid", "true"),
    [
        (shell(7.0, 4.5), 4 / 3 * np.pi * (7**3 - 4.5**3)),
        (box((10.0, 12.0, 1.5)), 180.0),
        (box((10.0, 1.0, 12.0)), 120.0),
    ],
)
def test_thin_walls_and_plates_have_their_volume_within_its_uncertainty(
    spacing: tuple[float, float, float], solid: Inside, true: float
) -> None:
    taken = measure(*scan(solid, spacing, rise=700.0, noise=8.0))
    assert abs(figure(taken, "volume_mm3") - true) < 2 * taken.uncertainty["volume_mm3"]


@given(
    order=st.permutations([1, 2]),
    flips=st.lists(st.booleans(), min_size=3, max_size=3),
)
@settings(max_examples=8)
def test_turning_the_array_and_its_affine_changes_nothing(
    order: list[int], flips: list[bool]
) -> None:
    image, lesion = scan(ellipsoid((6.0, 5.0, 4.0)), (2.0, 0.8, 0.8), layers=(12.0, 8.0))
    matrix: np.ndarray = np.array(image.affine.matrix)
    hu: np.ndarray = image.hu
    for axis, flip in enumerate(flips):
        if flip:
            hu = np.flip(hu, axis)
            matrix[:3, 3] += matrix[:3, axis] * (hu.shape[axis] - 1)
            matrix[:3, axis] *= -1
    axes = [0, *order]
    hu, matrix[:, :3] = np.ascontiguousarray(hu.transpose(axes)), matrix[:, axes]
    other = volume(hu, matrix, kvp=120.0, thickness_mm=2.0)
    before, after = measure(image, lesion), measure(other, found(other))
    for name in FIGURES:
        value = getattr(before, name)
        # Blocks of the coarse grid for the fascia begin at the array's first voxel.
        if isinstance(value, float):
            loose = 1.0 if name == "fascia_distance_mm" else 1e-3 * abs(value)
            assert getattr(after, name) == pytest.approx(value, abs=loose), name
        elif isinstance(value, list):
            assert getattr(after, name) == pytest.approx(value, rel=1e-2), name
        else:
            assert getattr(after, name) == value, name


@given(st.tuples(*[st.floats(0.2, 5)] * 3))
def test_a_single_voxel_is_as_long_as_its_longest_side(
    spacing: tuple[float, float, float],
) -> None:
    one = np.ones((1, 1, 1), bool)
    assert diameter_mm(one, np.array(spacing)) == pytest.approx(max(spacing))


def test_uncertainty_says_less_of_what_is_thinner_or_noisier() -> None:
    thick, thin = box((10.0, 10.0, 10.0)), box((10.0, 10.0, 1.0))
    relative = []
    for solid, noise in ((thick, 5.0), (thick, 60.0), (thin, 5.0)):
        taken = measure(*scan(solid, (1.0, 0.7, 0.7), noise=noise))
        relative.append(taken.uncertainty["volume_mm3"] / figure(taken, "volume_mm3"))
    assert relative[0] < relative[1]
    assert relative[0] < relative[2]


def test_every_figure_says_how_and_every_uncertainty_belongs_to_one() -> None:
    taken = measure(*scan(ball(6.0), (1.0, 0.7, 0.7), layers=(12.0, 8.0)))
    assert set(taken.how) == set(FIGURES)
    assert all(taken.how.values())
    assert set(taken.uncertainty) - {"volume_repeat_mm3"} <= set(FIGURES)
    assert all(sd >= 0 for sd in taken.uncertainty.values())


def test_pieces_and_their_spread_are_counted() -> None:
    apart = np.array([0.0, 0.0, 12.0])
    two = lambda p: ball(3.0)(p - apart / 2) | ball(3.0)(p + apart / 2)  # noqa: E731
    taken = measure(*scan(two, (1.0, 0.7, 0.7)))
    assert taken.members == 2
    assert figure(taken, "spread_mm") == pytest.approx(6.0, abs=0.3)
    assert figure(taken, "max_diameter_mm") == pytest.approx(18.0, abs=1.0)
    one = measure(*scan(ball(3.0), (1.0, 0.7, 0.7)))
    assert (one.members, one.spread_mm) == (1, 0.0)


def test_without_mask_the_mineral_in_the_box_counts() -> None:
    image, lesion = scan(ball(6.0), (1.0, 1.0, 1.0))
    wide = lesion.box + np.array([[-3], [3]])
    taken = measure(image, candidate(image, wide, None, "test"))
    tight = measure(image, lesion)
    assert taken.volume_mm3 == pytest.approx(tight.volume_mm3, rel=0.01)
    assert "at least 130 HU" in taken.how["volume_mm3"]


def test_bone_in_a_given_box_is_not_the_lesion() -> None:
    limb = scene.scan(scene.Pose(), (1.0, 0.8, 0.8))
    ends = limb.affine.to_voxel(scene.LESION_MM + np.array([[-45.0, -14, -9], [9, 20, 9]]))
    around = np.stack([np.floor(ends.min(0)), np.ceil(ends.max(0)) + 1])
    taken = measure(limb, candidate(limb, around, None, "given"))
    assert "without bone" in taken.how["volume_mm3"]
    assert figure(taken, "volume_mm3") == pytest.approx(4 / 3 * np.pi * 6**3, rel=0.15)
    assert figure(taken, "bone_distance_mm") > 3
    inside = limb.affine.to_voxel(np.array([[-8.0, 5, 0]]))[0].astype(int)
    only = measure(
        limb,
        candidate(
            limb, [np.subtract(inside, (3, 14, 14)), np.add(inside, (4, 15, 15))], None, "bone"
        ),
    )
    assert "all of them bone" in only.how["volume_mm3"]


def test_without_mineral_the_box_itself_counts_and_says_so() -> None:
    image, _ = scan(ball(3.0), (1.0, 1.0, 1.0))
    soft = measure(image, candidate(image, [[2, 20, 20], [6, 24, 24]], None, "test"))
    assert soft.volume_mm3 == 64
    assert soft.mean_hu == pytest.approx(50, abs=1)
    assert "holds no mineral" in soft.how["mean_hu"]
    assert soft.mass_mg is None


def film(spacing: tuple[float, float] | None) -> Radiograph:
    pixels = np.random.default_rng(0).random((40, 50)).astype(np.float32)
    shown = (pixels * 255).astype(np.uint8)
    return Radiograph(pixels, shown, spacing, "for a test", "1", "2", None, (Plane("3"),))


def test_on_a_radiograph_only_a_calibrated_length_is_in_mm() -> None:
    image = film((0.2, 0.1))
    taken = measure(image, candidate(image, [[0, 10, 10], [1, 20, 30]], None, "test"))
    assert taken.max_diameter_mm == 2.0
    assert taken.axes_mm == [2.0, 2.0]
    assert "for a test" in taken.how["max_diameter_mm"]
    bare = film(None)
    taken = measure(bare, candidate(bare, [[0, 10, 10], [1, 20, 30]], None, "test"))
    assert (taken.max_diameter_mm, taken.diameter_px) == (None, 20.0)
    assert "for a test" in taken.how["max_diameter_mm"]
    assert set(taken.how) == set(FIGURES)
    for name in ("volume_mm3", "mean_hu", "agatston", "bone_distance_mm", "radial_profile"):
        assert getattr(taken, name) is None


def test_on_a_radiograph_the_mask_is_measured_where_there_is_one() -> None:
    image, mask = film((0.5, 0.5)), np.zeros((1, 20, 20), bool)
    mask[0, 2:4, 2:18] = mask[0, 10, 10] = True
    taken = measure(image, candidate(image, [[0, 5, 5], [1, 25, 25]], mask, "test"))
    assert taken.members == 2
    assert figure(taken, "max_diameter_mm") == pytest.approx(8.06, abs=0.1)


@pytest.mark.parametrize("seed", range(20))
def test_pieces_on_a_radiograph_are_those_that_touch_nowhere(seed: int) -> None:
    image = film((0.5, 0.5))
    mask = np.random.default_rng(seed).random((1, 31, 33)) < 0.3
    taken = measure(image, candidate(image, [[0, 5, 5], [1, 36, 38]], mask, "test"))
    at = np.argwhere(mask[0])
    touch = (np.abs(at[:, None] - at).max(-1) <= 1).astype(int)
    assert taken.members == connected_components(touch)[0]
    assert np.isfinite(figure(taken, "spread_mm"))


@pytest.mark.parametrize("kvp", HU_PER_G_CM3)
def test_the_slope_of_mass_is_that_of_attenuation_tables(kvp: int) -> None:
    slope = hu_per_density(kvp)[BASE_NAMES.index("mineral")]
    assert HU_PER_G_CM3[kvp] == pytest.approx(slope, rel=0.002)


@pytest.mark.parametrize(("kvp", "reason"), [(None, "do not say"), (70.0, "here 70 kV")])
def test_mass_needs_a_known_tube_voltage(kvp: float | None, reason: str) -> None:
    image, lesion = scan(ball(5.0), (1.0, 0.7, 0.7))
    other = volume(image.hu, diagonal((1.0, 0.7, 0.7)), kvp=kvp)
    taken = measure(other, lesion)
    assert taken.mass_mg is None
    assert reason in taken.how["mass_mg"]


@settings(max_examples=40)
@given(
    shapes(largest=24),
    st.sampled_from([(1.0, 1.0, 1.0), (5.0, 0.3, 0.3), (0.3, 3.0, 3.0)]),
    st.sampled_from([-1000, 50, 900, None]),
    st.booleans(),
    st.data(),
)
def test_images_of_any_size_and_content_give_finite_figures_or_reasons(
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    fill: int | None,
    masked: bool,
    data: st.DataObject,
) -> None:
    rng = np.random.default_rng(0)
    hu = rng.integers(-1000, 2000, shape) if fill is None else np.full(shape, fill)
    place = data.draw(boxes(shape))
    made = volume(hu.astype(np.int16), diagonal(spacing), kvp=120.0, thickness_mm=spacing[0])
    mask = np.ones(place[1] - place[0], bool) if masked else None
    taken = measure(made, candidate(made, place, mask, "test"))
    for name in FIGURES:
        value = getattr(taken, name)
        assert taken.how[name]
        if value is not None and not isinstance(value, str):
            assert np.isfinite(np.asarray(value, float)).all(), name
    assert np.isfinite(list(taken.uncertainty.values())).all()
