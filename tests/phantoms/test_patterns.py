from __future__ import annotations

import itertools
from collections import Counter
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation

from calcilens.phantoms.anatomy import SITES, Segment, draw_segment
from calcilens.phantoms.ct import render_ct
from calcilens.phantoms.ct_settings import CTSettings
from calcilens.phantoms.forms import View
from calcilens.phantoms.patterns import (
    MIMIC_KINDS,
    MIXED,
    PATTERN_KINDS,
    draw_kind,
    draw_lesion,
    kind_of,
    sites_of,
)
from calcilens.phantoms.scene import LARGE_MM, Lesion, Scene, concern_reasons
from calcilens.phantoms.solids import solids
from calcilens.vocabulary import PATTERN_KEYS, Reading, pattern

CLEAR = CTSettings(
    kvp=120, pixel_mm=0.5, thickness_mm=1.0, interval_mm=1.0, kernel="standard", sigma_mm=0.4,
    boost=0.0, noise_hu=5.0,
)  # fmt: skip


@lru_cache
def body_of(site: str, seed: int) -> Segment:
    return draw_segment(np.random.default_rng([seed, 5]), site)


def drawn(name: str, seed: int, site: str | None = None) -> tuple[Segment, Lesion]:
    rng = np.random.default_rng([seed, 77])
    body = body_of(site or str(rng.choice(sites_of((name,)))), seed % 3)
    return body, draw_lesion(rng, body, (name,))


def dense_box(lesion: Lesion) -> np.ndarray:
    return lesion.parts.part(lesion.parts.density > 0).box()


@pytest.mark.parametrize("name", [*PATTERN_KINDS, *MIMIC_KINDS])
def test_every_kind_draws_at_each_of_its_sites(name: str) -> None:
    for seed, site in itertools.product(range(2), sites_of((name,))):
        _, lesion = drawn(name, seed, site)
        parts = lesion.parts
        for values in (parts.centre, parts.radii, parts.density, lesion.box):
            assert np.isfinite(values).all()
        assert (parts.radii > 0).all()
        assert (parts.density >= 0).all()
        assert (lesion.box[1] > lesion.box[0]).all()
        frames = parts.axes @ parts.axes.transpose(0, 2, 1)
        np.testing.assert_allclose(frames, np.broadcast_to(np.eye(3), frames.shape), atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(PATTERN_KEYS), st.integers(0, 10_000))
def test_a_pattern_has_mineral_in_its_box_and_under_the_skin(name: str, seed: int) -> None:
    body, lesion = drawn(name, seed)
    assert lesion.patterns == (name,)
    low, high = dense_box(lesion)
    assert (low >= lesion.box[0] - 0.5).all()
    assert (high <= lesion.box[1] + 0.5).all()
    dense = lesion.parts.part(lesion.parts.density > 0)
    weight = dense.radii.prod(1) * dense.density
    out = np.array([body.skin.depth(c) < 0 for c in dense.centre])
    assert weight[out].sum() <= 0.25 * weight.sum()


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(sorted(MIMIC_KINDS)), st.integers(0, 10_000))
def test_what_is_no_calcification_has_no_mineral_of_a_lesion_and_no_pattern(
    name: str, seed: int
) -> None:
    _, lesion = drawn(name, seed)
    assert lesion.patterns == ()
    assert lesion.kind == name
    assert (lesion.parts.density == 0).all()


@pytest.mark.parametrize("name", PATTERN_KEYS)
def test_the_mask_lies_in_the_box_and_its_voxels_are_brighter_than_those_around(name: str) -> None:
    body, lesion = drawn(name, 3)
    middle, size = lesion.box.mean(0), lesion.box[1] - lesion.box[0]
    dense = lesion.parts.part(lesion.parts.density > 0)
    middle[0] = np.average(dense.centre[:, 0], weights=dense.radii.prod(1) * dense.density)
    rows, columns = (int(n) for n in np.ceil(size[1:] / CLEAR.pixel_mm) + 40)
    image = render_ct(
        Scene(body, (lesion,)), CLEAR, np.random.default_rng(0), middle, (5, rows, columns)
    )
    (mask,) = image.masks
    assert mask.any()
    at = image.start[1:] + np.argwhere(mask)[:, 1:] * CLEAR.pixel_mm
    slack = 1.0 + 2.5 * lesion.rough_mm  # outlines wander
    assert (at >= lesion.box[0, 1:] - slack).all()
    assert (at <= lesion.box[1, 1:] + slack).all()
    plane = mask.sum((1, 2)).argmax()
    near, far = (binary_dilation(mask[plane], iterations=n) for n in (3, 8))
    around = far & ~near
    around &= image.hu[plane] < 300  # neither bone nor other pieces
    inside = image.hu[plane][mask[plane]]
    assert inside.mean() > image.hu[plane][around].mean() + 70


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(PATTERN_KEYS), st.integers(0, 10_000))
def test_concern_follows_its_stated_rules(name: str, seed: int) -> None:
    _, lesion = drawn(name, seed)
    reasons = concern_reasons(lesion)
    assert (f"pattern {name}" in reasons) == (pattern(name).reading is Reading.EVALUATE)
    assert ("over 5 cm" in reasons) == (lesion.size_mm > LARGE_MM)
    assert ("soft-tissue mass" in reasons) == lesion.mass
    assert ("bone erosion" in reasons) == lesion.erosion
    assert ("dense centre and fading rim" in reasons) == lesion.reversed_zones


def test_a_large_box_without_calcification_is_of_concern_only_for_its_mass() -> None:
    ball = solids(np.zeros(3), [40.0], 0)
    for mass in (False, True):
        empty = Lesion((), "nothing", ball, ball.box(), mass=mass)
        assert bool(concern_reasons(empty)) is mass


def test_erosion_is_stated_only_where_the_lesion_reaches_into_bone() -> None:
    found = 0
    for seed in range(80):
        body, lesion = drawn("rings_and_arcs", seed, "knee")
        if not lesion.erosion:
            continue
        found += 1
        reach = [
            r.min() - body.bone_clearance(c)
            for c, r in zip(lesion.parts.centre, lesion.parts.radii, strict=True)
        ]
        assert max(reach) > 1.5
        assert lesion.mass
    assert found >= 5


@pytest.mark.parametrize("names", MIXED)
def test_a_mixed_lesion_keeps_both_labels_and_holds_both_minerals(names: tuple[str, str]) -> None:
    rng = np.random.default_rng(4)
    body = draw_segment(rng, str(rng.choice(sites_of(names))))
    both = draw_lesion(rng, body, names)
    assert both.patterns == names
    low, high = dense_box(both)
    assert (low >= both.box[0] - 0.5).all()
    assert (high <= both.box[1] + 0.5).all()


def test_a_size_that_is_asked_for_is_kept_where_there_is_room() -> None:
    rng = np.random.default_rng(2)
    body = draw_segment(rng, "thigh")
    for wanted in (6.0, 12.0, 18.0):
        size = draw_lesion(rng, body, ("diffuse",), wanted).size_mm
        assert 0.7 * wanted < size < 1.3 * wanted


def flat_along(name: str, view: View, axis: int) -> list[float]:
    """How far lesions reach along an axis, as a share of their longest side."""
    sides = []
    for seed in range(16):
        rng = np.random.default_rng(seed)
        one = draw_lesion(rng, body_of("knee", seed % 3), (name,), 24.0, view=view)
        side = one.box[1] - one.box[0]
        sides.append(float(side[axis] / side.max()))
    return sides


def test_a_worm_lies_about_in_the_plane_of_the_image() -> None:
    assert np.median(flat_along("crescentic", "axial", 0)) < 0.5
    assert np.median(flat_along("crescentic", "frontal", 1)) < 0.5


def test_chondral_mineral_is_a_layer_seen_from_its_edge() -> None:
    assert np.median(flat_along("linear_chondral", "frontal", 0)) < 0.4
    assert min(flat_along("linear_chondral", "axial", 0)) > 0.1  # several planes show the line


def test_arteries_run_along_the_limb_and_in_ct_at_times_across_it() -> None:
    assert min(flat_along("vascular_tram_track", "frontal", 0)) > 0.7
    across = [s < 0.7 for s in flat_along("vascular_tram_track", "axial", 0)]
    assert 2 <= sum(across) <= 12


def test_every_pattern_site_and_mixture_is_drawn_about_as_often_as_it_should() -> None:
    rng = np.random.default_rng(0)
    kinds = Counter(draw_kind(rng) for _ in range(6000))
    single = {k[0]: n for k, n in kinds.items() if len(k) == 1}
    assert set(single) == {*PATTERN_KINDS, *MIMIC_KINDS}
    patterns = [single[key] for key in PATTERN_KEYS]
    assert min(patterns) > 0.7 * np.mean(patterns)
    assert {k for k in kinds if len(k) == 2} == set(MIXED)
    assert {site for name in PATTERN_KEYS for site in kind_of(name).sites} == set(SITES)
