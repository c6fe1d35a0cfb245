"""Random cases for the tests of guidance: valid by the schema, free of contradictions."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from calcilens.guidance.terms import DAYS, Term, data, terms

DATE = "2026-06-15"
DATES = st.sampled_from(["2026-06-01", "2026-05", "2026", "2025-11", "2024-02-29", "2023"])


def _word(term: Term) -> st.SearchStrategy[Any]:
    if term.is_flag:
        dated = st.fixed_dictionaries({"present": st.just(True), "since": DATES})
        return st.booleans() | st.none() | dated
    if term.values:
        return st.sampled_from([*term.values, None])
    return st.none() | st.floats(term.least, term.most)


def _value(spec: dict[str, Any]) -> st.SearchStrategy[Any]:
    number = st.floats(spec["least"], spec["most"])
    return st.fixed_dictionaries({"value": number, "unit": st.just(spec["unit"])})


def words() -> dict[str, Term]:
    """Terms that a case may state as they are."""
    return {
        name: term
        for name, term in terms().items()
        if not name.startswith(("derived.", "laboratory.")) and not name.endswith(f".{DAYS}")
    }


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """A case with some of all words; it may hold contradictions."""
    chosen = draw(st.lists(st.sampled_from(sorted(words())), max_size=30, unique=True))
    case: dict[str, Any] = {"date": DATE}
    for name in chosen:
        section, _, word = name.partition(".")
        case.setdefault(section, {})[word] = draw(_word(words()[name]))
    specs = data("laboratory")
    tested = draw(st.lists(st.sampled_from(sorted(specs)), max_size=4, unique=True))
    if tested:
        case["laboratory"] = {name: draw(_value(specs[name])) for name in tested}
    return case
