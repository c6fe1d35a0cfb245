"""Drafts: what each patch of a set shows, before it is imaged.

Every draft follows from (seed, domain, modality, its number) alone. A simulated person gives
several lesions, as a patient does, so that splits by patient mean something.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from calcilens.phantoms.anatomy import Rng, Segment, draw_segment, posed
from calcilens.phantoms.ct_settings import DOMAINS, Domain
from calcilens.phantoms.patterns import draw_kind, draw_lesion, sites_of
from calcilens.phantoms.scene import Lesion, Scene, concern_reasons
from calcilens.phantoms.solids import Float

MODALITIES = ("ct", "radiograph")
LESIONS_A_PERSON = 6
LEAST_PX = 128
WIDER = 1.75
"""A patch is this many times as wide as its lesion; `calcilens.imaging.patches.MARGIN`."""
ATTEMPTS = 6
"""Scenes drawn until the lesion can be seen."""
_SCATTERED = {"nodular_subcutaneous", "rice_grain", "phlebolith", "sheet_like"}
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
        whole: Whole radiographs with any number of lesions, not a patch of one.
    """

    modality: str
    seed: int
    domain: Domain
    out: Path
    backgrounds: Path | None = None
    whole: bool = False

    def rng(self, *place: int) -> Rng:
        """Return the generator of one person or patch."""
        start = [self.seed, MODALITIES.index(self.modality), DOMAINS.index(self.domain)]
        return np.random.default_rng([*start, *place])


def patch_id(number: int) -> str:
    """Return the name of a patch."""
    return f"{number:06d}"


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
    """Draw what patch `number` shows, and the generator that goes on drawing it.

    Every attempt shows the same patterns: else those that are hard to see would become rare.
    """
    person = number // LESIONS_A_PERSON
    segment, usual = _person(job, person)
    names = _names(job, number, segment, usual)
    rng = job.rng(1, number, attempt)
    turn, lean = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.08, 2)
    body = posed(segment, turn, lean, np.zeros(2))
    lesion = draw_lesion(rng, body, names, view="axial" if job.modality == "ct" else "frontal")
    if set(names) & _SCATTERED and rng.random() < _PIECE_SHARE:
        lesion = replace(lesion, box=piece_box(rng, lesion))
    return Draft(Scene(body, (lesion,)), names, person), rng


def _names(job: Job, number: int, segment: Segment, usual: tuple[str, ...]) -> tuple[str, ...]:
    """Draw what a patch shows of what occurs in that part of the body."""
    rng = job.rng(4, number)
    names = usual if rng.random() < 0.3 else draw_kind(rng)
    while segment.site not in sites_of(names):
        names = draw_kind(rng)
    return names


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


def truth_line(job: Job, number: int, draft: Draft) -> dict[str, Any]:
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
