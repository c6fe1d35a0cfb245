from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from matplotlib.path import Path as Polygon

from calcilens.imaging.candidates import candidate
from calcilens.inference.export.outlines import outline, planes_of
from calcilens.inference.lesions import Lesion
from tests.inference.made import ct, film
from tests.inference.reports import reported

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9)).filter(np.any)
LESION = reported(film()).lesions[0]


def lesion_of(mask: np.ndarray | None, shape: tuple[int, int]) -> Lesion:
    box = [[0, 20, 30], [1, 20 + shape[0], 30 + shape[1]]]
    place = candidate(film(), box, None if mask is None else mask[None], "given in a test")
    return replace(LESION, candidate=place)


@given(MASKS)
def test_the_outline_is_closed_and_has_every_pixel_inside(mask: np.ndarray) -> None:
    line = outline(lesion_of(mask, mask.shape), 0)
    assert (line[0] == line[-1]).all()
    rows, columns = np.nonzero(mask)
    centres = np.stack([columns + 30.5, rows + 20.5], -1)
    assert Polygon(line).contains_points(centres).all()


@given(MASKS)
def test_the_outline_stays_within_the_box_of_the_mask(mask: np.ndarray) -> None:
    line = outline(lesion_of(mask, mask.shape), 0)
    rows, columns = np.nonzero(mask)
    assert (line >= [columns.min() + 30, rows.min() + 20]).all()
    assert (line <= [columns.max() + 31, rows.max() + 21]).all()


def test_a_lesion_without_a_mask_is_outlined_by_its_box() -> None:
    line = outline(lesion_of(None, (4, 7)), 0)
    assert line.tolist() == [[30, 20], [37, 20], [37, 24], [30, 24], [30, 20]]


def test_a_line_too_long_for_its_value_becomes_a_box() -> None:
    comb = np.zeros((201, 201), bool)
    comb[:, ::2] = comb[100] = True
    assert len(outline(lesion_of(comb, comb.shape), 0)) == 5


@given(st.lists(st.booleans(), min_size=1, max_size=6).filter(any))
def test_planes_are_those_with_mineral_and_begin_with_the_key_plane(there: list[bool]) -> None:
    mask = np.zeros((len(there), 3, 3), bool)
    mask[there] = True
    box = [[2, 20, 30], [2 + len(there), 23, 33]]
    lesion = replace(reported(ct()).lesions[0], candidate=candidate(ct(), box, mask, "made"))
    planes = planes_of(lesion)
    assert sorted(planes) == [2 + z for z, on in enumerate(there) if on]
    assert planes[0] == lesion.key_plane
