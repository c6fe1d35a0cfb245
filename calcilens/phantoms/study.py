"""Studies of a simulated person: what is scanned, how, and what is true of it.

Everything follows from a plan: who (seed, site, patterns), with what, and whether there is a
follow-up, in which the lesions have grown and the person lies and is scanned another way.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from calcilens import __version__
from calcilens.errors import UsageError, compose
from calcilens.phantoms.films import Films, draw_films
from calcilens.phantoms.person import Person, choose, draw_person
from calcilens.phantoms.scan import Scan, draw_scan
from calcilens.phantoms.scene import Scene, concern_reasons
from calcilens.phantoms.segment import Rng
from calcilens.phantoms.truth import HOW, lesion_truth

MODALITIES = ("ct", "radiograph")
GROWTH = (0.2, 8.0)
"""Least and greatest factor of a follow-up."""
DATES = ("20250114", "20250415")
"""Of the study and of its follow-up."""
DAYS = 91
_NAMESPACE = uuid.UUID("5d0c6a0e-6c0c-4c3f-9d0e-3f1f5b6f7a11")
_PERSON, _TAKEN, _TISSUE = 0, 1, 2
"""Places in the stream of random numbers."""


@dataclass(frozen=True)
class Plan:
    """What study to make.

    Args:
        seed: The same plan gives the same study, byte for byte.
        modality: ct or radiograph.
        site: Part of the body; chosen by the patterns where not given.
        patterns: One lesion for each; two are drawn where none is given.
        follow_up: Factor of the lesions' volume in a follow-up; None for no follow-up.

    Raises:
        UsageError: A value is not possible.
    """

    seed: int = 0
    modality: str = "ct"
    site: str | None = None
    patterns: tuple[str, ...] = ()
    follow_up: float | None = None

    def __post_init__(self) -> None:
        if self.modality not in MODALITIES:
            raise UsageError(compose("ct or radiograph", self.modality, where="--modality"))
        low, high = GROWTH
        if self.follow_up is not None and not low <= self.follow_up <= high:
            expected = f"a factor of the volume from {low:g} to {high:g}"
            raise UsageError(compose(expected, f"{self.follow_up:g}", where="--follow-up"))
        self.chosen  # noqa: B018  - raises where patterns and site do not go together

    @cached_property
    def chosen(self) -> tuple[str, tuple[str, ...]]:
        """Site and patterns."""
        return choose(self.rng(_PERSON, 0), self.site, self.patterns)

    def rng(self, *place: int) -> Rng:
        """Return the generator of one thing that is drawn."""
        return np.random.default_rng([self.seed, MODALITIES.index(self.modality), *place])

    def person(self) -> Person:
        """Draw the person."""
        return draw_person(self.rng(_PERSON, 1), *self.chosen, self.follow_up or 1.0)

    def visits(self) -> Iterator[int]:
        """Yield 0, and 1 where there is a follow-up."""
        return iter(range(1 if self.follow_up is None else 2))

    def patient_id(self) -> str:
        """Return the number of the simulated patient."""
        return "PHANTOM-" + hashlib.sha256(self._text().encode()).hexdigest()[:8].upper()

    def uid(self, *part: object) -> str:
        """Return a UID made of a UUID (PS3.5 B.2): the same for the same plan and part."""
        text = "/".join(str(p) for p in (self._text(), *part))
        return f"2.25.{uuid.uuid5(_NAMESPACE, text).int}"

    def _text(self) -> str:
        site, patterns = self.chosen
        return f"{self.seed}/{self.modality}/{site}/{'+'.join(patterns)}/{self.follow_up or 1:g}"


@dataclass(frozen=True, eq=False)
class Visit:
    """A person on the day of a study.

    Args:
        plan: Of the study.
        number: 0, or 1 for the follow-up.
        upright: The person as drawn, with lesions as large as on that day.
    """

    plan: Plan
    number: int
    upright: Scene

    @property
    def date(self) -> str:
        """YYYYMMDD."""
        return DATES[self.number]

    def uid(self, *part: object) -> str:
        """Return a UID of this visit."""
        return self.plan.uid(self.number, *part)

    def tissue_rng(self) -> Rng:
        """Return what draws texture and noise: of a person, whose muscles look alike each time."""
        return self.plan.rng(_TISSUE)

    @cached_property
    def taken(self) -> Scan | Films:
        """The CT or the radiographs of this visit."""
        rng = self.plan.rng(_TAKEN, self.number)
        draw = draw_scan if self.plan.modality == "ct" else draw_films
        return draw(rng, self.upright)

    @cached_property
    def lesions(self) -> list[dict[str, Any]]:
        """What is true of the lesions as they lie in the scanner."""
        return [self._lesion(i) for i in range(len(self.upright.lesions))]

    def _lesion(self, number: int) -> dict[str, Any]:
        lesion = self.upright.lesions[number]
        reasons = concern_reasons(lesion)
        scene = self.taken.scene
        kvp = self.taken.settings.kvp if isinstance(self.taken, Scan) else None
        return {
            "id": f"lesion-{number + 1}",
            "patterns": list(lesion.patterns),
            "concern": bool(reasons),
            "concern_reasons": list(reasons),
            "soft_tissue_mass": lesion.mass,
            **lesion_truth(scene.lesions[number], scene.segment, kvp),
        }


def visits(plan: Plan) -> list[Visit]:
    """Return the visits of a plan, in order of time."""
    person = plan.person()
    return [Visit(plan, n, (person.scene, person.grown)[n]) for n in plan.visits()]


def study_truth(visit: Visit) -> dict[str, Any]:
    """Return what is true of a visit, but for what its image alone tells."""
    return {
        "phantom": visit.plan.chosen[0],
        "version": __version__,
        "seed": visit.plan.seed,
        "modality": visit.plan.modality,
        "study_uid": visit.uid("study"),
        "study_date": visit.date,
        "acquisition": visit.taken.described,
        "how": HOW | visit.taken.how,
        "lesions": visit.lesions,
    }


def change(before: Visit, after: Visit) -> dict[str, Any]:
    """Return what is true of the way from a visit to the next."""
    moved = after.taken.pose.lps() @ np.linalg.inv(before.taken.pose.lps())
    ratios = [
        round(b["volume_mm3"] / a["volume_mm3"], 4)
        for a, b in zip(before.lesions, after.lesions, strict=True)
    ]
    return {
        "prior_study_uid": before.uid("study"),
        "days": DAYS,
        "factor": before.plan.follow_up,
        "volume_ratio": ratios,
        "transform_mm": np.round(moved, 9).tolist(),
        "how": "transform_mm moves points (x, y, z, 1) of the prior study to this one; each "
        "lesion grew about the middle of its box",
    }
