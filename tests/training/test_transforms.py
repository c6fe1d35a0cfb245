from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from monai.transforms import RandomizableTransform
from scipy.ndimage import binary_dilation, binary_erosion

from calcilens.imaging.patches import PatchSpec
from calcilens.training.samples import Sample, ScaleLesion
from calcilens.training.transforms import (
    RandBoxJitterd,
    RandForgetHounsfieldd,
    RandForgetSpacingd,
    RandLesionFlipd,
    RandMineralContrastd,
    RandSharpnessd,
    RandShiftHounsfieldd,
    RandToneCurved,
    augmentation,
)

SPEC = PatchSpec(3, 32, "hu_and_relative")
SEEDS = st.integers(0, 2**31 - 1)


def lesion(y0: int = 3, x0: int = 9, height: int = 8, width: int = 12) -> Sample:
    """A patch (3, 32, 32) in HU, mineral in the box of the middle plane, y told from x."""
    pixels = np.full((3, 32, 32), 40, np.int16)
    pixels[0] = -90
    pixels[1, y0 : y0 + height, x0 : x0 + width] = 500
    return {
        "pixels": pixels,
        "mask": pixels[1:2] == 500,
        "calibrated": True,
        "box": np.array([y0, x0, y0 + height, x0 + width], np.float32),
        "extent_mm": np.array([5.0, 0.5 * height, 0.25 * width], np.float32),
    }


def content(sample: Sample) -> np.ndarray:
    y0, x0, y1, x1 = sample["box"].astype(int)
    inside: np.ndarray = sample["pixels"][1, y0:y1, x0:x1]
    return inside


@given(SEEDS, st.integers(0, 20), st.integers(0, 20), st.integers(2, 11), st.integers(2, 11))
def test_the_box_keeps_its_content_and_its_spacing_when_mirrored(
    seed: int, y0: int, x0: int, height: int, width: int
) -> None:
    before = lesion(y0, x0, height, width)
    flip = RandLesionFlipd()
    flip.set_random_state(seed)
    after = flip(before)
    assert content(after).min() == 500
    assert (after["pixels"][1] == 500).sum() == height * width == content(after).size
    np.testing.assert_array_equal(after["mask"][0], after["pixels"][1] == 500)
    assert (after["pixels"][2 if flip.flip_z else 0] == -90).all()
    spacing = after["extent_mm"][1:] / (after["box"][2:] - after["box"][:2])
    assert sorted(spacing) == [0.25, 0.5]
    assert (spacing[0] == 0.25) == flip.swap
    assert after["extent_mm"][0] == 5


def test_all_sixteen_ways_to_mirror_occur() -> None:
    flip, seen = RandLesionFlipd(), set()
    for seed in range(300):
        flip.set_random_state(seed)
        flip(lesion())
        seen.add((flip.flip_y, flip.flip_x, flip.swap, flip.flip_z))
    assert len(seen) == 16


@given(SEEDS)
def test_a_jittered_box_keeps_its_spacing_and_stays_about_the_lesion(seed: int) -> None:
    before = lesion()
    jitter = RandBoxJitterd()
    jitter.set_random_state(seed)
    after = jitter(before)
    size, old = after["box"][2:] - after["box"][:2], before["box"][2:] - before["box"][:2]
    np.testing.assert_allclose(after["extent_mm"][1:] / size, [0.5, 0.25], rtol=1e-5)
    assert after["extent_mm"][0] == 5
    assert (np.abs(size / old - 1) <= jitter.scale + 1e-5).all()
    moved = (after["box"][2:] + after["box"][:2] - before["box"][2:] - before["box"][:2]) / 2
    assert (np.abs(moved) <= jitter.shift * old + 1e-4).all()


def test_an_unknown_size_stays_unknown() -> None:
    before = {**lesion(), "extent_mm": np.full(3, np.nan, np.float32)}
    after = augmentation(SPEC).set_random_state(seed=1)(before)
    assert np.isnan(np.asarray(after["extent_mm"])).all()


@given(SEEDS)
def test_one_seed_gives_one_sample_whatever_came_before(seed: int) -> None:
    used, fresh = augmentation(SPEC), augmentation(SPEC)
    used(lesion())
    one = used.set_random_state(seed=seed)(lesion())
    two = fresh.set_random_state(seed=seed)(lesion())
    for name in one:
        np.testing.assert_array_equal(np.asarray(one[name]), np.asarray(two[name]))


def test_another_seed_gives_another_sample_in_0_to_1_and_the_cached_one_is_left_alone() -> None:
    before = lesion()
    samples = [augmentation(SPEC).set_random_state(seed=s)(before)["pixels"] for s in (1, 2)]
    assert not np.array_equal(*samples)
    assert all(s.min() >= 0 and s.max() <= 1 and s.dtype == np.float32 for s in samples)
    for name, value in lesion().items():
        np.testing.assert_array_equal(before[name], value)


@given(SEEDS)
def test_the_mask_lies_on_the_mineral_whatever_was_drawn(seed: int) -> None:
    after = augmentation(SPEC).set_random_state(seed=seed)(lesion())
    mask, plane = after["mask"][0] > 0, after["pixels"][1]
    assert mask.sum() == 8 * 12
    inside, around = binary_erosion(mask, iterations=2), binary_dilation(mask, iterations=4)
    assert plane[inside].min() > plane[~around].max()


@given(SEEDS, st.sampled_from([True, False]))
def test_windows_of_hu_are_empty_exactly_where_hu_are_not_known(seed: int, known: bool) -> None:
    after = augmentation(SPEC).set_random_state(seed=seed)({**lesion(), "calibrated": known})
    relative, soft, wide = np.split(after["pixels"], 3)
    assert relative.any()
    assert soft.any() == wide.any()
    assert known or not wide.any()


def test_hu_are_forgotten_and_spacing_too_as_often_as_asked() -> None:
    forget, unspaced = RandForgetHounsfieldd(0.3), RandForgetSpacingd(0.2)
    forget.set_random_state(0)
    unspaced.set_random_state(0)
    kept = sum(forget(lesion())["calibrated"] for _ in range(400))
    spaced = sum(np.isfinite(unspaced(lesion())["extent_mm"]).all() for _ in range(400))
    assert kept / 400 == pytest.approx(0.7, abs=0.06)
    assert spaced / 400 == pytest.approx(0.8, abs=0.06)
    assert not forget({**lesion(), "calibrated": False})["calibrated"]


@given(SEEDS)
def test_hu_move_together_and_little_and_other_units_not_at_all(seed: int) -> None:
    shift = RandShiftHounsfieldd(offset_hu=15, scale=0.08)
    shift.set_random_state(seed)
    before = lesion()
    moved = shift(before)["pixels"]
    np.testing.assert_allclose(moved, before["pixels"] * shift.factor + shift.offset, rtol=1e-5)
    assert np.abs(moved - before["pixels"]).max() <= 15 + 0.08 * 500 + 1e-3
    other = {**before, "calibrated": False}
    assert shift(other)["pixels"] is before["pixels"]


@given(SEEDS)
def test_another_tube_voltage_moves_mineral_and_leaves_soft_tissue(seed: int) -> None:
    change = RandMineralContrastd(prob=1.0)
    change.set_random_state(seed)
    before = lesion()
    after = change(before)["pixels"]
    dense = before["pixels"] > 70
    np.testing.assert_array_equal(after[~dense], before["pixels"][~dense])
    assert 70 + 0.74 * 430 < after[dense].min() == after[dense].max() < 70 + 1.36 * 430
    other = {**before, "calibrated": False}
    assert change(other)["pixels"] is before["pixels"]


@given(SEEDS)
def test_sharpness_changes_edges_of_each_plane_and_keeps_what_is_even(seed: int) -> None:
    change = RandSharpnessd(prob=1.0)
    change.set_random_state(seed)
    before = lesion(height=11, width=11)
    after = change(before)["pixels"]
    np.testing.assert_allclose(after[[0, 2]], before["pixels"][[0, 2]], atol=1e-3)
    np.testing.assert_allclose(after.sum(), before["pixels"].sum(), rtol=1e-4)
    assert (after[1].max() > 501) == (change.gain > 0.02)
    assert after[1, 8, 14] == pytest.approx(500, abs=1)  # the middle of the box


@given(SEEDS, st.lists(st.floats(0, 1, width=32), min_size=2, max_size=9))
def test_a_tone_curve_keeps_order_and_both_ends(seed: int, values: list[float]) -> None:
    change = RandToneCurved(prob=1.0)
    change.set_random_state(seed)
    pixels = np.array([[[0.0, *sorted(values), 1.0]]], np.float32)
    after = change({"pixels": pixels})["pixels"][0, 0]
    assert after.dtype == np.float32
    assert (after[0], after[-1]) == pytest.approx((0, 1), abs=1e-6)
    assert (np.diff(after) >= 0).all()


def test_crops_that_are_scaled_by_their_own_range_are_not_sharpened() -> None:
    crop = {**lesion(), "calibrated": False}
    for hu_only in (True, False):
        change = RandSharpnessd(hu_only=hu_only, prob=1.0).set_random_state(0)
        assert (change(crop)["pixels"] is crop["pixels"]) == hu_only
    for intensity in ("plane_minmax", "hu_and_relative", "percentile"):
        steps = augmentation(PatchSpec(3, 32, intensity)).transforms
        (sharpen,) = (step for step in steps if isinstance(step, RandSharpnessd))
        assert sharpen.hu_only == (intensity != "percentile")
        assert any(isinstance(step, RandToneCurved) for step in steps) != sharpen.hu_only


@given(SEEDS)
def test_what_a_seed_draws_does_not_hang_on_what_was_drawn_before(seed: int) -> None:
    change, fresh = augmentation(SPEC), augmentation(SPEC)
    change.set_random_state(seed=seed + 1)(lesion())
    again, wanted = (c.set_random_state(seed=seed)(lesion()) for c in (change, fresh))
    for name in ("pixels", "box", "extent_mm"):
        np.testing.assert_array_equal(again[name], wanted[name])


def test_transforms_of_an_augmentation_do_not_draw_the_same_numbers() -> None:
    change = augmentation(SPEC).set_random_state(seed=5)
    streams = [t.R for t in change.transforms if isinstance(t, RandomizableTransform)]
    assert len(streams) > 5
    assert all(stream is streams[0] for stream in streams)


def test_what_has_no_mask_gets_one_that_says_so() -> None:
    scaled = ScaleLesion(SPEC)({**lesion(), "mask": None})
    assert scaled["mask"].shape == (1, 32, 32)
    assert np.isnan(scaled["mask"]).all()
    after = augmentation(SPEC).set_random_state(seed=3)({**lesion(), "mask": None})
    assert np.isnan(after["mask"]).all()
