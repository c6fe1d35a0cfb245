"""A scene: one simulated person's segment with one lesion, or one mimic, in it."""

from __future__ import annotations

from dataclasses import dataclass

from calcilens.phantoms.segment import Segment
from calcilens.phantoms.solids import Float, Solids
from calcilens.vocabulary import Reading, pattern


@dataclass(frozen=True, eq=False)
class Lesion:
    """A lesion or a mimic, with its truth.

    Args:
        patterns: Keys of the vocabulary; none for a mimic.
        kind: Name of the generator that made it: a pattern or a mimic.
        parts: What it is made of, in the scanner's frame.
        box: (2, 3) bounds of what a reader would put a box around, mm.
        mass: Whether it has a soft-tissue mass.
        erosion: Whether it destroys bone.
        reversed_zones: Whether it is dense inside and fades outwards.
        rough_mm: How far its outlines wander.
        grain: How much its mineral varies from place to place, 0..1.
    """

    patterns: tuple[str, ...]
    kind: str
    parts: Solids
    box: Float
    mass: bool = False
    erosion: bool = False
    reversed_zones: bool = False
    rough_mm: float = 0.0
    grain: float = 0.15

    @property
    def size_mm(self) -> float:
        """Longest side of its box, mm."""
        return float((self.box[1] - self.box[0]).max())


@dataclass(frozen=True, eq=False)
class Scene:
    """A segment with a lesion.

    Args:
        segment: The body around it.
        lesions: What is in it; most scenes have one.
    """

    segment: Segment
    lesions: tuple[Lesion, ...]


LARGE_MM = 50.0
"""Over 5 cm a calcified lesion asks for referral (docs/clinical-basis.md)."""


def concern_reasons(lesion: Lesion) -> tuple[str, ...]:
    """Return why a lesion asks for evaluation, by what an image can show; empty for none.

    Depth below the fascia, growth and pain count too in the clinic, but are not part of this
    truth: depth is measured, growth takes two studies and pain is not in the image.
    """
    evaluate = [k for k in lesion.patterns if pattern(k).reading is Reading.EVALUATE]
    reasons = {
        "soft-tissue mass": lesion.mass,
        "bone erosion": lesion.erosion,
        "dense centre and fading rim": lesion.reversed_zones,
        "over 5 cm": bool(lesion.patterns) and lesion.size_mm > LARGE_MM,
        **{f"pattern {key}": True for key in evaluate},
    }
    return tuple(reason for reason, there in reasons.items() if there)
