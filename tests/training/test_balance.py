from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcilens.training import balance
from calcilens.training.balance import BalancedSampler, class_weights

WEIGHTS = st.lists(st.floats(0.1, 10), min_size=1, max_size=40)
SEEDS = st.integers(0, 2**31 - 1)


def drawn(weights: list[float], seed: int, epoch: int = 0) -> list[tuple[int, int]]:
    sampler = BalancedSampler(weights, seed)
    sampler.set_epoch(epoch)
    return list(sampler)


@given(WEIGHTS, SEEDS, st.integers(0, 50))
def test_a_draw_follows_from_seed_and_epoch_alone(
    weights: list[float], seed: int, epoch: int
) -> None:
    used = BalancedSampler(weights, seed)
    list(used)
    used.set_epoch(epoch)
    assert list(used) == drawn(weights, seed, epoch)


@given(WEIGHTS, SEEDS)
def test_every_row_is_drawn_as_often_as_its_weight_asks_give_or_take_one(
    weights: list[float], seed: int
) -> None:
    counts = Counter(index for index, _ in drawn(weights, seed))
    expected = np.array(weights) / sum(weights) * len(weights)
    found = np.array([counts[i] for i in range(len(weights))])
    assert found.sum() == len(weights)
    assert (np.abs(found - expected) < 1 + 1e-6).all()


def test_epochs_and_seeds_differ_in_order_and_augmentation() -> None:
    draws = [drawn([1.0] * 20, seed, epoch) for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    assert all(sorted(i for i, _ in d) == list(range(20)) for d in draws)
    for part in (0, 1):
        assert len({tuple(key[part] for key in d) for d in draws}) == 3


@pytest.mark.parametrize(("rows", "world"), [(20, 2), (21, 2), (22, 4)])
def test_devices_draw_apart_and_together_the_whole(
    monkeypatch: pytest.MonkeyPatch, rows: int, world: int
) -> None:
    whole = drawn([1.0] * rows, 3)
    parts = []
    for rank in range(world):
        monkeypatch.setattr(balance, "_world", lambda rank=rank: (rank, world))
        parts.append(drawn([1.0] * rows, 3))
        assert len(parts[-1]) == len(BalancedSampler([1.0] * rows, 3)) == rows // world
    together = [key for part in parts for key in part]
    assert len(set(together)) == len(together)  # nothing twice
    assert set(together) == set(whole[: rows // world * world])


def rows_of(**counts: int) -> pd.DataFrame:
    """Return rows of classes named source_finding_concern_pattern, `-` where not known."""
    cells = []
    for name, count in counts.items():
        source, finding, concern, *patterns = name.split("_")
        known = [np.nan if c == "x" else float(c) for c in (finding, concern)]
        cells += [(source, *known, patterns or None)] * count
    return pd.DataFrame(cells, columns=["source", "finding_truth", "concern_truth", "pattern"])


def test_class_weights_make_classes_as_equal_as_asked() -> None:
    frame = rows_of(a_1_x=2, a_0_x=8)
    assert class_weights(frame, 0, 0).tolist() == [1.0] * 10
    full = class_weights(frame, 0, 1)
    assert full[:2].sum() == pytest.approx(full[2:].sum())
    half = class_weights(frame, 0, 0.5)
    assert half[0] / half[-1] == pytest.approx(2.0)


def test_sources_are_balanced_and_classes_within_each() -> None:
    frame = rows_of(lidc_1_0=10, lidc_0_0=30, phantom_1_0_central=100, phantom_1_1_popcorn=300)
    full = class_weights(frame, 1, 1)
    sums = [full[a:b].sum() for a, b in ((0, 10), (10, 40), (40, 140), (140, 440))]
    assert sums == pytest.approx([sums[0]] * 4)
    for classes in (0, 0.5, 1):
        half = class_weights(frame, 0.5, classes)
        assert half[:40].sum() / half[40:].sum() == pytest.approx((40 / 400) ** 0.5)


def test_a_row_of_two_patterns_stands_between_those_of_one() -> None:
    frame = rows_of(p_1_0_central=10, p_1_0_popcorn=2, p_1_0_central_popcorn=1)
    weights = class_weights(frame, 0, 0.5)
    assert weights[0] < weights[-1] < weights[10]
    assert weights.mean() == pytest.approx(1)


def test_votes_on_a_pattern_make_no_class() -> None:
    frame = rows_of(a_1_0=4)
    frame["pattern_votes"] = pd.Series([["central"], ["diffuse"], ["diffuse"], None], dtype=object)
    assert class_weights(frame, 1, 1).tolist() == [1.0] * 4
