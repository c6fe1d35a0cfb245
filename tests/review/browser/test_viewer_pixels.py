"""What the viewer shows is what numpy says: window, planes, slabs, turned and flipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.review.browser.harness import NEEDS_CHROMIUM, Shown, serving
from tests.review.browser.pictures import Pictures
from tests.review.browser.site import browser as chromium

pytestmark = NEEDS_CHROMIUM
Z = 20
"""The plane that is seen first."""
SOFT = (40.0, 400.0)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture
def pictures() -> Pictures:
    return Pictures()


@pytest.fixture
def shown(browser: Any, pictures: Pictures) -> Iterator[Shown]:
    with serving(pictures) as address:
        page = Shown.open(browser, address)
        page.run("viewer.overlays = {boxes: false, masks: false, saliency: false}")
        yield page
        page.close()


def grey(values: NDArray[Any], center: float, width: float) -> NDArray[np.int16]:
    """Return DICOM's linear window (PS3.3 C.11.2.1.2.1), 0 to 255."""
    share = (values.astype(float) - (center - 0.5)) / (width - 1) + 0.5
    return np.asarray(np.rint(np.clip(share, 0, 1) * 255), np.int16)


def same(seen: NDArray[np.int16], wanted: NDArray[np.int16]) -> bool:
    """Whether all but what lies beneath text and lines is the same, within 2 of 255."""
    there = seen >= 0
    return bool(there.mean() > 0.5 and (np.abs(seen - wanted)[there] <= 2).mean() > 0.93)


@pytest.mark.parametrize(
    ("key", "center", "width"),
    [("1", 40, 400), ("2", -600, 1500), ("3", 300, 3000), ("4", 480, 2500), ("5", *SOFT)],
)
def test_a_preset_is_its_window(
    shown: Shown, pictures: Pictures, key: str, center: float, width: float
) -> None:
    shown.press("2", key)
    assert same(shown.seen(pictures.ct[Z].shape), grey(pictures.ct[Z], center, width))


def test_inverted_is_white_for_black(shown: Shown, pictures: Pictures) -> None:
    shown.press("i")
    assert same(shown.seen(pictures.ct[Z].shape), 255 - grey(pictures.ct[Z], *SOFT))


def test_a_drag_changes_the_window(shown: Shown, pictures: Pictures) -> None:
    shown.drag((600, 300), (700, 250))
    window = shown.run("viewer.scenes.current.window")
    assert window == {"center": -10, "width": 500}
    assert same(shown.seen(pictures.ct[Z].shape), grey(pictures.ct[Z], -10, 500))


@pytest.mark.parametrize(
    ("keys", "z"),
    [
        (["ArrowDown"], Z + 1), (["ArrowUp"] * 3, Z - 3), (["Home"], 0), (["End"], 39),
        (["End", "ArrowDown"], 39), (["Home", "ArrowUp"], 0),
    ],
)  # fmt: skip
def test_keys_scroll(shown: Shown, pictures: Pictures, keys: list[str], z: int) -> None:
    shown.press(*keys)
    assert same(shown.seen(pictures.ct[z].shape), grey(pictures.ct[z], *SOFT))


def test_a_notch_of_the_wheel_is_an_image(shown: Shown, pictures: Pictures) -> None:
    shown.page.mouse.move(600, 300)
    for _ in range(3):
        shown.page.mouse.wheel(0, 120)
    shown.until(f"viewer.scenes.current.point[0] === {Z + 3}")
    assert same(shown.seen(pictures.ct[0].shape), grey(pictures.ct[Z + 3], *SOFT))


@pytest.mark.parametrize("keys", ["r", "l", "h", "v", "rr", "rh", "hr", "lv", "rhl", "hv"])
def test_turns_and_flips_act_on_what_is_seen(shown: Shown, pictures: Pictures, keys: str) -> None:
    act: dict[str, Callable[[Any], Any]] = {
        "r": lambda a: np.rot90(a, -1), "l": np.rot90, "h": np.fliplr, "v": np.flipud,
    }  # fmt: skip
    wanted = grey(pictures.ct[Z], *SOFT)
    for key in keys:
        wanted = act[key](wanted)
    shown.press(*keys)
    assert same(shown.seen(wanted.shape), wanted)


def test_space_undoes_every_turn_zoom_and_window(shown: Shown, pictures: Pictures) -> None:
    shown.settle()
    before = shown.page.screenshot()
    shown.press("r", "h", "+", "2", "i", "ctrl+ArrowLeft")
    assert shown.page.screenshot() != before
    shown.press(" ")
    shown.settle()
    assert shown.page.screenshot() == before


def test_the_other_planes_hang_head_up(shown: Shown, pictures: Pictures) -> None:
    shown.press("g")
    shown.run("viewer.goTo(viewer.scenes.current, [12, 50, 70])")
    for k, plane in enumerate(
        (pictures.ct[12], pictures.ct[::-1, 50, :], pictures.ct[::-1, :, 70])
    ):
        steps = (3, 3) if k == 0 else (9, 3)
        assert same(shown.seen(plane.shape, k, steps), grey(plane, *SOFT)), k


def test_a_slab_shows_the_greatest_values(shown: Shown, pictures: Pictures) -> None:
    shown.run("viewer.mip = 20")
    axial = pictures.ct[Z - 4 : Z + 5].max(0)
    assert same(shown.seen(axial.shape), grey(axial, *SOFT))
    shown.press("g")
    y, x = 48, 64
    coronal = pictures.ct[::-1, y - 12 : y + 13].max(1)
    sagittal = pictures.ct[::-1, :, x - 12 : x + 13].max(2)
    assert same(shown.seen(coronal.shape, 1, (9, 3)), grey(coronal, *SOFT))
    assert same(shown.seen(sagittal.shape, 2, (9, 3)), grey(sagittal, *SOFT))


def test_a_film_shows_its_values(shown: Shown, pictures: Pictures) -> None:
    shown.press("PageDown")
    shown.until("viewer.scenes.current.pixels.data[0] !== null")
    assert same(shown.seen(pictures.film.shape, 0, (1, 1)), grey(pictures.film, 3000, 4200))
    shown.page.mouse.move(640, 388)
    y, x = np.round(shown.run("viewer.panes[0].voxelAt(640, 388)")[1:]).astype(int)
    value = shown.run(f"viewer.scenes.current.pixels.value([0, {y}, {x}])")
    assert value == pictures.film[y, x]


def test_the_coarsest_level_of_a_film_comes_first(shown: Shown, pictures: Pictures) -> None:
    shown.press("PageDown")
    shown.until("viewer.scenes.current.pixels.data[0] !== null")
    films = [path for path in pictures.requests if "/film?" in path]
    assert films[0].endswith("/images/1/film?level=2")
    assert films[-1].endswith("/images/1/film?level=0")


def test_planes_come_from_the_middle_outwards(shown: Shown, pictures: Pictures) -> None:
    planes = [path for path in pictures.requests if "/planes/" in path]
    assert planes[0].endswith(f"/planes/{Z}?count=1")
    assert len(planes) <= 6, "several planes a request"
    counts = [int(path.partition("count=")[2]) for path in planes]
    assert sum(counts) == pictures.shape[0], "each plane once"


def test_a_plane_that_is_late_is_shown_as_soon_as_it_comes(browser: Any) -> None:
    pictures = Pictures()
    pictures.slow.clear()
    with serving(pictures) as address:
        page = Shown.open(browser, address, wait=False)
        page.run("viewer.overlays = {boxes: false, masks: false}")
        assert page.run("viewer.scenes.current.pixels.value([20, 48, 64])") is None
        dark = page.seen(pictures.ct[Z].shape)
        assert (dark[dark >= 0] < 20).mean() > 0.95
        pictures.slow.set()
        page.until("viewer.scenes.current.pixels.progress === 1")
        assert same(page.seen(pictures.ct[Z].shape), grey(pictures.ct[Z], *SOFT))
        page.close()


def test_a_screen_of_many_pixels_is_used_in_full(browser: Any, pictures: Pictures) -> None:
    with serving(pictures) as address:
        page = Shown.open(browser, address, device_scale_factor=2)
        canvas = page.run("[viewer.panes[0].canvas.width, viewer.panes[0].width]")
        assert canvas == [2560, 1280]
        page.close()


def test_zoom_keeps_what_is_under_the_pointer(shown: Shown) -> None:
    shown.page.mouse.move(700, 300)
    before = shown.run("viewer.panes[0].voxelAt(700, 300)")
    shown.press("+", "+", "r", "=", "-")
    shown.press("l")
    assert shown.run("viewer.panes[0].voxelAt(700, 300)") != before
    shown.press(" ", "+", "+")
    np.testing.assert_allclose(shown.run("viewer.panes[0].voxelAt(700, 300)"), before, atol=1e-6)
    assert shown.run("viewer.panes[0].view.zoom") == pytest.approx(1.25**2)
