"""Numbers stand inside the picture and beside their box, wherever that lies."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from calcilens.inference.export.views import View

SIZE = (300, 520)


@st.composite
def placed(draw: st.DrawFn) -> tuple[int, tuple[float, float, float, float]]:
    x, y = draw(st.floats(0, SIZE[0] - 1)), draw(st.floats(0, SIZE[1] - 1))
    width, height = draw(st.floats(1, SIZE[0] - x)), draw(st.floats(1, SIZE[1] - y))
    return draw(st.integers(1, 30)), (x, y, width, height)


@given(placed(), st.sampled_from([18, 28, 44]))
def test_a_number_never_leaves_the_picture(
    one: tuple[int, tuple[float, float, float, float]], font: int
) -> None:
    number, box = one
    view = View("front", "", "", SIZE, (), {number: box}, font)
    x, foot, end = view.label(number)
    wide = 0.65 * font * len(str(number))
    left, right = (x, x + wide) if end == "start" else (x - wide, x)
    assert 0 <= left < right <= SIZE[0]
    assert 0.7 * font <= foot <= SIZE[1]


def test_a_number_changes_sides_at_the_right_edge() -> None:
    boxes = {1: (100.0, 200.0, 40.0, 40.0), 2: (255.0, 200.0, 40.0, 40.0)}
    view = View("front", "", "", SIZE, (), boxes, 28)
    assert view.label(1)[::2] == (146.0, "start")
    assert view.label(2)[::2] == (249.0, "end")
