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


def test_it_begins_with_its_contents_and_names_the_file_of_each_part() -> None:
    first, *parts = rules_page().split("\n## ")
    heads = [part.partition("\n")[0] for part in parts]
    links = [line.split("](")[0] for line in first.splitlines() if line.startswith("- [")]
    assert links == [f"- [{head}" for head in heads]
    for part in parts:
        name = part.partition("File: `")[2].partition(".yaml`")[0]
        assert data(name)
