"""The overview of a study: each image at a glance, with every lesion numbered in it.

A CT is shown as maximum-intensity projections along two of its axes, without the table and with
dimmed bones, so that mineral in front of or behind them is seen; a radiograph as it is. Grey is
fixed, for the eye only.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from calcilens.imaging.anatomy import Mask, anatomy
from calcilens.imaging.images import Image, Radiograph, Volume
from calcilens.imaging.measure import lesion_mask
from calcilens.inference.export.directions import direction
from calcilens.inference.export.pictures import Grey, png
from calcilens.inference.lesions import Lesion

WINDOW_HU = (-250.0, 750.0)
BONE_SHARE = 0.45
"""Brightness of bone, of white."""
LONGEST_PX = 520
_NAMES = {"L": "side", "R": "side", "A": "front", "P": "front", "H": "above", "F": "above"}


@dataclass(frozen=True, eq=False)
class View:
    """One picture with the lesions' boxes in it.

    Args:
        name: From where it is seen: front, side, above, or film.
        picture: As a data URL.
        size: Width and height, pixels of the picture.
        letters: Side of the patient at the left, right, top and bottom; empty where unknown.
        boxes: By the lesion's number: x, y, width and height, pixels of the picture.
    """

    name: str
    picture: str
    size: tuple[int, int]
    letters: tuple[str, ...]
    boxes: dict[int, tuple[float, float, float, float]]


def overview(lesions: Sequence[Lesion]) -> list[list[View]]:
    """Return the views of each image that has lesions, in the order of the lesions."""
    numbered: dict[int, list[tuple[int, Lesion]]] = {}
    for number, lesion in enumerate(lesions, 1):
        numbered.setdefault(id(lesion.image), []).append((number, lesion))
    return [_views(group[0][1].image, dict(group)) for group in numbered.values()]


def _views(image: Image, lesions: dict[int, Lesion]) -> list[View]:
    if isinstance(image, Radiograph):
        y, x = image.spacing_mm or (1.0, 1.0)
        boxes = {n: le.candidate.box[:, 1:].astype(float) for n, le in lesions.items()}
        return [_view("film", image.display, (y, x), (), boxes)]
    upright = np.argsort(-np.abs(image.affine.matrix[2, :3] / image.spacing_mm), kind="stable")[0]
    seen = _brightest(image, _dimmed(image, lesions.values()))
    sides = sorted({0, 1, 2} - {int(upright)}, reverse=True)
    along = sorted(sides, key=lambda a: _NAMES[direction(image.affine.matrix[:3, a])[0]])
    return [
        _projected(image, seen[a], (int(upright), 3 - a - int(upright)), lesions) for a in along
    ]


def _dimmed(volume: Volume, lesions: Iterable[Lesion]) -> Mask:
    """Return bones, with what a coarse outline leaves of their surface, but no lesion."""
    bone = anatomy(volume).covered.copy()
    for lesion in lesions:
        part = tuple(slice(a, b) for a, b in lesion.candidate.box.T)
        bone[part] &= ~lesion_mask(volume, lesion.candidate)[0]
    return bone


def _brightest(volume: Volume, bones: Mask) -> list[Grey]:
    """Return the brightest of the body along each axis: (Y, X), (Z, X) and (Z, Y), as grey."""
    low, high = WINDOW_HU
    dimmed = low + BONE_SHARE * (high - low)
    along: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
    for hu, body, bone in zip(volume.hu, anatomy(volume).body, bones, strict=True):
        plane = np.where(body, hu, low).astype(np.float32)
        np.minimum(plane, dimmed, out=plane, where=bone)
        along[0][:] = [np.maximum(plane, along[0][0]) if along[0] else plane]
        along[1].append(plane.max(0))
        along[2].append(plane.max(1))
    pictures = along[0][0], np.stack(along[1]), np.stack(along[2])
    scaled = [np.clip((p - low) / (high - low), 0, 1) * 255 for p in pictures]
    return [s.astype(np.uint8) for s in scaled]


def _projected(
    volume: Volume, picture: Grey, axes: tuple[int, int], lesions: dict[int, Lesion]
) -> View:
    """Make a view with the head up and the patient's right, or front, on the left.

    The picture is the brightest along one axis, the others in rising order; `axes` says which of
    them runs down, and which to the right.
    """
    boxes = {n: le.candidate.box[:, list(axes)].astype(float) for n, le in lesions.items()}
    picture = picture if axes[0] < axes[1] else picture.T
    vectors = [volume.affine.matrix[:3, a] for a in axes]
    for k, wrong in enumerate(("H", "RA")):
        if direction(vectors[k])[0] in wrong:
            picture, vectors[k] = np.flip(picture, k), -vectors[k]
            boxes = {n: _flipped(b, k, picture.shape[k]) for n, b in boxes.items()}
    down, right = vectors
    letters = tuple(direction(v) for v in (-right, right, -down, down))
    spacing = (volume.spacing_mm[axes[0]], volume.spacing_mm[axes[1]])
    name = _NAMES[direction(volume.affine.matrix[:3, 3 - sum(axes)])[0]]
    return _view(name, picture, spacing, letters, boxes)


def _flipped(box: NDArray[np.float64], axis: int, length: int) -> NDArray[np.float64]:
    turned = box.copy()
    turned[:, axis] = length - box[::-1, axis]
    return turned


def _view(
    name: str,
    picture: Grey,
    spacing: tuple[float, float],
    letters: tuple[str, ...],
    boxes: dict[int, NDArray[np.float64]],
) -> View:
    """Scale a picture (rows, columns) to square pixels, and its boxes with it."""
    extent = np.array(picture.shape) * spacing
    height, width = (max(1, round(float(v))) for v in extent / extent.max() * LONGEST_PX)
    small = Pillow.fromarray(picture).resize((width, height), Pillow.Resampling.LANCZOS)
    scale = np.array([height, width]) / picture.shape
    placed = {}
    for number, box in boxes.items():
        (y0, x0), (y1, x1) = box * scale
        placed[number] = (float(x0), float(y0), float(x1 - x0), float(y1 - y0))
    data = base64.b64encode(png(small)).decode()
    return View(name, f"data:image/png;base64,{data}", (width, height), letters, placed)
