"""Strangers: each is what its kind says, in the place and the storage of its donor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from calcilens.imaging.patches import PatchSpec
from calcilens.training.pictures import Donor
from calcilens.training.samples import ScaleLesion
from calcilens.training.strangers import MAKERS, METAL_HU, as_mr, metal, strangers

SIDE = 48


def donor(modality: str = "CT", calibrated: bool = True, number: int = 0) -> Donor:
    """Fat above muscle above bone above air, 3 planes; bytes where HU are not known."""
    hu = np.repeat([-100.0, 50, 800, -1000], SIDE // 4)[None, :, None] + np.zeros((3, SIDE, SIDE))
    planes = hu if modality == "CT" else hu[:1]
    stored = planes if calibrated else np.round((planes + 1000) / 1800 * 255)
    box = np.array([10, 10, 30, 30], np.float32)
    sample: dict[str, Any] = {
        **{"pixels": stored.astype(np.int16), "box": box, "mask": None, "calibrated": calibrated},
        "extent_mm": np.array([5, 9, 9], np.float32),
    }
    return Donor(sample, modality, number)


QUICK = {name: make for name, make in MAKERS.items() if name != "other modality"}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calcilens.training.strangers.MAKERS", QUICK)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("calibrated", [True, False])
def test_every_kind_takes_the_place_of_its_donor(calibrated: bool) -> None:
    given = donor(calibrated=calibrated)
    scale = ScaleLesion(PatchSpec(3, SIDE, "hu_and_relative"))
    made = dict(strangers([given]))
    assert made.keys() == QUICK.keys()
    for kind, sample in made.items():
        pixels = sample["pixels"]
        assert pixels.shape == given.shape, kind
        assert np.isfinite(pixels).all()
        assert (np.ptp(pixels) == 0) == (kind == "blank"), kind
        assert calibrated or kind == "blank" or (pixels.min() >= 0 and pixels.max() <= 255)
        assert sample["box"] is given.sample["box"]
        assert kind == "blank" or bool(scale(sample)["pixels"][3:].any()) is calibrated


@pytest.mark.usefixtures("quick")
def test_strangers_are_the_same_in_every_run_and_differ_between_donors() -> None:
    donors = [donor(), donor(number=1)]
    first, again = ([s["pixels"] for _, s in strangers(donors, seed=3)] for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    count = len(QUICK)
    alike = [np.array_equal(first[i], first[count + i]) for i in range(count)]
    assert sum(alike) <= 1  # two may both be all 0


def test_in_the_contrast_of_mr_fat_is_brighter_than_bone_and_air() -> None:
    for seed in range(5):
        made = as_mr(np.random.default_rng(seed), donor())[1]
        fat, _, bone, air = (made[i * 12 + 3 : i * 12 + 9].mean() for i in range(4))
        assert fat > 2 * max(bone - made.min(), air - made.min()) + made.min()


def test_metal_covers_a_fifth_of_the_patch_and_is_denser_than_bone() -> None:
    made = metal(np.random.default_rng(0), donor())
    assert (made >= METAL_HU[0]).mean() >= 0.2
    film = metal(np.random.default_rng(0), donor("radiograph", calibrated=False))
    assert film.shape == (1, SIDE, SIDE)
    assert (film > donor("radiograph", calibrated=False).sample["pixels"].max()).mean() >= 0.2


@pytest.mark.parametrize("modality", ["CT", "radiograph"])
def test_the_other_modality_is_simulated(modality: str) -> None:
    given = donor(modality, calibrated=modality == "CT")
    made = MAKERS["other modality"](np.random.default_rng(0), given)
    assert made.shape == given.shape
    assert len(np.unique(made)) > 50
