"""Where voxels lie in the patient: one affine map and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calcilens.errors import SeriesError, compose

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Affine:
    """Map from voxel indices (z, y, x) to patient coordinates (x, y, z), LPS, mm.

    Voxel centres lie at integer indices, as in DICOM PS3.3 C.7.6.2.1.1.

    Args:
        matrix: (4, 4) float64; ``matrix @ (z, y, x, 1) = (x_mm, y_mm, z_mm, 1)``.

    Raises:
        SeriesError: The matrix is not finite, not affine or not invertible.
    """

    matrix: Float

    def __post_init__(self) -> None:
        m = np.array(self.matrix, dtype=np.float64)
        if m.shape != (4, 4) or not np.isfinite(m).all():
            raise SeriesError(compose("a finite (4, 4) affine", f"shape {m.shape}"))
        if not np.array_equal(m[3], [0, 0, 0, 1]) or abs(np.linalg.det(m[:3, :3])) < 1e-12:
            raise SeriesError(compose("an invertible affine", f"{m.tolist()}"))
        m.setflags(write=False)
        object.__setattr__(self, "matrix", m)

    @classmethod
    def from_dicom(
        cls,
        position: Sequence[float],
        orientation: Sequence[float],
        pixel_spacing: Sequence[float],
        plane_step: Sequence[float] | Float,
    ) -> Affine:
        """Build the map from DICOM attributes (PS3.3 C.7.6.2.1.1, equation C.7.6.2.1-1).

        Args:
            position: ImagePositionPatient of plane 0, mm.
            orientation: ImageOrientationPatient: direction of a row (x index grows), then
                of a column (y index grows).
            pixel_spacing: PixelSpacing: distance between rows (y), then columns (x), mm.
            plane_step: Vector from plane 0 to plane 1, mm.
        """
        m = np.eye(4)
        m[:3, 0] = plane_step
        m[:3, 1] = np.asarray(orientation[3:6], float) * float(pixel_spacing[0])
        m[:3, 2] = np.asarray(orientation[:3], float) * float(pixel_spacing[1])
        m[:3, 3] = position
        return cls(m)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxels along (z, y, x), mm."""
        z, y, x = np.linalg.norm(self.matrix[:3, :3], axis=0)
        return float(z), float(y), float(x)

    def to_mm(self, index: ArrayLike) -> Float:
        """Map voxel indices (..., 3) in (z, y, x) to LPS points (..., 3) in (x, y, z), mm."""
        i = np.asarray(index, np.float64)
        return i @ self.matrix[:3, :3].T + self.matrix[:3, 3]

    def to_voxel(self, point_mm: ArrayLike) -> Float:
        """Map LPS points (..., 3) in (x, y, z), mm, to fractional indices (z, y, x)."""
        p = np.asarray(point_mm, np.float64) - self.matrix[:3, 3]
        return np.asarray(np.linalg.solve(self.matrix[:3, :3], p[..., None])[..., 0], np.float64)

    def shifted(self, offset: ArrayLike) -> Affine:
        """Return the map of a sub-image that starts at voxel index `offset` (z, y, x)."""
        m = self.matrix.copy()
        m[:3, 3] = self.to_mm(offset)
        return Affine(m)

    def box_mm(self, box: ArrayLike) -> Float:
        """Return the axis-aligned LPS bounds of a voxel box, voxel edges included.

        Args:
            box: (2, 3) half-open voxel box: start and stop in (z, y, x).

        Returns:
            (2, 3): lowest and highest (x, y, z), mm.
        """
        lo, hi = np.asarray(box, np.float64) - 0.5
        corners = np.stack(np.meshgrid(*zip(lo, hi, strict=True), indexing="ij"), -1).reshape(-1, 3)
        mm = self.to_mm(corners)
        return np.stack([mm.min(0), mm.max(0)])
