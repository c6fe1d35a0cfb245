"""The rules, read from YAML and checked: every one has an id, a condition, words and a source."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from calcilens.guidance.conditions import ALWAYS, Condition, parse
from calcilens.guidance.terms import data, terms


@dataclass(frozen=True)
class Source:
    """Where a statement stands.

    Args:
        document: Its key in sources.yaml.
        section: Heading in that document.
    """

    document: str
    section: str

    def __str__(self) -> str:
        return f"{self.document}, {self.section}"


@dataclass(frozen=True)
class Rule:
    """One statement, and when it is made.

    Args:
        id: Unique name.
        when: What has to hold.
        say: The statement.
        sources: Where it stands; at least one.
        file: YAML file that it is in.
        side: "for" or "against" what it belongs to; None where it argues for nothing.
        weight: 1 fits, 2 typical: the order of the differential, and no probability.
        reassures: Whether it is said only where nothing concerning is known or open.
        ask: What to find out where the condition is not known.
        control: Whether repeat imaging settles it: not known, it does not keep the others waiting.
        refers: Whether a concerning feature asks for referral.
    """

    id: str
    when: Condition
    say: str
    sources: tuple[Source, ...]
    file: str
    side: str | None = None
    weight: int = 1
    reassures: bool = False
    ask: str | None = None
    control: bool = False
    refers: bool = True


@dataclass(frozen=True)
class Topic:
    """A mechanism or a disease, and what argues for and against it.

    Args:
        key: Unique name.
        name: For a reader.
        arguments: Rules with a side.
        settles: What would settle it, each with its source; said whatever is known.
        sources: Where the documents name it.
        mechanism: Key of the mechanism that a disease belongs to.
        neoplastic: Whether it is a tumour.
        dangerous: Whether it must not be missed, as every tumour: listed first among equals.
    """

    key: str
    name: str
    arguments: tuple[Rule, ...]
    settles: tuple[Rule, ...]
    sources: tuple[Source, ...]
    mechanism: str | None = None
    neoplastic: bool = False
    dangerous: bool = False


@dataclass(frozen=True)
class Rulebook:
    """All that guidance says."""

    derived: tuple[Rule, ...]
    assessment: tuple[Rule, ...]
    concern: tuple[Rule, ...]
    mechanisms: tuple[Topic, ...]
    conditions: tuple[Topic, ...]
    next_steps: tuple[Rule, ...]
    pitfalls: tuple[Rule, ...]

    def rules(self) -> list[Rule]:
        """Return every rule that makes a statement."""
        topics = (*self.mechanisms, *self.conditions)
        argued = [rule for topic in topics for rule in (*topic.arguments, *topic.settles)]
        return [*self.assessment, *self.concern, *argued, *self.next_steps, *self.pitfalls]


@cache
def rulebook() -> Rulebook:
    """Return the rules of the package.

    Raises:
        ValueError: A rule is broken; the message names it.
    """
    derived = tuple(
        Rule(f"derived.{word}", parse(spec["when"], terms()), spec["label"], (), "derived")
        for word, spec in data("derived").items()
        if "when" in spec
    )
    return Rulebook(
        derived,
        _rules("assessment"),
        _rules("concern"),
        _topics("mechanisms"),
        _topics("conditions"),
        _rules("next_steps"),
        _rules("pitfalls"),
    )


@cache
def version() -> str:
    """Return a fingerprint of all rules: what a report was made with."""
    found = hashlib.sha256()
    folder = files("calcilens.guidance").joinpath("rules")
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        found.update(file.read_bytes())
    return found.hexdigest()


def sources_of(node: Any, where: str) -> tuple[Source, ...]:
    """Read one source, ``"000: Imaging Approach"``, or a list of them.

    Raises:
        ValueError: There is none, or a document or section is not in sources.yaml.
    """
    known = data("sources")
    found = []
    for text in node if isinstance(node, list) else [node]:
        document, _, section = str(text).partition(": ")
        if document not in known or section not in known[document]["sections"]:
            raise ValueError(
                f"{where}: expected a document and section of sources.yaml, found {text!r}"
            )
        found.append(Source(document, section))
    if not found:
        raise ValueError(f"{where}: expected a source, found none")
    return tuple(found)


def rules_of(specs: Any, file: str) -> tuple[Rule, ...]:
    """Read a list of rules.

    Args:
        specs: As YAML holds them.
        file: Its name without its end.

    Raises:
        ValueError: A rule is broken; the message names it.
    """
    return tuple(_rule(spec, file) for spec in specs)


def _rules(name: str) -> tuple[Rule, ...]:
    return rules_of(data(name), name)


_FIELDS = {"id", "when", "say", "source", "for", "against", "reassures", "ask", "control", "refers"}
_WEIGHTS = {"typical": 2, "fits": 1}


def _rule(spec: dict[str, Any], file: str) -> Rule:
    where = f"{file}.yaml, {spec.get('id', 'a rule without id')}"
    if set(spec) - _FIELDS or not {"id", "say", "source"} <= set(spec):
        raise ValueError(
            f"{where}: expected id, say, source and some of {sorted(_FIELDS)}, found {sorted(spec)}"
        )
    try:
        when = parse(spec["when"], terms()) if "when" in spec else ALWAYS
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    side = next((s for s in ("for", "against") if s in spec), None)
    weight = _WEIGHTS[spec[side]] if side else 1
    return Rule(
        str(spec["id"]), when, str(spec["say"]), sources_of(spec["source"], where), file,
        side=side, weight=weight, ask=spec.get("ask"),
        reassures=bool(spec.get("reassures")), control=bool(spec.get("control")),
        refers=bool(spec.get("refers", True)),
    )  # fmt: skip


def _topics(name: str) -> tuple[Topic, ...]:
    return tuple(_topic(key, spec, name) for key, spec in data(name).items())


def _topic(key: str, spec: dict[str, Any], file: str) -> Topic:
    return Topic(
        key,
        spec["name"],
        tuple(_rule(one, file) for one in spec["arguments"]),
        tuple(_rule(one, file) for one in spec.get("settles", [])),
        sources_of(spec["source"], f"{file}.yaml, {key}"),
        spec.get("mechanism"),
        bool(spec.get("neoplastic")),
        bool(spec.get("dangerous") or spec.get("neoplastic")),
    )
