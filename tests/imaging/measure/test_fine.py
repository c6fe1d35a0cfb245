"""A lesion in voxels finer than any figure needs: the same figures, in time and memory."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from calcilens.imaging.anatomy import anatomy
from calcilens.imaging.candidates import candidate
from calcilens.imaging.images import Volume
from calcilens.imaging.measure import measure
from calcilens.imaging.measure.fine import coarser
from calcilens.imaging.measure.lesion import Lesion
from tests.imaging.measure.solids import diagonal, volume

TIMES, STEP_MM, SHAPE = 5, 0.3, (20, 34, 34)
LESION = np.s_[7:13, 13:21, 14:20]
BONE = np.s_[:, 25:28, 12:22]


def fine(times: int) -> tuple[Volume, np.ndarray]:
    """A block of mineral in a block of tissue, each voxel cut into so many along every side."""
    hu = np.full(SHAPE, -1000, np.int16)
    hu[:, 2:-2, 2:-2] = 40
    hu[BONE], hu[LESION] = 900, 700
    bone = np.zeros(SHAPE, bool)
    bone[BONE] = True
    step = STEP_MM / times
    matrix = diagonal((step, step, step))
    matrix[:3, 3] = -STEP_MM / 2 + step / 2
    made = volume(repeated(hu, times), matrix)
    anatomy(made, repeated(bone, times))
    return made, repeated(hu == 700, times)


def repeated(values: np.ndarray, times: int) -> np.ndarray:
    return values.repeat(times, 0).repeat(times, 1).repeat(times, 2)


def test_finer_voxels_of_the_same_values_give_the_same_figures() -> None:
    figures = []
    for times in (1, TIMES):
        made, mask = fine(times)
        taken = measure(made, candidate(made, [[0, 0, 0], made.hu.shape], mask, "a test"))
        figures.append({k: v for k, v in asdict(taken).items() if k != "how"})
    plain, reduced = figures
    assert plain["bone_distance_mm"] == pytest.approx(4 * STEP_MM, abs=0.5)
    for name, value in plain.items():
        assert reduced[name] == (value if isinstance(value, str) else pytest.approx(value)), name


def test_blocks_lie_where_their_voxels_lay_wherever_the_mask_begins() -> None:
    made, mask = fine(TIMES)
    at = np.argwhere(mask)
    box = at.min(0), at.max(0) + 1
    cut = mask[tuple(slice(a, b) for a, b in zip(*box, strict=True))]
    small = coarser(Lesion(made, box[0], cut, "a mask"))
    assert small.of == "a mask, in blocks of 0.3 x 0.3 x 0.3 mm"
    assert small.spacing == pytest.approx([0.3] * 3)
    assert len(small.volume.planes) == len(small.volume.hu) == SHAPE[0]
    middle = small.volume.affine.to_mm(np.argwhere(small.mask).mean(0) + small.start)
    np.testing.assert_allclose(middle, made.affine.to_mm(at.mean(0)), atol=1e-6)


def test_a_mask_smaller_than_a_block_is_one_block() -> None:
    made, _ = fine(TIMES)
    small = coarser(Lesion(made, np.array([31, 77, 73]), np.ones((1, 2, 1), bool), "a speck"))
    assert small.mask.tolist() == [[[True]]]
    assert small.start.tolist() == [6, 15, 14]


def test_voxels_of_scanners_of_patients_stay_as_they_are() -> None:
    made, mask = fine(1)
    lesion = Lesion(made, np.zeros(3, np.int64), mask, "a mask")
    assert coarser(lesion) is lesion
