"""The only list of patterns, findings and concern levels, with their codes.

Sources of the pattern list and of the readings: docs/clinical-basis.md.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

PRIVATE_SCHEME = "99CALCILENS"
CODES_UID = f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, 'calcilens:codes').int}"
"""Of the private coding scheme."""
FHIR_SYSTEMS = {
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "LN": "http://loinc.org",
    "SCT": "http://snomed.info/sct",
    PRIVATE_SCHEME: f"urn:oid:{CODES_UID}",
}
"""What FHIR calls a coding scheme of DICOM."""


class Reading(StrEnum):
    """What a pattern alone suggests."""

    BENIGN = "benign-appearing"
    EVALUATE = "needs evaluation"
    DEPENDS = "depends on the setting"


class ConcernLevel(StrEnum):
    """How much a lesion asks for attention."""

    LOW = "low"
    INTERMEDIATE = "intermediate"
    HIGH = "high"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Code:
    """A coded concept as DICOM writes it (PS3.3 section 8)."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True)
class Pattern:
    """One pattern of soft-tissue calcification."""

    key: str
    label: str
    look: str
    reading: Reading

    @property
    def code(self) -> Code:
        """Private code: no public one was verified for the whole list; see `PUBLIC_CODES`."""
        return Code(_SHORT.get(self.key, self.key.upper()), PRIVATE_SCHEME, self.label)


_SHORT = {"vascular_tram_track": "TRAM_TRACK", "nodular_subcutaneous": "NODULAR_SUBCUT"}
"""Codes of keys longer than the 16 characters of a code value (PS3.3 8.1)."""


_B, _E, _D = Reading.BENIGN, Reading.EVALUATE, Reading.DEPENDS
PATTERNS: tuple[Pattern, ...] = (
    Pattern("diffuse", "Diffuse", "the whole lesion homogeneously calcified", _B),
    Pattern("central", "Central", "one dense nidus in the middle", _B),
    Pattern("laminated", "Laminated", "concentric shells", _B),
    Pattern("popcorn", "Popcorn", "coarse rounded clumps", _B),
    Pattern("stippled", "Stippled", "many fine points", _E),
    Pattern("eccentric", "Eccentric", "off centre inside a soft-tissue lesion", _E),
    Pattern("peripheral_zonal", "Peripheral, zonal", "mature rim around a lucent centre", _D),
    Pattern("sheet_like", "Sheet-like", "plates along fascia and muscle planes", _D),
    Pattern("lobulated", "Lobulated", "amorphous multilobulated mass beside a joint", _D),
    Pattern("phlebolith", "Phlebolith", "small, smooth, round, with a lucent centre", _B),
    Pattern("vascular_tram_track", "Vascular tram-track", "two parallel lines along a vessel", _D),
    Pattern("nodular_subcutaneous", "Nodular subcutaneous", "many small nodules in the fat", _D),
    Pattern("rice_grain", "Rice-grain", "many small ellipsoids along the muscle fibres", _D),
    Pattern("crescentic", "Crescentic", "a crescent or serpiginous line", _D),
    Pattern("rings_and_arcs", "Rings and arcs", "chondroid matrix", _E),
    Pattern("cloud_like", "Cloud-like", "homogeneous cloud in a tendon near its insertion", _D),
    Pattern("linear_chondral", "Linear chondral", "thin line parallel to a joint surface", _D),
    Pattern("plaque_like", "Plaque-like", "fusiform mass with plates at its edge", _D),
)
PATTERN_KEYS: tuple[str, ...] = tuple(p.key for p in PATTERNS)
CALCIFICATION_TYPE = Code("111009", "DCM", "Calcification Type")
CALCIFICATION_DESCRIPTOR = Code("112030", "DCM", "Calcification Descriptor")
PUBLIC_CODES: dict[str, tuple[Code, Code]] = {
    "laminated": (CALCIFICATION_DESCRIPTOR, Code("88446008", "SCT", "Laminated")),
    "popcorn": (
        CALCIFICATION_TYPE,
        Code("129749001", "SCT", "Coarse (popcorn-like) calcification"),
    ),
    "vascular_tram_track": (
        CALCIFICATION_TYPE,
        Code("129759000", "SCT", "Vascular calcification"),
    ),
    "nodular_subcutaneous": (CALCIFICATION_DESCRIPTOR, Code("255288007", "SCT", "Nodular")),
}
"""Patterns that DICOM has a code for: what is said, and what of it (PS3.16 CID 6010 and 6132).

Others are like a code in name alone: those of CID 6010 and 6012 are defined for the breast, where
"diffuse" is spread through it and "punctate" below 0.5 mm.
"""
ABSENT = "absent"
"""Vote of a reader who sees no calcification."""

LIDC_CALCIFICATION: dict[int, str] = {
    1: "popcorn",
    2: "laminated",
    3: "diffuse",
    4: "eccentric",
    5: "central",
    6: ABSENT,
}
"""LIDC-IDRI 'calcification' rating -> pattern key (Armato et al., Med Phys 2011)."""

MALIGNANCY_VOTES = range(1, 6)
"""LIDC-IDRI 'malignancy' rating: 1 highly unlikely ... 5 highly suspicious."""


def pattern(key: str) -> Pattern:
    """Return the pattern of that key.

    Raises:
        KeyError: `key` is not in the vocabulary.
    """
    return PATTERNS[PATTERN_KEYS.index(key)] if key in PATTERN_KEYS else _unknown(key)


def _unknown(key: str) -> Pattern:
    raise KeyError(f"expected one of {', '.join(PATTERN_KEYS)}, found {key!r}")


def concern_level(probability: float | None, thresholds: Sequence[float]) -> ConcernLevel:
    """Turn a probability of concern into a level.

    Args:
        probability: Probability in 0..1, or None when the model abstained.
        thresholds: Lower bounds of intermediate and high; they travel with the model.
    """
    if probability is None:
        return ConcernLevel.UNKNOWN
    if probability >= thresholds[1]:
        return ConcernLevel.HIGH
    return ConcernLevel.INTERMEDIATE if probability >= thresholds[0] else ConcernLevel.LOW
