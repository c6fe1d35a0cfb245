"""How much a CT blurs: read off the skin, the sharpest edge that every body has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import ndtri

from calcilens.imaging.anatomy import Mask, anatomy
from calcilens.imaging.images import Volume
from calcilens.imaging.known import OncePerVolume

_PLANES, _LEAST_PIXELS = 12, 300
_USUAL_MM = 0.55
"""Standard deviation of blur in a plane where no skin tells it: that of soft-tissue kernels."""
_RANGE_MM = (0.2, 1.5)
_LEAST_SHARE, _MOST_SHARE = 0.3, 3.0
"""Thickness of a plane as a share of the distance to the next that can be true."""


@dataclass(frozen=True)
class Blur:
    """Point spread of a volume, as a Gaussian in the plane and a box across planes.

    Args:
        plane_mm: Standard deviation in the plane, without what the pixels average.
        thickness_mm: Depth that a plane averages over.
        how: How both were found.
    """

    plane_mm: float
    thickness_mm: float
    how: str

    def sd_mm(self, spacing_mm: tuple[float, float, float]) -> NDArray[np.float64]:
        """Return the standard deviation (3,) along (z, y, x), with what voxels average."""
        _, y, x = spacing_mm
        in_plane = np.sqrt(self.plane_mm**2 + np.array([y, x]) ** 2 / 12)
        return np.array([self.thickness_mm / np.sqrt(12), *in_plane])


def blur(volume: Volume) -> Blur:
    """Return the blur of a volume; worked out once for each volume.

    The steepness of the skin against air gives that in the plane: patient-specific resolution
    after Sanders, Hurwitz and Samei, Medical Physics 2016;43:5330. A plane's thickness is what
    the files say, or else the distance of the planes.
    """
    return _KNOWN(volume)


def _find(volume: Volume) -> Blur:
    body = anatomy(volume).body
    step = max(1, len(body) // _PLANES)
    pixel = float(np.sqrt(volume.spacing_mm[1] * volume.spacing_mm[2]))
    found = [_edge_sd(volume.hu[z], body[z], volume.spacing_mm[1:]) for z in _whole(body, step)]
    edges = np.concatenate([*found, np.empty(0)])
    thickness, planes = _thickness(volume)
    if len(edges) < _LEAST_PIXELS:
        how = f"blur {_USUAL_MM} mm as usual, since too little skin is in the image; {planes}"
        return Blur(_USUAL_MM, thickness, how)
    # The central difference and the pixel widen an edge by 3/4 of pixel**2 / 3 and by a twelfth.
    square = float(np.median(edges)) ** 2 - pixel**2 / 3
    sd = float(np.clip(np.sqrt(max(square, 0.0)), *_RANGE_MM))
    return Blur(sd, thickness, f"blur {sd:.2f} mm (standard deviation) at the skin; {planes}")


def _thickness(volume: Volume) -> tuple[float, str]:
    """Return what a plane averages over, in words too; what no scanner does is not believed."""
    said, step = volume.thickness_mm, volume.spacing_mm[0]
    if said is not None and _LEAST_SHARE * step <= said <= _MOST_SHARE * step:
        return said, f"planes {said:.2f} mm thick"
    return step, f"planes taken to be as thick as they are apart, {step:.2f} mm"


def _whole(body: Mask, step: int) -> range:
    """Return planes to look at."""
    return range(step // 2, len(body), step)


def _edge_sd(
    plane: NDArray[np.number], body: Mask, spacing: tuple[float, ...]
) -> NDArray[np.float64]:
    """Return the standard deviation (N,), mm, of a Gaussian edge at each pixel halfway to air."""
    rows, columns = np.flatnonzero(body.any(1)), np.flatnonzero(body.any(0))
    if not len(rows):
        return np.empty(0)
    cut = tuple(slice(max(i[0] - 6, 0), i[-1] + 7) for i in (rows, columns))
    hu = plane[cut].astype(np.float64)
    if min(hu.shape) < 2:
        return np.empty(0)
    steep = np.hypot(*np.gradient(hu, *spacing))
    half = (hu > -700) & (hu < -300)
    half &= ndimage.binary_dilation(body[cut], iterations=2)
    half &= ~np.asarray(ndimage.binary_erosion(body[cut], iterations=3))
    low, high = ndimage.minimum_filter(hu, 9)[half], ndimage.maximum_filter(hu, 9)[half]
    share = np.clip((hu[half] - low) / np.maximum(high - low, 1), 0.05, 0.95)
    rise = (high - low) * np.exp(-(ndtri(share) ** 2) / 2) / np.sqrt(2 * np.pi)
    sd = np.divide(rise, steep[half], out=np.full(rise.shape, np.inf), where=steep[half] > 0)
    clean = (low < -900) & (high > -150) & (high < 250) & np.isfinite(sd)
    return np.asarray(sd[clean])


_KNOWN = OncePerVolume(_find)
