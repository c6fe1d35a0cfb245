"""The clinical question of an order: one line of what is known, and what the rules list first."""

from __future__ import annotations

from collections.abc import Iterator

from calcilens.guidance.evaluate import LesionGuidance
from calcilens.guidance.facts import TRUE, Facts, Span
from calcilens.guidance.terms import DAYS, terms

_PER_MONTH = 30.44
_SHORT_DAYS, _SHORT_MONTHS = 60, 24
"""Below these a duration is told in days, else in months, else in years."""


def question(lesion: LesionGuidance, who: str, place: str) -> str:
    """Return the question.

    Args:
        lesion: What the rules say of it.
        who: Age and sex, in words.
        place: Side and region, in words; "" where neither is known.
    """
    known = [who, *_symptoms(lesion.facts), _what(lesion.facts, place)]
    lead = lesion.differential[0].topic.name if lesion.differential else None
    first = f" First on the list of the rules, which is no diagnosis: {lead}." if lead else ""
    return f"{'; '.join(known)}. What is it?{first}"


def lasting(facts: Facts, term: str) -> str:
    """Return how long something has been there, "for about 9 months"; "" where it is not known."""
    spans = [f.value for f in facts.of(f"{term}.{DAYS}") if isinstance(f.value, Span)]
    if not spans:
        return ""
    low, high = spans[0].low, spans[0].high
    number, unit = _rounded((low + high) / 2)
    about = "" if unit == "day" and low == high else "about "
    return f"for {about}{number} {unit}{'' if number == 1 else 's'}"


def _rounded(days: float) -> tuple[int, str]:
    if days < _SHORT_DAYS:
        return round(days), "day"
    months = round(days / _PER_MONTH)
    return (months, "month") if months < _SHORT_MONTHS else (round(months / 12), "year")


def _symptoms(facts: Facts) -> Iterator[str]:
    for name, term in terms().items():
        present = any(fact.value == TRUE for fact in facts.of(name))
        if name.startswith("symptoms.") and term.is_flag and present:
            yield f"{term.label} {lasting(facts, name)}".strip()


def _what(facts: Facts, place: str) -> str:
    """Return the lesion in words, such as "38 mm, deep mass, stippled mineral, left knee"."""
    sizes = [f.value.high for f in facts.of("lesion.max_diameter_mm") if isinstance(f.value, Span)]
    mass = any(fact.value == TRUE for fact in facts.of("derived.mass"))
    size = f"{max(sizes):.0f} mm" if sizes else ""
    depth = "" if not mass else _choice(facts, "lesion.depth")
    head = " ".join(filter(None, (depth, "mass" if mass else "")))
    pattern = _choice(facts, "lesion.pattern")
    mineral = f"{pattern.replace('_', ' ')} mineral" if pattern else "calcification"
    return ", ".join(filter(None, (size, head, mineral, place)))


def _choice(facts: Facts, term: str) -> str:
    """Return the one value that all facts on a term leave; "" where it is not settled."""
    choices = [set(f.value) for f in facts.of(term) if not isinstance(f.value, Span)]
    left = set.intersection(*choices) if choices else set()
    return left.pop() if len(left) == 1 else ""
