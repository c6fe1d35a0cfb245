from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calcilens.phantoms.anatomy import draw_segment
from calcilens.phantoms.ct_settings import DOMAINS
from calcilens.phantoms.exposure import Blurs, scout, transmitted
from calcilens.phantoms.frames import Frame
from calcilens.phantoms.materials import BASE_NAMES
from calcilens.phantoms.patterns import draw_lesion
from calcilens.phantoms.processing import processed
from calcilens.phantoms.radiograph import (
    LEAST_G_CM2,
    MASK_SHARE,
    RadiographImage,
    mineral_mask,
    projected_box,
    render_radiograph,
)
from calcilens.phantoms.scene import Scene
from calcilens.phantoms.xray_settings import FAMILIES, XRay, draw_xray

PLAIN = XRay(
    kvp=60, pixel_mm=0.2, magnification=1.1, focal_mm=0.6, blur_mm=0.1, scatter=0.7, grid=False,
    dose_ugy=3.0, structure=0.002, bits=12, processing="film", sharpness=0.3, latitude=1.2,
    brightness=0.45,
)  # fmt: skip
SIDE = 160
EVERY = [(domain, family) for domain in DOMAINS for family in FAMILIES[domain]]


@lru_cache
def scene(density: float = 0.5) -> Scene:
    rng = np.random.default_rng(5)
    body = draw_segment(rng, "upper arm")
    lesion = replace(draw_lesion(rng, body, ("diffuse",), 12.0), grain=0.0)
    parts = replace(lesion.parts, density=np.full(len(lesion.parts), density))
    return Scene(body, (replace(lesion, parts=parts),))


def render(xray: XRay = PLAIN, *, density: float = 0.5, seed: int = 1) -> RadiographImage:
    what = scene(density)
    centre = what.lesions[0].box.mean(0)[[0, 2]]
    return render_radiograph(what, xray, np.random.default_rng(seed), centre, (SIDE, SIDE))


def brightness(image: RadiographImage) -> tuple[float, float]:
    """Return the median of the lesion and of a ring around it."""
    rows, columns = (slice(max(a - 8, 0), b + 8) for a, b in image.box.T)
    near = np.zeros(image.mask.shape, bool)
    near[rows, columns] = True
    return (
        float(np.median(image.pixels[image.mask])),
        float(np.median(image.pixels[near & ~image.mask])),
    )


@pytest.mark.parametrize(("domain", "family"), EVERY)
def test_mineral_is_brighter_than_what_is_around_it(domain: str, family: str) -> None:
    image = render(replace(PLAIN, processing=family))
    inside, outside = brightness(image)
    assert image.pixels.dtype == np.uint16
    assert inside > outside
    assert image.visible > 3


def test_the_same_seed_gives_the_same_film_and_another_one_does_not() -> None:
    first, again, other = render(seed=3), render(seed=3), render(seed=4)
    np.testing.assert_array_equal(first.pixels, again.pixels)
    assert (first.pixels != other.pixels).mean() > 0.5


def test_without_mineral_nothing_is_masked_or_visible() -> None:
    image = render(density=0.0)
    assert not image.mask.any()
    assert image.visible == 0.0


def test_visibility_grows_with_mineral_and_with_dose() -> None:
    faint, dense = render(density=0.02).visible, render(density=0.4).visible
    noisy = render(replace(PLAIN, dose_ugy=0.01), density=0.4).visible
    assert 0 < faint < 0.5 * dense
    assert noisy < 0.5 * dense


@given(st.floats(-np.pi, np.pi), st.floats(0.1, 0.4))
@settings(max_examples=8, deadline=None)
def test_box_and_mask_lie_over_each_other_at_every_turn(turn: float, pixel_mm: float) -> None:
    image = render(replace(PLAIN, turn=turn, pixel_mm=pixel_mm))
    rows, columns = np.nonzero(image.mask)
    spread = np.stack([[rows.min(), columns.min()], [rows.max() + 1, columns.max() + 1]])
    shown = np.clip(image.box, 0, SIDE)
    size = (shown[1] - shown[0]).max()
    assert np.abs(spread - shown).max() <= 3 + 0.25 * size


def test_a_quarter_turn_turns_the_film() -> None:
    plain = replace(PLAIN, structure=0.0, dose_ugy=1e6)
    upright = render(plain).pixels.astype(float)
    turned = render(replace(plain, turn=np.pi / 2)).pixels.astype(float)
    alike = [np.corrcoef(np.rot90(upright, k).ravel(), turned.ravel())[0, 1] for k in range(4)]
    assert int(np.argmax(alike)) == 1
    assert max(alike) > 0.98


def test_the_box_of_a_turned_lesion_is_no_wider_than_its_turned_box() -> None:
    lesion = scene().lesions[0]
    centre = lesion.box.mean(0)[[0, 2]]
    half = (lesion.box[1] - lesion.box[0])[[0, 2]] / 2
    for turn in np.linspace(0, np.pi, 7):
        frame = Frame(centre, 0.2, (SIDE, SIDE), float(turn))
        box = projected_box(lesion, frame)
        c, s = abs(np.cos(turn)), abs(np.sin(turn))
        widest = 2 * np.array([c * half[0] + s * half[1], s * half[0] + c * half[1]]) / 0.2
        assert (box[1] - box[0] <= widest + 1e-6).all()
    upright = projected_box(lesion, Frame(centre, 0.2, (SIDE, SIDE)))
    np.testing.assert_allclose((upright[1] - upright[0]) * 0.2, 2 * half, rtol=1e-6)


@settings(deadline=None)
@given(st.floats(0.02, 3.0), st.integers(2, 12))
def test_the_mask_is_where_mineral_is_a_share_of_its_most(top: float, side: int) -> None:
    ramp = np.linspace(0, top, side * side, dtype=np.float32).reshape(side, side)
    mask = mineral_mask(ramp)
    robust = np.percentile(ramp[ramp > LEAST_G_CM2], 98) if (ramp > LEAST_G_CM2).any() else np.inf
    np.testing.assert_array_equal(mask, ramp >= max(MASK_SHARE * robust, LEAST_G_CM2))


@pytest.mark.parametrize("kvp", [50, 110])
def test_a_beam_loses_energy_as_exponentials_do_and_hardens(kvp: int) -> None:
    mass = np.zeros((len(BASE_NAMES), 1, 4), np.float32)
    mass[0, 0] = [0, 5, 10, 20]
    passed = transmitted(mass, replace(PLAIN, kvp=kvp))[0]
    assert passed[0] == pytest.approx(1.0, abs=1e-5)
    per_cm = -np.diff(np.log(passed)) / [5, 5, 10]
    assert (np.diff(per_cm) < 0).all()
    assert (per_cm > 0.1).all()
    assert (per_cm < 0.5).all()


def test_a_grid_takes_away_scatter_and_lifts_contrast() -> None:
    body = scene().segment
    frame = Frame(np.zeros(2), 0.2, (SIDE, SIDE))
    wide = np.array([[-200.0, -200.0], [200.0, 200.0]])
    without, with_grid = (
        scout(body.tubes, frame, replace(PLAIN, grid=grid), wide).scattered.max()
        for grid in (False, True)
    )
    assert with_grid < 0.3 * without
    assert render(replace(PLAIN, grid=True)).visible > render(PLAIN).visible


@pytest.mark.parametrize("masked", [False, True])
def test_what_the_blades_shield_is_white_or_masked_black(masked: bool) -> None:
    image = render(replace(PLAIN, blades_mm=(2.0, 1e3, 1e3, 1e3), masked=masked, latitude=0.9))
    shielded = image.pixels[: max(image.box[0, 0] - 25, 1)]
    beside = image.pixels[image.box[1, 0] :]
    if masked:
        assert (shielded == 0).all()
    else:
        assert np.median(shielded) > np.median(beside)


def test_a_marker_of_lead_is_the_brightest_and_spares_the_lesion() -> None:
    coarse = replace(PLAIN, pixel_mm=0.4)
    plain, marked = render(coarse), render(replace(coarse, marker="R", burnt_in=True))
    letters = marked.pixels == 2**PLAIN.bits - 1
    assert 0.001 < letters.mean() < 0.2
    assert not (letters & marked.mask).any()
    np.testing.assert_array_equal(plain.mask, marked.mask)


@pytest.mark.parametrize("family", [family for _, family in EVERY])
def test_denser_is_never_darker_on_an_even_field(family: str) -> None:
    body = scene().segment
    xray = replace(PLAIN, processing=family)
    seen = scout(
        body.tubes, Frame(np.zeros(2), 0.2, (SIDE, SIDE)), xray, np.array([[-99.0] * 2, [99.0] * 2])
    )
    levels = [
        float(processed(np.full((32, 32), log, np.float32), seen, xray).mean())
        for log in np.linspace(0, seen.high + 1, 8)
    ]
    assert (np.diff(levels) >= -1e-6).all()
    assert levels[-1] - levels[0] > 0.3


@given(st.floats(0.6, 20))
@settings(max_examples=10, deadline=None)
def test_blurring_keeps_the_mean_and_an_even_field(sigma: float) -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(5, 1, (40, 33)).astype(np.float32)
    blurred = Blurs(image).by(sigma)
    assert blurred.mean() == pytest.approx(image.mean(), rel=1e-4)
    assert blurred.std() < image.std()
    even = np.full((17, 22), 3.0, np.float32)
    np.testing.assert_allclose(Blurs(even).by(sigma), even, rtol=1e-4)


def test_the_domains_share_no_setting_of_the_machine() -> None:
    drawn = {
        domain: [
            draw_xray(np.random.default_rng(i), domain, site) for i, site in enumerate(SITES_DRAWN)
        ]
        for domain in DOMAINS
    }
    for name in ("kvp", "processing", "bits"):
        values = [{getattr(xray, name) for xray in drawn[domain]} for domain in DOMAINS]
        assert not values[0] & values[1], name
    for name in ("pixel_mm", "blur_mm", "dose_ugy"):
        usual, unseen = ([getattr(xray, name) for xray in drawn[domain]] for domain in DOMAINS)
        assert max(usual) < min(unseen) or max(unseen) < min(usual), name


SITES_DRAWN = ("calf", "thigh", "pelvis", "knee", "thorax", "elbow") * 15


def test_films_of_large_lesions_are_reduced() -> None:
    for size_mm in (5.0, 60.0, 120.0):
        xray = draw_xray(np.random.default_rng(1), "usual", "thigh", size_mm)
        assert 1.75 * size_mm / xray.pixel_mm <= 301


def test_every_lesion_has_a_mask_of_its_own() -> None:
    one = scene()
    shift = np.array([9.0, 0.0, 3.0])
    second = replace(one.lesions[0], parts=one.lesions[0].parts.posed(np.eye(3), shift))
    both = Scene(one.segment, (one.lesions[0], second))
    centre = one.lesions[0].box.mean(0)[[0, 2]]
    image = render_radiograph(both, PLAIN, np.random.default_rng(1), centre, (SIDE, SIDE))
    first, moved = (np.argwhere(mask).mean(0) for mask in image.masks)
    step = (moved - first) * image.spacing_mm
    np.testing.assert_allclose(step, [-9.0, 3.0], atol=1.5)
    np.testing.assert_array_equal(image.mask, image.masks[0] | image.masks[1])
