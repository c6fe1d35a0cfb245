"""Telling phantoms from real images: what is alike is not told apart, what differs is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from calcilens.errors import InputError
from calcilens.imaging.geometry import Affine
from calcilens.imaging.images import Plane, Radiograph, Volume
from calcilens.training.realism import compare
from calcilens.training.realism_features import FAMILIES, features, names
from calcilens.training.realism_views import (
    BLOCK_MM,
    SIDE_PX,
    Views,
    lesions_of,
    matched,
    radiographs_of,
    tissue_of_volumes,
)
from tests.data_manifests.made import png_manifest, tissue


def views(seed: int, *, blur_px: float = 1.0, count: int = 48) -> Views:
    """Return smooth noise of a given sharpness, four pictures a person."""
    noise = np.random.default_rng(seed).normal(size=(count, SIDE_PX, SIDE_PX))
    soft = ndimage.gaussian_filter(noise, (0, blur_px, blur_px))
    pixels = np.clip(0.5 + 0.15 * soft / soft.std(), 0, 1).astype(np.float32)
    group = np.array([str(i // 4) for i in range(count)])
    return Views(pixels, np.zeros((count, 1)), group)


def volume(planes: int = 40, *, thick_mm: float = 4.0) -> Volume:
    """Return fat beside muscle, air above them and a row of bones."""
    y, x = np.indices((150, 150))
    plane = np.where(x < 75, -100.0, 50.0)
    plane[y < 20] = -1000
    plane[(y > 130) & (x % 50 < 15)] = 900
    noise = np.random.default_rng(0).normal(0, 10, (planes, 150, 150))
    matrix = np.diag([thick_mm, 0.8, 0.8, 1.0])
    own = tuple(Plane(f"1.{i}") for i in range(planes))
    hu = np.rint(plane + noise).astype(np.int16)
    return Volume(hu, Affine(matrix), "1", "1.2", None, own)


def test_pictures_of_one_kind_are_not_told_apart() -> None:
    found = compare("tissue", views(0), views(1))
    assert (found.real, found.real_groups) == (48, 12)
    low, high = found.by_family["all"].auroc_ci95 or (np.nan, np.nan)
    assert low < 0.5 < high
    assert 0.35 < found.by_lot < 0.65


def test_pictures_of_other_sharpness_are_told_apart_and_it_is_said_by_what() -> None:
    found = compare("tissue", views(0), views(1, blur_px=1.6))
    assert set(found.by_family) == {*FAMILIES, "all"}
    assert found.by_family["all"].auroc > 0.95
    assert found.by_family["edges"].auroc > 0.95
    assert 0.3 < found.by_lot < 0.7
    assert max(found.telling.values()) > 0.95


def test_too_few_pictures_or_people_are_refused() -> None:
    few, alone = views(0, count=12), views(0)
    alone = Views(alone.pixels, alone.content, np.repeat("one", len(alone)))
    with pytest.raises(InputError, match=r"expected 20 pictures of 5 people .* found 12 of 3"):
        compare("tissue", few, views(1))
    with pytest.raises(InputError, match=r"phantom tissue .* found 48 of 1"):
        compare("tissue", views(1), alone)
    with pytest.raises(InputError, match="found 0 of 0"):
        compare("lesions", views(1).part(np.zeros(0, int)), alone)


@given(
    real=st.lists(st.floats(0, 1), min_size=1, max_size=30),
    phantom=st.lists(st.floats(0, 1), min_size=1, max_size=30),
    most=st.floats(0.01, 0.5),
)
def test_pairs_are_close_in_content_and_nothing_is_used_twice(
    real: list[float], phantom: list[float], most: float
) -> None:
    def side(content: list[float]) -> Views:
        number = np.arange(len(content))
        pixels = np.broadcast_to(number[:, None, None], (len(content), 2, 2)).astype(np.float32)
        return Views(pixels, np.array(content)[:, None], number.astype(str))

    ours, theirs = matched(side(real), side(phantom), most)
    assert len(ours) == len(theirs) <= min(len(real), len(phantom))
    assert (np.abs(ours.content - theirs.content) <= most).all()
    for one in (ours, theirs):
        assert len(np.unique(one.group)) == len(one)


def test_windows_show_soft_tissue_in_256_greys_and_name_their_block() -> None:
    found = tissue_of_volumes([volume()])
    assert len(found) > 400
    assert found.pixels.shape[1:] == (SIDE_PX, SIDE_PX)
    np.testing.assert_allclose(found.pixels * 255, np.rint(found.pixels * 255), atol=1e-4)
    assert (found.content[:, 0] <= 0.1).all()
    assert (found.content[:, 5] <= 0.2).all()
    blocks = np.ceil(np.array([160, 120, 120]) / BLOCK_MM).prod()
    assert 2 < len(np.unique(found.group)) <= blocks


def test_lesions_are_the_calcified_ones_of_a_site_in_their_own_range(tmp_path: Path) -> None:
    pictures = {f"{i}.png": tissue(i, 160) // 2 + 10 for i in range(6)}
    manifest = png_manifest(
        tmp_path, pictures, finding=[1, 1, 0, 1, 1, 0], site=["thorax"] * 4 + ["knee"] * 2
    )
    assert len(lesions_of(manifest)) == 4
    found = lesions_of(manifest, "thorax")
    assert len(found) == 3
    np.testing.assert_allclose(found.pixels.min((1, 2)), 0)
    np.testing.assert_allclose(found.pixels.max((1, 2)), 1)
    np.testing.assert_allclose(found.content, np.log2(30))


def test_windows_of_radiographs_leave_out_what_is_even() -> None:
    pixels = np.zeros((400, 700), np.float32)
    pixels[:, :350] = 1000 + 40.0 * tissue(3, 400)[:, :350]
    film = Radiograph(pixels, np.zeros((400, 700), np.uint8), None, "", "1", "1.2", None, ())
    found = radiographs_of([film])
    assert len(found) > 20
    assert (found.pixels.std((1, 2)) > 0.05).all()


def test_every_named_feature_has_its_column() -> None:
    tables = features(views(0, count=6).pixels)
    assert set(tables) == set(FAMILIES)
    for family, listed in names().items():
        assert tables[family].shape == (6, len(listed))
        assert np.isfinite(tables[family]).all()
