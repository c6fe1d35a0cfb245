"""Masks that readers drew, as NIfTI in the grid of their image."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from calcilens.errors import ReviewError, compose
from calcilens.review.cases import Case
from calcilens.review.grids import nifti
from calcilens.review.reports import Report
from calcilens.review.state import Box


def drawn(content: bytes) -> tuple[Box, NDArray[np.bool_]]:
    """Return box and voxels (z, y, x) of a mask as it is kept: JSON with `box` and `bits`.

    Raises:
        ReviewError: It is none.
    """
    try:
        told = json.loads(content)
        (z0, y0, x0), (z1, y1, x1) = told["box"]
        bits = np.frombuffer(base64.b64decode(told["bits"], validate=True), np.uint8)
        shape = (z1 - z0, y1 - y0, x1 - x0)
        count = int(np.prod(shape))
        voxels = np.unpackbits(bits, count=count).reshape(shape).astype(bool)
    except (ValueError, KeyError, TypeError) as error:
        raise ReviewError(compose("a mask", "another content", where="attachment")) from error
    return ((z0, y0, x0), (z1, y1, x1)), voxels


def write(content: bytes, case: Case, report: Report, path: Path) -> Box:
    """Write a mask (X, Y, Z) uint8; return its box.

    The grid is that of the masks of the report on the same image; of a CT without any, its shape
    is that of the report, and its place is left open.

    Raises:
        ReviewError: The grid is not known, or the mask does not lie in it.
    """
    shape, affine, unit = _grid(case, report)
    (start, stop), voxels = drawn(content)
    if any(b > n for b, n in zip(stop, shape, strict=True)):
        raise ReviewError(compose(f"a mask within {shape}", f"{stop}", where=case.lesion))
    stack = np.zeros(shape, np.uint8)
    stack[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = voxels
    picture = nibabel.Nifti1Image(stack.transpose(2, 1, 0), affine)
    picture.header.set_xyzt_units(unit)
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(picture, path)
    return start, stop


def _grid(case: Case, report: Report) -> tuple[tuple[int, ...], Any, str]:
    for place in report.lesions:
        if place.image == case.image and place.mask is not None:
            known = nifti(place.mask)
            unit = known.header.get_xyzt_units()[0]
            return tuple(map(int, known.shape[::-1])), known.affine, unit
    shape = report.images[case.image].shape
    if shape is None:
        raise ReviewError(compose("a film with a grid", "one whose grid is not known"))
    return tuple(shape), np.eye(4), "unknown"
