"""Every rule can hold and fail, rests on a source and on known words, and contradicts none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from itertools import product
from typing import Any

import pytest

from calcilens.commands.console import guarded
from calcilens.errors import RuleError
from calcilens.guidance.conditions import ALWAYS, Condition, parse
from calcilens.guidance.evaluate import guide
from calcilens.guidance.facts import Fact, Facts, Origin, whole
from calcilens.guidance.rulebook import Topic, rulebook, rules_of
from calcilens.guidance.terms import data, terms
from calcilens.vocabulary import PATTERN_KEYS
from tests.guidance.clauses import Clause, branches, clauses
from tests.guidance.written import WRITTEN, guidance

RULES = rulebook().rules()
CONDITIONAL = [rule for rule in RULES if rule.when != ALWAYS]
WITH_DERIVED = [*CONDITIONAL, *rulebook().derived]
TOPICS = (*rulebook().mechanisms, *rulebook().conditions)


def test_every_id_is_used_once() -> None:
    counted = Counter(rule.id for rule in [*RULES, *rulebook().derived])
    counted.update(topic.key for topic in rulebook().conditions)
    assert [name for name, times in counted.items() if times > 1] == []


def test_only_what_settles_a_topic_is_said_whatever_is_known() -> None:
    settling = {rule.id for topic in TOPICS for rule in topic.settles}
    assert {rule.id for rule in RULES if rule.when == ALWAYS} <= settling


def test_every_rule_has_words_and_a_source_of_the_clinical_basis() -> None:
    known = data("sources")
    for rule in RULES:
        assert rule.say == rule.say.strip().removesuffix(".") != "", rule.id
        assert rule.sources, rule.id
        for source in rule.sources:
            assert source.section in known[source.document]["sections"], rule.id


def test_every_rule_holds_in_one_written_case_and_not_in_another() -> None:
    known = [guidance(name).facts for name in WRITTEN]
    verdicts = {r.id: {r.when.judge(facts).verdict for facts in known} for r in CONDITIONAL}
    assert [name for name, found in verdicts.items() if True not in found] == []
    assert [name for name, found in verdicts.items() if found == {True}] == []


def test_every_branch_of_a_condition_can_hold() -> None:
    for rule in WITH_DERIVED:
        assert [node for node in branches(rule.when) if not clauses(node)] == [], rule.id


def test_the_fewest_facts_of_a_clause_make_its_rule_hold() -> None:
    for rule in WITH_DERIVED:
        for clause in clauses(rule.when):
            given = guide(Facts(_facts(clause)), {}).lesions[0].facts
            given += _facts(clause)  # of derived facts, those that only `guide` works out
            assert rule.when.judge(given).verdict is True, (rule.id, clause)


def _facts(clause: Clause) -> list[Fact]:
    chosen = {name: next(iter(allowed)) for name, allowed in clause.items()}
    return [
        Fact(n, frozenset({v}) if isinstance(v, str) else whole(v), Origin.REPORTED, n)
        for n, v in chosen.items()
        if v is not None
    ]


def compatible(some: Clause, other: Clause) -> bool:
    """Whether the facts of one clause are among those of the other and allow both."""
    fewer, more = sorted((some, other), key=len)
    return fewer.keys() <= more.keys() and all(fewer[term] & more[term] for term in fewer)


def contradictions(topic: Topic) -> Iterator[tuple[str, str]]:
    """Return arguments for and against a topic that the same facts make hold."""
    sides = [[a for a in topic.arguments if a.side == side] for side in ("for", "against")]
    for speaks_for, speaks_against in product(*sides):
        pairs = product(clauses(speaks_for.when), clauses(speaks_against.when))
        if any(compatible(some, other) for some, other in pairs):
            yield speaks_for.id, speaks_against.id


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.key)
def test_no_fact_speaks_for_and_against_one_topic(topic: Topic) -> None:
    assert list(contradictions(topic)) == []


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.key)
def test_every_topic_has_arguments_for_and_says_what_would_settle_it(topic: Topic) -> None:
    assert {rule.side for rule in topic.arguments} <= {"for", "against"}
    assert any(rule.side == "for" for rule in topic.arguments)
    assert topic.settles
    assert all(rule.side is None for rule in topic.settles)


def test_every_disease_has_a_mechanism_and_every_mechanism_a_disease() -> None:
    named = {topic.mechanism for topic in rulebook().conditions}
    assert named == {topic.key for topic in rulebook().mechanisms}


@pytest.mark.parametrize("pattern", PATTERN_KEYS)
def test_every_pattern_speaks_for_a_disease(pattern: str) -> None:
    arguments = [a for topic in rulebook().conditions for a in topic.arguments if a.side == "for"]
    alone = Facts(_facts({"lesion.pattern": frozenset({pattern})}))
    lesion = guide(alone, {}).lesions[0]
    assert [a.id for a in arguments if a.when.judge(lesion.facts).verdict]


def test_derived_facts_rest_on_earlier_ones_only() -> None:
    earlier: set[str] = set()
    for rule in rulebook().derived:
        rests_on = {t.name for t in rule.when.terms() if t.name.startswith("derived.")}
        assert rests_on <= earlier, rule.id
        earlier.add(rule.id)


def test_every_term_is_used() -> None:
    folder = files("calcilens.guidance").joinpath("rules")
    names = [file.name.removesuffix(".yaml") for file in folder.iterdir()]
    used = {word.removesuffix(".days") for name in names for word in _words(data(name))}
    used |= {f"laboratory.{analyte}" for analyte in data("laboratory")}  # values are shown
    stated = {name for name in terms() if not name.endswith(".days")}
    assert stated - used == set()


def _words(node: Any) -> Iterator[str]:
    """Return every key and every text of a YAML file."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield str(key)
            yield from _words(value)
    elif isinstance(node, list):
        for value in node:
            yield from _words(value)
    elif isinstance(node, str):
        yield node


def condition(node: Any) -> Condition:
    return parse(node, terms())


def test_what_can_never_hold_is_found() -> None:
    at_once = {"all": [{"symptoms.pain": True}, {"symptoms.pain": False}]}
    ages = {"all": [{"patient.age": {"above": 40}}, {"patient.age": {"below": 30}}]}
    refuted = {"symptoms.pain": True, "none": [{"derived.symptomatic": True}]}
    assert [clauses(condition(node)) for node in (at_once, ages, refuted)] == [[], [], []]


def test_a_contradiction_is_found_through_derived_facts_and_bounds() -> None:
    by_joint = clauses(condition({"derived.by_joint": True}))
    tendon = clauses(condition({"lesion.compartment": ["tendon", "periarticular"]}))
    young = clauses(condition({"patient.age": {"below": 30}}))
    child = clauses(condition({"patient.age": {"at_most": 14}, "symptoms.pain": True}))
    old = clauses(condition({"patient.age": {"at_least": 30}}))
    assert any(compatible(a, b) for a, b in product(by_joint, tendon))
    assert any(compatible(a, b) for a, b in product(young, child))
    assert not any(compatible(a, b) for a, b in product(young, old))


def test_a_word_that_is_not_a_term_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a term of terms\.yaml"):
        condition({"lesion.colour": "red"})


RULE = {"id": "r1", "when": {"symptoms.pain": True}, "say": "x", "source": "000: Imaging Approach"}


@pytest.mark.parametrize(
    ("mistake", "found"),
    [
        ({"when": {"symptoms.pian": True}}, "symptoms.pian"),
        ({"when": {"lesion.pattern": "stipled"}}, "stipled"),
        ({"source": "000: Imaging Aproach"}, "Imaging Aproach"),
        ({"for": "typcal"}, "typcal"),
    ],
)
def test_a_mistyped_rule_is_one_line_with_its_file_and_id(
    mistake: dict[str, Any], found: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rules_of([RULE], "concern")[0].id == "r1"
    assert guarded(lambda: rules_of([RULE | mistake], "concern")) == RuleError.exit_code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("calcilens: concern.yaml, r1: ")
    assert found in line
