"""The overview of a study: each image at a glance, with every lesion numbered in it.

A CT is shown as maximum-intensity projections along two of its axes, without the table and with
dimmed bones, so that mineral in front of or behind them is seen; a thin stack from the feet, as
planes are usually hung. All radiographs of the study are shown, as they are. Grey is fixed, for the
eye only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calcilens.imaging.anatomy import Mask, anatomy
from calcilens.imaging.images import Radiograph, Volume, twins
from calcilens.imaging.measure import lesion_mask
from calcilens.imaging.study import Study
from calcilens.inference.export.directions import direction
from calcilens.inference.export.pictures import Grey
from calcilens.inference.export.views import Style, View, view
from calcilens.inference.export.words import image_name, projection
from calcilens.inference.lesions import Lesion

WINDOW_HU = (-250.0, 750.0)
BONE_SHARE = 0.45
"""Brightness of bone, of white."""
_STRIP = 0.3
"""Height over width below which a projection shows too little: of a thin stack, from the front."""
_THUMBNAILS = (Style(), Style(font=44), Style(longest=260, font=32))
"""Of one film, of two, and of more: numbers are read at the size that each has on the page."""
_FRONTAL = ("A", "P")
_CAPTIONS = {
    "A": ("front", "From the front"),
    "P": ("back", "From the back"),
    "L": ("left", "From the left"),
    "R": ("right", "From the right"),
    "H": ("above", "From above"),
    "F": ("below", "From below"),
}
"""Name and caption of a view, by the patient's side that faces the reader."""


def overview(lesions: Sequence[Lesion], study: Study) -> list[list[View]]:
    """Return the views of each CT that has lesions, and those of all films together.

    Where there is no lesion at all, every CT is shown.
    """
    numbered: dict[int, dict[int, Lesion]] = {}
    for number, lesion in enumerate(lesions, 1):
        numbered.setdefault(id(lesion.image), {})[number] = lesion
    groups = []
    for image in study.images:
        if isinstance(image, Volume) and (id(image) in numbered or not lesions):
            own = numbered.get(id(image), {})
            groups.append(_projections(image, own, image_name(image, study)))
    films = [image for image in study.images if isinstance(image, Radiograph)]
    same = twins(study.images)
    shown = [_film(film, numbered.get(id(film), {}), study, same) for film in films]
    return [*groups, shown] if shown else groups


def _film(
    film: Radiograph, lesions: Mapping[int, Lesion], study: Study, same: Mapping[int, int]
) -> View:
    boxes = {n: le.candidate.box[:, 1:].astype(float) for n, le in lesions.items()}
    place = study.images.index(film)
    count = sum(isinstance(image, Radiograph) for image in study.images)
    caption = image_name(film, study)
    if count > 1:
        twin = f"the same as image {same[place] + 1}" if place in same else None
        caption = ", ".join(filter(None, (f"Image {place + 1}", projection(film), twin)))
    style = _THUMBNAILS[min(count, len(_THUMBNAILS)) - 1]
    return view(("film", caption), film.display, film.spacing_mm or (1.0, 1.0), boxes, style=style)


def _projections(image: Volume, lesions: dict[int, Lesion], series: str) -> list[View]:
    """Project a CT along two axes at most, of those that do not give a mere strip."""
    axes = [image.affine.matrix[:3, a] for a in range(3)]
    upright = int(np.argsort([-abs(a[2]) / np.linalg.norm(a) for a in axes], kind="stable")[0])
    sides = sorted({0, 1, 2} - {upright}, reverse=True)
    front, side = sorted(sides, key=lambda a: direction(axes[a])[0] not in _FRONTAL)
    seen = _brightest(image, _dimmed(image, lesions.values()))
    planes = {front: (upright, side), side: (upright, front), upright: (front, side)}
    extent = np.array(image.hu.shape) * image.spacing_mm
    kept = [a for a, (down, right) in planes.items() if extent[down] >= _STRIP * extent[right]]
    return [_projected(image, seen[a], planes[a], lesions, series) for a in (kept or [front])[:2]]


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
    volume: Volume,
    picture: Grey,
    axes: tuple[int, int],
    lesions: dict[int, Lesion],
    series: str,
) -> View:
    """Make a view with the head, or front, up and the patient's right, or front, on the left.

    The picture is the brightest along one axis, the others in rising order; `axes` says which of
    them runs down, and which to the right.
    """
    boxes = {n: le.candidate.box[:, list(axes)].astype(float) for n, le in lesions.items()}
    picture = picture if axes[0] < axes[1] else picture.T
    vectors = [volume.affine.matrix[:3, a] for a in axes]
    for k, wrong in enumerate(("HA", "RA")):
        if direction(vectors[k])[0] in wrong:
            picture, vectors[k] = np.flip(picture, k), -vectors[k]
            boxes = {n: _flipped(b, k, picture.shape[k]) for n, b in boxes.items()}
    down, right = vectors
    letters = tuple(direction(v) for v in (-right, right, -down, down))
    spacing = (volume.spacing_mm[axes[0]], volume.spacing_mm[axes[1]])
    # Right, down and into the picture are a right-handed system, as x, y and z of LPS are.
    name, caption = _CAPTIONS[direction(-np.cross(right, down))[0]]
    caption = ", ".join(filter(None, (caption, series)))
    return view((name, caption), picture, spacing, boxes, letters=letters)


def _flipped(box: NDArray[np.float64], axis: int, length: int) -> NDArray[np.float64]:
    turned = box.copy()
    turned[:, axis] = length - box[::-1, axis]
    return turned
