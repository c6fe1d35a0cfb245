"""Masks and saliency maps of a report's folder, in the voxels of their image."""

from __future__ import annotations

import base64
import zlib
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calcilens.errors import NotThere, ReviewError, compose

Box = tuple[tuple[int, int, int], tuple[int, int, int]]
_MASKS = 512
MOST_VOXELS = 2**30
"""Of a mask: a CT of 4000 planes."""
_APART_MM = 0.01
"""How far an affine in single precision may lie from the one that was written."""


def mask_box(path: Path) -> tuple[Box, int]:
    """Return the voxel box of a mask and the plane that shows most of it.

    Raises:
        ReviewError: It cannot be read, or is empty.
    """
    box, mask = _mask(path)
    area = mask.sum((1, 2))
    fullest = np.flatnonzero(area == area.max())
    return box, box[0][0] + int(fullest[(len(fullest) - 1) // 2])


def mask_json(path: Path, shape: tuple[int, ...] | None = None) -> dict[str, Any]:
    """Return a mask as the viewer gets it: its box, and its bits in the order (z, y, x).

    Args:
        path: mask.nii.gz of a lesion.
        shape: (Z, Y, X) of its image, which the mask must share.

    Raises:
        ReviewError: It cannot be read, is empty or has another grid.
    """
    if shape is not None and _shape(path) != tuple(shape):
        found = f"{_shape(path)}"
        raise ReviewError(compose(f"a mask in the grid {tuple(shape)}", found, where=_where(path)))
    box, mask = _mask(path)
    return {"box": [list(box[0]), list(box[1])], "bits": _text(np.packbits(mask).tobytes())}


def saliency_json(path: Path, mask: Path) -> dict[str, Any]:
    """Return a saliency map as the viewer gets it: its box and one plane of values 0 to 255.

    Args:
        path: saliency.nii.gz of a lesion.
        mask: mask.nii.gz beside it, which has the whole grid of the image.

    Raises:
        ReviewError: One of them cannot be read, or their grids do not go together.
    """
    part, whole = nifti(path), nifti(mask)
    x, y, z = (int(v) for v in np.rint(_offset(part, whole)))
    size = part.shape[::-1]
    lowest, highest = (z, y, x), tuple(a + n for a, n in zip((z, y, x), size, strict=True))
    apart = np.abs(whole.affine @ [x, y, z, 1] - part.affine[:, 3]).max()
    turned = np.abs(part.affine[:3, :3] - whole.affine[:3, :3]).max()
    inside = min(lowest) >= 0 and all(
        h <= n for h, n in zip(highest, whole.shape[::-1], strict=True)
    )
    if max(apart, turned) > _APART_MM or not inside:
        raise ReviewError(compose("a map in the grid of its image", "another", where=_where(path)))
    values = _data(part, path)[..., 0].T
    return {"box": [list(lowest), list(highest)], "values": _text(values.tobytes())}


def _offset(part: Any, whole: Any) -> NDArray[np.float64]:
    """Return the voxel (x, y, z) of the whole grid at which a part of it begins."""
    return np.asarray((np.linalg.inv(whole.affine) @ part.affine[:, 3])[:3])


def _shape(path: Path) -> tuple[int, ...]:
    return tuple(int(n) for n in nifti(path).shape[::-1])


def _mask(path: Path) -> tuple[Box, NDArray[np.bool_]]:
    stat = _stat(path)
    return _mask_of(path, stat)


@lru_cache(_MASKS)
def _mask_of(path: Path, _: tuple[int, int]) -> tuple[Box, NDArray[np.bool_]]:
    stack = _data(nifti(path), path).T > 0
    ranges = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        places = np.flatnonzero(stack.any(others))
        if not len(places):
            raise ReviewError(compose("a mask of a lesion", "an empty one", where=_where(path)))
        ranges.append((int(places[0]), int(places[-1]) + 1))
    mask = stack[tuple(slice(a, b) for a, b in ranges)].copy()
    (z0, z1), (y0, y1), (x0, x1) = ranges
    return ((z0, y0, x0), (z1, y1, x1)), mask


def nifti(path: Path) -> Any:
    """Open a mask or map of a report; its voxels are read later.

    Raises:
        ReviewError: It is none, or of a size that no study has.
    """
    import nibabel  # takes long to load, and the server answers without it

    try:
        image = nibabel.load(path)
    except FileNotFoundError as error:
        raise NotThere(compose("a file of the report", "none", where=_where(path))) from error
    except Exception as error:  # nibabel raises anything on broken files
        raise ReviewError(compose("a NIfTI file", "another", where=_where(path))) from error
    if len(getattr(image, "shape", ())) != 3 or image.get_data_dtype() != np.uint8:
        raise ReviewError(compose("a volume of uint8", "another", where=_where(path)))
    if prod(image.shape) > MOST_VOXELS:  # a header of a few bytes may claim any size
        raise ReviewError(compose("a grid of a study", "a larger one", where=_where(path)))
    return image


def _data(image: Any, path: Path) -> NDArray[np.uint8]:
    """Return the values (X, Y, Z)."""
    try:
        return np.asarray(image.dataobj, np.uint8)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise ReviewError(compose("a whole file", "one cut short", where=_where(path))) from error


def _stat(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError as error:
        raise NotThere(compose("a file of the report", "none", where=_where(path))) from error
    return stat.st_mtime_ns, stat.st_size


def _where(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
