"""PNG pictures of a lesion: as it is, where the model looked, and both."""

from __future__ import annotations

import base64
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw

from calcilens.imaging.images import Radiograph
from calcilens.inference.lesions import Lesion

Grey = NDArray[np.uint8]
WINDOW_HU = (-150.0, 850.0)
"""Shows soft tissue and mineral at once."""
_LEAST_PX, _WIDER, _SIDE = 64, 3.0, 512
_BOX_COLOUR = (255, 214, 10)
_STOPS = ((0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164))
"""Dark to bright with even steps of lightness; readable without red-green vision."""


def frame(lesion: Lesion) -> tuple[slice, slice]:
    """Return the rows and columns around a lesion that are worth seeing close up."""
    shape = _plane_shape(lesion)
    box = lesion.candidate.box[:, 1:]
    side = int(max(_LEAST_PX, _WIDER * (box[1] - box[0]).max()))
    starts = ((box.sum(0) - side) // 2).tolist()
    ends = [slice(max(0, s), min(n, s + side)) for s, n in zip(starts, shape, strict=True)]
    return ends[0], ends[1]


def _plane_shape(lesion: Lesion) -> tuple[int, int]:
    image = lesion.image
    rows, columns = (image.display if isinstance(image, Radiograph) else image.hu).shape[-2:]
    return rows, columns


def display_plane(lesion: Lesion, plane: int) -> Grey:
    """Return one plane (Y, X) for people to look at."""
    if isinstance(lesion.image, Radiograph):
        return lesion.image.display
    low, high = WINDOW_HU
    scaled = (lesion.image.hu[plane].astype(np.float32) - low) / (high - low)
    return np.asarray(np.clip(scaled, 0, 1) * 255, np.uint8)


def colours(values: NDArray[np.float32]) -> Grey:
    """Return the colour (Y, X, 3) of values in 0..1."""
    stops = np.linspace(0, 1, len(_STOPS))
    channels = [np.interp(values, stops, channel) for channel in zip(*_STOPS, strict=True)]
    return np.stack(channels, -1).astype(np.uint8)


def pictures(lesion: Lesion) -> dict[str, bytes]:
    """Return the PNG files of a lesion by name; no saliency where it failed its test."""
    return {name: png(picture) for name, picture in drawn(lesion).items()}


def drawn(lesion: Lesion) -> dict[str, Pillow.Image]:
    """Draw the pictures of a lesion: image, saliency and overlay, the last two where shown."""
    part = frame(lesion)
    grey = np.repeat(display_plane(lesion, lesion.key_plane)[part][..., None], 3, 2)
    made = {"image": _with_box(grey, lesion, part)}
    seen = lesion.saliency
    if seen is not None and seen.shown:
        values = seen.in_plane(_plane_shape(lesion))[part]
        tint = colours(values)
        alpha = 0.6 * values[..., None]
        both = ((1 - alpha) * grey + alpha * tint).astype(np.uint8)
        made |= {"saliency": _enlarged(tint), "overlay": _with_box(both, lesion, part)}
    return made


def png(picture: Pillow.Image) -> bytes:
    """Return a picture as PNG, the same bytes every time."""
    stream = BytesIO()
    picture.save(stream, "PNG", compress_level=4)
    return stream.getvalue()


def data_url(picture: Pillow.Image, *, lossless: bool) -> str:
    """Return a picture as a data URL: PNG, or JPEG."""
    raw, kind = (png(picture), "png") if lossless else (_jpeg(picture), "jpeg")
    return f"data:image/{kind};base64,{base64.b64encode(raw).decode()}"


def _jpeg(picture: Pillow.Image) -> bytes:
    stream = BytesIO()
    picture.save(stream, "JPEG", quality=88)
    return stream.getvalue()


def _scale(shape: tuple[int, ...]) -> int:
    return max(1, _SIDE // max(shape[:2]))


def _enlarged(rgb: Grey) -> Pillow.Image:
    """Enlarge by whole pixels, so that every pixel of the image can be counted."""
    picture = Pillow.fromarray(rgb)
    k = _scale(rgb.shape)
    return picture.resize((picture.width * k, picture.height * k), Pillow.Resampling.NEAREST)


def _with_box(rgb: Grey, lesion: Lesion, part: tuple[slice, slice]) -> Pillow.Image:
    picture = _enlarged(rgb)
    k = _scale(rgb.shape)
    (y0, x0), (y1, x1) = (lesion.candidate.box[:, 1:] - [part[0].start, part[1].start]) * k
    edge = (int(x0) - 2, int(y0) - 2, int(x1) + 1, int(y1) + 1)
    ImageDraw.Draw(picture).rectangle(edge, outline=_BOX_COLOUR, width=2)
    return picture
