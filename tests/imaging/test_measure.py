"""Measurements: spheres of known size, and nothing changes when the image is turned."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcilens.imaging.candidates import candidate
from calcilens.imaging.geometry import Affine
from calcilens.imaging.images import Plane, Radiograph, Volume
from calcilens.imaging.measure import Measurement, diameter_mm, measure

FIGURES = ("max_diameter_mm", "volume_mm3", "mean_hu", "max_hu", "skin_distance_mm")


def volume(hu: np.ndarray, matrix: np.ndarray) -> Volume:
    planes = tuple(Plane(f"1.2.3.{i}") for i in range(len(hu)))
    return Volume(hu, Affine(matrix), "1.2", "1.2.3", None, planes)


def diagonal(spacing: tuple[float, float, float]) -> np.ndarray:
    """Axial affine: z to z, y to y, x to x."""
    m = np.eye(4)
    m[:3, :3] = np.diag(spacing)[::-1]
    return m


def ball(
    spacing: tuple[float, float, float], radius: float = 6.0, depth: float = 14.0
) -> tuple[Volume, np.ndarray]:
    """A calcified ball, `depth` mm under the skin of a block of tissue; and its box."""
    half = 30.0
    shape = tuple(round(2 * half / s) for s in spacing)
    grid = [(np.arange(n) + 0.5) * s - half for n, s in zip(shape, spacing, strict=True)]
    z, y, x = np.meshgrid(*grid, indexing="ij")
    hu = np.full(shape, -1000, np.int16)
    hu[(np.abs(x) < half - 5) & (y > -radius - depth) & (y < half - 5)] = 40
    inside = z**2 + y**2 + x**2 < radius**2
    hu[inside] = 500
    where = np.argwhere(inside)
    return volume(hu, diagonal(spacing)), np.stack([where.min(0), where.max(0) + 1])


def taken(image: Volume, box: np.ndarray) -> Measurement:
    mask = image.hu[tuple(slice(a, b) for a, b in box.T)] >= 300
    return measure(image, candidate(image, box, mask, "test"))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.5, 0.7, 0.7), (1.0, 0.5, 0.8)])
def test_a_ball_has_its_known_size_and_depth(spacing: tuple[float, float, float]) -> None:
    figures = taken(*ball(spacing))
    assert figures.max_diameter_mm == pytest.approx(12.0, abs=max(spacing))
    assert figures.volume_mm3 == pytest.approx(4 / 3 * np.pi * 6**3, rel=0.06)
    assert figures.mean_hu == figures.max_hu == 500
    assert figures.skin_distance_mm == pytest.approx(14, abs=max(spacing[1:]))
    assert figures.bone_distance_mm is None
    assert "no bone" in figures.how["bone_distance_mm"]


@given(
    order=st.permutations([0, 1, 2]),
    flips=st.lists(st.booleans(), min_size=3, max_size=3),
)
def test_turning_the_array_and_its_affine_changes_no_size(
    order: list[int], flips: list[bool]
) -> None:
    image, box = ball((2.0, 1.0, 1.5))
    matrix = np.array(image.affine.matrix)
    hu, turned = image.hu, box.copy()
    for axis, flip in enumerate(flips):
        if flip:
            n = hu.shape[axis]
            hu = np.flip(hu, axis)
            matrix[:3, 3] += matrix[:3, axis] * (n - 1)
            matrix[:3, axis] *= -1
            turned[:, axis] = n - turned[::-1, axis]
    hu, matrix[:, :3], turned = hu.transpose(order), matrix[:, order], turned[:, order]
    before, after = taken(image, box), taken(volume(hu, matrix), turned)
    for name in FIGURES[:4]:
        assert getattr(after, name) == pytest.approx(getattr(before, name))
    assert after.radial_profile == pytest.approx(before.radial_profile)


def test_finer_voxels_change_figures_little() -> None:
    coarse, fine = taken(*ball((1.0, 1.0, 1.0))), taken(*ball((0.5, 0.5, 0.5)))
    for name in FIGURES:
        assert getattr(fine, name) == pytest.approx(getattr(coarse, name), rel=0.09)


@given(st.tuples(*[st.floats(0.2, 5)] * 3))
def test_a_single_voxel_is_as_long_as_its_longest_side(
    spacing: tuple[float, float, float],
) -> None:
    one = np.ones((1, 1, 1), bool)
    assert diameter_mm(one, np.array(spacing)) == pytest.approx(max(spacing))


def test_without_mask_the_mineral_in_the_box_counts() -> None:
    image, box = ball((1.0, 1.0, 1.0))
    wide = measure(image, candidate(image, box + np.array([[-3], [3]]), None, "test"))
    tight = taken(image, box)
    assert wide.volume_mm3 == tight.volume_mm3
    assert "at least 130 HU" in wide.how["volume_mm3"]


def test_without_mineral_the_box_itself_counts_and_says_so() -> None:
    image, _ = ball((1.0, 1.0, 1.0))
    soft = measure(image, candidate(image, [[2, 45, 30], [6, 49, 34]], None, "test"))
    assert soft.volume_mm3 == 64
    assert soft.mean_hu == 40
    assert "holds no mineral" in soft.how["mean_hu"]


def test_skin_outside_the_image_is_not_guessed() -> None:
    image, box = ball((1.0, 1.0, 1.0))
    inner = volume(np.ascontiguousarray(image.hu[:, 20:40, 20:40]), diagonal((1.0, 1.0, 1.0)))
    cut = box - [0, 20, 20]
    figures = taken(inner, cut)
    assert figures.skin_distance_mm is None
    assert "outside the image" in figures.how["skin_distance_mm"]


def test_agatston_follows_its_definition() -> None:
    image, _ = ball((3.0, 1.0, 1.0))
    hu = np.full_like(image.hu, 40)
    hu[5, 10:14, 10:15] = 250
    hu[6, 10:12, 10:12] = 420
    plate = volume(hu, diagonal((3.0, 1.0, 1.0)))
    figures = measure(plate, candidate(plate, [[4, 8, 8], [8, 20, 20]], None, "test"))
    assert figures.agatston == pytest.approx(20 * 2 + 4 * 4)


@pytest.mark.parametrize(
    ("spacing", "turned", "reason"),
    [((1.0, 1.0, 1.0), False, "2.5-3.0 mm apart"), ((3.0, 1.0, 1.0), True, "axial planes")],
)
def test_agatston_is_withheld_where_it_is_not_defined(
    spacing: tuple[float, float, float], turned: bool, reason: str
) -> None:
    image, box = ball(spacing)
    matrix = np.array(image.affine.matrix)
    if turned:
        matrix[:3, :3] = matrix[[2, 0, 1], :3]
    figures = taken(volume(image.hu, matrix), box)
    assert figures.agatston is None
    assert reason in figures.how["agatston"]


def test_the_radial_profile_goes_from_the_rim_inwards() -> None:
    image, box = ball((1.0, 1.0, 1.0))
    hu = image.hu.copy()
    grid = np.indices(hu.shape) + 0.5 - 30
    radius = np.sqrt((grid**2).sum(0))
    hu[radius < 6] = (900 - 90 * radius[radius < 6]).astype(np.int16)
    profile = taken(volume(hu, diagonal((1.0, 1.0, 1.0))), box).radial_profile
    assert profile is not None
    assert len(profile) >= 5
    assert (np.diff(profile) > 0).all()


def radiograph(spacing: tuple[float, float] | None) -> Radiograph:
    pixels = np.random.default_rng(0).random((40, 50)).astype(np.float32)
    shown = (pixels * 255).astype(np.uint8)
    return Radiograph(pixels, shown, spacing, "for a test", "1", "2", None, (Plane("3"),))


def test_on_a_radiograph_only_a_calibrated_length_is_given() -> None:
    box = [[0, 10, 10], [1, 20, 30]]
    for spacing, expected in (((0.2, 0.1), 2.0), (None, None)):
        image = radiograph(spacing)
        figures = measure(image, candidate(image, box, None, "test"))
        assert figures.max_diameter_mm == expected
        assert "for a test" in figures.how["max_diameter_mm"]
        for name in ("volume_mm3", "mean_hu", "agatston", "bone_distance_mm", "radial_profile"):
            assert getattr(figures, name) is None
            assert figures.how[name]
