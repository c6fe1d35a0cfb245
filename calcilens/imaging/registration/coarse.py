"""CT made coarse for registration: an even grid along the patient's axes, table and air flat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk  # noqa: N813 - its usual name
from numpy.typing import NDArray

from calcilens.errors import SeriesError, compose
from calcilens.imaging.anatomy import anatomy
from calcilens.imaging.geometry import Affine
from calcilens.imaging.images import Volume

RANGE_HU = (-200.0, 300.0)
"""Fat to soft bone: what tells tissues apart; dense bone must not outweigh the rest."""
_MARGIN_MM, _LONGEST_MM = 12.0, 3000.0


@dataclass(frozen=True, eq=False)
class Coarse:
    """A CT on an even grid.

    Args:
        image: HU within `RANGE_HU`; all that is not body has the lowest.
        body: 1 where the body is.
        seen: 1 where the scanner looked.
    """

    image: sitk.Image
    body: sitk.Image
    seen: sitk.Image

    @property
    def middle(self) -> NDArray[np.float64]:
        """Centre (x, y, z) of the body, mm."""
        inside = np.argwhere(sitk.GetArrayViewFromImage(self.body) > 0)
        index = inside.mean(0)[::-1] if len(inside) else np.array(self.body.GetSize()) / 2
        return np.asarray(self.body.TransformContinuousIndexToPhysicalPoint(index.tolist()))


def to_sitk(array: NDArray[np.generic], affine: Affine) -> sitk.Image:
    """Return an array (Z, Y, X) as an image that lies where the affine says."""
    spacing = np.array(affine.spacing_mm)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing([float(s) for s in spacing[::-1]])
    image.SetOrigin([float(v) for v in affine.matrix[:3, 3]])
    image.SetDirection((affine.matrix[:3, [2, 1, 0]] / spacing[::-1]).ravel().tolist())
    return image


def flat(volume: Volume) -> tuple[sitk.Image, sitk.Image]:
    """Return HU within `RANGE_HU`, all but the body at its lowest, and the body, uint8."""
    body = anatomy(volume).body
    hu = np.where(body, np.clip(volume.hu, *RANGE_HU), RANGE_HU[0]).astype(np.float32)
    return to_sitk(hu, volume.affine), to_sitk(body.astype(np.uint8), volume.affine)


def coarse(volume: Volume, step_mm: float) -> Coarse:
    """Return a CT on a grid of `step_mm` along x, y and z around its body.

    Raises:
        SeriesError: The body is longer than anybody's.
    """
    image, body = flat(volume)
    grid = _grid(volume, step_mm)
    sides = zip(image.GetSpacing(), image.GetSize(), strict=True)
    smoothed = sitk.BinShrink(image, [min(max(1, int(step_mm / s)), n) for s, n in sides])
    seen = to_sitk(np.ones(volume.hu.shape, np.uint8), volume.affine)
    still, near = sitk.Transform(), sitk.sitkNearestNeighbor
    return Coarse(
        sitk.Resample(smoothed, grid, still, sitk.sitkLinear, RANGE_HU[0]),
        sitk.Resample(body, grid, still, near, 0),
        sitk.Resample(seen, grid, still, near, 0),
    )


def _grid(volume: Volume, step_mm: float) -> sitk.Image:
    """Return an empty image along the patient's axes that holds the body, or raise SeriesError."""
    body = anatomy(volume).body
    where = [np.flatnonzero(body.any(tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    box = [(w[0], w[-1] + 1) if len(w) else (0, n) for w, n in zip(where, body.shape, strict=True)]
    low, high = volume.affine.box_mm(np.array(box).T)
    longest = float((high - low).max())
    if longest > _LONGEST_MM:
        raise SeriesError(
            compose(
                f"a body of at most {_LONGEST_MM / 1000:g} m",
                f"one of {longest / 1000:.3g} m",
                fix="check PixelSpacing and the place of the planes",
            )
        )
    low, high = low - _MARGIN_MM, high + _MARGIN_MM
    size = np.maximum(np.ceil((high - low) / step_mm), 1).astype(int)
    grid = sitk.Image(size.tolist(), sitk.sitkUInt8)
    grid.SetSpacing([step_mm] * 3)
    grid.SetOrigin((low + step_mm / 2).tolist())
    return grid
