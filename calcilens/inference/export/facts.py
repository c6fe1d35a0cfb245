"""What structured results say of a lesion: figures and statements, whatever they are written as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset

from calcilens.imaging.images import Image, Volume
from calcilens.inference.change import Change
from calcilens.inference.export import concepts as c
from calcilens.inference.export.words import HOLLOW
from calcilens.inference.lesions import Lesion
from calcilens.vocabulary import PUBLIC_CODES, Code, pattern

_MEASURED: tuple[tuple[str, Code, Code], ...] = (
    ("max_diameter_mm", c.DIAMETER, c.MM),
    ("diameter_px", c.DIAMETER, c.PIXELS),
    ("volume_mm3", c.VOLUME, c.MM3),
    ("members", c.PIECES, c.ONE),
    ("spread_mm", c.own("SPREAD"), c.MM),
    ("mean_hu", c.MEAN_HU, c.HU),
    ("max_hu", c.MAX_HU, c.HU),
    ("p95_hu", c.own("P95_HU"), c.HU),
    ("agatston", c.CALCIUM_SCORE, c.ONE),
    ("mass_mg", c.own("CAHA_MASS"), c.MG),
    ("skin_distance_mm", c.SKIN_DISTANCE, c.MM),
    ("fascia_distance_mm", c.own("FASCIA_DISTANCE"), c.MM),
    ("bone_distance_mm", c.own("BONE_DISTANCE"), c.MM),
    ("soft_tissue_mm", c.own("SOFT_TISSUE"), c.MM),
    ("rim_ratio", c.own("RIM_RATIO"), c.RATIO),
)
"""Figure of a `Measurement`, its concept and unit. Axes stand apart, being several."""
_LOOKS = ("depth", "compartment", "zoning")


@dataclass(frozen=True)
class Figure:
    """A number with its meaning.

    Args:
        name: What it is of.
        value: Finite.
        unit: In UCUM.
        derivation: How it was derived, where the name does not say it.
        method: By which method, where there are several.
        uncertainty: One standard deviation, in the same unit; None where it is not known.
    """

    name: Code
    value: float
    unit: Code
    derivation: Code | None = None
    method: Code | None = None
    uncertainty: float | None = None


@dataclass(frozen=True)
class Statement:
    """A coded answer to a question.

    Args:
        name: The question.
        value: The answer.
        figures: Numbers that belong to it.
        why: Its reason, in words.
    """

    name: Code
    value: Code
    figures: tuple[Figure, ...] = ()
    why: str | None = None


def finding_of(lesion: Lesion) -> Code:
    """Return what the place is called: a calcification only where the model says so."""
    return c.ABNORMAL if _verdict(lesion).value == c.own("CALCIFIED") else c.LESION


def figures_of(lesion: Lesion) -> list[Figure]:
    """Return the numbers of a lesion, those that could be taken."""
    said, taken = lesion.answer.finding, lesion.measured
    found = []
    if said.probability is not None and not said.abstained:
        found.append(_probability(said.probability))
    for key, name, unit in _MEASURED:
        value = getattr(taken, key)
        if value is not None and taken.tells(key):
            found.append(_measured(key, name, value, unit, taken.uncertainty.get(key)))
    if taken.axes_mm:
        ends = (c.LONG_AXIS, taken.axes_mm[0]), (c.SHORT_AXIS, taken.axes_mm[-1])
        found += [Figure(name, _rounded(length), c.MM) for name, length in ends]
    return found + ([] if lesion.change is None else _changes(lesion.change))


def procedure_of(images: Sequence[Image]) -> Code:
    """Return what a study is: a CT, or an imaging procedure where it has films."""
    solid = all(isinstance(image, Volume) for image in images)
    return c.CT_PROCEDURE if solid and images else c.IMAGING_PROCEDURE


def site_of(image: Image, header: Dataset | None) -> tuple[Code, Code | None] | None:
    """Return the part of the body that an image shows, and its side; None where not known."""
    found = c.site(image.body_part)
    if found is None or header is None:
        return None if found is None else (found, None)
    return found, c.SIDES.get(str(header.get("ImageLaterality") or header.get("Laterality") or ""))


def statements_of(lesion: Lesion) -> list[Statement]:
    """Return the answers on a lesion; what was not answered is said too."""
    return [
        _verdict(lesion),
        *_domain(lesion),
        *_patterns(lesion),
        _concern(lesion),
        *_rules(lesion),
        *_looks(lesion),
        *([] if lesion.change is None else [_became(lesion.change)]),
    ]


def _verdict(lesion: Lesion) -> Statement:
    said, name = lesion.answer.finding, c.own("VERDICT")
    if said.abstained or said.probability is None:
        return Statement(name, c.own("NO_ANSWER"), (), said.why)
    calcified = "CALCIFIED" if said.probability >= 0.5 else "NOT_CALCIFIED"
    return Statement(name, c.own(calcified), (), said.why)


def _domain(lesion: Lesion) -> list[Statement]:
    said = lesion.answer.out_of_domain
    if said.flag is None:
        return []
    figures = (
        () if said.score is None else (Figure(c.own("DOMAIN_SCORE"), _share(said.score), c.ONE),)
    )
    return [Statement(c.own("OUT_OF_DOMAIN"), c.YES if said.flag else c.NO, figures)]


def _patterns(lesion: Lesion) -> list[Statement]:
    said, name = lesion.answer.pattern, c.own("PATTERN_SET")
    if said.abstained or not said.set:
        return [Statement(name, c.own("NO_ANSWER"), (), said.why)]
    known = (
        [] if said.coverage is None else [Figure(c.own("COVERAGE"), _share(said.coverage), c.ONE)]
    )
    found = [
        Statement(name, pattern(key).code, (_probability(said.probabilities[key]), *known))
        for key in said.set
    ]
    if len(said.set) == 1 and said.set[0] in PUBLIC_CODES:
        found.append(Statement(*PUBLIC_CODES[said.set[0]]))
    return found


def _concern(lesion: Lesion) -> Statement:
    said, name = lesion.answer.concern, c.own("CONCERN")
    if lesion.level != said.level:
        return Statement(name, c.said(lesion.level.value), (), HOLLOW)
    figures = () if said.probability is None else (_probability(said.probability),)
    return Statement(name, c.said(said.level), figures, "; ".join(said.model_reasons) or None)


def _rules(lesion: Lesion) -> list[Statement]:
    """Return the concerning features that rules found, apart from what the model says."""
    reasons = lesion.answer.concern.rule_reasons
    if not reasons:
        return []
    why = "; ".join(f"{r['evidence']} [{r['source']}]" for r in reasons)
    return [Statement(c.own("RULES"), c.YES, (), why)]


def _looks(lesion: Lesion) -> list[Statement]:
    taken = lesion.measured
    told = [(name, getattr(taken, name)) for name in _LOOKS]
    found = [Statement(c.said(name), c.said(word)) for name, word in told if word is not None]
    if taken.bone_erosion is not None:
        found.append(Statement(c.own("BONE_EROSION"), c.YES if taken.bone_erosion else c.NO))
    return found


def _became(change: Change) -> Statement:
    ends = zip(("INTERVAL_LOW", "INTERVAL_HIGH"), change.volume_ratio_ci or (), strict=False)
    interval = tuple(Figure(c.own(name), _rounded(end), c.RATIO) for name, end in ends)
    why = f"{change.kind}; compared with study {change.prior_study_uid}"
    words = "; ".join(filter(None, (why, change.why, change.how)))
    return Statement(c.own("CHANGE"), c.said(change.level), interval, words)


def _changes(change: Change) -> list[Figure]:
    told = (
        ("VOLUME_RATIO", change.volume_ratio, c.RATIO),
        ("DOUBLING_TIME", change.doubling_time_days, c.DAY),
        ("SKIN_CHANGE", change.skin_distance_change_mm, c.MM),
        ("DAYS", change.days, c.DAY),
    )
    return [
        Figure(c.own(name), _rounded(value), unit)
        for name, value, unit in told
        if value is not None
    ]


def _measured(key: str, name: Code, value: float, unit: Code, sd: float | None) -> Figure:
    derivation = c.MAXIMUM if name == c.DIAMETER else None
    method = c.AGATSTON if key == "agatston" else None
    return Figure(name, _rounded(value), unit, derivation, method, _rounded(sd) if sd else None)


def _probability(value: float) -> Figure:
    return Figure(c.PROBABILITY, _share(value), c.ONE)


def _share(value: float) -> float:
    """Round what has no unit: more digits say nothing, and take up the room of a display."""
    return round(float(value), 6)


def _rounded(value: float) -> float:
    """Round as report.json does, so that both hold the same number."""
    return round(float(value), 3)
