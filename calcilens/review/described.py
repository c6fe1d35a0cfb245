"""Images as the viewer is told of them, and as they are kept for it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from calcilens.imaging.images import Image, Radiograph, Volume
from calcilens.imaging.study import Study

_CT_WINDOW = {"center": 40, "width": 400}
"""HU: soft tissue, in which mineral is white."""
_SMALLEST = 512
"""A film is halved until neither side is longer, pixels."""
_DARK, _BRIGHT = 0.1, 0.9
_MOST = np.iinfo(np.uint16).max


def described(study: Study) -> tuple[dict[str, Any], dict[str, list[NDArray[Any]]]]:
    """Return what is known of the images of a study, and the content of their files."""
    numbers = {series.series_uid: series.series_number for series in study.series}
    listed: list[dict[str, Any]] = []
    files: dict[str, list[NDArray[Any]]] = {}
    for place, image in enumerate(study.images):
        name = f"{place}.raw"
        if isinstance(image, Volume):
            facts, files[name] = _volume(image), [whole_hu(image)]
        else:
            facts, levels = _film(image)
            files[name] = list(levels)
        label = _label(image, numbers.get(image.series_uid))
        listed.append({**_shared(image), **facts, "label": label, "file": name})
    return {"study_date": study.study_date, "images": listed}, files


def whole_hu(volume: Volume) -> NDArray[np.int16]:
    """Return HU as whole numbers (Z, Y, X): of a resampled series, the nearest ones."""
    if volume.hu.dtype == np.int16:
        return np.ascontiguousarray(volume.hu, "<i2")
    limits = np.iinfo(np.int16)
    return np.asarray(np.rint(np.clip(volume.hu, limits.min, limits.max)), "<i2")


def pyramid(film: NDArray[np.uint16]) -> list[NDArray[np.uint16]]:
    """Return a film (Y, X) and its halves, each pixel the mean of four of the one before."""
    levels = [np.ascontiguousarray(film, "<u2")]
    while max(levels[-1].shape) > _SMALLEST:
        levels.append(_half(levels[-1]))
    return levels


def stored_film(film: Radiograph) -> NDArray[np.uint16]:
    """Return the values of a film as 16 bits (Y, X).

    Whole numbers that fit are only shifted, so that nothing is lost; others are spread evenly.
    """
    low, high = float(film.pixels.min()), float(film.pixels.max())
    if high - low <= _MOST and low == round(low) and _is_whole(film.pixels):
        return np.asarray(film.pixels - np.float32(low), "<u2")
    step = (high - low) / _MOST or 1.0
    return np.asarray(np.rint((film.pixels - low) / step).clip(0, _MOST), "<u2")


def film_window(stored: NDArray[np.uint16], display: NDArray[np.uint8]) -> dict[str, float]:
    """Return the linear window in which stored values look like the film's own display.

    The display rises with the values, perhaps not straight: the window meets it where it is a
    tenth and nine tenths bright.

    Args:
        stored: (Y, X) values.
        display: (Y, X) grey of the same pixels, 0 to 255.
    """
    values, grey = _mean_values(stored, display)
    shares = np.clip((_DARK, _BRIGHT), grey[0] / 255, grey[-1] / 255)  # no film has all greys
    dark, bright = np.interp(shares * 255, grey, values)
    width = max(float(bright - dark) / max(float(shares[1] - shares[0]), 1 / 255), 1.0)
    center = float(dark) + (0.5 - float(shares[0])) * width
    return {"center": round(center, 2), "width": round(width, 2)}


def _mean_values(
    stored: NDArray[np.uint16], display: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the mean stored value of each grey met, clipped ends by their inner limit."""
    flat, shown = stored.ravel(), display.ravel()
    count = np.bincount(shown, minlength=256)
    total = np.bincount(shown, weights=flat, minlength=256)
    grey = np.flatnonzero(count)
    mean = total[grey] / count[grey]
    if grey[0] == 0:  # what is clipped to black may lie anywhere below
        mean[0] = float(flat[shown == 0].max())
    if grey[-1] == 255 and len(grey) > 1:
        mean[-1] = float(flat[shown == 255].min())
    return mean, grey


def _is_whole(pixels: NDArray[np.float32]) -> bool:
    return all(bool((rows == np.rint(rows)).all()) for rows in np.array_split(pixels, 16))


def _half(film: NDArray[np.uint16]) -> NDArray[np.uint16]:
    y, x = (side + side % 2 for side in film.shape)
    even = np.pad(film, ((0, y - film.shape[0]), (0, x - film.shape[1])), mode="edge")
    blocks = even.reshape(y // 2, 2, x // 2, 2).astype(np.uint32).sum((1, 3))
    return np.asarray((blocks + 2) // 4, "<u2")


def _shared(image: Image) -> dict[str, Any]:
    return {
        "series_uid": image.series_uid,
        "sop_uids": [plane.sop_uid for plane in image.planes],
        "modality": image.modality,
        "spacing_mm": None if image.spacing_mm is None else list(image.spacing_mm),
        "frame_of_reference_uid": image.frame_of_reference_uid,
        "numbers": [plane.number for plane in image.planes],
        "body_part": image.body_part,
        "side": image.side,
    }


def _volume(volume: Volume) -> dict[str, Any]:
    return {
        "kind": "volume",
        "shape": list(volume.hu.shape),
        "affine": volume.affine.matrix.tolist(),
        "dtype": "int16",
        "window": _CT_WINDOW,
        "levels": [],
        "view": None,
    }


def _film(film: Radiograph) -> tuple[dict[str, Any], list[NDArray[np.uint16]]]:
    stored = stored_film(film)
    levels = pyramid(stored)
    facts = {
        "kind": "film",
        "shape": list(stored.shape),
        "affine": None,
        "dtype": "uint16",
        "window": film_window(stored, film.display),
        "levels": [list(level.shape) for level in levels],
        "view": film.view,
    }
    return facts, levels


def _label(image: Image, series: int | None) -> str:
    """Name an image in words of ours: descriptions in the files may name the patient."""
    number = None if series is None else f"series {series}"
    if isinstance(image, Volume):
        known = ["CT", number, f"planes of {image.spacing_mm[0]:.3g} mm", image.side]
    else:
        known = [image.body_part or image.modality, image.side, image.view, number]
    return ", ".join(str(word) for word in known if word)
