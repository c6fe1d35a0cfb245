from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from calcilens.models.saliency import Inputs
from calcilens.training import saliency_figures as figures

SIZE = 64
BOX = torch.tensor([[20.0, 20.0, 44.0, 44.0]])
WINDOW = torch.tensor([[14.0, 14.0, 50.0, 50.0]])
INSIDE = figures.inside_view(WINDOW, SIZE)


def disc(y: int = 28, x: int = 36, radius: float = 5.0) -> np.ndarray:
    at_y, at_x = np.indices((SIZE, SIZE))
    return np.asarray((at_y - y) ** 2 + (at_x - x) ** 2 <= radius**2)


def soft(mask: np.ndarray) -> np.ndarray:
    """A map that is brightest in the middle of a mask."""
    return np.asarray(distance_transform_edt(mask), np.float32)


def lesion(mask: np.ndarray, groups: int = 1) -> Inputs:
    """Dim tissue and a bright mineral; of three groups the last two are empty, as without HU."""
    plane = 0.3 + 0.6 * torch.from_numpy(mask.astype(np.float32))
    empty = torch.zeros(groups - 1, SIZE, SIZE)
    return torch.cat([plane[None], empty])[None], BOX, torch.full((1, 3), torch.nan)


def brightness(pixels: Tensor) -> Tensor:
    """A classifier that counts bright pixels."""
    return (pixels[:, 0] > 0.6).float().mean((1, 2)) * 50


def test_the_view_is_the_window() -> None:
    assert INSIDE.sum() == 36 * 36
    assert INSIDE[14:50, 14:50].all()


def test_a_map_on_the_mineral_hits_and_one_beyond_the_tolerance_misses() -> None:
    mask = disc()
    assert figures.pointing(soft(mask), mask, INSIDE)[0]
    spot = np.zeros((SIZE, SIZE), np.float32)
    edge = 36 + 5
    for off, wanted in ((2, True), (3, False)):
        at = spot.copy()
        at[28, edge + off] = 1
        assert figures.pointing(at, mask, INSIDE)[0] is wanted


def test_the_chance_to_hit_is_how_often_random_places_do() -> None:
    mask, random = disc(radius=4), np.random.default_rng(0)
    found = [figures.pointing(random.random((SIZE, SIZE)), mask, INSIDE)[0] for _ in range(800)]
    _, chance = figures.pointing(soft(mask), mask, INSIDE)
    assert np.mean(found) == pytest.approx(chance, abs=0.04)


def test_the_best_map_has_auprc_one_and_a_random_one_the_share_of_the_mineral() -> None:
    mask = disc()
    best, area = figures.overlap(mask.astype(np.float32), mask, INSIDE)
    noise = np.random.default_rng(0).random((SIZE, SIZE)).astype(np.float32)
    assert best == 1
    assert area == pytest.approx(mask.sum() / 36**2)
    assert figures.overlap(noise, mask, INSIDE)[0] == pytest.approx(area, abs=0.03)


@given(st.floats(0.1, 5), st.floats(1e-3, 10))
def test_no_figure_of_place_depends_on_the_scale_of_the_map(power: float, scale: float) -> None:
    mask = disc()
    found = 0.01 + soft(mask) / soft(mask).max()
    changed = scale * found**power
    assert figures.pointing(found, mask, INSIDE) == figures.pointing(changed, mask, INSIDE)
    a, b = figures.overlap(found, mask, INSIDE)[0], figures.overlap(changed, mask, INSIDE)[0]
    assert a == pytest.approx(b, abs=0.02)


def test_deletion_takes_all_and_insertion_nothing_away_at_the_end_and_neither_leaves_the_view() -> (
    None
):
    mask, inputs = disc(), lesion(disc())
    deleted, inserted = figures.exchanges(inputs, soft(mask), INSIDE)
    assert torch.equal(deleted[0], inserted[-1])
    assert torch.equal(deleted[0], inputs[0][0])
    assert torch.equal(deleted[-1], inserted[0])
    assert not (deleted[-1] > 0.6).any()
    beyond = torch.from_numpy(~INSIDE)
    for part in (*deleted, *inserted):
        assert torch.equal(part[:, beyond], inputs[0][0][:, beyond])


def test_a_map_of_the_mineral_deletes_and_inserts_the_answer_faster_than_a_random_one() -> None:
    mask = disc()
    inputs = lesion(mask)
    good = figures.deletion_and_insertion(brightness, inputs, soft(mask), INSIDE)
    noise = figures.random_map(WINDOW, SIZE)
    random = figures.deletion_and_insertion(brightness, inputs, noise, INSIDE)
    assert good[0] < 0.5 * random[0]
    assert good[1] > 1.3 * random[1]


def test_hu_that_are_not_known_stay_so_under_every_disturbance() -> None:
    mask = disc()
    inputs = lesion(mask, groups=3)
    for part in (*figures.exchanges(inputs, soft(mask), INSIDE), figures.disturbed(inputs)[0]):
        assert not part[:, 1:].any()
        assert part[:, 0].any()


def bright_places(inputs: Inputs) -> Tensor:
    return inputs[0][:, 0] * (inputs[0][:, 0] > 0.6)


def one_place(inputs: Inputs) -> Tensor:
    maps = torch.zeros(len(inputs[0]), SIZE, SIZE)
    maps[:, 30:40, 30:40] = 1
    return maps


def test_a_map_that_follows_the_lesion_is_repeatable_and_one_that_stays_behind_is_not() -> None:
    inputs = lesion(disc())
    follows = figures.repeatability(bright_places, inputs, bright_places(inputs)[0])
    stays = figures.repeatability(one_place, inputs, one_place(inputs)[0])
    assert follows > 0.95
    assert stays < follows


def test_the_box_moves_with_the_shifted_pixels() -> None:
    inputs = lesion(disc())
    pixels, boxes, _ = figures.disturbed(inputs)
    y0, x0, y1, x1 = (int(edge) for edge in inputs[1][0])
    dy, dx = figures.SHIFT_PX
    moved = pixels[0, :, y0 + dy : y1 + dy, x0 + dx : x1 + dx]
    assert torch.equal(moved, inputs[0][0, :, y0:y1, x0:x1])
    assert boxes[0].tolist() == [y0 + dy, x0 + dx, y1 + dy, x1 + dx]
