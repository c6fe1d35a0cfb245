from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import label
from torch import Tensor, nn

from calcilens.imaging.images import Radiograph
from calcilens.imaging.measure import measure
from calcilens.inference.film_finder import NOT_SEARCHED, OUTLINE_SD, outlined, search_film
from calcilens.inference.pipeline import SAME_FILM, Models, run_study
from calcilens.models.film_search import Place
from calcilens.models.finder import STRIDE
from tests.inference.made import FakeModel, card, film, study
from tests.models.test_film_search import Bright


@dataclass
class FakeFinder:
    network: Any = field(default_factory=Bright)
    longest_px: int = 128
    threshold: float = 0.5
    name: str = "fake finder"
    card: dict[str, Any] = field(default_factory=lambda: card(name="fake finder"))
    sha256: str = "1" * 64


class Sure(nn.Module):
    """Sees calcification where the disc of these films lies, whatever is there."""

    def forward(self, film: Tensor) -> Tensor:
        seen = nn.functional.avg_pool2d(film[:, :1], STRIDE) * 0 - 10
        seen[..., 51 // STRIDE : 70 // STRIDE, 41 // STRIDE : 60 // STRIDE] = 10
        return seen


def spotted(spacing: tuple[float, float] | None = None) -> Radiograph:
    """A film with a dense disc at (60, 50) of radius 9, and air at its upper edge."""
    image = film(spacing=spacing)
    rows, columns = np.indices(image.pixels.shape)
    disc = (rows - 60) ** 2 + (columns - 50) ** 2 <= 81
    pixels = np.where(rows < 8, -0.3, 0.1 * image.pixels + disc)
    return replace(image, pixels=pixels.astype(np.float32))


@pytest.mark.parametrize("spacing", [None, (0.2, 0.2)])
def test_a_lesion_is_found_with_and_without_spacing(spacing: tuple[float, float] | None) -> None:
    (found,) = search_film(spotted(spacing), FakeFinder()).candidates
    assert found.box[:, 0].tolist() == [0, 1]
    assert np.abs(found.box[:, 1:] - [[51, 41], [70, 60]]).max() <= 2
    assert found.mask is not None
    assert found.mask.shape == tuple(found.box[1] - found.box[0])
    assert abs(int(found.mask.sum()) - 253) <= 0.15 * 253
    assert "fake finder" in found.why
    assert "score" in found.why


@pytest.mark.parametrize(
    ("ground", "rise", "seen"), [(0.5, 0.3, 1), (0.05, 0.3, 0), (0.5, 0.005, 0)]
)
def test_air_and_what_nobody_can_see_hold_no_lesion(ground: float, rise: float, seen: int) -> None:
    image = film()
    rows, columns = np.indices(image.pixels.shape)
    disc = (rows - 60) ** 2 + (columns - 50) ** 2 <= 81
    pixels = np.where(rows < 30, columns / columns.max(), ground) + rise * disc
    there = replace(image, pixels=pixels.astype(np.float32))
    found = search_film(there, FakeFinder(network=Sure())).candidates
    assert len(found) == seen


def test_the_search_is_deterministic() -> None:
    first, second = (search_film(spotted(), FakeFinder()).candidates for _ in range(2))
    assert [c.id for c in first] == [c.id for c in second]
    assert [c.why for c in first] == [c.why for c in second]


@pytest.mark.parametrize(
    ("pixels", "why"),
    [
        (np.zeros((1, 1), np.float32), "all pixels have the same value"),
        (np.full((80, 60), 7, np.float32), "all pixels have the same value"),
        (np.full((80, 60), np.nan, np.float32), "not numbers"),
        (np.full((80, 60), np.inf, np.float32), "not numbers"),
    ],
)
def test_a_film_with_nothing_to_search_says_so(pixels: np.ndarray, why: str) -> None:
    searched = search_film(replace(film(), pixels=pixels), FakeFinder())
    assert searched.candidates == ()
    assert why in searched.skipped[0].reason


def test_without_a_finder_the_report_says_that_films_were_not_searched() -> None:
    report = run_study(study(spotted()), Models(None, FakeModel()))
    assert report.lesions == ()
    assert [s.reason for s in report.skipped] == [NOT_SEARCHED]


def test_what_the_finder_finds_is_judged_and_the_finder_is_named() -> None:
    models = Models(None, FakeModel(card=card(modality="radiograph")), FakeFinder())  # type: ignore[arg-type]
    report = run_study(study(spotted()), models)
    assert len(report.lesions) == 1
    assert [m.card["name"] for m in report.models] == ["fake", "fake finder"]


def test_a_film_that_is_there_twice_is_searched_once() -> None:
    models = Models(None, FakeModel(card=card(modality="radiograph")), FakeFinder())  # type: ignore[arg-type]
    other = replace(spotted(), pixels=spotted().pixels + 1)
    copy = replace(spotted(), series_uid="1.2.99")
    report = run_study(study(spotted(), copy, other), models)
    assert len(report.lesions) == 2
    assert [(s.what, s.reason) for s in report.skipped] == [("1.2.99", SAME_FILM)]


@given(
    seed=st.integers(0, 99),
    top=st.integers(0, 20),
    left=st.integers(0, 20),
    side=st.integers(1, 25),
)
def test_an_outline_is_never_empty_and_stays_inside_its_place(
    seed: int, top: int, left: int, side: int
) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.random((40, 44), np.float32)
    mask = rng.random((min(side, 40 - top), min(side, 44 - left))) < 0.7
    mask[0, 0] = True
    box = np.array([[top, left], [top + mask.shape[0], left + mask.shape[1]]])
    kept = outlined(pixels, Place(box, mask, 0.9))
    assert kept.shape == mask.shape
    assert kept.any()
    assert not (kept & ~mask).any()


def test_noise_is_no_piece_of_an_outline_and_its_lengths_are_true() -> None:
    y, x = np.indices((120, 140))
    disc = np.hypot(y - 60, x - 70) < 20
    noisy = np.random.default_rng(0).normal(0, 0.4, disc.shape) + disc
    box = np.array([[30, 35], [95, 110]])
    place = Place(box, np.ones((65, 75), bool), 0.9)
    pieces, count = label(outlined(noisy.astype(np.float32), place))
    assert count == 1
    sides = np.ptp(np.argwhere(pieces), axis=0) + 1
    assert sides == pytest.approx(40, abs=4)


def test_the_length_of_a_found_place_is_stated_with_the_error_of_its_outline() -> None:
    found = search_film(spotted(), FakeFinder()).candidates[0]
    taken = measure(spotted(), found)
    length = taken.max_diameter_mm or taken.diameter_px or 0.0
    name = "diameter_px" if taken.max_diameter_mm is None else "max_diameter_mm"
    assert taken.uncertainty[name] == pytest.approx(OUTLINE_SD * length, rel=0.01)
    assert "outline that the software drew" in taken.how[name]
    given = measure(spotted(), replace(found, outline_sd=0.0))
    assert given.uncertainty[name] < taken.uncertainty[name]
