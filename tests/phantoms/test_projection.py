from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calcilens.phantoms.anatomy import SITES, draw_segment, posed
from calcilens.phantoms.frames import Frame, Raster, sampled
from calcilens.phantoms.materials import BASE_NAMES, INDEX, beam, composition
from calcilens.phantoms.patterns import PATTERN_KINDS, draw_lesion, sites_of
from calcilens.phantoms.projection import CHANNELS, inside, masses, tissues
from calcilens.phantoms.shadows import shadow
from calcilens.phantoms.solids import Grid, paint
from calcilens.phantoms.tubes import Tube, ellipse

SOFT = CHANNELS.index("soft")
Z = np.linspace(-50, 50, 5)


def upright(tissue: str, y: float, x: float, tall: float, wide: float) -> Tube:
    shape = ellipse(np.full(5, tall), np.full(5, wide))
    return Tube(tissue, Z, np.tile([y, x], (5, 1)), shape, "air")


def frames() -> st.SearchStrategy[Frame]:
    return st.builds(
        Frame,
        st.tuples(st.floats(-40, 40), st.floats(-40, 40)).map(np.array),
        st.floats(0.08, 0.8),
        st.tuples(st.integers(8, 60), st.integers(8, 60)),
        st.floats(-7, 7),
    )


@given(
    frames(), st.lists(st.tuples(st.floats(-99, 99), st.floats(-99, 99)), min_size=1, max_size=5)
)
def test_pixels_to_points_and_back_is_the_identity(
    frame: Frame, pixels: list[tuple[float, float]]
) -> None:
    np.testing.assert_allclose(frame.pixels(frame.points(pixels)), pixels, atol=1e-6)


def test_rows_go_down_and_columns_to_the_left_of_the_patient() -> None:
    frame = Frame(np.array([10.0, 20.0]), 0.5, (11, 21))
    (middle, below, beside) = frame.points([[5.0, 10.0], [7.0, 10.0], [5.0, 14.0]])
    np.testing.assert_allclose(middle, [10, 20])
    np.testing.assert_allclose(below - middle, [-1, 0], atol=1e-12)
    np.testing.assert_allclose(beside - middle, [0, 2], atol=1e-12)


@settings(deadline=None)
@given(frames())
def test_sampling_a_plane_gives_the_plane(frame: Frame) -> None:
    raster = frame.raster((0.7, 0.3))
    plane = 3 * raster.axis(0)[:, None] - 2 * raster.axis(1)[None]
    rows, columns = np.indices(frame.shape)
    z, x = frame.points(np.stack([rows.ravel(), columns.ravel()], 1)).T
    found = sampled(plane.astype(np.float32), raster, frame)
    np.testing.assert_allclose(found, (3 * z - 2 * x).reshape(frame.shape), atol=0.02)


@given(st.floats(10, 40), st.floats(10, 40), st.floats(-30, 30), st.floats(-8, 8))
@settings(max_examples=25, deadline=None)
def test_chords_of_an_ellipse_are_its_own(tall: float, wide: float, y: float, x: float) -> None:
    raster = Raster(np.array([-5.0, -60.0]), np.array([5.0, 0.5]), (3, 241))
    (soft,) = masses([upright("fluid", y, x, tall, wide)], raster)[[SOFT]]
    share = np.clip(1 - ((raster.axis(1) - x) / wide) ** 2, 0, None)
    true = 2 * tall * np.sqrt(share) / 10 * 1.018
    # A polygon of 72 corners lies inside its ellipse, most at the ends of a slim one.
    assert np.abs(soft - true).mean() < 0.01 * true.max()
    np.testing.assert_allclose(soft.sum(1), true.sum(), rtol=0.02)


@given(st.floats(-55, -20), st.floats(10, 60))
@settings(max_examples=25, deadline=None)
def test_a_narrow_window_sees_what_the_whole_sees_there(start: float, width: float) -> None:
    body = [upright("muscle", 0, 3, 40, 50), upright("cortex", 5, -10, 9, 12)]
    step, rows = 0.5, 3
    left = round((start + 60) / step)
    count = round(width / step)
    whole = masses(body, Raster(np.array([0.0, -60.0]), np.array([4.0, step]), (rows, 241)))
    window = Raster(np.array([0.0, -60 + left * step]), np.array([4.0, step]), (rows, count))
    np.testing.assert_allclose(masses(body, window), whole[..., left : left + count], atol=1e-3)


def test_a_tube_takes_the_place_of_what_lies_beneath() -> None:
    outer, inner = upright("muscle", 0, 0, 40, 40), upright("marrow", 3, 2, 20, 20)
    raster = Raster(np.array([0.0, 2.0]), np.array([5.0, 1.0]), (1, 1))
    mass = masses([outer, inner], raster)[: len(BASE_NAMES), 0, 0]
    table = composition()
    chord = 2 * np.sqrt(40**2 - 2**2) / 10
    expected = (chord - 4) * table[INDEX["muscle"]] + 4 * table[INDEX["marrow"]]
    np.testing.assert_allclose(mass, expected, rtol=0.005)


@pytest.mark.parametrize("site", SITES)
def test_rays_through_a_body_agree_with_the_sum_of_its_voxels(site: str) -> None:
    rng = np.random.default_rng(7)
    body = posed(draw_segment(rng, site), 0.4, np.array([0.02, 0.03]), np.zeros(2))
    raster = Raster(np.array([-50.0, -200.0]), np.array([20.0, 5.0]), (6, 81))
    y = np.arange(-220, 220, 1.0)
    voxels = composition()[tissues(body.tubes, raster.axis(0), y, raster.axis(1))].sum(1) / 10
    true = np.moveaxis(voxels, -1, 0)[:3]
    found = masses(body.tubes, raster)[:3]
    # Where parts overlap, what one takes the place of is known on average only.
    allowed = 0.05 if site in ("pelvis", "thorax") else 0.03
    cm2_g = beam(60).attenuation[:3].mean(1)
    dark, expected = np.tensordot(cm2_g, found, 1), np.tensordot(cm2_g, true, 1)
    assert np.abs(dark - expected).mean() < allowed * expected.mean()
    for material, voxel_sum in zip(found, true, strict=True):
        assert abs(material.mean() - voxel_sum.mean()) < 0.04 * true.sum(0).mean()


def test_points_lie_inside_where_the_depth_is_positive() -> None:
    rng = np.random.default_rng(3)
    (tube,) = draw_segment(rng, "knee").bones[:1]
    points = np.stack([rng.uniform(5, 100, 300), *rng.uniform(-40, 40, (2, 300))], 1)
    depths = np.array([tube.depth(point) for point in points])
    clear = np.abs(depths) > 1e-6
    np.testing.assert_array_equal(inside(tube, *points.T)[clear], depths[clear] > 0)


@pytest.mark.parametrize(
    "name", ["laminated", "stippled", "rings_and_arcs", "lobulated", "sheet_like"]
)
def test_the_shadow_of_a_lesion_agrees_with_its_painted_voxels(name: str) -> None:
    rng = np.random.default_rng(11)
    body = draw_segment(rng, sites_of((name,))[0])
    drawn = draw_lesion(rng, body, (name,), 25.0)
    lesion = replace(drawn, rough_mm=0.0, grain=0.0, erosion=True)
    box = lesion.parts.box()
    wide = float((box[1] - box[0]).max()) + 4
    frame = Frame(box.mean(0)[[0, 2]], wide / 160, (160, 160))
    found = shadow(lesion, body.tubes, frame, rng).mineral
    step = wide / 160
    deep = np.ceil((box[1, 1] - box[0, 1] + 2) / step).astype(int)
    start = np.array([*frame.points([[159.0, 0.0]])[0]])
    grid = Grid(np.array([start[0], box[0, 1] - 1, start[1]]), np.full(3, step), (160, deep, 160))
    true = paint(lesion.parts, grid)[0].sum(1)[::-1] * step / 10
    assert abs(found.sum() - true.sum()) < 0.06 * true.sum()
    assert np.abs(found - true).mean() < 0.1 * true.mean()


def test_a_lesion_spares_bone_unless_it_erodes_it() -> None:
    rng = np.random.default_rng(2)
    body = draw_segment(rng, "thigh")
    bone = body.bones[0]
    drawn = draw_lesion(rng, body, ("diffuse",), 12.0)
    shift = np.array([0.0, *bone.at(0.0)[0][0]]) - drawn.parts.centre[0]
    inside_bone = replace(drawn, parts=drawn.parts.posed(np.eye(3), shift), rough_mm=0.0, grain=0.0)
    frame = Frame(np.array([0.0, bone.at(0.0)[0][0, 1]]), 0.3, (100, 100))
    spared, eroded = (
        shadow(replace(inside_bone, erosion=erosion), body.tubes, frame, rng).mineral.sum()
        for erosion in (False, True)
    )
    assert spared < 0.25 * eroded


@pytest.mark.parametrize("name", ["metal", "foreign_body"])
def test_what_holds_no_mineral_casts_none_but_a_shadow(name: str) -> None:
    rng = np.random.default_rng(4)
    body = draw_segment(rng, "calf")
    lesion = draw_lesion(rng, body, (name,), 15.0)
    frame = Frame(lesion.box.mean(0)[[0, 2]], 0.2, (120, 120))
    cast = shadow(lesion, body.tubes, frame, rng)
    assert not cast.mineral.any()
    assert np.abs(cast.change).max() > 0


def test_every_pattern_casts_mineral() -> None:
    for name in PATTERN_KINDS:
        rng = np.random.default_rng(6)
        body = draw_segment(rng, sites_of((name,))[0])
        lesion = draw_lesion(rng, body, (name,), 20.0)
        frame = Frame(lesion.box.mean(0)[[0, 2]], 0.5, (80, 80))
        assert shadow(lesion, body.tubes, frame, rng).mineral.max() > 0.005, name
