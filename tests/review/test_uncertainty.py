"""Uncertainty sorts studies: bounded, lowest where the model is certain, silent on the level."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcilens.review.uncertainty import entropy, of_lesion, of_study, two_sided

SHARES = st.floats(0, 1)
MAYBE = st.none() | SHARES
PATTERNS = st.dictionaries(st.sampled_from(["diffuse", "central", "popcorn", "stippled"]), SHARES)


def lesion(
    finding: float | None,
    concern: float | None,
    patterns: dict[str, float] | None = None,
    *,
    flag: bool | None = False,
) -> dict[str, Any]:
    return {
        "finding": {"probability": finding},
        "concern": {"probability": concern},
        "pattern": {
            "probabilities": {"diffuse": 1.0, "central": 0.0} if patterns is None else patterns
        },
        "out_of_domain": {"flag": flag},
    }


LESIONS = st.builds(lesion, MAYBE, MAYBE, PATTERNS, flag=st.none() | st.booleans())


@given(LESIONS)
def test_it_lies_between_0_and_1(one: dict[str, Any]) -> None:
    assert 0 <= of_lesion(one) <= 1


@given(st.lists(LESIONS, min_size=1, max_size=5))
def test_a_study_is_as_unsure_as_its_worst_lesion(lesions: list[dict[str, Any]]) -> None:
    assert of_study(lesions) == max(map(of_lesion, lesions))
    assert of_study([]) is None


@pytest.mark.parametrize(("finding", "concern"), [(1.0, 0.0), (1.0, 1.0), (0.0, 0.0)])
def test_certain_answers_come_last(finding: float, concern: float) -> None:
    assert of_lesion(lesion(finding, concern)) == 0


@pytest.mark.parametrize(
    "one",
    [
        lesion(0.5, 0.0),
        lesion(1.0, 0.5),
        lesion(1.0, 0.0, {"diffuse": 0.5, "central": 0.5}),
        lesion(None, None, {}),
        lesion(0.9, 0.1, {}),
    ],
)
def test_nothing_known_or_an_even_answer_comes_first(one: dict[str, Any]) -> None:
    assert of_lesion(one) == pytest.approx(1)


@given(SHARES, SHARES, SHARES)
def test_nearer_to_an_even_answer_is_never_less_unsure(a: float, b: float, concern: float) -> None:
    far, near = sorted((a, b), key=lambda p: -abs(p - 0.5))
    assert two_sided(near) >= two_sided(far) - 1e-12
    assert of_lesion(lesion(1.0, near)) >= of_lesion(lesion(1.0, far)) - 1e-12


@given(SHARES, SHARES, PATTERNS)
def test_out_of_domain_is_never_less_unsure(a: float, b: float, patterns: dict[str, float]) -> None:
    inside, outside = (lesion(a, b, patterns, flag=flag) for flag in (False, True))
    assert of_lesion(outside) >= max(of_lesion(inside), 0.5)


@given(SHARES)
def test_it_does_not_tell_high_concern_from_low(concern: float) -> None:
    sides = lesion(1.0, concern), lesion(1.0, 1 - concern)
    assert of_lesion(sides[0]) == pytest.approx(of_lesion(sides[1]), abs=1e-9)


@given(st.lists(SHARES, min_size=2, max_size=8), st.floats(0.1, 10))
def test_entropy_asks_for_shares_alone(shares: list[float], factor: float) -> None:
    kept = [share + 0.01 for share in shares]
    assert entropy(kept) == pytest.approx(entropy([factor * share for share in kept]))
    assert entropy([1.0] * len(shares)) == pytest.approx(1)
