from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcilens.data_manifests.schema import new_manifest, truth
from calcilens.training.targets import soft_targets
from calcilens.vocabulary import ABSENT, PATTERN_KEYS

EMPTY: dict[str, Any] = {
    **dict.fromkeys(("finding", "finding_votes", "concern", "concern_votes")),
    **dict.fromkeys(("pattern", "pattern_votes")),
    "readers": 1,
}
CELLS = {
    **{"row_id": "a", "image": "a.png", "image_kind": "png", "modality": "CT", "source": "made"},
    **{"z0": 0, "y0": 0, "x0": 0, "z1": 1, "y1": 1, "x1": 1},
    **{"patient_key": "0" * 16, "readers": 1, "sha256": "0" * 64},
}


def targets(**cells: Any) -> dict[str, Any]:
    return soft_targets({**EMPTY, **cells})


def truth_of(**cells: Any) -> dict[str, Any]:
    frame = truth(new_manifest([{**CELLS, **cells}], Path()).frame)
    return {str(name): frame[name].iloc[0] for name in frame}


@given(st.lists(st.integers(0, 1), min_size=1, max_size=4))
def test_votes_on_the_finding_lean_the_way_of_the_truth(votes: list[int]) -> None:
    soft = float(targets(finding_votes=votes)["finding"])
    assert (soft >= 0.5) == bool(truth_of(finding_votes=votes)["finding_truth"])


@given(st.lists(st.integers(1, 5), min_size=3, max_size=4))
def test_votes_on_concern_do_not_contradict_a_unanimous_side(votes: list[int]) -> None:
    soft = float(targets(concern_votes=votes)["concern"])
    stated = truth_of(concern_votes=votes)["concern_truth"]
    if min(votes) > 3 or max(votes) < 3:
        assert (soft > 0.5) == bool(stated)
    mirrored = float(targets(concern_votes=[6 - v for v in votes])["concern"])
    assert mirrored == pytest.approx(1 - soft, abs=1e-6)


@given(st.lists(st.sampled_from([*PATTERN_KEYS, ABSENT]), min_size=1, max_size=4))
def test_pattern_votes_share_one_whole_and_the_truth_has_the_largest_share(
    votes: list[str],
) -> None:
    soft = targets(pattern_votes=votes)["pattern"]
    assert soft.sum() == pytest.approx(float(any(v != ABSENT for v in votes)))
    named = truth_of(pattern_votes=votes, finding=1.0)["pattern_truth"]
    if named:
        assert (PATTERN_KEYS[int(soft.argmax())],) == named


@given(st.lists(st.sampled_from(PATTERN_KEYS), min_size=1, max_size=4))
def test_true_patterns_share_one_whole_equally_and_weigh_more_than_votes(label: list[str]) -> None:
    given, voted = targets(pattern=label), targets(pattern_votes=label)
    shares = given["pattern"][given["pattern"] > 0]
    np.testing.assert_allclose(shares, 1 / len(set(label)), rtol=1e-6)
    assert set(truth_of(pattern=label)["pattern_truth"]) == set(label)
    assert given["pattern_weight"] == 1 > voted["pattern_weight"] > 0


def test_a_label_given_outright_wins_over_votes() -> None:
    soft = targets(
        **{"finding": 0.0, "finding_votes": [1, 1], "concern": 1.0, "concern_votes": [1, 1, 1]},
        **{"pattern": ["popcorn"], "pattern_votes": ["diffuse"]},
    )
    assert (float(soft["finding"]), float(soft["concern"])) == (0.0, 1.0)
    assert soft["pattern"][PATTERN_KEYS.index("popcorn")] == 1


@pytest.mark.parametrize("nothing", [None, float("nan"), []])
def test_what_no_reader_said_is_no_target(nothing: Any) -> None:
    soft = targets(finding_votes=nothing, concern_votes=nothing, pattern_votes=nothing)
    assert np.isnan([soft["finding"], soft["concern"]]).all()
    assert not soft["pattern"].any()


def test_more_readers_weigh_more_up_to_four() -> None:
    weights = [float(targets(readers=n)["weight"]) for n in (1, 2, 3, 4, 7)]
    assert weights == sorted(weights)
    assert weights[0] == 0.5
    assert weights[3] == weights[4] == 1


@pytest.mark.parametrize("head", ["finding", "concern"])
def test_what_is_known_for_certain_weighs_as_much_as_many_readers(head: str) -> None:
    assert targets(readers=1, **{head: 0.0})["weight"] == targets(readers=4)["weight"]
