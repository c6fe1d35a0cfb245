from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcilens.phantoms.anatomy import draw_segment
from calcilens.phantoms.pose import Pose
from calcilens.phantoms.tubes import CORNERS, THETA, Tube, ellipse

angle = st.floats(-0.3, 0.3)
lean = st.floats(-0.08, 0.08)
offset = st.floats(-100, 100)
poses = st.builds(
    lambda turn, y, x, *shift: Pose.of(turn, (y, x), shift),
    *(angle, lean, lean, offset, offset, offset),
)
HEIGHTS = np.linspace(-60, 60, 13)


def cone() -> Tube:
    """A limb that tapers and bends."""
    z = np.linspace(-150, 150, 21)
    centre = np.stack([z * 0.05, (z / 60) ** 2], 1)
    return Tube("muscle", z, centre, ellipse(40 + z * 0.1, 55 + z * 0.05))


def radius_at(tube: Tube, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance of points (N, 3) from a tube's axis, and of its outline in their direction."""
    centre, radius = tube.at(points[:, 0])
    off = points[:, 1:] - centre
    direction = np.arctan2(off[:, 0], off[:, 1])
    wall = [
        np.interp(a, THETA, r, period=2 * np.pi) for a, r in zip(direction, radius, strict=True)
    ]
    return np.hypot(*off.T), np.array(wall)


@given(poses)
def test_a_pose_keeps_distances_and_says_the_same_of_points_in_either_order(pose: Pose) -> None:
    points = np.array([[0.0, 0, 0], [30, -20, 10], [-50, 4, 44]])
    moved = pose.moved(points)
    np.testing.assert_allclose(
        np.linalg.norm(moved[1:] - moved[0], axis=1), np.linalg.norm(points[1:] - points[0], axis=1)
    )
    homogeneous = np.column_stack([points[:, ::-1], np.ones(3)]) @ pose.lps().T
    np.testing.assert_allclose(homogeneous[:, 2::-1], moved, atol=1e-9)


@given(poses)
def test_outlines_of_a_leaning_tube_lie_on_its_surface_in_the_asked_planes(pose: Pose) -> None:
    tube = cone()
    leaning = pose._tube(tube)
    z = HEIGHTS + pose.shift[0]
    corners = leaning.outlines(z)
    level = np.broadcast_to(z[:, None, None], (len(z), CORNERS, 1))
    points = np.concatenate([level, corners], -1).reshape(-1, 3)
    away, wall = radius_at(tube, (points - pose.shift) @ pose.matrix)
    np.testing.assert_allclose(away, wall, atol=1e-3)


@given(angle)
def test_a_turn_alone_is_that_of_the_tube(turn: float) -> None:
    tube = cone()
    ours = Pose.of(turn, (0, 0), (0, 0, 0))._tube(tube).outlines(HEIGHTS)
    level = np.broadcast_to(HEIGHTS[:, None, None], (*ours.shape[:2], 1))
    points = np.concatenate([level, ours], -1).reshape(-1, 3)
    away, wall = radius_at(tube.posed(-turn, np.zeros(2), np.zeros(2)), points)
    np.testing.assert_allclose(away, wall, atol=0.2)  # `posed` turns between corners


def test_a_posed_segment_keeps_its_groups_of_tubes() -> None:
    segment = draw_segment(np.random.default_rng(0), "knee")
    moved = Pose.of(0.2, (0.05, -0.02), (5, 6, 7)).segment(segment)
    for name in ("tubes", "bones", "muscles", "tendons", "vessels"):
        before, after = getattr(segment, name), getattr(moved, name)
        assert [t.tissue for t in before] == [t.tissue for t in after]
        assert {id(t) for t in after} <= {id(t) for t in moved.tubes}
    assert moved.site == segment.site
    assert moved.joint


def test_a_tube_that_ends_leaves_no_outline_beyond_its_end() -> None:
    z = np.array([0.0, 50.0])
    tube = Tube("cortex", z, np.zeros((2, 2)), ellipse([10, 10], [10, 10]))
    corners = Pose.of(0, (0.05, 0), (0, 0, 0))._tube(tube).outlines([-20.0, 25.0])
    size = np.ptp(corners, axis=1).max(-1)
    assert size[0] < 1e-6
    assert size[1] == pytest.approx(20, abs=0.2)
