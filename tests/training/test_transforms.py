from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from calcilens.training.transforms import RandBoxJitterd, RandLesionFlipd, augmentation

SEEDS = st.integers(0, 2**31 - 1)


def lesion(y0: int = 3, x0: int = 9, height: int = 8, width: int = 12) -> dict[Hashable, Any]:
    """A patch (3, 32, 32), 1 inside the box of the middle plane, with sides that tell y from x."""
    pixels = np.zeros((3, 32, 32), np.float32)
    pixels[0] = 0.25
    pixels[1, y0 : y0 + height, x0 : x0 + width] = 1
    return {
        "pixels": pixels,
        "box": np.array([y0, x0, y0 + height, x0 + width], np.float32),
        "extent_mm": np.array([5.0, 0.5 * height, 0.25 * width], np.float32),
    }


def content(sample: dict[Hashable, Any]) -> np.ndarray:
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
    assert content(after).min() == 1
    assert after["pixels"][1].sum() == height * width == content(after).size
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
    after = augmentation().set_random_state(seed=1)(before)
    assert np.isnan(np.asarray(after["extent_mm"])).all()


@given(SEEDS)
def test_one_seed_gives_one_sample_whatever_came_before(seed: int) -> None:
    used, fresh = augmentation(), augmentation()
    used(lesion())
    one = used.set_random_state(seed=seed)(lesion())
    two = fresh.set_random_state(seed=seed)(lesion())
    for name in one:
        np.testing.assert_array_equal(np.asarray(one[name]), np.asarray(two[name]))


def test_another_seed_gives_another_sample_in_0_to_1_and_the_cached_one_is_left_alone() -> None:
    before = lesion()
    samples = [
        np.asarray(augmentation().set_random_state(seed=s)(before)["pixels"]) for s in (1, 2)
    ]
    assert not np.array_equal(samples[0], samples[1])
    assert all(s.min() >= 0 and s.max() <= 1 and s.dtype == np.float32 for s in samples)
    for name, value in lesion().items():
        np.testing.assert_array_equal(before[name], value)
