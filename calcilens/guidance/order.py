"""Orders of imaging: what to do, why, what to answer, and what the referrer has not said.

What an order may say stands in rules/orders.yaml, what it tells of the case in order_facts.yaml.
An order holds no name and no number of a patient; the system that sends it adds them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from calcilens import DISCLAIMER
from calcilens.errors import UsageError, compose
from calcilens.guidance.evaluate import Standing, Statement, guide
from calcilens.guidance.facts import FALSE, Fact, Facts, Span
from calcilens.guidance.rulebook import Rule, Source, rules_of
from calcilens.guidance.terms import data
from calcilens.vocabulary import PRIVATE_SCHEME, Code

KINDS = ("ultrasound", "ct", "mri")
PROTOCOLS = ("complete", "limited")
PARTS = ("protocol", "questions", "reasons", "missing", "notes")
SCOPE = (
    "Protocols of CT and MRI, contrast medium and questions of safety are for the department that "
    "examines; they are not part of this order."
)
NOTICE = f"DRAFT of an order, to be checked and signed by a physician. {DISCLAIMER}"
_ANY = "any"


@dataclass(frozen=True)
class Order:
    """One order of imaging.

    Args:
        kind: One of `KINDS`.
        title: Its name; `short`: the same for a line of a list; `reason`: why, in a line.
        modality: As DICOM calls it.
        procedure: LOINC.
        protocol_code: Private code of the protocol.
        region: SNOMED CT; None where the site is not settled.
        side: SNOMED CT; None likewise.
        age: Years; None where it is not known.
        sex: "female" or "male"; None likewise.
        told: What is known of the case, by headings, in words.
        concern: Concerning features that are present.
        protocol: What is to be done; empty where the documents leave it to the department.
        questions: What is to be answered.
        reasons: Why.
        missing: Questions to the referrer.
        notes: What the reader should know.
    """

    kind: str
    title: str
    short: str
    reason: str
    modality: str
    procedure: Code
    protocol_code: Code
    region: Code | None
    side: Code | None
    age: float | None
    sex: str | None
    told: tuple[tuple[str, tuple[str, ...]], ...]
    concern: tuple[Statement, ...]
    protocol: tuple[Rule, ...]
    questions: tuple[Rule, ...]
    reasons: tuple[Rule, ...]
    missing: tuple[Rule, ...]
    notes: tuple[Rule, ...]

    @property
    def place(self) -> str:
        """Return side and region in words; "" where neither is known."""
        named = [code.meaning.lower() for code in (self.side, self.region) if code]
        return " ".join(named)

    def sources(self) -> list[Source]:
        """Return every source that it rests on."""
        said = [rule for part in PARTS for rule in getattr(self, part)]
        said += [statement.rule for statement in self.concern]
        return list(dict.fromkeys(source for rule in said for source in rule.sources))


def order(kind: str, facts: Facts, protocol: str = "complete", image: str | None = None) -> Order:
    """Write an order.

    Args:
        kind: One of `KINDS`.
        facts: What is known of the patient and of the lesion.
        protocol: One of `PROTOCOLS`.
        image: Where the lesion can be seen, in words.

    Raises:
        UsageError: Kind or protocol is not known, the protocol is refused, or the documents do not
            go as far as this place; with the reason and its source.
    """
    if kind not in KINDS or protocol not in PROTOCOLS:
        wanted = KINDS if kind not in KINDS else PROTOCOLS
        found = kind if kind not in KINDS else protocol
        raise UsageError(compose(f"one of {', '.join(wanted)}", repr(found), where="order"))
    spec = data("orders")[kind]
    (lesion,) = guide(facts, {}).lesions
    _refuse_protocol(kind, protocol)
    _refuse_place(kind, lesion.facts)
    parts = {part: _holding(kind, part, lesion.facts) for part in PARTS}
    present = tuple(s for s in lesion.concern if s.standing is Standing.PRESENT)
    return Order(
        kind,
        title=spec["name"],
        short=spec["short"],
        reason=spec["reason"],
        modality=spec["modality"],
        procedure=_procedure(kind, facts),
        protocol_code=Code(spec["protocol_code"], PRIVATE_SCHEME, spec["name"]),
        region=_coded("regions", _settled(facts, "lesion.site")),
        side=_coded("sides", _settled(facts, "lesion.side")),
        age=_number(facts, "patient.age"),
        sex=_settled(facts, "patient.sex"),
        told=(*_told(lesion.facts), *([("Image", (image,))] if image else [])),
        concern=present,
        **parts,
    )


@cache
def part_of(kind: str, part: str) -> tuple[Rule, ...]:
    """Return the rules of a part of an order, whether they hold or not."""
    return rules_of(data("orders")[kind].get(part, []), "orders")


def place_of(kind: str) -> tuple[Rule, ...]:
    """Return where an order holds, and what is said elsewhere; none where it holds anywhere."""
    return part_of(kind, "place")


def refusals_of(kind: str) -> tuple[Rule, ...]:
    """Return what is never ordered, and why."""
    return part_of(kind, "refuses")


def order_rules(kind: str) -> list[Rule]:
    """Return every rule of an order: what it may say, where it holds and what it refuses."""
    said = [rule for part in PARTS for rule in part_of(kind, part)]
    return [*said, *place_of(kind), *refusals_of(kind)]


def _holding(kind: str, part: str, facts: Facts) -> tuple[Rule, ...]:
    return tuple(rule for rule in part_of(kind, part) if rule.when.judge(facts).verdict)


def _refuse_protocol(kind: str, protocol: str) -> None:
    if protocol == PROTOCOLS[0]:
        return
    rules = refusals_of(kind)
    if not rules:
        fix = f"leave it out: an order of {kind} has no protocol to choose"
        raise UsageError(compose("no --protocol", protocol, where=f"order {kind}", fix=fix))
    why = "; ".join(f"{rule.say} {_cited(rule)}" for rule in rules)
    raise UsageError(f"order {kind}: refused: {why}; order it complete")


def _refuse_place(kind: str, facts: Facts) -> None:
    for rule in place_of(kind):
        judged = rule.when.judge(facts)
        if judged.verdict is False:
            found = "; ".join(fact.words for fact in judged.because)
            why = f"refused for {found}: {rule.say} {_cited(rule)}"
            raise UsageError(f"order {kind}: {why}; order ct or mri, or ask a radiologist")


def _cited(rule: Rule) -> str:
    return f"({'; '.join(f'{s.document}: {s.section}' for s in rule.sources)})"


def _told(facts: Facts) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return what is known, in words, under the headings of order_facts.yaml."""
    found = []
    for spec in data("order_facts")["facts"]:
        known = [fact for term in spec["terms"] for fact in facts.of(term)]
        wanted = [fact for fact in known if not (spec.get("present") and fact.value == FALSE)]
        if wanted:
            found.append((spec["head"], tuple(dict.fromkeys(map(_words, wanted)))))
    return tuple(found)


def _words(fact: Fact) -> str:
    """Return a fact, with its origin where a reader could take it for a physician's word."""
    return fact.words if fact.origin == "reported" else f"{fact.words} [{fact.origin.value}]"


def _settled(facts: Facts, term: str) -> str | None:
    """Return the one value that all facts on a term leave; None where it is not settled."""
    choices = [fact.value for fact in facts.of(term) if not isinstance(fact.value, Span)]
    left = set.intersection(*map(set, choices)) if choices else set()
    return left.pop() if len(left) == 1 else None


def _number(facts: Facts, term: str) -> float | None:
    spans = [fact.value for fact in facts.of(term) if isinstance(fact.value, Span)]
    return spans[0].low if spans else None


def _procedure(kind: str, facts: Facts) -> Code:
    """Return the LOINC code of an examination, by the side of ultrasound, else by the site."""
    codes = data("order_facts")["procedures"][kind]
    found = _settled(facts, "lesion.side" if kind == "ultrasound" else "lesion.site")
    value, meaning = codes.get(found or _ANY) or codes[_ANY]
    return Code(value, "LN", meaning)


def _coded(table: str, word: str | None) -> Code | None:
    if word is None:
        return None
    value, meaning = data("order_facts")[table][word]
    return Code(value, "SCT", meaning)


def said(rules: Iterable[Rule]) -> list[str]:
    """Return what rules say, each with its documents."""
    return [f"{rule.say} [{', '.join(documents(rule))}]" for rule in rules]


def documents(rule: Rule) -> list[str]:
    """Return the documents that a rule rests on, by their numbers."""
    return list(dict.fromkeys(source.document for source in rule.sources))
