from __future__ import annotations

import numpy as np
import pytest

from calcilens.errors import InputError, UsageError
from calcilens.phantoms.patterns import PATTERN_KINDS, sites_of
from calcilens.phantoms.person import (
    Person,
    choose,
    depth_mm,
    draw_person,
    mineral,
)
from calcilens.phantoms.segment import Rng
from calcilens.vocabulary import PATTERN_KEYS

GROWTH = 1.5


def rng(seed: int = 0) -> Rng:
    return np.random.default_rng(seed)


def person(*patterns: str, seed: int = 0) -> Person:
    site, chosen = choose(rng(seed), None, patterns)
    return draw_person(rng(seed), site, chosen, GROWTH)


@pytest.mark.parametrize("pattern", PATTERN_KEYS)
def test_every_pattern_lies_inside_the_body_before_and_after_growth(pattern: str) -> None:
    made = person(pattern)
    for scene in (made.scene, made.grown):
        (lesion,) = scene.lesions
        assert lesion.patterns == (pattern,)
        dense = mineral(lesion)
        assert depth_mm(scene.segment.skin, dense.centre).min() > 0
        low, high = dense.box()
        assert -60 <= low[0] < high[0] <= 60
        assert 5 <= (high - low).max() <= 42 * GROWTH ** (1 / 3) + 0.1
    assert made.scene.segment.site in PATTERN_KINDS[pattern].sites


def test_lesions_drawn_without_asking_differ_are_clear_of_bone_and_of_each_other() -> None:
    made = person(seed=4)
    first, second = made.grown.lesions
    assert first.patterns != second.patterns
    assert made.scene.segment.site == "calf"
    (low, high), (start, stop) = mineral(first).box(), mineral(second).box()
    assert (np.maximum(start - high, low - stop)).max() >= 12
    for lesion in made.grown.lesions:
        for bone in made.scene.segment.bones:
            assert depth_mm(bone, mineral(lesion).centre).max() < -2.9


def test_growth_scales_every_part_of_a_lesion() -> None:
    made = person("popcorn")
    before, after = made.scene.lesions[0], made.grown.lesions[0]
    np.testing.assert_allclose(after.parts.radii, before.parts.radii * GROWTH ** (1 / 3))
    np.testing.assert_allclose(after.box.mean(0), before.box.mean(0))
    np.testing.assert_array_equal(after.parts.density, before.parts.density)


def test_a_pattern_that_needs_a_joint_gets_one() -> None:
    assert choose(rng(), None, ("cloud_like",))[0] == sites_of(("cloud_like",))[0] == "knee"
    assert choose(rng(), None, ("cloud_like", "diffuse"))[0] == "knee"
    assert choose(rng(), None, ("diffuse",))[0] == "calf"


@pytest.mark.parametrize(
    ("site", "patterns", "told"),
    [
        (None, ("round",), "a pattern, found round"),
        ("nose", (), "a site, found nose"),
        ("calf", ("lobulated",), "lobulated, which occurs in: knee"),
        (None, ("diffuse",) * 7, "at most 6 patterns"),
    ],
)
def test_what_cannot_be_made_is_said(
    site: str | None, patterns: tuple[str, ...], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        choose(rng(), site, patterns)


def test_a_limb_without_room_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calcilens.phantoms.person._PEOPLE", 1)
    with pytest.raises(InputError, match=r"room for plaque_like.*another --seed"):
        draw_person(rng(), "forearm", ("plaque_like",) * 4, 8.0)
