"""Which earlier study is compared, and the one line where none can be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from calcilens.imaging.study import Study
from calcilens.inference.prior import choose, days_between
from tests.inference.made import ct, film, study


def earlier(**changes: Any) -> Study:
    facts = {"study_uid": "1.2.826.2", "study_date": "20251003", "patient": "a"}
    return replace(study(ct()), **(facts | changes))


CURRENT = replace(study(ct()), patient="a")


def test_an_earlier_ct_of_the_patient_is_taken_without_a_word() -> None:
    choice = choose(CURRENT, [earlier()])
    assert [s.study_uid for s, _ in choice.volumes] == ["1.2.826.2"]
    assert choice.notes == ()


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"study_uid": CURRENT.study_uid}, "expected an earlier study, found the same study"),
        ({"patient": "b"}, "expected the same patient, found another patient number"),
        ({"study_date": "20260103"}, "expected a study before 20260102, found one of 20260103"),
        ({"images": (film(),)}, "expected a CT, found DX"),
        ({"images": ()}, "expected a CT, found no readable image"),
    ],
)
def test_what_cannot_be_compared_is_left_out_in_one_line(
    changes: dict[str, Any], line: str
) -> None:
    choice = choose(CURRENT, [earlier(**changes)])
    assert choice.volumes == ()
    (note,) = choice.notes
    assert line in note
    assert "\n" not in note


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"patient": None}, "no patient number to compare"),
        ({"study_date": None}, "a study date is missing, so no doubling time"),
        ({"study_date": "20251399"}, "a study date of 20251399 is not a date, so no doubling"),
    ],
)
def test_what_is_missing_is_said_and_does_not_stop_the_comparison(
    changes: dict[str, Any], line: str
) -> None:
    choice = choose(CURRENT, [earlier(**changes)])
    assert len(choice.volumes) == 1
    assert line in choice.notes[0]


def sided(*sides: str | None, part: str | None = None) -> tuple[Any, ...]:
    return tuple(replace(ct(), side=side, body_part=part) for side in sides)


@pytest.mark.parametrize(
    ("now", "before", "kept"),
    [
        (("L",), ("R",), []),
        (("R",), ("L", "R"), ["R"]),
        (("L",), (None, "R"), [None]),
        (("L", "R"), ("R",), ["R"]),
        ((None,), ("R",), ["R"]),
        (("L", None), ("R",), ["R"]),
    ],
)
def test_the_other_side_is_not_compared_where_both_say_theirs(
    now: tuple[str | None, ...], before: tuple[str | None, ...], kept: list[str | None]
) -> None:
    choice = choose(replace(CURRENT, images=sided(*now)), [earlier(images=sided(*before))])
    assert [volume.side for _, volume in choice.volumes] == kept
    told = [n for n in choice.notes if "same side of the body, found the other Laterality" in n]
    assert bool(told) == (not kept)


@pytest.mark.parametrize(
    ("now", "before", "told"),
    [("CHEST", "KNEE", True), ("CHEST", "CHEST", False), (None, "KNEE", False)],
)
def test_another_body_part_is_said_and_does_not_stop_the_comparison(
    now: str | None, before: str | None, told: bool
) -> None:
    current = replace(CURRENT, images=sided(None, part=now))
    choice = choose(current, [earlier(images=sided(None, part=before))])
    assert len(choice.volumes) == 1
    assert any("another BodyPartExamined" in note for note in choice.notes) == told


def test_the_latest_of_several_comes_first() -> None:
    dates = ("20240101", "20251231", "20250101")
    several = [earlier(study_uid=f"1.2.{d}", study_date=d) for d in dates]
    choice = choose(CURRENT, several)
    assert [s.study_date for s, _ in choice.volumes] == ["20251231", "20250101", "20240101"]


def test_days_are_those_of_the_calendar() -> None:
    assert days_between(earlier(), CURRENT) == 91
