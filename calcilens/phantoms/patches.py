"""Patches for training: many lesions, each a small image with its exact truth beside it.

`write_patches` writes `images/`, `masks/` and `truth.jsonl`, one line a lesion. A simulated
person gives several lesions, as a patient does, so that splits by patient mean something.
Every patch follows from (seed, domain, modality, its number) alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from calcilens.errors import UsageError, compose
from calcilens.phantoms.anatomy import Rng, Segment, draw_segment, posed
from calcilens.phantoms.ct import CTImage, render_ct
from calcilens.phantoms.ct_settings import DOMAINS, CTSettings, draw_ct
from calcilens.phantoms.patterns import draw_kind, draw_lesion, sites_of
from calcilens.phantoms.scene import Lesion, Scene, concern_reasons
from calcilens.phantoms.solids import Float

MODALITIES = ("ct", "radiograph")
FORMAT = 1
"""Version of the simulation: sets of different versions are not mixed."""
LESIONS_A_PERSON = 6
PLANES, LEAST_PX = 5, 128
WIDER = 1.75
"""A patch is this many times as wide as its lesion; `calcilens.imaging.patches.MARGIN`."""
LEAST_CONTRAST = 3.5
"""Mineral rises at least this many standard deviations of the noise above its surroundings."""
LEAST_RISE_HU = 70.0
_CHUNK = 2 * LESIONS_A_PERSON
_ATTEMPTS = 6
_SCATTERED = {"nodular_subcutaneous", "rice_grain", "phlebolith", "stippled", "sheet_like"}
"""Patterns of many pieces, of which a search may find one at a time."""
_PIECE_SHARE, _PIECE_GAP_MM = 0.3, 3.0


@dataclass(frozen=True)
class Job:
    """What patches to make.

    Args:
        modality: ct or radiograph.
        seed: Seed of the set.
        domain: usual or unseen.
        out: Folder.
        backgrounds: Folder of real images to put the lesions into; None for simulated bodies.
    """

    modality: str
    seed: int
    domain: str
    out: Path
    backgrounds: Path | None = None

    def rng(self, *place: int) -> Rng:
        """Return the generator of one person or patch."""
        start = [self.seed, MODALITIES.index(self.modality), DOMAINS.index(self.domain)]
        return np.random.default_rng([*start, *place])


def patch_id(number: int) -> str:
    """Return the name of a patch."""
    return f"{number:06d}"


def write_patches(
    job: Job, count: int, *, workers: int = 2, advance: Callable[[int], None] = lambda done: None
) -> Path:
    """Write patches that are not there yet, and their truth.

    Args:
        job: What to make.
        count: How many.
        workers: Processes.
        advance: Told how many patches were done since the last call.

    Returns:
        The truth file.
    """
    _prepare(job)
    numbers = [i for i in range(count) if not _line_path(job, i).is_file()]
    advance(count - len(numbers))
    chunks = [numbers[i : i + _CHUNK] for i in range(0, len(numbers), _CHUNK)]
    for done in _map(job, chunks, workers):
        advance(done)
    lines = [_line_path(job, i).read_text(encoding="utf-8") for i in range(count)]
    truth = job.out / "truth.jsonl"
    truth.write_text("".join(lines), encoding="utf-8")
    return truth


def _prepare(job: Job) -> None:
    """Make the folders; refuse one that another set was begun in."""
    for name in ("images", "masks", "truth"):
        (job.out / name).mkdir(parents=True, exist_ok=True)
    stated = {
        "format": FORMAT,
        "modality": job.modality,
        "seed": job.seed,
        "domain": job.domain,
        "backgrounds": job.backgrounds is not None,
    }
    path = job.out / "set.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else stated
    if found != stated:
        fix = "name another --out, or the options that it was begun with"
        raise UsageError(compose(f"a set of {found}", f"{stated}", where="--out", fix=fix))
    path.write_text(json.dumps(stated) + "\n", encoding="utf-8")


def _map(job: Job, chunks: list[list[int]], workers: int) -> Iterator[int]:
    if workers < 2:
        yield from (_write_chunk(job, chunk) for chunk in chunks)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(_write_chunk, [job] * len(chunks), chunks)


def _line_path(job: Job, number: int) -> Path:
    return job.out / "truth" / f"{patch_id(number)}.json"


def _write_chunk(job: Job, numbers: list[int]) -> int:
    # The last bit of a sum hangs on the number of threads that share it, and pixels on that bit.
    with threadpool_limits(1):
        for number in numbers:
            _write_patch(job, number)
    return len(numbers)


def _write_patch(job: Job, number: int) -> None:
    """Write image, mask and truth; the truth comes last, and says that all is there."""
    line = _write_ct(job, number) if job.modality == "ct" else _write_radiograph(job, number)
    part = _line_path(job, number).with_suffix(".part")
    part.write_text(json.dumps(line) + "\n", encoding="utf-8")
    part.replace(_line_path(job, number))


@dataclass(frozen=True, eq=False)
class Draft:
    """A scene on its way to a patch.

    Args:
        scene: With one lesion in it.
        names: Patterns or mimic that were asked for.
        person: Number of the simulated person.
    """

    scene: Scene
    names: tuple[str, ...]
    person: int

    @property
    def lesion(self) -> Lesion:
        """The lesion."""
        return self.scene.lesions[0]

    def denser(self, factor: float) -> Draft:
        """Return the same with more mineral."""
        parts = self.lesion.parts.denser(factor)
        return replace(self, scene=Scene(self.scene.segment, (replace(self.lesion, parts=parts),)))


def draw_scene(job: Job, number: int, attempt: int = 0) -> tuple[Draft, Rng]:
    """Draw what patch `number` shows, and the generator that goes on drawing it."""
    person = number // LESIONS_A_PERSON
    segment, usual = _person(job, person)
    rng = job.rng(1, number, attempt)
    names = usual if rng.random() < 0.3 else draw_kind(rng)
    while segment.site not in sites_of(names):
        names = draw_kind(rng)
    turn, lean = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.08, 2)
    body = posed(segment, turn, lean, np.zeros(2))
    lesion = draw_lesion(rng, body, names)
    if set(names) & _SCATTERED and rng.random() < _PIECE_SHARE:
        lesion = replace(lesion, box=piece_box(rng, lesion))
    return Draft(Scene(body, (lesion,)), names, person), rng


@lru_cache(maxsize=4)
def _person(job: Job, person: int) -> tuple[Segment, tuple[str, ...]]:
    """Return a person's segment, and what that person has more than others."""
    rng = job.rng(0, person)
    names = draw_kind(rng)
    return draw_segment(rng, str(rng.choice(sites_of(names)))), names


def piece_box(rng: Rng, lesion: Lesion) -> Float:
    """Return the box (2, 3) of one connected piece of a lesion's mineral, mm."""
    dense = lesion.parts.part(lesion.parts.density > 0)
    reach = dense.radii.max(1)
    chosen = np.zeros(len(dense), bool)
    chosen[rng.integers(len(dense))] = True
    while True:
        gap = np.linalg.norm(dense.centre[:, None] - dense.centre[None, chosen], axis=2)
        near = (gap - reach[:, None] - reach[None, chosen]).min(1) <= _PIECE_GAP_MM
        if (near == chosen).all() or (near | chosen).sum() == chosen.sum():
            return dense.part(chosen).box()
        chosen |= near


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


def _write_ct(job: Job, number: int) -> dict[str, Any]:
    draft, settings, image = visible_ct(job, number)
    name = patch_id(number)
    spacing = (settings.interval_mm, settings.pixel_mm, settings.pixel_mm)
    _write_nifti(job.out / "images" / f"{name}.nii", image.hu, spacing)
    mask = image.masks[0] if draft.lesion.patterns else None
    if mask is not None:
        _write_nifti(job.out / "masks" / f"{name}.nii.gz", mask.astype(np.uint8), spacing)
    return _line(job, number, draft) | {
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
        "contrast_hu": round(image.contrast_hu, 1),
    }


def visible_ct(job: Job, number: int) -> tuple[Draft, CTSettings, CTImage]:
    """Draw until the lesion can be seen: what nobody can see is no truth to learn from."""
    for attempt in range(_ATTEMPTS):
        draft, rng = draw_scene(job, number, attempt)
        settings = draw_ct(rng, job.domain, draft.lesion.size_mm)
        image = ct_patch(draft.scene, settings, rng)
        wanted = max(LEAST_CONTRAST * settings.noise_hu, LEAST_RISE_HU)
        if not draft.lesion.patterns or image.contrast_hu >= wanted:
            break
        factor = wanted / max(image.contrast_hu, 1.0) * 1.1
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


def _line(job: Job, number: int, draft: Draft) -> dict[str, Any]:
    """Return what is the same for both modalities in a line of the truth."""
    lesion = draft.lesion
    reasons = concern_reasons(lesion)
    return {
        "id": patch_id(number),
        "person": draft.person,
        "seed": job.seed,
        "domain": job.domain,
        "site": draft.scene.segment.site,
        "finding": int(bool(lesion.patterns)),
        "patterns": list(lesion.patterns),
        "kind": lesion.kind,
        "concern": int(bool(reasons)),
        "concern_reasons": list(reasons),
        "diameter_mm": round(lesion.size_mm, 2),
    }


def _write_nifti(path: Path, array: NDArray[np.generic], spacing: tuple[float, ...]) -> None:
    import nibabel

    image = nibabel.Nifti1Image(np.ascontiguousarray(array.T), np.diag([*spacing[::-1], 1.0]))
    nibabel.save(image, path)
