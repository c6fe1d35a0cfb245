"""Radiograph patches: a piece of a film around a lesion, with its mask and its box."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from calcilens.files import whole
from calcilens.phantoms.anatomy import Rng
from calcilens.phantoms.drafts import (
    ATTEMPTS,
    LEAST_PX,
    WIDER,
    Draft,
    Job,
    draw_scene,
    patch_id,
    truth_line,
)
from calcilens.phantoms.radiograph import RadiographImage, render_radiograph
from calcilens.phantoms.scene import Scene
from calcilens.phantoms.xray_settings import XRay, draw_xray

LEAST_VISIBLE = 4.0
"""Mineral's contrast over noise and clutter in a square millimetre, see `RadiographImage`."""
_MOST_DENSER = 3.0
"""More mineral than this times as much as drawn is another lesion: draw anew."""
UNCALIBRATED_SHARE = 0.2
"""Films whose header does not say the size of a pixel."""


def write_radiograph(job: Job, number: int) -> dict[str, Any]:
    """Write a radiograph and its mask as PNG; return its truth."""
    draft, xray, image = visible_radiograph(job, number)
    name = patch_id(number)
    save_png(job.out / "images" / f"{name}.png", image.pixels)
    mask = image.mask if draft.lesion.patterns else None
    if mask is not None:
        save_png(job.out / "masks" / f"{name}.png", mask.astype(np.uint8) * 255)
    calibrated = job.rng(2, number).random() >= UNCALIBRATED_SHARE
    spacing = [None, *([round(image.spacing_mm, 5)] * 2 if calibrated else [None, None])]
    return truth_line(job, number, draft) | {
        "image": f"images/{name}.png",
        "mask": f"masks/{name}.png" if mask is not None else None,
        "modality": "DX",
        "box": pixel_box(image),
        "key_plane": 0,
        "spacing_mm": spacing,
        "kvp": float(xray.kvp),
        "kernel": xray.processing,
        "visible": round(image.visible, 2),
    }


def visible_radiograph(job: Job, number: int) -> tuple[Draft, XRay, RadiographImage]:
    """Draw until the lesion can be seen: what nobody can see is no truth to learn from."""
    for attempt in range(ATTEMPTS):
        draft, rng = draw_scene(job, number, attempt)
        segment = draft.scene.segment
        xray = draw_xray(rng, job.domain, segment.site, draft.lesion.size_mm)
        state = rng.bit_generator.state
        image = radiograph_patch(draft.scene, xray, rng)
        if not draft.lesion.patterns or image.visible >= LEAST_VISIBLE:
            break
        factor = LEAST_VISIBLE / max(image.visible, 0.01) * 1.1
        if factor > _MOST_DENSER:
            continue
        rng.bit_generator.state = state
        draft = draft.denser(factor)
        image = radiograph_patch(draft.scene, xray, rng)
        break
    return draft, xray, image


def radiograph_patch(scene: Scene, xray: XRay, rng: Rng) -> RadiographImage:
    """Render a square around a scene's first lesion, wide enough for a patch of it."""
    box = scene.lesions[0].box
    # Turned within the image, a box of two sides is at most as wide as its diagonal.
    widest = float(np.hypot(*(box[1] - box[0])[[0, 2]]))
    side = int(max(LEAST_PX, 2 * np.ceil(WIDER * widest / xray.spacing_mm / 2 + 1)))
    return render_radiograph(scene, xray, rng, box.mean(0)[[0, 2]], (side, side))


def save_png(path: Path, pixels: NDArray[np.unsignedinteger]) -> None:
    """Write grey pixels (Y, X), whole or not at all."""
    with whole(path) as part:
        Image.fromarray(pixels).save(part, compress_level=1)


def pixel_box(image: RadiographImage) -> list[list[int]]:
    """Return a film's box as a half-open voxel box of one plane, inside the image."""
    shape = np.array(image.pixels.shape)
    low = np.clip(image.box[0], 0, shape - 1)
    high = np.clip(image.box[1], low + 1, shape)
    return [[0, *low.tolist()], [1, *high.tolist()]]
