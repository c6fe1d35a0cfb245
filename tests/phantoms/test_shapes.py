from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from calcilens.phantoms.shapes import (
    PSF_MM,
    body,
    ellipsoid,
    layer,
    paint,
    rounded_polygon,
)

coordinate = st.floats(-50, 50)
radius = st.floats(1, 30)


@given(st.tuples(coordinate, coordinate, coordinate), radius)
def test_distance_to_a_sphere_is_exact(point: tuple[float, float, float], radius_mm: float) -> None:
    centre = (1.0, -2.0, 3.0)
    axes = [np.array([p]) for p in point]
    expected = np.linalg.norm(np.subtract(point, centre)) - radius_mm
    np.testing.assert_allclose(ellipsoid(axes, centre, (radius_mm,) * 3), expected, atol=1e-2)


@given(st.tuples(radius, radius, radius), st.floats(0, np.pi), st.floats(0, 2 * np.pi))
def test_distance_to_an_ellipsoid_vanishes_on_its_surface_and_has_its_sign(
    radii: tuple[float, float, float], polar: float, turn: float
) -> None:
    direction = (np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn), np.cos(polar))

    def distance(scale: float) -> float:
        axes = [np.array([scale * d * r]) for d, r in zip(direction, radii, strict=True)]
        return float(ellipsoid(axes, (0, 0, 0), radii)[0])

    assert abs(distance(1)) < 1e-6
    assert distance(0.9) < 0 < distance(1.1)


def test_edge_and_layer_equal_a_sharp_profile_blurred_by_the_point_spread() -> None:
    step = 0.01
    position = np.arange(-6, 6, step)
    sharp_body = np.where(position < 0, 1.0, 0.0)
    sharp_layer = np.where(np.abs(position) < 0.45, 1.0, 0.0)
    np.testing.assert_allclose(
        body(position), gaussian_filter1d(sharp_body, PSF_MM / step), atol=5e-3
    )
    np.testing.assert_allclose(
        layer(position, 0.9), gaussian_filter1d(sharp_layer, PSF_MM / step), atol=1e-2
    )


def test_rounded_polygon_lies_inside_the_sharp_one() -> None:
    y, x = np.mgrid[-30:31, -30:31].astype(float)
    angles = (np.pi / 2, -0.55, np.pi + 0.55)
    sharp = np.max([np.cos(a) * x + np.sin(a) * y for a in angles], axis=0) - 12
    rounded = rounded_polygon((y, x), (0, 0), 12.0, angles)
    assert (rounded >= sharp).all()
    assert (rounded <= 0).sum() > 0.5 * (sharp <= 0).sum()


def test_paint_mixes_by_share() -> None:
    image = np.array([0.0, 0.0, 100.0])
    paint(image, np.array([0.0, 1.0, 0.5]), 50.0)
    np.testing.assert_array_equal(image, [0, 50, 75])
