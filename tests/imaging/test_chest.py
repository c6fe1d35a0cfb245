"""The chest: vessels and cartilage are told from calcification beside lung, rib and heart."""

from __future__ import annotations

import numpy as np
import pytest

from calcilens.imaging.candidates import propose
from tests.imaging.test_candidates import SHAPE, SPACING, across, middles, volume

ROOM = np.indices(SHAPE).astype(float)
NODE = (8, 50, 30)
"""A place (z, y, x) in the lung of `chest`, far from heart and wall."""


def chest(noise: float = 6.0) -> np.ndarray:
    """A lung, a heart of blood with fat around it, and a rib in the wall."""
    hu = np.full(SHAPE, 50.0)
    hu[:, 25:85, 10:110] = -850
    hu[across(60, 80) < 22] = -90
    hu[across(60, 80) < 17] = 45
    hu[across(12, 95) < 7] = 900
    hu[across(12, 95) < 5] = 60
    return hu + np.random.default_rng(0).normal(0, noise, SHAPE)


def thread(start: tuple[float, float], stop: tuple[float, float], radius_mm: float) -> np.ndarray:
    """What lies within a radius of a line in the plane of `NODE`, (y, x)."""
    line = np.subtract(stop, start)
    away = np.stack([ROOM[1] - start[0], ROOM[2] - start[1]])
    along = np.clip(np.tensordot(line, away, 1) / (line @ line), 0, 1)
    flat = np.hypot(*(away - line[:, None, None, None] * along))
    return np.asarray(np.hypot(flat, (ROOM[0] - NODE[0]) * SPACING[0]) <= radius_mm)


def test_a_chest_without_calcification_has_no_candidates() -> None:
    assert propose(volume(chest())) == []


def test_a_dense_spot_on_a_vessel_of_the_lung_is_none_and_alone_it_is_a_node() -> None:
    hu = chest()
    z, y, x = NODE
    hu[z, y : y + 2, x : x + 2] = 320
    assert middles(propose(volume(hu))) == [(z, y, x)]
    vessel = chest()
    vessel[thread((y - 12, x + 1), (y + 14, x + 1), 1.6)] = 40
    vessel[z, y : y + 2, x : x + 2] = 320
    assert propose(volume(vessel)) == []


def test_a_node_on_a_vessel_is_found_where_it_is_denser_than_overshoot() -> None:
    hu = chest()
    z, y, x = NODE
    hu[thread((y - 12, x + 1), (y + 14, x + 1), 1.6)] = 40
    hu[z, y : y + 2, x : x + 2] = 900
    assert len(propose(volume(hu))) == 1


@pytest.mark.parametrize("noise", [6.0, 18.0])
def test_specks_in_the_fat_of_the_heart_are_found_though_lung_surrounds_it(noise: float) -> None:
    hu = chest(noise)
    places = [(5, 40, 80), (8, 60, 60), (10, 80, 80)]
    for z, y, x in places:
        hu[z, y - 1 : y + 1, x - 1 : x + 1] += 350
    assert len(propose(volume(hu))) == len(places)


def bar(hu: np.ndarray, level: float) -> np.ndarray:
    """Give the wall in front of the lung a bar of some density, 6 mm high."""
    inside = (np.abs(ROOM[1] - 14) < 4) & (ROOM[2] > 25) & (ROOM[2] < 75)
    inside &= np.abs(ROOM[0] - 8) < 3
    return np.where(inside, hu - 50 + level, hu)


def test_a_calcified_rim_of_rib_cartilage_is_none_and_in_muscle_it_is_found() -> None:
    """Half of what surrounds a rim is no cartilage, and noise hides the difference in voxels."""
    for level, count in ((50.0, 1), (100.0, 0)):
        hu = bar(chest(15.0), level)
        hu[7:9, 17:19, 45:51] = 450
        assert len(propose(volume(hu))) == count


def test_cartilage_that_is_itself_dense_is_none_by_a_rib_and_found_elsewhere() -> None:
    hu = bar(chest(), 140.0)
    assert propose(volume(hu)) == []
    hu[:, 25:85, 10:110] = 50
    assert len(propose(volume(hu))) == 1
