"""Where the pixels of a radiograph lie: frames of images, and rasters that rays are cast on.

The beam runs along +y, parallel; a divergent one is a magnification, which the spacing in the
plane of the lesion holds. Image rows go down (-z) and columns to the left of the patient (+x).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from calcilens.phantoms.solids import Field, Float


@dataclass(frozen=True, eq=False)
class Raster:
    """Points in the plane (z, x) along the axes of the scanner.

    Args:
        start: (2,) point (0, 0), mm.
        step: (2,) mm.
        shape: Number of points along z and x.
    """

    start: Float
    step: Float
    shape: tuple[int, int]

    def axis(self, i: int) -> Float:
        """Return the coordinates along z (0) or x (1), mm."""
        return np.asarray(self.start[i] + np.arange(self.shape[i]) * self.step[i])


@dataclass(frozen=True, eq=False)
class Frame:
    """Where the pixels of an image lie in the plane of the lesion.

    Args:
        centre: (2,) middle of the image (z, x), mm.
        spacing_mm: Side of a pixel.
        shape: Rows and columns.
        turn: Angle by which the image's content appears turned anticlockwise, radians.
    """

    centre: Float
    spacing_mm: float
    shape: tuple[int, int]
    turn: float = 0.0

    @property
    def axes(self) -> Float:
        """(2, 2): what a step of one row, and of one column, adds to (z, x), mm."""
        c, s = np.cos(self.turn), np.sin(self.turn)
        return self.spacing_mm * np.array([[-c, -s], [-s, c]])

    def points(self, pixels: ArrayLike) -> Float:
        """Return the points (N, 2) as (z, x), mm, of pixels (N, 2) as (row, column)."""
        off = np.asarray(pixels, float) - (np.array(self.shape) - 1) / 2
        return np.asarray(self.centre + off @ self.axes)

    def pixels(self, points: ArrayLike) -> Float:
        """Return the pixels (N, 2) as (row, column) of points (N, 2) as (z, x), mm."""
        off = np.asarray(points, float) - self.centre
        return np.asarray(off @ np.linalg.inv(self.axes) + (np.array(self.shape) - 1) / 2)

    def grown(self, pixels: int) -> Frame:
        """Return a frame with a margin of that many pixels."""
        return replace(self, shape=(self.shape[0] + 2 * pixels, self.shape[1] + 2 * pixels))

    def bounds(self) -> Float:
        """Return (2, 2): the least and the greatest (z, x) of its corners, mm."""
        rows, columns = (n - 1.0 for n in self.shape)
        corners = self.points([[0.0, 0.0], [0.0, columns], [rows, 0.0], [rows, columns]])
        return np.stack([corners.min(0), corners.max(0)])

    def raster(self, step: ArrayLike) -> Raster:
        """Return a raster that covers the frame."""
        s = np.broadcast_to(np.asarray(step, float), (2,)).copy()
        low, high = self.bounds()
        count = np.ceil((high - low) / s).astype(int) + 5
        return Raster(low - 2 * s, s, (int(count[0]), int(count[1])))


def sampled(values: Field, raster: Raster, frame: Frame) -> Field:
    """Return values of a raster (Z, X) at the pixels of a frame, bilinear; 0 outside."""
    to_raster = frame.axes / raster.step
    origin = (frame.points([[0.0, 0.0]])[0] - raster.start) / raster.step
    (row_z, row_x), (column_z, column_x) = to_raster
    # Pillow counts from the corner of a pixel, we from its middle.
    shift_x = origin[1] + 0.5 - (row_x + column_x) / 2
    shift_z = origin[0] + 0.5 - (row_z + column_z) / 2
    at = (column_x, row_x, shift_x, column_z, row_z, shift_z)
    picture = Image.fromarray(np.ascontiguousarray(values, np.float32))
    size = (frame.shape[1], frame.shape[0])
    out = picture.transform(size, Image.Transform.AFFINE, at, Image.Resampling.BILINEAR)
    return np.asarray(out, np.float32)
