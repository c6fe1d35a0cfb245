"""Density: Agatston by its definition."""

from __future__ import annotations

import numpy as np
import pytest

from calcilens.imaging.candidates import candidate
from calcilens.imaging.measure import measure
from tests.imaging.measure.solids import ball, diagonal, scan, volume
from tests.imaging.test_candidates import across, leg


def test_agatston_follows_its_definition() -> None:
    hu = np.full((20, 40, 40), 40, np.int16)
    hu[5, 10:14, 10:15] = 250
    hu[6, 10:12, 10:12] = 420
    plate = volume(hu, diagonal((3.0, 1.0, 1.0)), kvp=120.0)
    taken = measure(plate, candidate(plate, [[4, 8, 8], [8, 20, 20]], None, "test"))
    assert taken.agatston == pytest.approx(20 * 2 + 4 * 4)


@pytest.mark.parametrize(
    ("spacing", "turn", "kvp", "reason"),
    [
        ((1.0, 1.0, 1.0), False, 120.0, "2.5-3.0 mm apart"),
        ((3.0, 1.0, 1.0), True, 120.0, "axial planes"),
        ((3.0, 1.0, 1.0), False, 100.0, "120 kV; here 100 kV"),
        ((3.0, 1.0, 1.0), False, None, "120 kV; the files do not say one"),
    ],
)
def test_agatston_is_withheld_where_it_is_not_defined(
    spacing: tuple[float, float, float], turn: bool, kvp: float | None, reason: str
) -> None:
    image, lesion = scan(ball(6.0), spacing)
    matrix = np.array(image.affine.matrix)
    if turn:
        matrix[:3, :3] = matrix[[2, 0, 1], :3]
    taken = measure(volume(image.hu, matrix, kvp=kvp), lesion)
    assert taken.agatston is None
    assert reason in taken.how["agatston"]


def test_beside_contrast_medium_there_is_no_agatston_score() -> None:
    hu = leg()
    hu[across(25, 85) < 16] = 320
    hu[4:8, 30:34, 60:64] = 700
    image = volume(hu.astype(np.int16), diagonal((3.0, 1.0, 1.0)), kvp=120.0)
    taken = measure(image, candidate(image, [[3, 28, 58], [9, 36, 66]], None, "test"))
    assert taken.agatston is None
    assert "contrast medium" in taken.how["agatston"]
