"""An answer is what a reader can mean, and comes back from the journal as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcilens.errors import ReviewError
from calcilens.review.answers import Answer, answer_from
from calcilens.vocabulary import PATTERN_KEYS

VOXELS = st.tuples(*[st.integers(0, 500)] * 3)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    calcified = draw(st.sampled_from([True, False, None]))
    keys = draw(st.sets(st.sampled_from(PATTERN_KEYS), max_size=3)) if calcified else set()
    first, size = draw(VOXELS), draw(st.tuples(*[st.integers(1, 50)] * 3))
    box = (first, tuple(a + b for a, b in zip(first, size, strict=True)))
    return Answer(
        calcified,
        tuple(sorted(keys)),
        draw(st.sampled_from([None, "low", "intermediate", "high"])),
        draw(st.integers(1, 5)),
        draw(st.text(max_size=50)),
        draw(st.none() | st.just(box)),
        draw(st.none() | st.just("ab" * 32)),
    )


@given(answers())
def test_it_comes_back_from_json_as_it_was(answer: Answer) -> None:
    assert answer_from(json.loads(json.dumps(answer.as_json()))) == answer


@given(answers(), answers())
def test_two_agree_on_what_is_asked_whatever_they_comment(a: Answer, b: Answer) -> None:
    assert a.agrees(b) == b.agrees(a)
    assert a.agrees(replace(a, comment=b.comment, confidence=b.confidence, box=b.box))
    differs = (a.calcified, set(a.patterns), a.concern) != (b.calcified, set(b.patterns), b.concern)
    assert a.agrees(b) is not differs


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*Answer.__dataclass_fields__, "other"]), JUNK) | JUNK)
def test_anything_else_is_refused_in_one_line(content: Any) -> None:
    try:
        found = answer_from(content)
    except ReviewError as error:
        assert "\n" not in str(error)  # noqa: PT017 either may come
    else:
        assert isinstance(found, Answer)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"calcified": True, "patterns": ["x"]}, "patterns: expected some of diffuse"),
        ({"calcified": False, "patterns": ["diffuse"]}, "patterns: expected none where"),
        ({"calcified": True, "concern": "huge"}, "concern: expected one of low"),
        ({"calcified": True, "confidence": 6}, "confidence: expected 1 to 5, found 6"),
        ({"calcified": True, "confidence": True}, "confidence: expected int, found bool"),
        ({"calcified": True, "comment": "x" * 2001}, "comment: expected at most 2000"),
        ({"calcified": True, "box": [[0, 0, 0], [1, 1, 0]]}, "box: expected a first voxel before"),
        ({"calcified": True, "box": [[0, 0], [1, 1]]}, "box: expected .* of whole numbers"),
        ({"calcified": True, "who": "me"}, "answer: expected calcified and some of"),
        ({}, "answer: expected calcified and some of .* found nothing"),
        ([], "answer: expected an object, found list"),
    ],
)
def test_what_a_reader_cannot_mean_names_its_field(content: Any, message: str) -> None:
    with pytest.raises(ReviewError, match=message):
        answer_from(content)


def test_half_a_character_is_refused() -> None:
    with pytest.raises(ReviewError, match="whole characters"):
        Answer(True, comment="\ud800")
