"""What the pages say, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from calcilens.imaging.images import Image, Radiograph
from calcilens.imaging.study import Study
from calcilens.inference.change import Change, Level
from calcilens.inference.lesions import Lesion
from calcilens.vocabulary import pattern

WORSE = (Level.NEW, Level.RAPID, Level.GROWN)
"""Levels of change that ask for attention."""
HOLLOW = "no level that reassures, since the model does not say whether it is calcified"
"""Why a level of concern is not shown; see `Lesion.level`."""
SIDES = {"L": "left", "R": "right", "B": "both sides"}


def sentence(text: str | None) -> str:
    """Return text as a sentence: a capital first, a full stop last."""
    words = (text or "").strip()
    return words[:1].upper() + words[1:] + ("" if words.endswith(".") else ".")


def where(lesion: Lesion, study: Study) -> str:
    """Return where a lesion lies: its slices, or its film."""
    if isinstance(lesion.image, Radiograph):
        return image_name(lesion.image, study)
    start, stop = (int(v) for v in lesion.candidate.box[:, 0])
    slices = f"Slice {start + 1}" if stop - start == 1 else f"Slices {start + 1}–{stop}"
    return ", ".join(filter(None, (slices, image_name(lesion.image, study))))


def image_name(image: Image, study: Study) -> str:
    """Return what tells an image from the others of its study.

    A CT has the number of its series in the page's table, and none where it is the only one; a
    film its modality, part of the body, side and view, and its number.
    """
    alike = [i for i in study.images if isinstance(i, type(image))]
    if isinstance(image, Radiograph):
        number = f"image {study.images.index(image) + 1}" if len(alike) > 1 else None
        return ", ".join(filter(None, (film_name(image), number)))
    if len(alike) == 1:
        return ""
    return f"series {[s.series_uid for s in study.series].index(image.series_uid) + 1}"


def projection(film: Radiograph) -> str:
    """Return side and view of a film as far as its file states them."""
    return " ".join(filter(None, (SIDES.get(film.side or ""), film.view)))


def in_viewer(lesion: Lesion, study: Study) -> str | None:
    """Return where a viewer shows a lesion of a CT: series and images by the files' numbers."""
    numbers = lesion.image_numbers
    if numbers is None:
        return None
    first, last = numbers
    words = f"image {first}" if first == last else f"images {first}–{last}"
    return series_in_viewer(lesion.image, study) + words


def series_in_viewer(image: Image, study: Study) -> str:
    """Return the number of an image's series with a comma; empty where the files give none."""
    series = next(s for s in study.series if s.series_uid == image.series_uid)
    return "" if series.series_number is None else f"series {series.series_number}, "


def film_name(film: Radiograph) -> str:
    """Return modality, part of the body, side and view of a film, those that its file states."""
    return " ".join(filter(None, (film.modality, film.body_part, projection(film))))


def headline(lesion: Lesion) -> str:
    """Return the verdict in a few words; no number where there is none."""
    finding = lesion.answer.finding
    if finding.probability is None:
        return "Measured, not judged"
    if finding.abstained:
        return f"No answer ({_open(lesion)})"
    words = f"Calcified {percent(finding.probability)}"
    if not_calcified(lesion):
        return f"Judged not calcified · {words.lower()}"
    named = named_pattern(lesion)
    return f"{words} · {named}" if named else words


def _open(lesion: Lesion) -> str:
    """Return in a word or two why there is no verdict."""
    if lesion.answer.finding.probability is None:
        return "not judged"
    return "out of domain" if lesion.answer.out_of_domain.flag else "undecided"


def not_calcified(lesion: Lesion) -> bool:
    """Say whether the verdict on a place is that nothing is calcified there."""
    finding = lesion.answer.finding
    return not finding.abstained and finding.probability is not None and finding.probability < 0.5


def verdict(lesion: Lesion) -> str | None:
    """Return the verdict and its probability for a table; None where nothing was judged."""
    finding = lesion.answer.finding
    if finding.probability is None:
        return None
    if finding.abstained:
        return f"no answer ({_open(lesion)})"
    return f"{'no' if not_calcified(lesion) else 'yes'}, {percent(finding.probability)}"


def tally(lesions: Sequence[Lesion]) -> str:
    """Count the places of a report; apart those judged not calcified, and those without answer."""
    none, count = sum(map(not_calcified, lesions)), len(lesions)
    unanswered = Counter(_open(x) for x in lesions if x.answer.finding.abstained)
    parts = [f"{count or 'no'} {'place' if none else 'lesion'}{'' if count == 1 else 's'}"]
    if none:
        parts.append("none calcified" if none == count else f"{none} not calcified")
    parts += [f"{n} without an answer ({why})" for why, n in sorted(unanswered.items())]
    return ", ".join(parts)


def date(text: str | None) -> str:
    """Return YYYYMMDD as people write it, or what there is."""
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if text and len(text) == 8 else text or "unknown"


def changed(lesion: Lesion) -> str | None:
    """Return what became of a lesion in a few words; None where nothing was compared."""
    if lesion.change is None:
        return None
    ratio = lesion.change.volume_ratio
    return f"{lesion.change.level}" + ("" if ratio is None else f" × {ratio:.2f}")


def skin_change(change: Change) -> str | None:
    """Say how much nearer to the skin a lesion lies than before; None where it is not known."""
    moved = change.skin_distance_change_mm
    if moved is None:
        return None
    if abs(moved) < 0.05:
        return "As far from the skin as then."
    side = "nearer to" if moved < 0 else "farther from"
    return f"{abs(moved):.1f} mm {side} the skin than then."


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
