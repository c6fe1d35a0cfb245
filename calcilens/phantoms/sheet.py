"""Contact sheets: examples of every pattern and mimic, with their boxes, on one picture.

The examples are the first of each kind in the set of a seed, so that a sheet shows what
`write_patches` writes, not a choice of ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from calcilens.files import whole
from calcilens.phantoms.ct_patches import visible_ct, voxel_box
from calcilens.phantoms.drafts import Job, draw_scene
from calcilens.phantoms.patterns import MIMIC_KINDS
from calcilens.phantoms.radiograph_patches import pixel_box, visible_radiograph
from calcilens.phantoms.solids import Field
from calcilens.vocabulary import PATTERNS

COLUMNS, EXAMPLES = 2, 4
TILE_PX, GAP_PX, HEAD_PX = 160, 3, 19
WINDOW_HU, GAMMA = (-200.0, 1200.0), 0.6
"""Black and white, and the curve between them: soft tissue and dense mineral both have shades."""
LEAST_SIDE_MM = 24.0
"""A tile shows at least this much, so that a small lesion is seen in its surroundings."""
AROUND = 2.0
"""A tile is this many times as wide as its box."""
SCALE_MM = 10.0
_BOX, _SCALE, _TEXT, _GROUND = 250, 251, 252, 253
_COLOURS = {_BOX: (255, 196, 0), _SCALE: (90, 200, 255), _TEXT: (20, 20, 20), _GROUND: (255,) * 3}
_GREYS = 32
_SEARCHED = 4000


@dataclass(frozen=True, eq=False)
class Example:
    """One lesion as it is shown.

    Args:
        grey: (Y, X) 0..1.
        box: (2, 2) half-open, start and stop in (row, column).
        pixel_mm: Side of a pixel.
    """

    grey: Field
    box: NDArray[np.int64]
    pixel_mm: float


def ct_example(job: Job, number: int) -> Example:
    """Return the middle plane of a CT patch in a window for soft tissue and mineral."""
    draft, settings, image = visible_ct(job, number)
    spacing = (settings.interval_mm, settings.pixel_mm, settings.pixel_mm)
    box = voxel_box(draft.lesion.box, image.start, spacing, image.hu.shape)
    low, high = WINDOW_HU
    plane = image.hu[len(image.hu) // 2].astype(np.float32)
    grey = np.clip((plane - low) / (high - low), 0, 1) ** GAMMA
    return Example(grey, np.array(box)[:, 1:], spacing[1])


def radiograph_example(job: Job, number: int) -> Example:
    """Return a radiograph patch from its darkest to its brightest, but for 1 in 100 pixels."""
    _, _, image = visible_radiograph(job, number)
    low, high = np.percentile(image.pixels, [0.5, 99.5])
    grey = np.clip((image.pixels - low) / max(high - low, 1.0), 0, 1)
    return Example(grey.astype(np.float32), np.array(pixel_box(image))[:, 1:], image.spacing_mm)


EXAMPLE_OF = {"ct": ct_example, "radiograph": radiograph_example}


def kinds() -> dict[str, str]:
    """Return the label of every pattern and mimic, by key."""
    labels = {p.key: p.label for p in PATTERNS}
    return labels | {kind: f"no calcification: {kind.replace('_', ' ')}" for kind in MIMIC_KINDS}


def write_sheet(
    job: Job,
    path: Path,
    *,
    advance: Callable[[int], None] = lambda done: None,
) -> None:
    """Write a contact sheet as PNG.

    Args:
        job: The set that examples are taken from; nothing is written to its folder.
        path: The picture.
        advance: Told how many rows were done since the last call.
    """
    labels = kinds()
    found = examples(job)
    wide = EXAMPLES * (TILE_PX + GAP_PX) + 2 * GAP_PX
    tall = HEAD_PX + TILE_PX + 2 * GAP_PX
    rows = -(-len(labels) // COLUMNS)
    sheet = Image.new("P", (wide * COLUMNS, tall * rows), _GROUND)
    sheet.putpalette(_palette())
    draw = ImageDraw.Draw(sheet)
    for i, (kind, label) in enumerate(labels.items()):
        x, y = i // rows * wide + 2 * GAP_PX, i % rows * tall
        draw.text((x, y + 2), label, fill=_TEXT, font=ImageFont.load_default(13))
        for k, number in enumerate(found[kind]):
            tile = _tile(EXAMPLE_OF[job.modality](job, number))
            sheet.paste(tile, (x + k * (TILE_PX + GAP_PX), y + HEAD_PX))
        advance(1)
    with whole(path) as part:
        sheet.save(part, optimize=True)


def examples(job: Job) -> dict[str, list[int]]:
    """Return the numbers of the first lesions of each kind, unmixed, in a set."""
    found: dict[str, list[int]] = {kind: [] for kind in kinds()}
    for number in range(_SEARCHED):
        draft, _ = draw_scene(job, number)
        same = found.get("+".join(draft.names))
        if same is not None and len(same) < EXAMPLES:
            same.append(number)
        if all(len(numbers) == EXAMPLES for numbers in found.values()):
            break
    return found


def _palette() -> list[int]:
    """Return greys, then the colours of boxes, bars and letters."""
    table = np.zeros((256, 3), int)
    table[:_GREYS] = np.round(np.linspace(0, 255, _GREYS))[:, None]
    for index, colour in _COLOURS.items():
        table[index] = colour
    return [int(value) for value in table.ravel()]


def _tile(shown: Example) -> Image.Image:
    """Return a square cut around a lesion's box, with the box and a bar of 10 mm."""
    least = LEAST_SIDE_MM / shown.pixel_mm
    side = max(AROUND * float((shown.box[1] - shown.box[0]).max()), least)
    side = min(side, float(min(shown.grey.shape)))
    low = np.clip(shown.box.mean(0) - side / 2, 0, np.array(shown.grey.shape) - side)
    frame = (low[1], low[0], low[1] + side, low[0] + side)
    grey = Image.fromarray(np.ascontiguousarray(shown.grey, np.float32))
    cut = grey.resize((TILE_PX, TILE_PX), Image.Resampling.BICUBIC, box=frame)
    zoom = side / TILE_PX
    values = np.clip(np.asarray(cut), 0, 1) * (_GREYS - 1)
    tile = Image.fromarray(np.rint(values).astype(np.uint8), "P")
    draw = ImageDraw.Draw(tile)
    start, stop = (shown.box - low) / zoom
    draw.rectangle((start[1] - 2, start[0] - 2, stop[1] + 1, stop[0] + 1), outline=_BOX)
    long = SCALE_MM / shown.pixel_mm / zoom
    draw.rectangle((5, TILE_PX - 8, 5 + long, TILE_PX - 7), fill=_SCALE)
    return tile
