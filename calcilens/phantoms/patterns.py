"""The list of lesions and mimics: where each occurs, how large it is, what draws it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from calcilens.phantoms import clusters, lesions, lines, mimics, sheets
from calcilens.phantoms.anatomy import LIMBS, SITES, Rng, Segment
from calcilens.phantoms.forms import View
from calcilens.phantoms.scene import Lesion
from calcilens.phantoms.solids import joined
from calcilens.vocabulary import PATTERN_KEYS

JOINTS = tuple(name for name, limb in LIMBS.items() if limb.joint)
_SOFT = tuple(LIMBS)
"""Limbs: what the soft-tissue patterns are about."""


@dataclass(frozen=True)
class Kind:
    """A kind of lesion or mimic.

    Args:
        draw: Makes one in a segment, of about a size in mm.
        size_mm: Range of its size.
        sites: Where it occurs.
        by_view: Whether `draw` also takes where the image looks along: some patterns are told
            from one side only.
    """

    draw: Callable[..., Lesion]
    size_mm: tuple[float, float]
    sites: tuple[str, ...] = _SOFT
    by_view: bool = False


PATTERN_KINDS: dict[str, Kind] = {
    "diffuse": Kind(lesions.diffuse, (2.5, 60), SITES),
    "central": Kind(lesions.central, (8, 40), SITES),
    "laminated": Kind(lesions.laminated, (9, 45), SITES),
    "popcorn": Kind(lesions.popcorn, (12, 80), SITES),
    "stippled": Kind(lesions.stippled, (12, 110), SITES),
    "eccentric": Kind(lesions.eccentric, (9, 90), SITES),
    "peripheral_zonal": Kind(lesions.peripheral_zonal, (10, 90)),
    "sheet_like": Kind(sheets.sheet_like, (18, 120)),
    "lobulated": Kind(lesions.lobulated, (16, 100), JOINTS),
    "phlebolith": Kind(clusters.phlebolith, (2.5, 9), (*_SOFT, "pelvis")),
    "vascular_tram_track": Kind(lines.vascular_tram_track, (15, 110), by_view=True),
    "nodular_subcutaneous": Kind(clusters.nodular_subcutaneous, (20, 110), (*_SOFT, "pelvis")),
    "rice_grain": Kind(clusters.rice_grain, (20, 110)),
    "crescentic": Kind(lines.crescentic, (14, 80), by_view=True),
    "rings_and_arcs": Kind(lesions.rings_and_arcs, (12, 110)),
    "cloud_like": Kind(lesions.cloud_like, (5, 28), JOINTS),
    "linear_chondral": Kind(sheets.linear_chondral, (8, 40), JOINTS, by_view=True),
    "plaque_like": Kind(sheets.plaque_like, (35, 120)),
}
MIMIC_KINDS: dict[str, Kind] = {
    "bone_fragment": Kind(mimics.bone_fragment, (4, 25), SITES),
    "sesamoid": Kind(mimics.sesamoid, (5, 22), JOINTS),
    "contrast_vessel": Kind(mimics.contrast_vessel, (6, 40), SITES),
    "metal": Kind(mimics.metal, (3, 45)),
    "foreign_body": Kind(mimics.foreign_body, (3, 25)),
    "plain_mass": Kind(mimics.plain_mass, (8, 110), SITES),
    "nothing": Kind(mimics.nothing, (4, 60), SITES),
    "bone_edge": Kind(mimics.bone_edge, (4, 30), SITES),
    "enthesophyte": Kind(mimics.enthesophyte, (5, 20), JOINTS),
    "streak": Kind(mimics.streak, (5, 18)),
}
MIXED: tuple[tuple[str, str], ...] = (
    ("popcorn", "stippled"),
    ("sheet_like", "nodular_subcutaneous"),
    ("vascular_tram_track", "nodular_subcutaneous"),
    ("rings_and_arcs", "stippled"),
    ("peripheral_zonal", "sheet_like"),
    ("lobulated", "stippled"),
    ("rice_grain", "sheet_like"),
)
"""Patterns that occur together in one lesion."""
MIMIC_SHARE, MIXED_SHARE = 0.28, 0.05

if tuple(PATTERN_KINDS) != PATTERN_KEYS:
    raise ImportError("every pattern of the vocabulary needs its generator, in order")


def draw_kind(rng: Rng) -> tuple[str, ...]:
    """Draw what a scene holds: one pattern, two mixed ones, or a mimic."""
    chance = rng.random()
    if chance < MIMIC_SHARE:
        return (str(rng.choice(list(MIMIC_KINDS))),)
    if chance < MIMIC_SHARE + MIXED_SHARE:
        return MIXED[rng.integers(len(MIXED))]
    return (str(rng.choice(PATTERN_KEYS)),)


def kind_of(name: str) -> Kind:
    """Return a pattern's or mimic's entry.

    Raises:
        KeyError: There is none of that name.
    """
    return PATTERN_KINDS[name] if name in PATTERN_KINDS else MIMIC_KINDS[name]


def sites_of(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the sites where all of these occur together."""
    common = [site for site in SITES if all(site in kind_of(name).sites for name in names)]
    return tuple(common)


def draw_lesion(
    rng: Rng,
    segment: Segment,
    names: tuple[str, ...],
    size_mm: float | None = None,
    view: View = "axial",
) -> Lesion:
    """Draw a lesion of one or two patterns, or a mimic, in a segment.

    Args:
        rng: Draws it.
        segment: Where.
        names: Keys of patterns, or one mimic.
        size_mm: Its size; drawn from its kind's range where not given.
        view: How it will be looked at: axial in CT, frontal on a radiograph.
    """
    drawn = []
    for name in names:
        kind = kind_of(name)
        low, high = kind.size_mm
        size = float(np.exp(rng.uniform(np.log(low), np.log(high)))) if size_mm is None else size_mm
        more = {"view": view} if kind.by_view else {}
        drawn.append(kind.draw(rng, segment, size, **more))
    return drawn[0] if len(drawn) == 1 else _mixed(*drawn)


def _mixed(first: Lesion, second: Lesion) -> Lesion:
    """Move the second lesion onto the first and make one of them."""
    shift = first.box.mean(0) - second.box.mean(0)
    moved = second.parts.posed(np.eye(3), shift)
    box = second.box + shift
    return Lesion(
        patterns=(*first.patterns, *second.patterns),
        kind=f"{first.kind}+{second.kind}",
        parts=joined([moved, first.parts]),
        box=np.stack([np.minimum(first.box[0], box[0]), np.maximum(first.box[1], box[1])]),
        mass=first.mass or second.mass,
        erosion=first.erosion or second.erosion,
        reversed_zones=first.reversed_zones or second.reversed_zones,
        rough_mm=min(first.rough_mm, second.rough_mm),
        grain=max(first.grain, second.grain),
    )
