"""The page of the rules says what the rules say."""

from __future__ import annotations

from pathlib import Path

from calcilens.guidance.order import KINDS, order_rules
from calcilens.guidance.rulebook import rulebook
from calcilens.guidance.rules_page import rules_page
from calcilens.guidance.terms import data

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"


def test_the_page_in_the_docs_is_that_of_the_rules() -> None:
    assert PAGE.read_text() == rules_page(), "run: calcilens guide --rules > docs/rules.md"


def test_it_has_every_rule_with_its_words_and_sources() -> None:
    rows = {line.split(" | ")[0]: line for line in rules_page().splitlines()}
    ordered = [rule for kind in KINDS for rule in order_rules(kind)]
    for rule in [*rulebook().rules(), *ordered]:
        row = rows[f"| `{rule.id}`"]
        assert " ".join(rule.say.split()) in row
        for source in rule.sources:
            assert f"[{source.document}] {source.section}" in row


def test_it_names_every_document() -> None:
    assert all(f"| {key} | " in rules_page() for key in data("sources"))
