"""What is made ready ahead is what stands on top of the list for who looks at it."""

from __future__ import annotations

from typing import Any

from calcilens.review.worklist import next_to_read


def row(uid: str, uncertainty: float | None, *, can: tuple[str, ...], images: bool) -> Any:
    return {"study_uid": uid, "uncertainty": uncertainty, "can": [*can], "images": images}


def test_the_least_certain_that_the_reader_may_take_come_next() -> None:
    rows = [
        row("1.1", 0.2, can=("take",), images=True),
        row("1.2", None, can=("take",), images=True),
        row("1.3", 0.9, can=("open",), images=True),
        row("1.4", 0.8, can=("take",), images=False),
        row("1.5", 0.5, can=("take",), images=True),
        row("1.6", 0.2, can=("take",), images=True),
    ]
    assert next_to_read(rows) == ["1.5", "1.1"]
    assert next_to_read(rows[1:4]) == ["1.2"]
    assert next_to_read([]) == []
