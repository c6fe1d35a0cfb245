"""A lesion given by hand, before and after it has found its image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from calcilens.errors import RoiError, compose
from calcilens.imaging.candidates import GIVEN, Candidate, candidate
from calcilens.imaging.images import Image, Radiograph
from calcilens.imaging.records import Skipped

Box = NDArray[np.int64]


class Region(Protocol):
    """One entry of a lesion list."""

    @property
    def where(self) -> str:
        """File and entry, for messages."""

    @property
    def uids(self) -> frozenset[str]:
        """Series, SOP or frame-of-reference UIDs that name its image; empty if none is named."""

    def on(self, image: Image) -> tuple[Box, NDArray[np.bool_] | None]:
        """Return box and mask on that image; raise RoiError where it does not lie on it."""


def place(
    regions: Sequence[Region], images: Sequence[Image]
) -> tuple[list[tuple[Image, Candidate]], list[Skipped]]:
    """Find the image of every region.

    Returns:
        The lesions with their images, and one line for each region, or part of one, that could not
        be placed.
    """
    placed: list[tuple[Image, Candidate]] = []
    refused = []
    for region in regions:
        try:
            image = _image_of(region, images)
            box, mask = region.on(image)
            found, outside = _candidate(image, box, mask, region.where)
            placed.append((image, found))
            refused += [] if outside is None else [Skipped(region.where, outside)]
        except RoiError as error:
            refused.append(Skipped(region.where, str(error)))
    return placed, refused


def shape_of(image: Image) -> tuple[int, int, int]:
    """Return the shape (Z, Y, X) of an image; a radiograph has one plane."""
    if isinstance(image, Radiograph):
        return (1, *image.pixels.shape)
    z, y, x = image.hu.shape
    return z, y, x


def names_of(image: Image) -> set[str]:
    """Return the UIDs by which a region may name an image."""
    names = {image.series_uid, *(plane.sop_uid for plane in image.planes)}
    if image.frame_of_reference_uid:
        names.add(image.frame_of_reference_uid)
    return names


def _image_of(region: Region, images: Sequence[Image]) -> Image:
    fitting = [i for i in images if not region.uids or region.uids & names_of(i)]
    if not region.uids and len(images) != 1:
        raise RoiError(
            compose("a series_uid or sop_uid, since there are several images", "none")
            if images
            else "no image in the study can be used"
        )
    closest = [i for i in fitting if region.uids <= names_of(i)] or fitting
    if len(closest) != 1:
        found = "no image" if not closest else f"{len(closest)} images"
        named = ", ".join(sorted(region.uids))
        raise RoiError(compose("one image of that UID", f"{found} of {named}"))
    return closest[0]


def _candidate(
    image: Image, box: Box, mask: NDArray[np.bool_] | None, where: str
) -> tuple[Candidate, str | None]:
    """Return what of a region lies in the image, and in words what does not; None for nothing."""
    shape = np.asarray(shape_of(image))
    lo, hi = np.maximum(box[0], 0), np.minimum(box[1], shape)
    if (lo >= hi).any():
        raise RoiError(
            compose(f"a box inside the image {tuple(shape.tolist())} (z, y, x)", f"{box.tolist()}")
        )
    if mask is not None:
        mask = mask[tuple(slice(a, b) for a, b in zip(lo - box[0], hi - box[0], strict=True))]
    inside, origin = np.stack([lo, hi]), f"{GIVEN} {where}"
    if (inside == box).all():
        return candidate(image, inside, mask, origin), None
    size = f"the image {tuple(shape.tolist())} (z, y, x)"
    outside = f"what of its box {box.tolist()} lies outside {size}; the rest is reported"
    return candidate(image, inside, mask, f"{origin}, cut to the image"), outside
