"""Masks that readers draw, as they are sent and as they are kept."""

from __future__ import annotations

import base64
import binascii
import json
from math import prod
from typing import Any

from calcilens.errors import NotThere, ReviewError, compose
from calcilens.review.journal import canonical
from calcilens.review.reading import Place

MOST_VOXELS = 2**28
"""Of a mask's box: a CT of 1000 planes."""


def packed(study_uid: str, place: Place, bits: str) -> bytes:
    """Return what is kept of a mask, the same for the same mask.

    Args:
        study_uid: Of which study.
        place: Image, and the box that the mask fills.
        bits: Base64 of `numpy.packbits` of the box's voxels, in the order (z, y, x).

    Raises:
        ReviewError: The bits are not those of such a box, or none is set.
    """
    voxels = prod(b - a for a, b in zip(*place.box, strict=True))
    try:
        content = base64.b64decode(bits, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ReviewError(compose("base64", "another text", where="bits")) from error
    if voxels > MOST_VOXELS or len(content) != (voxels + 7) // 8:
        found = f"{len(content)} bytes"
        raise ReviewError(compose(f"bits of {voxels} voxels", found, where="bits"))
    if not any(content):
        raise ReviewError(compose("a mask of some voxels", "an empty one", where="bits"))
    kept = {
        "study_uid": study_uid,
        "image": place.image,
        "series_uid": place.series_uid,
        "box": place.box,
        "bits": base64.b64encode(content).decode(),
    }
    return canonical(kept).encode()


def unpacked(study_uid: str, content: bytes) -> dict[str, Any]:
    """Return a mask of a study as the page gets it: `image`, `box` and `bits`.

    Raises:
        NotThere: What is kept is no mask of this study.
    """
    try:
        kept = json.loads(content)
    except ValueError:
        kept = None
    if not isinstance(kept, dict) or kept.get("study_uid") != study_uid or "bits" not in kept:
        raise NotThere(compose("a mask of this study", "another content"))
    return {key: kept[key] for key in ("image", "box", "bits")}
