"""Poses: how a simulated person lies in the scanner, moved as a rigid body.

Coordinates are (z, y, x), mm. A segment is drawn upright and centred; a pose turns and leans it
and moves it to its place in the patient's coordinates, which are the same numbers in the order
(x, y, z) and LPS.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from calcilens.phantoms.scene import Lesion, Scene
from calcilens.phantoms.segment import Segment
from calcilens.phantoms.tubes import CORNERS, THETA, Float, Tube

_STEPS = 6
"""Of the search for the height at which a leaning outline meets a plane."""


@dataclass(frozen=True, eq=False)
class Pose:
    """A rigid motion of points (z, y, x), mm: turned about the origin, then shifted.

    Args:
        matrix: (3, 3) rotation.
        shift: (3,) mm.
    """

    matrix: Float
    shift: Float

    @classmethod
    def of(cls, turn: float, lean: ArrayLike, shift: ArrayLike) -> Pose:
        """Make a pose of angles, radians.

        Args:
            turn: About the limb's own axis z.
            lean: About y, then about x.
            shift: (3,) mm, afterwards.
        """
        about_y, about_x = np.asarray(lean, float)
        # scipy counts axes from the first coordinate: z is its x, y its y and x its z.
        matrix = Rotation.from_euler("xyz", [turn, about_y, about_x]).as_matrix()
        return cls(np.asarray(matrix), np.asarray(shift, float))

    def moved(self, points: ArrayLike) -> Float:
        """Return points (..., 3) in this pose."""
        return np.asarray(np.asarray(points, float) @ self.matrix.T + self.shift)

    def lesion(self, lesion: Lesion) -> Lesion:
        """Return a lesion in this pose; its box is the bounds of the turned one."""
        corners = np.stack(np.meshgrid(*lesion.box.T, indexing="ij"), -1).reshape(-1, 3)
        moved = self.moved(corners)
        box = np.stack([moved.min(0), moved.max(0)])
        return replace(lesion, parts=lesion.parts.posed(self.matrix, self.shift), box=box)

    def segment(self, segment: Segment) -> Segment:
        """Return a segment in this pose."""
        moved = {id(t): self._tube(t) for t in (*segment.tubes, segment.skin, segment.fascia)}

        def group(tubes: tuple[Tube, ...]) -> tuple[Tube, ...]:
            return tuple(moved[id(t)] for t in tubes)

        names = ("tubes", "muscles", "bones", "vessels", "veins", "tendons", "lungs")
        parts = {name: group(getattr(segment, name)) for name in names}
        skin, fascia = moved[id(segment.skin)], moved[id(segment.fascia)]
        return Segment(segment.site, skin=skin, fascia=fascia, joint=segment.joint, **parts)

    def scene(self, scene: Scene) -> Scene:
        """Return a scene in this pose."""
        return Scene(self.segment(scene.segment), tuple(self.lesion(one) for one in scene.lesions))

    def _tube(self, tube: Tube) -> LeaningTube:
        return LeaningTube(tube.tissue, tube.z, tube.centre, tube.radius, tube.within, self)

    def lps(self) -> Float:
        """Return the motion (4, 4) of points (x, y, z, 1), LPS, mm."""
        out = np.eye(4)
        out[:3, :3], out[:3, 3] = self.matrix[::-1, ::-1], self.shift[::-1]
        return out


@dataclass(frozen=True, eq=False)
class LeaningTube(Tube):
    """A tube in a pose: knots as in its own frame, outlines as the scanner cuts them.

    Args:
        pose: From its own frame to the scanner's.
    """

    pose: Pose | None = None

    def outlines(self, z: ArrayLike) -> Float:
        """Return the corners (N, CORNERS, 2) as (y, x) where planes at heights (N,) cut it.

        Every corner's line along the tube is followed to where it meets the plane. Beyond the
        tube's end it lies on the axis.
        """
        pose = self.pose or Pose(np.eye(3), np.zeros(3))
        wanted = np.atleast_1d(np.asarray(z, float))[:, None]
        along, across = pose.matrix[0, 0], pose.matrix[0, 1:]
        own = np.broadcast_to((wanted - pose.shift[0]) / along, (len(wanted), CORNERS))
        for _ in range(_STEPS):
            y, x = self._corners(own)
            own = (wanted - pose.shift[0] - across[0] * y - across[1] * x) / along
        y, x = self._corners(own)
        points = pose.moved(np.stack([own, y, x], -1))
        return np.asarray(points[..., 1:])

    def _corners(self, heights: Float) -> tuple[Float, Float]:
        """Return y and x (N, CORNERS) of each corner at its own height, in the tube's frame."""
        place = np.interp(heights, self.z, np.arange(len(self.z)))
        low = np.minimum(place.astype(int), len(self.z) - 2)
        share = place - low
        corner = np.arange(CORNERS)
        radius = self.radius[low, corner] * (1 - share) + self.radius[low + 1, corner] * share
        radius = radius * ((heights >= self.z[0]) & (heights <= self.z[-1]))
        centre = self.centre[low] * (1 - share[..., None]) + self.centre[low + 1] * share[..., None]
        return centre[..., 0] + radius * np.sin(THETA), centre[..., 1] + radius * np.cos(THETA)
