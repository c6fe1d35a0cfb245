"""A ratio of mineral follows growth, and neither planes, kernel, pose nor noise."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcilens.imaging.candidates import Candidate, candidate
from calcilens.imaging.images import Volume
from calcilens.imaging.paired import Mineral, Pair, PriorView, Scale
from calcilens.imaging.registration import Registration
from tests.imaging.scene import LESION_MM, Pose, lesion_mask_in, scan

STILL, TURNED = Pose(), Pose(0.3, 0.0, (12.0, 4.0, -30.0))
RISES = st.floats(20, 2000)
NO_SCALE = Scale(0.0, 0.0, "made")


def truth(prior: Pose, current: Pose) -> Registration:
    """The registration that the poses say."""
    corners = np.vstack([np.zeros(3), np.eye(3)])
    there = prior.moved(current.back(corners))
    rigid = np.eye(4)
    rigid[:3, 3] = there[0]
    rigid[:3, :3] = (there[1:] - there[0]).T
    return Registration(rigid, np.zeros((1, 1, 1, 3), np.float32), np.zeros(3), 1.0, 1.0, 1.0)


def lesion(volume: Volume, pose: Pose, ratio: float = 1.0) -> Candidate:
    mask = lesion_mask_in(volume, pose, ratio)
    where = np.argwhere(mask)
    box = np.stack([where.min(0), where.max(0) + 1])
    part = mask[tuple(slice(a, b) for a, b in box.T)]
    return candidate(volume, box, part, "made")


def ratio(pair: Pair, before: Candidate, after: Candidate) -> float:
    found = pair.mineral([before], [after]).log_ratio(NO_SCALE)
    assert found is not None
    return math.exp(found[0])


@pytest.mark.parametrize("growth", [1.0, 1.3, 2.0])
@pytest.mark.parametrize(
    ("spacing", "blur"), [((1.0, 0.8, 0.8), 0.3), ((2.0, 1.0, 1.0), 0.6), ((5.0, 1.0, 1.0), 0.8)]
)
def test_the_ratio_is_that_of_the_volumes_whatever_the_scanner(
    growth: float, spacing: tuple[float, float, float], blur: float
) -> None:
    prior = scan(STILL, (1.5, 0.9, 0.9))
    current = scan(TURNED, spacing, volume_ratio=growth, blur_mm=blur, seed=3)
    pair = Pair(prior, current, truth(STILL, TURNED))
    found = ratio(pair, lesion(prior, STILL), lesion(current, TURNED, growth))
    assert found == pytest.approx(growth, rel=0.08)


def test_bones_tell_how_two_scanners_compare_where_no_tube_voltage_does() -> None:
    prior = replace(scan(STILL, (1.5, 0.9, 0.9)), kvp=None)
    denser = np.where(prior.hu > 150, prior.hu * 1.2, prior.hu).astype(np.int16)
    current = replace(prior, hu=denser)
    scale = Pair(prior, current, truth(STILL, STILL)).scale
    assert math.exp(scale.log) == pytest.approx(1.2, rel=0.04)
    assert "bones" in scale.how


def test_another_tube_voltage_is_no_growth() -> None:
    prior = replace(scan(STILL, (1.5, 0.9, 0.9)), kvp=140.0)
    current = replace(prior, kvp=80.0)
    scale = Pair(prior, current, truth(STILL, STILL)).scale
    assert math.exp(scale.log) == pytest.approx(2300 / 1614, rel=1e-3)


@given(RISES, RISES, st.floats(-0.5, 0.5), st.floats(0, 0.2))
def test_swapping_the_scans_turns_the_ratio_over(
    then: float, now: float, log: float, sd: float
) -> None:
    there = Mineral(then, now, 1.0, 1.0).log_ratio(Scale(log, sd, ""))
    back = Mineral(now, then, 1.0, 1.0).log_ratio(Scale(-log, sd, ""))
    assert there is not None
    assert back is not None
    assert there[0] == pytest.approx(-back[0])
    assert there[1] == pytest.approx(back[1])


@given(RISES, RISES)
def test_fainter_lesions_have_wider_intervals(rise: float, other: float) -> None:
    faint, dense = sorted((rise, other))
    sds = [(Mineral(r, r, 1.0, 1.0).log_ratio(NO_SCALE) or (0, 0))[1] for r in (faint, dense)]
    assert sds[0] >= sds[1]


def test_where_a_scan_shows_no_mineral_there_is_no_ratio() -> None:
    assert Mineral(3.0, 300.0, 1.0, 1.0).log_ratio(NO_SCALE) is None


def test_what_lies_outside_the_prior_scan_is_not_shown() -> None:
    prior = scan(STILL, (1.5, 0.9, 0.9))
    far = truth(STILL, STILL)
    far = replace(far, rigid=far.rigid + np.eye(4, k=3) * 500)
    found = Pair(prior, prior, far).mineral([], [lesion(prior, STILL)])
    assert found.shown == 0


def test_the_prior_view_shows_the_same_place_in_the_current_plane() -> None:
    prior, current = scan(STILL, (1.5, 0.9, 0.9)), scan(TURNED, (2.0, 1.0, 1.0), seed=1)
    middle = TURNED.moved(LESION_MM[None])[0]
    index = current.affine.to_voxel(middle)
    seen = PriorView(Pair(prior, current, truth(STILL, TURNED)), middle).plane(
        round(index[0]), (slice(None), slice(None))
    )
    assert seen.shape == current.hu.shape[1:]
    z, y, x = np.round(index).astype(int)
    assert seen[y, x] == pytest.approx(current.hu[z, y, x], abs=60)
    assert np.corrcoef(seen.ravel(), current.hu[z].ravel())[0, 1] > 0.95
