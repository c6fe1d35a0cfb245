"""What DICOM objects say of a lesion: short text, codes and colours."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydicom.dataset import Dataset

from calcilens.imaging.images import Image
from calcilens.imaging.sources import Source
from calcilens.imaging.terms import body_part
from calcilens.inference.export.identity import NOTICE
from calcilens.inference.export.words import headline
from calcilens.inference.lesions import Lesion
from calcilens.inference.predictor import Described
from calcilens.vocabulary import ConcernLevel

COLOURS = {
    ConcernLevel.LOW: (79, 178, 134),
    ConcernLevel.INTERMEDIATE: (240, 180, 41),
    ConcernLevel.HIGH: (255, 107, 94),
    ConcernLevel.UNKNOWN: (138, 153, 168),
}
"""Red, green and blue of each level of concern: those of the page."""
_PLAIN = str.maketrans({"·": "-", "–": "-", "×": "x", "²": "2", "³": "3"})
_UNPAIRED = re.compile(
    "ABDOMEN(PELVIS)?|CHEST(ABDOMEN|ABDPELVIS)?|NECK(CHEST(ABDOMEN|ABDPELV)?)?|HEAD(NECK)?|PELVIS|"
    "(C|CT|L|LS|S|T|TL)?SPINE|COCCYX|STERNUM|SKULL|BRAIN|FACE|JAW|MOUTH|NOSE|TONGUE|WHOLEBODY|"
    "AORTA|HEART|MEDIASTINUM|LARYNX|PHARYNX|TRACHEA|THYMUS|THYROID|ESOPHAGUS|STOMACH|DUODENUM|"
    "JEJUNUM|ILEUM|COLON|RECTUM|LIVER|GALLBLADDER|PANCREAS|SPLEEN|BLADDER|PENIS|PROSTATE|UTERUS|"
    "VAGINA"
)
"""Defined terms of Body Part Examined that have no sides (PS3.16 annex L)."""


def colour(lesion: Lesion) -> tuple[int, int, int]:
    """Return the colour of a lesion's level of concern."""
    return COLOURS[lesion.level]


def plain(text: str) -> str:
    """Return text in ASCII, which every character set of DICOM holds."""
    return text.translate(_PLAIN).encode("ascii", "replace").decode()


def lines(lesion: Lesion, number: int) -> list[str]:
    """Return what a lesion is in three short lines: verdict, concern, size."""
    return [plain(x) for x in (f"{number}: {headline(lesion)}", _concern(lesion), size(lesion))]


def size(lesion: Lesion) -> str:
    """Return the size of a lesion: mm where they are known, pixels of its box otherwise."""
    diameter = lesion.measured.max_diameter_mm
    if diameter is not None:
        return f"{diameter:.1f} mm"
    height, width = (lesion.candidate.box[1] - lesion.candidate.box[0])[1:]
    return f"{width} x {height} pixels"


def described(lesion: Lesion, number: int) -> str:
    """Return all that there is room for in the description of a segment."""
    return f"{'; '.join(lines(lesion, number))}; {plain(lesion.candidate.why)}. {NOTICE}"


def parameters(models: Sequence[Described]) -> dict[str, str]:
    """Return name, version and hash of the models that had a part in a report."""
    return {plain(_name(m)): f"sha256 {m.sha256}" for m in models}


def place_in_body(built: Dataset, image: Image, source: Source) -> None:
    """Say which part of the body, and which side, an object without frames shows.

    A paired part, or one that is not named, has a side, empty where it is not known; an unpaired
    part has none (PS3.3 C.7.3.1, Laterality).
    """
    part = body_part(source.header)
    if part is not None:
        built.BodyPartExamined = part
    if not _UNPAIRED.fullmatch(part or ""):
        built.Laterality = image.side if image.side in ("L", "R") else ""


def _concern(lesion: Lesion) -> str:
    known = lesion.level is not ConcernLevel.UNKNOWN
    return f"{lesion.level.value} concern" if known else "concern: no answer"


def _name(model: Described) -> str:
    return f"{model.card.get('name', 'unnamed')} {model.card.get('version', 'unknown')}"
