"""What the pages say, in words."""

from __future__ import annotations

from collections.abc import Sequence

from calcilens.imaging.images import Image, Radiograph
from calcilens.inference.lesions import Lesion
from calcilens.vocabulary import pattern


def sentence(text: str | None) -> str:
    """Return text as a sentence: a capital first, a full stop last."""
    words = (text or "").strip()
    return words[:1].upper() + words[1:] + ("" if words.endswith(".") else ".")


def where(lesion: Lesion, images: Sequence[Image]) -> str:
    """Return where a lesion lies: its slices, or its film."""
    if isinstance(lesion.image, Radiograph):
        number = f" image {images.index(lesion.image) + 1}" if len(images) > 1 else ""
        return f"{lesion.image.modality} {lesion.image.body_part or ''}".strip() + number
    start, stop = (int(v) for v in lesion.candidate.box[:, 0])
    return f"Slice {start + 1}" if stop - start == 1 else f"Slices {start + 1}–{stop}"


def headline(lesion: Lesion) -> str:
    """Return the verdict in a few words."""
    said = lesion.answer
    if said.finding.probability is None:
        return "Measured, not judged"
    words = f"Calcified {percent(said.finding.probability)}"
    if said.out_of_domain.flag:
        return f"{words} · out of domain"
    if said.finding.abstained:
        return f"{words} · undecided"
    named = named_pattern(lesion)
    return f"{words} · {named}" if named else words


def date(text: str | None) -> str:
    """Return YYYYMMDD as people write it, or what there is."""
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if text and len(text) == 8 else text or "unknown"


def changed(lesion: Lesion) -> str | None:
    """Return what became of a lesion in a few words; None where nothing was compared."""
    if lesion.change is None:
        return None
    ratio = lesion.change.volume_ratio
    return f"{lesion.change.level}" + ("" if ratio is None else f" × {ratio:.2f}")


def named_pattern(lesion: Lesion) -> str | None:
    """Return the patterns that cannot be ruled out; None where the model names none."""
    said = lesion.answer.pattern
    named = [pattern(key).label for key in said.set]
    if said.abstained or not named:
        return None
    return " or ".join(named) if said.coverage is not None else named[0]


def percent(share: float) -> str:
    """Return a probability in words; never 0 or 100 %, which no model can know."""
    if share < 0.005:
        return "< 1 %"
    return "> 99 %" if share >= 0.995 else f"{share * 100:.0f} %"
