"""Bodies given by their signed distance, painted with the blur of a scanner.

A body is a function of position: negative inside, zero on its surface, in mm. Convolving its
sharp edge with a Gaussian point spread gives the normal integral of that distance, so partial
volume and blur need no finer grid.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

Float = NDArray[np.float64]
PSF_MM = 0.5
"""Standard deviation of the in-plane point spread: a soft-tissue kernel of about 1.2 mm FWHM."""


def ellipsoid(points: Sequence[Float], centre: ArrayLike, radii: ArrayLike) -> Float:
    """Return the signed distance, mm, to an ellipse or ellipsoid.

    First order in the distance: exact on the surface and for spheres.

    Args:
        points: One array of coordinates an axis, broadcastable, mm.
        centre: Centre, one number an axis, mm.
        radii: Half axes, one number an axis, mm.
    """
    offsets = [p - c for p, c in zip(points, np.asarray(centre, float), strict=True)]
    r = np.asarray(radii, float)
    level = np.sqrt(sum((o / a) ** 2 for o, a in zip(offsets, r, strict=True)))
    slope = np.sqrt(sum((o / a**2) ** 2 for o, a in zip(offsets, r, strict=True)))
    return np.asarray(level * (level - 1) / np.maximum(slope, 1 / r.max() * 1e-3))


def rounded_polygon(
    points: Sequence[Float], centre: ArrayLike, inradius: ArrayLike, angles: Sequence[float]
) -> Float:
    """Return the signed distance, mm, to a polygon with edges facing `angles` (radians).

    Edges meet in rounded corners: a smooth maximum of the half planes.
    """
    y, x = (p - c for p, c in zip(points, np.asarray(centre, float), strict=True))
    edges = np.stack([np.cos(a) * x + np.sin(a) * y for a in angles]) - np.asarray(inradius)
    return np.asarray(4 * np.log(np.exp(edges / 4).sum(0)))


def body(distance: Float) -> Float:
    """Return the share, 0..1, of a body in what the scanner sees at that distance, mm."""
    return np.asarray(ndtr(-distance / PSF_MM))


def layer(distance: Float, thickness_mm: ArrayLike) -> Float:
    """Return the share, 0..1, of a layer of that thickness centred on the surface."""
    half = np.asarray(thickness_mm, float) / 2
    return np.asarray(ndtr((half - distance) / PSF_MM) - ndtr((-half - distance) / PSF_MM))


def paint(image: Float, share: Float, hu: ArrayLike) -> None:
    """Replace that share of `image` by `hu`, in place."""
    image += share * (np.asarray(hu, float) - image)
