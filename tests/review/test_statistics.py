"""Figures of reviews against hand-made counts and independent references."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score

from calcilens.review.agreement import kappa, share
from calcilens.review.answers import Answer
from calcilens.review.cases import Case, Reviewed
from calcilens.review.model_answer import ModelAnswer
from calcilens.review.plots import FEWEST, draw
from calcilens.review.reports import Place, Report
from calcilens.review.state import Group, Phase, Said, Signature, StudyState
from calcilens.review.statistics import LEAST_IN_MONTH, statistics

WORDS = ("low", "intermediate", "high")
POPCORN = Answer(True, ("popcorn",), "low")
NOT = Answer(False)
MODEL = ModelAnswer(True, ("popcorn", "diffuse"), "low")
BOX = ((0, 0, 0), (1, 1, 1))


def said(reader: str, answer: Answer, month: str = "2026-01", seconds: float = 10) -> Said:
    return Said(reader, answer, seconds, 1, f"{month}-05T00:00:00.000+00:00", "0" * 64)


def case(
    final: Mapping[str, Said],
    committed: Mapping[str, Said] | None = None,
    model: ModelAnswer | None = MODEL,
) -> Case:
    place = Place("L1", 1, 0, "1.2", (), BOX, 0, {}, None, None) if model else None
    group = Group("L1", ("L1",), final)
    return Case("L1", group, 0, "1.2", None, BOX, place, model, committed or {}, None, None)


def study(uid: str, *cases: Case, seconds: float = 60) -> Reviewed:
    report = Report({}, b"", "0" * 64, Path(), (), ())
    state = StudyState(uid, "0" * 64)
    readers = {reader for one in cases for reader in one.group.answers}
    state.signed = {
        name: Signature(name, 1, "2026-01-05T00:00:00.000+00:00", {"reading": seconds})
        for name in sorted(readers)
    }
    return Reviewed(uid, report, state, Phase.DONE, "0" * 64, cases)


def both(one: Answer, other: Answer, month: str = "2026-01") -> Case:
    return case({"ann": said("ann", one, month), "ben": said("ben", other, month)})


def test_kappa_is_that_of_a_table_worked_by_hand() -> None:
    # 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: seen 0.7, by chance 0.5, kappa 0.4.
    counts = {("y", "y"): 20, ("y", "n"): 5, ("n", "y"): 10, ("n", "n"): 15}
    pairs = [(a, b, str(k % 12)) for (a, b), n in counts.items() for k in range(n)]
    found = kappa(pairs, ("y", "n"))
    assert (found.n, found.studies, found.kappa, found.same) == (50, 12, 0.4, 0.7)
    assert found.ci95 is not None
    assert found.ci95[0] < 0.4 < found.ci95[1]
    assert not found.small


@given(st.lists(st.tuples(*[st.sampled_from(WORDS)] * 2), min_size=1, max_size=40), st.booleans())
def test_kappa_is_that_of_scikit_learn(pairs: list[tuple[str, str]], ordered: bool) -> None:
    found = kappa([(a, b, "s") for a, b in pairs], WORDS, ordered=ordered).kappa
    if len({word for pair in pairs for word in pair}) == 1:
        assert found is None  # nothing but chance
        return
    numbers = [[WORDS.index(word) for word in column] for column in zip(*pairs, strict=True)]
    weights = "linear" if ordered else None
    wanted = cohen_kappa_score(*numbers, labels=[0, 1, 2], weights=weights)
    assert found == pytest.approx(wanted, abs=6e-5)


def test_the_interval_is_that_of_resampled_studies_and_always_the_same() -> None:
    rng = np.random.default_rng(3)
    pairs = [(bool(a), bool(a ^ (rng.random() < 0.2)), str(k // 3))
             for k, a in enumerate(rng.integers(0, 2, 120))]  # fmt: skip
    found = kappa(pairs, (False, True))
    by_study = [[p[:2] for p in pairs if p[2] == str(k)] for k in range(40)]
    drawn = []
    other = np.random.default_rng(9)
    for _ in range(400):
        some = [pair for k in other.integers(0, 40, 40) for pair in by_study[k]]
        drawn.append(cohen_kappa_score(*zip(*some, strict=True)))
    assert found.ci95 == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.05)
    assert kappa(pairs, (False, True)) == found


def test_nothing_to_compare_is_no_figure() -> None:
    none = kappa([], WORDS)
    assert (none.n, none.kappa, none.ci95, none.small) == (0, None, None, True)
    assert kappa([("low", "low", "a"), ("low", "low", "b")], WORDS).kappa is None


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_shares_have_the_interval_of_scipy(counts: tuple[int, int]) -> None:
    found = share(*counts)
    wanted = binomtest(*counts).proportion_ci(0.95, "wilson")
    assert found.ci95 == pytest.approx((wanted.low, wanted.high), abs=6e-5)
    assert found.share == pytest.approx(counts[0] / counts[1], abs=6e-5)


@pytest.mark.parametrize(
    ("answer", "changed"),
    [
        (POPCORN, ()),
        (Answer(True, ("diffuse", "popcorn"), "low"), ()),
        (Answer(True, (), None), ()),
        (Answer(True, ("laminated",), "low"), ("pattern",)),
        (Answer(True, ("popcorn", "laminated"), "high"), ("pattern", "concern")),
        (NOT, ("finding",)),
        (Answer(None), ("finding",)),
    ],
)
def test_what_a_reader_changes(answer: Answer, changed: tuple[str, ...]) -> None:
    assert MODEL.changed_by(answer) == changed


def test_what_the_model_abstained_from_cannot_be_changed() -> None:
    silent = {
        "finding": {"probability": 0.6, "abstained": True},
        "pattern": {"abstained": True, "set": ["popcorn"]},
        "concern": {"level": "unknown"},
    }
    assert ModelAnswer.of(silent) == ModelAnswer(None, (), None)
    assert ModelAnswer.of(silent).changed_by(Answer(True, ("laminated",), "high")) == ()


def test_readers_are_compared_on_blinded_and_on_final_answers() -> None:
    blind = {"ann": said("ann", NOT), "ben": said("ben", POPCORN)}
    final = {"ann": said("ann", POPCORN), "ben": said("ben", POPCORN)}
    lesions = [case(final, blind), both(NOT, NOT)]
    told = statistics([study("1", *lesions)])["between_readers"]
    assert (told["blinded"]["finding"]["n"], told["blinded"]["finding"]["same"]) == (1, 0)
    assert (told["final"]["finding"]["n"], told["final"]["finding"]["same"]) == (2, 1)
    assert told["final"]["finding"]["kappa"] == 1
    assert list(told["final"]["patterns"]) == ["popcorn"]


def test_a_mind_changed_on_seeing_the_model_goes_to_its_side_or_from_it() -> None:
    pairs = [(NOT, POPCORN), (POPCORN, NOT), (POPCORN, POPCORN), (NOT, NOT)]
    cases = [case({"ann": said("ann", b)}, {"ann": said("ann", a)}) for a, b in pairs]
    told = statistics([study("1", *cases)])["minds_changed"]
    counts = [told[name]["count"] for name in ("changed", "to_the_model", "from_the_model")]
    assert counts == [2, 1, 1]
    assert told["changed"]["n"] == 4


def test_overrides_are_counted_by_the_likeliest_pattern_of_the_model() -> None:
    silent = ModelAnswer(True, (), "low")
    cases = [both(POPCORN, NOT), case({"ann": said("ann", POPCORN)}, model=silent)]
    told = statistics([study("1", *cases)])["overrides"]
    assert (told["all"]["count"], told["all"]["n"]) == (1, 3)
    assert {key: (x["count"], x["n"]) for key, x in told["by_pattern"].items()} == {
        "popcorn": (1, 2),
        "none named": (0, 1),
    }
    assert {key: x["count"] for key, x in told["by_part"].items()} == {
        "finding": 1,
        "pattern": 0,
        "concern": 0,
    }


def test_missed_lesions_are_counted_and_compared_with_no_model() -> None:
    added = case({"ann": said("ann", POPCORN), "ben": said("ben", POPCORN)}, model=None)
    told = statistics([study("1", added), study("2", both(POPCORN, POPCORN))])
    assert (told["missed"]["lesions"], told["missed"]["by_both"]) == (1, 1)
    assert (told["missed"]["studies"]["count"], told["missed"]["studies"]["n"]) == (1, 2)
    assert told["overrides"]["all"]["n"] == 2


def drifting() -> list[Reviewed]:
    """Four months of ten answers, of which none, none, none and nine are changed."""
    found = []
    for number, wrong in enumerate((0, 0, 0, 9), 1):
        answers = [NOT] * wrong + [POPCORN] * (10 - wrong)
        cases = [case({"ann": said("ann", a, f"2026-0{number}")}) for a in answers]
        found.append(study(f"1.{number}", *cases))
    return found


def test_a_month_out_of_line_is_outside_limits_of_three_standard_errors() -> None:
    drift = statistics(drifting())["drift"]
    assert drift["mean"] == 9 / 40
    half = 3 * math.sqrt(9 / 40 * 31 / 40 / 10)
    assert drift["months"][0]["limits"] == pytest.approx([0, 9 / 40 + half], abs=1e-4)
    assert [month["outside"] for month in drift["months"]] == [False, False, False, True]


def test_a_month_of_few_answers_is_not_judged() -> None:
    few = [case({"ann": said("ann", NOT, "2026-09")})] * (LEAST_IN_MONTH - 1)
    last = statistics([*drifting(), study("9", *few)])["drift"]["months"][-1]
    assert (last["month"], last["outside"]) == ("2026-09", None)


def test_times_have_median_and_quartiles() -> None:
    studies = [study(str(k), both(POPCORN, POPCORN), seconds=k) for k in range(1, 6)]
    told = statistics(studies)["seconds"]["a study: reading"]
    assert told == {"n": 10, "median": 3.0, "quartiles": [2.0, 4.0], "small": True}


def test_an_entry_of_before_with_an_odd_step_stops_no_figure() -> None:
    odd = {"$\\frac{": 3.0, "a\0b": 1.0, "\ud800": 1.0, "reading": 2.0}
    studies = [study(str(k), both(POPCORN, POPCORN)) for k in range(5)]
    for one in studies:
        signed = {name: replace(s, seconds=odd) for name, s in one.state.signed.items()}
        one.state.signed.update(signed)
    figures = statistics(studies)
    assert [name for name in figures["seconds"] if name.startswith("a study")] == [
        "a study: reading"
    ]
    assert "time" in draw(figures)


def test_no_figure_is_drawn_of_too_few_answers() -> None:
    assert draw(statistics([])) == {}
    few = statistics([study("1", *[both(POPCORN, NOT)] * ((FEWEST - 1) // 2))])
    assert draw(few) == {}


def some() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    keys = ("popcorn", "diffuse", "laminated")
    studies = drifting()
    for number in range(30):
        cases = []
        for _ in range(3):
            key, level = str(rng.choice(keys)), str(rng.choice(WORDS))
            base = Answer(True, (key,), level)
            other = base if rng.random() < 0.7 else NOT
            model = ModelAnswer(True, (str(rng.choice(keys)),), level)
            month = f"2026-0{1 + number % 6}"
            final = {"ann": said("ann", base, month, 8), "ben": said("ben", other, month, 14)}
            cases.append(case(final, final, model))
        studies.append(study(f"2.{number}", *cases, seconds=100 + number))
    return statistics(studies)


def test_plots_are_the_same_each_time_and_carry_their_text() -> None:
    plots = draw(some())
    assert set(plots) == {"agreement", "overrides", "drift", "time"}
    assert {n: p.svg for n, p in draw(some()).items()} == {n: p.svg for n, p in plots.items()}
    for plot in plots.values():
        assert ElementTree.fromstring(plot.svg).tag.endswith("svg")  # noqa: S314 - our own
        assert "n " in plot.text or " of " in plot.text
    drift = draw(statistics(drifting()))["drift"].text
    assert drift.endswith("Outside the limits: 2026-04.")
