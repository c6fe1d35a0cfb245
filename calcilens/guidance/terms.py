"""The words that rules and cases may use, read from rules/terms.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from calcilens.errors import RuleError
from calcilens.vocabulary import PATTERN_KEYS

DAYS = "days"
"""Last part of a term for the days since a flag's date."""
MOST_DAYS = 365 * 120


@dataclass(frozen=True)
class Term:
    """One word of the rules.

    Args:
        name: ``section.word``, or ``section.word.days``.
        label: What a report calls it.
        values: What a choice or a flag may be; empty for a number.
        unit: Of a number.
        least: Smallest number that is possible; `most` the largest.
    """

    name: str
    label: str
    values: tuple[str, ...] = ()
    unit: str | None = None
    least: float = 0
    most: float = 0

    @property
    def is_flag(self) -> bool:
        """Whether it is true or false."""
        return self.values == ("true", "false")


@cache
def data(name: str) -> Any:
    """Return the content of a YAML file of rules/; not to be changed.

    Raises:
        RuleError: It is no YAML; the message says where.
    """
    text = files("calcilens.guidance").joinpath("rules", f"{name}.yaml").read_text("utf-8")
    # The same loader in C, ten times as fast, where PyYAML was built with it.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(text, Loader=loader)  # noqa: S506 both are the safe one
    except yaml.YAMLError as error:
        raise RuleError(
            f"{name}.yaml: expected YAML, found {' '.join(str(error).split())}"
        ) from None


@cache
def terms() -> dict[str, Term]:
    """Return every term under its name."""
    found: dict[str, Term] = {}
    for section, words in data("terms").items():
        for word, spec in words.items():
            for term in _terms(f"{section}.{word}", spec):
                found[term.name] = term
    for word, spec in data("derived").items():
        found[f"derived.{word}"] = Term(f"derived.{word}", spec["label"], ("true", "false"))
    return found


def _terms(name: str, spec: dict[str, Any]) -> list[Term]:
    kind = next((k for k in ("flag", "choice", "number") if k in spec), "")
    if set(spec) - {kind, "label", "least", "most"}:
        raise RuleError(f"terms.yaml, {name}: expected flag, choice or number, found {spec}")
    label = spec["label"]
    if kind == "flag":
        since = Term(f"{name}.{DAYS}", f"days since: {label}", unit="days", most=MOST_DAYS)
        return [Term(name, label, ("true", "false")), since]
    if kind == "choice":
        choice = spec["choice"]
        return [Term(name, label, PATTERN_KEYS if choice == "patterns" else tuple(choice))]
    return [Term(name, label, unit=spec["number"], least=spec["least"], most=spec["most"])]
