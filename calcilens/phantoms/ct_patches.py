"""CT patches: a few planes around a lesion, with its mask and its box."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calcilens.files import write_whole
from calcilens.phantoms.anatomy import Rng
from calcilens.phantoms.ct import CTImage, render_ct
from calcilens.phantoms.ct_settings import CTSettings, draw_ct
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
from calcilens.phantoms.scene import Lesion, Scene
from calcilens.phantoms.solids import Float

PLANES = 5
LEAST_CONTRAST = 3.5
"""Mineral rises at least this many standard deviations of the noise above its surroundings."""
LEAST_RISE_HU = 70.0


def write_ct(job: Job, number: int) -> dict[str, Any]:
    """Write a CT stack and its mask as NIfTI; return its truth."""
    draft, settings, image = visible_ct(job, number)
    name = patch_id(number)
    spacing = (settings.interval_mm, settings.pixel_mm, settings.pixel_mm)
    save_nifti(job.out / "images" / f"{name}.nii", image.hu, spacing)
    mask = image.masks[0] if draft.lesion.patterns else None
    if mask is not None:
        save_nifti(job.out / "masks" / f"{name}.nii.gz", mask.astype(np.uint8), spacing)
    return truth_line(job, number, draft) | {
        "image": f"images/{name}.nii",
        "mask": f"masks/{name}.nii.gz" if mask is not None else None,
        "modality": "CT",
        "box": voxel_box(draft.lesion.box, image.start, spacing, image.hu.shape),
        "key_plane": PLANES // 2,
        "spacing_mm": list(spacing),
        "kvp": settings.kvp,
        "kernel": settings.kernel,
        "thickness_mm": settings.thickness_mm,
        "noise_hu": round(settings.noise_hu, 2),
        "contrast_hu": round(float(image.contrast_hu[PLANES // 2]), 1),
    }


def visible_ct(job: Job, number: int) -> tuple[Draft, CTSettings, CTImage]:
    """Draw until the lesion can be seen: what nobody can see is no truth to learn from."""
    for attempt in range(ATTEMPTS):
        draft, rng = draw_scene(job, number, attempt)
        settings = draw_ct(rng, job.domain, draft.lesion.size_mm)
        image = ct_patch(draft.scene, settings, rng)
        wanted = max(LEAST_CONTRAST * settings.noise_hu, LEAST_RISE_HU)
        contrast_hu = float(image.contrast_hu[PLANES // 2])
        if not draft.lesion.patterns or contrast_hu >= wanted:
            break
        factor = wanted / max(contrast_hu, 1.0) * 1.1
        if factor < 4:
            draft = draft.denser(factor)
            image = ct_patch(draft.scene, settings, rng)
            break
    return draft, settings, image


def ct_patch(scene: Scene, settings: CTSettings, rng: Rng) -> CTImage:
    """Render the planes around a scene's first lesion, wide enough for a patch of it."""
    lesion = scene.lesions[0]
    middle = lesion.box.mean(0)
    middle[0] = mineral_height(rng, lesion)
    widest = float((lesion.box[1] - lesion.box[0])[1:].max())
    side = int(max(LEAST_PX, 2 * np.ceil(WIDER * widest / settings.pixel_mm / 2 + 1)))
    return render_ct(scene, settings, rng, middle, (PLANES, side, side))


def voxel_box(
    box: Float, start: Float, spacing: tuple[float, ...], shape: tuple[int, ...]
) -> list[list[int]]:
    """Return a box in mm as a half-open voxel box; along z it may reach beyond the planes."""
    low = np.floor((box[0] - start) / spacing + 0.5).astype(int)
    high = np.maximum(np.ceil((box[1] - start) / spacing + 0.5).astype(int), low + 1)
    low[1:] = np.clip(low[1:], 0, np.array(shape[1:]) - 1)
    high[1:] = np.clip(high[1:], low[1:] + 1, shape[1:])
    low[0], high[0] = min(low[0], shape[0] // 2), max(high[0], shape[0] // 2 + 1)
    return [low.tolist(), high.tolist()]


def mineral_height(rng: Rng, lesion: Lesion) -> float:
    """Return the height z, mm, of a plane through the lesion, mostly that with most mineral."""
    low, high = lesion.box[:, 0]
    heights = np.linspace(low, high, 41)
    dense = lesion.parts.part(lesion.parts.density > 0)
    if not len(dense):
        return float((low + high) / 2)
    half = np.sqrt(((dense.axes * dense.radii[:, :, None]) ** 2).sum(1))[:, 0]
    area = np.prod(dense.radii, 1) / np.maximum(half, 1e-3)
    off = (heights[:, None] - dense.centre[:, 0]) / np.maximum(half, 0.3)
    profile = (np.maximum(1 - off**2, 0) * area * dense.density).sum(1)
    if rng.random() < 0.75:
        return float(heights[int(profile.argmax())])
    return float(rng.choice(heights[profile >= 0.4 * profile.max()]))


def save_nifti(path: Path, array: NDArray[np.generic], spacing: tuple[float, ...]) -> None:
    """Write an array (Z, Y, X) with its spacing (z, y, x), mm, whole or not at all."""
    import nibabel

    image = nibabel.Nifti1Image(np.ascontiguousarray(array.T), np.diag([*spacing[::-1], 1.0]))
    # Where nibabel itself cannot save, it says so a second time when its file is collected.
    write_whole(path, _gzipped(image.to_bytes()) if path.suffix == ".gz" else image.to_bytes())


def _gzipped(content: bytes) -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile("", "wb", 1, packed, mtime=0) as stream:  # no name and time in its bytes
        stream.write(content)
    return packed.getvalue()
