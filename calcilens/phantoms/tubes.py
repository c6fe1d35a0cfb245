"""Tubes: what limbs are made of. A tube is an outline that changes along z.

Coordinates are mm in the frame of the scanner: z along the limb, y to the back, x to the left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float = NDArray[np.float64]
CORNERS = 72
THETA: Float = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
"""Directions of an outline's corners: 0 is +x, a quarter turn is +y."""


@dataclass(frozen=True, eq=False)
class Tube:
    """A body with one star-shaped outline at every height.

    Args:
        tissue: Name of its tissue.
        z: (K,) heights of the knots, growing, mm.
        centre: (K, 2) centres (y, x), mm.
        radius: (K, CORNERS) distance from the centre to the outline, mm.
        within: Name of the tissue around it.
    """

    tissue: str
    z: Float
    centre: Float
    radius: Float
    within: str = "muscle"

    def at(self, z: ArrayLike) -> tuple[Float, Float]:
        """Return centres (N, 2) and radii (N, CORNERS) at heights (N,); radius 0 outside."""
        heights = np.atleast_1d(np.asarray(z, float))
        place = np.interp(heights, self.z, np.arange(len(self.z)))
        low = np.minimum(place.astype(int), len(self.z) - 2)
        share = (place - low)[:, None]
        centre = self.centre[low] * (1 - share) + self.centre[low + 1] * share
        radius = self.radius[low] * (1 - share) + self.radius[low + 1] * share
        inside = (heights >= self.z[0]) & (heights <= self.z[-1])
        return centre, radius * inside[:, None]

    def outlines(self, z: ArrayLike) -> Float:
        """Return the corners (N, CORNERS, 2) as (y, x) at heights (N,)."""
        centre, radius = self.at(z)
        y = centre[:, :1] + radius * np.sin(THETA)
        x = centre[:, 1:] + radius * np.cos(THETA)
        return np.stack([y, x], -1)

    def depth(self, point: ArrayLike) -> float:
        """Return how deep a point (z, y, x) lies under the outline, mm; negative outside."""
        # Asked thousands of times a lesion, one point at a time: plain numbers are fastest.
        z, y, x = (float(v) for v in np.asarray(point, float))
        low = min(max(int(np.searchsorted(self.z, z, "right")) - 1, 0), len(self.z) - 2)
        first, last = float(self.z[low]), float(self.z[low + 1])
        share = min(max((z - first) / (last - first), 0.0), 1.0)
        (y0, x0), (y1, x1) = self.centre[low : low + 2].tolist()
        y, x = y - y0 - share * (y1 - y0), x - x0 - share * (x1 - x0)
        away = math.hypot(y, x)
        if not self.z[0] <= z <= self.z[-1]:
            return -away
        turn = math.atan2(y, x) / (2 * math.pi) * CORNERS % CORNERS
        corner, along = int(turn) % CORNERS, turn % 1.0
        pair = self.radius[low : low + 2, [corner, (corner + 1) % CORNERS]]
        (r00, r01), (r10, r11) = pair.tolist()
        below, above = r00 + along * (r01 - r00), r10 + along * (r11 - r10)
        return float(below + share * (above - below) - away)

    def surface(self, z: float, angle: float) -> tuple[Float, Float]:
        """Return the outline's point (z, y, x) in a direction, and its outward normal there."""
        outline = self.outlines(z)[0]
        step = angle % (2 * np.pi) / (2 * np.pi) * CORNERS
        low, share = int(step) % CORNERS, step % 1
        a, b = outline[low], outline[(low + 1) % CORNERS]
        edge = b - a
        normal = np.array([0.0, edge[1], -edge[0]])
        length = np.linalg.norm(normal)
        centre = self.at(z)[0][0]
        point = np.array([z, *(a + share * edge)])
        outward = normal / length if length > 0 else np.array([0.0, np.sin(angle), np.cos(angle)])
        if outward[1:] @ (point[1:] - centre) < 0:
            outward = -outward
        return point, outward

    def grown(self, by_mm: ArrayLike, tissue: str, within: str) -> Tube:
        """Return a tube around or inside this one.

        Args:
            by_mm: Change of the radius; broadcastable to (K, CORNERS).
            tissue: What it is made of.
            within: What is around it.
        """
        radius = np.maximum(self.radius + np.asarray(by_mm, float), 0.0)
        return replace(self, radius=radius, tissue=tissue, within=within)

    def posed(self, turn: float, lean: ArrayLike, shift: ArrayLike) -> Tube:
        """Return the tube turned about z by `turn` (radians), leaning (mm per mm) and shifted."""
        c, s = np.cos(turn), np.sin(turn)
        y, x = self.centre.T
        centre = np.stack([c * y + s * x, -s * y + c * x], 1)
        centre = centre + self.z[:, None] * np.asarray(lean, float) + np.asarray(shift, float)
        steps = turn / (2 * np.pi) * CORNERS
        whole = int(np.floor(steps))
        share = steps - whole
        corner = np.arange(CORNERS) - whole
        near, next_ = (self.radius[:, (corner - k) % CORNERS] for k in (0, 1))
        turned = near * (1 - share) + next_ * share
        return replace(self, centre=centre, radius=turned)


def ellipse(radius_y: ArrayLike, radius_x: ArrayLike, turn: ArrayLike = 0.0) -> Float:
    """Return radii (K, CORNERS) of ellipses, one a knot; `turn` rotates them, radians."""
    a, b, t = (np.atleast_1d(np.asarray(v, float))[:, None] for v in (radius_y, radius_x, turn))
    angle = THETA[None] - t
    return np.asarray(a * b / np.hypot(b * np.sin(angle), a * np.cos(angle)))


def uneven(rng: np.random.Generator, knots: int, amount: float) -> Float:
    """Return factors (K, CORNERS) near 1 that make outlines organic, changing slowly along z."""
    total = np.ones((knots, CORNERS))
    for order in (2, 3, 4, 5):
        size = rng.normal(0, amount / order)
        drift = rng.normal(0, 0.15) * np.linspace(-1, 1, knots)
        total += size * np.cos(order * THETA[None] + rng.uniform(0, 2 * np.pi) + drift[:, None])
    return total
