"""Guidance as JSON: what report.json holds, and what text and page are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

from calcilens.guidance import report_facts
from calcilens.guidance.cases import Case
from calcilens.guidance.evaluate import (
    Guidance,
    LesionGuidance,
    Standing,
    Statement,
    Weighed,
    guide,
    sources_used,
)
from calcilens.guidance.facts import Fact, Facts, Span
from calcilens.guidance.laboratory import LabValue
from calcilens.guidance.rulebook import Source, version
from calcilens.guidance.terms import DAYS, data, terms
from calcilens.guidance.worth import INCIDENCE, worth

_ECHOES = {"derived.concern", "derived.refer", "derived.concern_open"}
"""Facts that a reader sees among the concerning features."""
NOTICE = (
    "Rules drawn from documents; they support a physician's judgement and decide nothing. "
    "What is not known counts neither for nor against. The order of a list is no probability."
)


def of_case(case: Case, prevalence: float = INCIDENCE) -> dict[str, Any]:
    """Return the guidance on a case alone, whose lesion the case describes."""
    return _document(guide(case.facts, {}), case, _worth([], prevalence))


def of_report(
    report: Mapping[str, Any], case: Case | None = None, prevalence: float = INCIDENCE
) -> dict[str, Any]:
    """Return the guidance on every lesion of a report.json, with what a case tells.

    Args:
        report: Content of report.json.
        case: What is known of the patient; what it tells of the lesion goes for every one.
        prevalence: Share of concerning lesions, for what a flag is worth.
    """
    case = case or Case(Facts())
    lesions: dict[str | None, Facts] = {k: f for k, f in report_facts.of_lesions(report).items()}
    found = guide(case.facts + report_facts.of_study(report), lesions)
    return _document(found, case, _worth(report["models"], prevalence))


def _document(guidance: Guidance, case: Case, flags: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "notice": NOTICE,
        "rules_sha256": version(),
        "date": None if case.on is None else case.on.isoformat(),
        "missing": [_statement(s) for s in guidance.missing],
        "laboratory": [_value(value) for value in case.laboratory],
        "lesions": [_lesion(one) for one in guidance.lesions],
        "pitfalls": [_statement(s) for s in guidance.pitfalls],
        "worth": flags,
        "remarks": list(case.remarks),
        "sources": _sources(sources_used(guidance), case),
    }


def _lesion(one: LesionGuidance) -> dict[str, Any]:
    return {
        "lesion": one.lesion,
        "facts": [
            {"term": fact.term, "words": fact.words, "origin": fact.origin.value}
            for fact in one.facts
            if not fact.term.startswith("derived.") and not fact.term.endswith(f".{DAYS}")
        ],
        "disagreements": _disagreements(one.facts),
        "concern": {
            "standing": "present" if one.concerning else ("open" if one.is_open else "none known"),
            "features": [_statement(s) | {"ask": s.rule.ask} for s in one.concern],
        },
        "mechanisms": [_weighed(w) for w in one.mechanisms],
        "differential": [_weighed(w) for w in one.differential],
        "others": [{"condition": w.topic.key, "name": w.topic.name} for w in one.others],
        "next_steps": [_statement(s) for s in one.next_steps],
    }


def _disagreements(facts: Facts) -> list[str]:
    """Return, in words, what facts of different origin say against each other."""
    by_term: dict[str, list[Fact]] = {}
    for fact in facts:
        if not fact.term.startswith("derived."):
            by_term.setdefault(fact.term, []).append(fact)
    return [
        "; ".join(f"{fact.words} ({fact.origin.value})" for fact in told)
        for told in by_term.values()
        if any(_apart(a, b) for a, b in combinations(told, 2))
    ]


def _apart(a: Fact, b: Fact) -> bool:
    if isinstance(a.value, Span) or isinstance(b.value, Span):
        return False  # numbers differ by how they are taken
    return not a.value & b.value


def _value(value: LabValue) -> dict[str, Any]:
    """Return a laboratory value for a reader: named in words, units as people write them."""
    name = value.analyte.replace("_", " ")
    term = terms().get(f"laboratory.{value.analyte}")
    unit = value.unit.replace("umol", "µmol").replace("m2", "m²")
    return asdict(value) | {"label": term.label if term else name, "unit": unit}


def _statement(statement: Statement) -> dict[str, Any]:
    return {
        "rule": statement.rule.id,
        "say": statement.rule.say,
        "standing": statement.standing.value,
        "because": [
            {"words": f.words, "origin": f.origin.value}
            for f in statement.because
            if f.term not in _ECHOES
        ],
        "unknown": list(statement.unknown),
        "sources": [_cited(source) for source in statement.rule.sources],
    }


def _weighed(weighed: Weighed) -> dict[str, Any]:
    return {
        "condition": weighed.topic.key,
        "name": weighed.topic.name,
        "mechanism": weighed.topic.mechanism,
        "dangerous": weighed.topic.dangerous,
        "given": weighed.given,
        "balance": weighed.balance,
        "for": [_statement(s) for s in weighed.speaks_for],
        "against": [_statement(s) for s in weighed.speaks_against],
        "open": [_statement(s) for s in weighed.open],
        "settles": [_statement(Statement(r, Standing.PRESENT)) for r in weighed.topic.settles],
        "sources": [_cited(source) for source in weighed.topic.sources],
    }


def _cited(source: Source) -> str:
    return f"{source.document}: {source.section}"


def _worth(models: Sequence[Mapping[str, Any]], prevalence: float) -> list[dict[str, Any]]:
    """Return predictive values of each model's flags, as far as its card has their figures."""
    found = []
    for model in models:
        for level, figures in (model.get("flags") or {}).items():
            values = worth(prevalence, figures["sensitivity"], figures["specificity"])
            told = asdict(values) | {"flags_for_one": values.flags_for_one}
            found.append({"model": model["name"], "level": level, "on": figures["on"], **told})
    return found


def _sources(used: Sequence[Source], case: Case) -> dict[str, Any]:
    """Return title and authors of every document that something rests on."""
    known = data("sources")
    keys = [source.document for source in used]
    keys += [v.range_source for v in case.laboratory if v.range_source and v.range_source in known]
    said = " ".join(v.note or "" for v in case.laboratory)
    keys += [key for key in known if len(key) > 3 and key in said]
    return {key: {k: known[key][k] for k in ("title", "by")} for key in dict.fromkeys(keys)}
