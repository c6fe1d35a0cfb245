"""Segments of limbs and trunk, drawn at random: skin, fat, fascia, muscles, bones, vessels.

Sizes are those of adults and larger children; they are drawn wide, since generality counts
for more than the average body.
"""

from __future__ import annotations

from calcilens.phantoms.limbs import LIMBS, limb_segment
from calcilens.phantoms.segment import HALF_LENGTH_MM, Rng, Segment, posed
from calcilens.phantoms.trunk import pelvis, thorax

__all__ = ("HALF_LENGTH_MM", "LIMBS", "SITES", "Rng", "Segment", "draw_segment", "posed")

SITES = (*LIMBS, "pelvis", "thorax")


def draw_segment(rng: Rng, site: str) -> Segment:
    """Draw a segment of that site, upright and centred; `posed` moves it."""
    if site == "pelvis":
        return pelvis(rng)
    return thorax(rng) if site == "thorax" else limb_segment(rng, site, LIMBS[site])
