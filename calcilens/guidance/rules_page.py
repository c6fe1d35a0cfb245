"""All rules as a page that a radiologist can read and correct."""

from __future__ import annotations

from collections.abc import Iterator

from calcilens.guidance.conditions import ALWAYS, Condition, Every, Not, Some, Test
from calcilens.guidance.order import KINDS, part_of
from calcilens.guidance.order_text import HEADINGS
from calcilens.guidance.rulebook import Rule, Source, Topic, rulebook
from calcilens.guidance.terms import data, terms

_HEAD = """# The rules

<!-- Made by `calcilens guide --rules`; a test holds it to them. Change the rules instead. -->

Every statement that guidance can make, when it is made, and where it stands. The rules themselves
are the YAML files in `calcilens/guidance/rules`; [Guidance](guidance.md) says how they are gone
through. A number in square brackets is a document of the [sources](#sources), followed by its
section. To correct a rule, change its file, or open an issue that names its id.
"""
_TITLES = (
    ("concern", "Concerning features", "Any one of them asks for referral."),
    ("next_steps", "Next steps", "In the order in which a report lists them."),
    ("assessment", "Initial assessment", "Listed as missing when the condition holds."),
    ("pitfalls", "Pitfalls", "A report is open to one when the condition holds."),
)


def rules_page() -> str:
    """Return the page as Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    book = rulebook()
    yield _HEAD
    for name, title, words in _TITLES:
        yield from (f"## {title}", "", words, "")
        yield from _table(getattr(book, name))
    yield from ("## Mechanisms", "")
    for topic in book.mechanisms:
        yield from _topic(topic)
    yield from ("## Diseases", "")
    yield from (
        "The balance of the arguments orders the differential: *typical* counts 2, *fits* 1,",
        "for or against. Among equals tumours go first. The balance is no probability.",
        "",
    )
    for topic in book.conditions:
        yield from _topic(topic)
    yield from ("## Orders", "", "What is asked for, when, is on the page [Orders](orders.md).", "")
    for kind in KINDS:
        yield from _order(kind)
    yield from ("## What follows from other facts", "", "| fact | when |", "|---|---|")
    for rule in book.derived:
        yield _row(rule.say, _whole(rule.when))
    yield from ("", "## Sources", "", "| document | title | by |", "|---|---|---|")
    for key, spec in data("sources").items():
        yield _row(key, spec["title"], spec["by"])


def _table(rules: tuple[Rule, ...]) -> Iterator[str]:
    yield from ("| id | when | statement | source |", "|---|---|---|---|")
    for rule in rules:
        held = " *Only where no concerning feature is known or open.*" if rule.reassures else ""
        yield _row(f"`{rule.id}`", _whole(rule.when), rule.say + held, _cited(rule.sources))
    yield ""


def _topic(topic: Topic) -> Iterator[str]:
    kind = ", a tumour" if topic.neoplastic else ""
    yield from (f"### {topic.name}{kind}", "", f"Named in {_cited(topic.sources)}.", "")
    yield from ("| id | | when | statement | source |", "|---|---|---|---|---|")
    for rule in topic.arguments:
        sign = "for" if rule.side == "for" else "**against**"
        typical = ", typical" if rule.weight > 1 else ""
        when, cited = _whole(rule.when), _cited(rule.sources)
        yield _row(f"`{rule.id}`", sign + typical, when, rule.say, cited)
    for rule in topic.settles:
        yield _row(f"`{rule.id}`", "settles it", "", rule.say, _cited(rule.sources))
    yield ""


def _order(kind: str) -> Iterator[str]:
    yield from (f"### {data('orders')[kind]['name']}", "")
    yield from ("| id | | when | statement | source |", "|---|---|---|---|---|")
    for part, heading in (*HEADINGS.items(), ("place", "refused"), ("refuses", "refused")):
        for rule in part_of(kind, part):
            when = f"not: {_whole(rule.when)}" if part == "place" else _whole(rule.when)
            when = "a limited protocol" if part == "refuses" else when
            yield _row(f"`{rule.id}`", heading, when, rule.say, _cited(rule.sources))
    yield ""


def _row(*cells: str) -> str:
    return "| " + " | ".join(" ".join(c.split()).replace("|", "\\|") for c in cells) + " |"


def _cited(sources: tuple[Source, ...]) -> str:
    return "; ".join(f"[{s.document}] {s.section}" for s in sources)


def _whole(condition: Condition) -> str:
    """Return a condition in words, without brackets around all of it."""
    return "always" if condition == ALWAYS else describe(condition, outermost=True)


def describe(condition: Condition, *, outermost: bool = False) -> str:
    """Return a condition in words."""
    if isinstance(condition, Test):
        return _test(condition)
    if isinstance(condition, Not):
        return f"not ({describe(condition.part, outermost=True)})"
    if isinstance(condition, Every | Some):
        joint = " and " if isinstance(condition, Every) else " or "
        words = joint.join(describe(part) for part in condition.parts)
        return words if outermost or len(condition.parts) == 1 else f"({words})"
    return f"{condition.term.label}: not known"


def _test(test: Test) -> str:
    term = test.term
    if term.is_flag:
        return term.label if "true" in test.allowed else f"not: {term.label}"
    if term.values:
        values = (v for v in term.values if v in test.allowed)
        return f"{term.label}: {' or '.join(v.replace('_', ' ') for v in values)}"
    ends = (("at least" if test.closed else "above", test.above),
            ("at most" if test.closed else "below", test.below))  # fmt: skip
    bounds = [f"{word} {end:g}" for word, end in ends if end is not None]
    return f"{term.label} {' and '.join(bounds)} {terms()[term.name].unit}"
