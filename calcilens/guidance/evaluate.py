"""What the rules say of a patient and of each lesion, with the evidence and source of it all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from calcilens.guidance.conditions import Judged
from calcilens.guidance.facts import Fact, Facts, Origin, flag
from calcilens.guidance.rulebook import Rule, Rulebook, Source, Topic, rulebook
from calcilens.guidance.terms import terms


class Standing(StrEnum):
    """Whether a statement holds."""

    PRESENT = "present"
    UNKNOWN = "not known"
    ABSENT = "absent"


_PLACE = {
    "patient.age", "patient.sex", "lesion.site", "lesion.side", "lesion.compartment",
    "lesion.depth", "lesion.by_large_joint", "lesion.extensor_side", "derived.by_joint",
}  # fmt: skip
"""Terms that fit half of all diseases."""
_PATTERN, _MOST_PATTERNS = "lesion.pattern", 4
_STANDING = {True: Standing.PRESENT, None: Standing.UNKNOWN, False: Standing.ABSENT}


@dataclass(frozen=True)
class Statement:
    """A rule that was gone through.

    Args:
        rule: It.
        standing: Whether its condition holds.
        because: Facts that this rests on.
        unknown: What would have to be known, in words.
    """

    rule: Rule
    standing: Standing
    because: tuple[Fact, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Weighed:
    """A mechanism or a disease, and what speaks for and against it.

    Args:
        topic: It.
        speaks_for: Arguments that hold.
        speaks_against: Arguments against it that hold.
        open: Arguments that are not settled.
        given: The pattern that this takes for true, where a network left several.
    """

    topic: Topic
    speaks_for: tuple[Statement, ...]
    speaks_against: tuple[Statement, ...]
    open: tuple[Statement, ...]
    given: str | None = None

    @property
    def balance(self) -> int:
        """Return the weights for it minus those against: an order, and no probability."""
        return sum(s.rule.weight for s in self.speaks_for) - sum(
            s.rule.weight for s in self.speaks_against
        )

    @property
    def listed(self) -> bool:
        """Whether more speaks for it than against, and not its place or the age alone."""
        more = any({fact.term for fact in s.because} - _PLACE for s in self.speaks_for)
        return more and self.balance > 0


@dataclass(frozen=True)
class LesionGuidance:
    """What the rules say of one lesion.

    Args:
        lesion: Its id; None for the one that a case describes.
        facts: What it rests on.
        concern: Every concerning feature: present, not known or absent.
        mechanisms: All of them, the best supported first.
        differential: Diseases that something speaks for, the best supported first.
        others: The rest.
        next_steps: What the documents advise.
    """

    lesion: str | None
    facts: Facts
    concern: tuple[Statement, ...]
    mechanisms: tuple[Weighed, ...]
    differential: tuple[Weighed, ...]
    others: tuple[Weighed, ...]
    next_steps: tuple[Statement, ...]

    @property
    def concerning(self) -> bool:
        """Whether a concerning feature is present."""
        return any(s.standing is Standing.PRESENT for s in self.concern)

    @property
    def is_open(self) -> bool:
        """Whether none is known to be present, and one may be that a control does not settle."""
        return not self.concerning and any(_is_open(s) for s in self.concern)


@dataclass(frozen=True)
class Guidance:
    """What the rules say of a patient.

    Args:
        missing: Parts of the initial assessment that are missing.
        lesions: One entry a lesion.
        pitfalls: Every pitfall: present where this report is open to it.
    """

    missing: tuple[Statement, ...]
    lesions: tuple[LesionGuidance, ...]
    pitfalls: tuple[Statement, ...]


def guide(
    patient: Facts, lesions: Mapping[str | None, Facts], rules: Rulebook | None = None
) -> Guidance:
    """Go through all rules.

    Args:
        patient: What is known of the patient, and what a case tells of the lesion.
        lesions: What is known of each lesion beyond that, under its id; empty: the case alone.
        rules: Those of the package by default.
    """
    rules = rules or rulebook()
    found = tuple(
        _lesion(name, patient + facts, rules)
        for name, facts in (lesions or {None: Facts()}).items()
    )
    everything = Facts(dict.fromkeys(fact for one in found for fact in one.facts))
    missing = tuple(
        s for s in _gone_through(rules.assessment, everything) if s.standing is Standing.PRESENT
    )
    return Guidance(missing, found, tuple(_gone_through(rules.pitfalls, everything)))


def _lesion(name: str | None, facts: Facts, rules: Rulebook) -> LesionGuidance:
    facts = _derived(facts, rules.derived)
    concern = tuple(_gone_through(rules.concern, facts))
    facts = facts + _concern_facts(concern)
    diseases = _ranked(_likeliest(topic, facts) for topic in rules.conditions)
    listed = [w for w in diseases if w.listed]
    unsettled = any(s.standing is Standing.PRESENT or _is_open(s) for s in concern)
    unsettled = unsettled or any(w.topic.dangerous for w in listed[:1]) or _disputed(facts)
    steps = tuple(
        s
        for s in _gone_through(rules.next_steps, facts)
        if s.standing is Standing.PRESENT and not (s.rule.reassures and unsettled)
    )
    return LesionGuidance(
        name,
        facts,
        concern,
        tuple(_ranked(_weighed(topic, facts) for topic in rules.mechanisms)),
        tuple(listed),
        tuple(w for w in diseases if not w.listed),
        steps,
    )


def _disputed(facts: Facts) -> bool:
    """Whether facts name patterns that cannot both be: then none of them comforts."""
    told = [f.value for f in facts.of(_PATTERN) if isinstance(f.value, frozenset)]
    return bool(told) and not frozenset.intersection(*told)


def _derived(facts: Facts, rules: Iterable[Rule]) -> Facts:
    """Add what follows, in the order of derived.yaml; what stays unknown is not added."""
    for rule in rules:
        judged = rule.when.judge(facts)
        if judged.verdict is not None:
            facts += [_follows(rule.id, judged.verdict, judged.because)]
    return facts


def _concern_facts(concern: tuple[Statement, ...]) -> list[Fact]:
    present = [s for s in concern if s.standing is Standing.PRESENT]
    is_open = any(_is_open(s) for s in concern) and not present
    because = tuple(fact for s in present for fact in s.because)
    refer = [s for s in present if s.rule.refers]
    return [
        _follows("derived.concern", bool(present), because),
        _follows("derived.refer", bool(refer), tuple(fact for s in refer for fact in s.because)),
        _follows("derived.concern_open", is_open, ()),
    ]


def _is_open(concern: Statement) -> bool:
    return concern.standing is Standing.UNKNOWN and not concern.rule.control


def _follows(term: str, is_so: bool, because: tuple[Fact, ...]) -> Fact:
    label = terms()[term].label
    rests = "; ".join(dict.fromkeys(fact.words for fact in because))
    words = f"{label} ({rests})" if is_so and rests else f"{label}: {'yes' if is_so else 'no'}"
    origin = {fact.origin for fact in because}
    return Fact(term, flag(is_so), origin.pop() if len(origin) == 1 else Origin.DERIVED, words)


def _gone_through(rules: Iterable[Rule], facts: Facts) -> list[Statement]:
    return [_statement(rule, rule.when.judge(facts)) for rule in rules]


def _statement(rule: Rule, judged: Judged) -> Statement:
    unknown = tuple(terms()[name].label for name in judged.unknown)
    return Statement(rule, _STANDING[judged.verdict], judged.because, unknown)


def _weighed(topic: Topic, facts: Facts) -> Weighed:
    statements = _gone_through(topic.arguments, facts)
    present = [s for s in statements if s.standing is Standing.PRESENT]
    return Weighed(
        topic,
        tuple(s for s in present if s.rule.side == "for"),
        tuple(s for s in present if s.rule.side == "against"),
        tuple(s for s in statements if s.standing is Standing.UNKNOWN),
    )


def _likeliest(topic: Topic, facts: Facts) -> Weighed:
    """Weigh a disease; where a network left several patterns, by the one that fits it best."""
    plain = _weighed(topic, facts)
    left = {key for f in facts.of(_PATTERN) if isinstance(f.value, frozenset) for key in f.value}
    settled = any(len(f.value) == 1 for f in facts.of(_PATTERN) if isinstance(f.value, frozenset))
    if settled or not 1 < len(left) <= _MOST_PATTERNS:
        return plain
    rest = [fact for fact in facts if fact.term != _PATTERN]
    ways = [replace(_weighed(topic, Facts([*rest, *_taken(facts, k)])), given=k) for k in left]
    best = max(ways, key=lambda w: (w.balance, str(w.given)))
    return best if best.balance > plain.balance else plain


def _taken(facts: Facts, pattern: str) -> list[Fact]:
    """Return the facts on the pattern as if it were that one."""
    return [replace(f, value=frozenset({pattern})) for f in facts.of(_PATTERN)]


def _ranked(weighed: Iterable[Weighed]) -> list[Weighed]:
    """Order by balance; among equals what is dangerous first, then the order of the file."""
    return sorted(weighed, key=lambda w: (-w.balance, not w.topic.dangerous))


def sources_used(guidance: Guidance) -> list[Source]:
    """Return every source that a statement of the guidance rests on."""
    said = [*guidance.missing, *guidance.pitfalls]
    for one in guidance.lesions:
        weighed = (*one.mechanisms, *one.differential)
        said += [*one.concern, *one.next_steps]
        said += [s for w in weighed for s in (*w.speaks_for, *w.speaks_against, *w.open)]
    return list(dict.fromkeys(source for s in said for source in s.rule.sources))
