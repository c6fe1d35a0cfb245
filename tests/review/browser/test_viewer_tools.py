"""What is drawn and measured in the viewer is what was meant, in voxels and mm; keys and links."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.review.browser.harness import NEEDS_CHROMIUM, Shown, serving
from tests.review.browser.pictures import SHIFT, Pictures
from tests.review.browser.site import browser as chromium

pytestmark = NEEDS_CHROMIUM
Z = 20
VIEWS = [[], ["r"], ["h"], ["r", "v", "+"], ["l", "h", "-"], ["+", "+", "ctrl+ArrowLeft"]]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def address(pictures: Pictures) -> Iterator[str]:
    with serving(pictures) as place:
        yield place


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    return Pictures()


@pytest.fixture
def shown(browser: Any, address: str) -> Iterator[Shown]:
    page = Shown.open(browser, address)
    yield page
    page.close()


def place(shown: Shown, voxel: tuple[float, ...], keys: list[str] | None = None) -> Any:
    """Return where an axial voxel lies on the screen, worked out without the viewer's matrices.

    Args:
        shown: The page; one pane of 1280 x 776.
        voxel: (z, y, x), whole at the centres.
        keys: That turned, flipped or moved the view before.
    """
    zoom = 0.97 * min(1280 / (128 * 0.8), 776 / (96 * 0.8)) * 0.8
    at = np.array([voxel[2] - 63.5, voxel[1] - 47.5]) * zoom
    turned = sum(key in "rl" for key in keys or [])
    if turned:
        at *= min(1280 / 96, 776 / 128) / min(1280 / 128, 776 / 96)
    for key in keys or []:
        x, y = at
        moved = {
            "r": (-y, x), "l": (y, -x), "h": (-x, y), "v": (x, -y), "+": (1.25 * x, 1.25 * y),
            "-": (x / 1.25, y / 1.25), "ctrl+ArrowLeft": (x - 40, y),
        }  # fmt: skip
        at = np.array(moved[key])
    return float(at[0] + 640), float(at[1] + 388)


def mask_of(drawing: Any, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return a drawn mask in the image's grid."""
    low, high = np.array(drawing["box"])
    bits = np.unpackbits(np.frombuffer(base64.b64decode(drawing["bits"]), np.uint8))
    size = high - low
    out = np.zeros(shape, bool)
    place = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    out[place] = bits[: size.prod()].reshape(size)
    return out


def disc(shape: tuple[int, ...], centre: tuple[int, int, int], mm: float) -> NDArray[np.bool_]:
    """Return a disc in the plane of its centre; pixels are 0.8 mm wide."""
    out = np.zeros(shape, bool)
    y, x = np.ogrid[: shape[1], : shape[2]]
    out[centre[0]] = np.hypot(y - centre[1], x - centre[2]) * 0.8 <= mm
    return out


@pytest.mark.parametrize("keys", VIEWS, ids="-".join)
def test_a_box_is_the_voxels_dragged_over(shown: Shown, keys: list[str]) -> None:
    shown.press(*keys, "b")
    shown.drag(place(shown, (Z, 40, 50), keys), place(shown, (Z, 55, 81), keys))
    assert shown.run("viewer.drawing") == {"image": 0, "box": [[Z, 40, 50], [Z + 1, 56, 82]]}


def test_a_box_is_spread_over_planes_and_pulled_at_its_edge(shown: Shown) -> None:
    shown.press("b")
    shown.drag(place(shown, (Z, 40, 50)), place(shown, (Z, 55, 81)))
    shown.press("ArrowDown", "ArrowDown", "F", "Home", *["ArrowDown"] * 17, "f")
    assert shown.run("viewer.drawing.box") == [[17, 40, 50], [Z + 3, 56, 82]]
    right = place(shown, (17, 48, 81.5))
    shown.drag(right, place(shown, (17, 48, 90.5)))
    assert shown.run("viewer.drawing.box") == [[17, 40, 50], [Z + 3, 56, 91]]
    shown.press("ctrl+z", "ctrl+z", "ctrl+z")
    assert shown.run("viewer.drawing.box") == [[Z, 40, 50], [Z + 1, 56, 82]]
    shown.press("ctrl+z")
    assert shown.run("viewer.drawing") is None
    shown.press("ctrl+y", "ctrl+shift+z")
    assert shown.run("viewer.drawing.box") == [[Z, 40, 50], [Z + 3, 56, 82]]


def test_a_box_in_another_plane_lies_in_its_axes(shown: Shown) -> None:
    shown.press("g", "b")
    where = "viewer.panes[1].element.getBoundingClientRect()"
    ends = [
        shown.run(
            f"(() => {{const b = {where}; const [x, y] = viewer.panes[1].screenOf({voxel});"
            "return [x + b.left, y + b.top]})()"
        )
        for voxel in ("[30, 0, 50]", "[12, 0, 70]")
    ]
    shown.drag(*ends)
    assert shown.run("viewer.drawing.box") == [[12, 48, 50], [31, 49, 71]]


@pytest.mark.parametrize("keys", VIEWS, ids="-".join)
def test_a_dab_is_a_disc_of_the_brush(shown: Shown, pictures: Pictures, keys: list[str]) -> None:
    shown.press(*keys, "d")
    spot = place(shown, (Z, 44, 60), keys)
    shown.drag(spot, spot)
    drawn = mask_of(shown.run("viewer.drawing"), pictures.shape)
    np.testing.assert_array_equal(drawn, disc(pictures.shape, (Z, 44, 60), 2.0))


def test_several_planes_are_painted_rubbed_out_and_undone(shown: Shown, pictures: Pictures) -> None:
    shown.press("d")
    spot = place(shown, (Z, 44, 60))
    shown.drag(spot, spot)
    shown.press("ArrowDown", ".")
    shown.drag(spot, spot)
    both = disc(pictures.shape, (Z, 44, 60), 2.0) | disc(pictures.shape, (Z + 1, 44, 60), 2.5)
    np.testing.assert_array_equal(mask_of(shown.run("viewer.drawing"), pictures.shape), both)
    shown.press("e", ",", ",", ",")
    shown.drag(spot, spot)
    rest = both & ~disc(pictures.shape, (Z + 1, 44, 60), 1.28)
    np.testing.assert_array_equal(mask_of(shown.run("viewer.drawing"), pictures.shape), rest)
    shown.press("ctrl+z")
    np.testing.assert_array_equal(mask_of(shown.run("viewer.drawing"), pictures.shape), both)
    shown.press("ctrl+z")
    np.testing.assert_array_equal(
        mask_of(shown.run("viewer.drawing"), pictures.shape), disc(pictures.shape, (Z, 44, 60), 2.0)
    )
    shown.press("ctrl+y", "ctrl+y")
    np.testing.assert_array_equal(mask_of(shown.run("viewer.drawing"), pictures.shape), rest)
    shown.run("viewer.clear()")
    assert shown.run("viewer.drawing") is None
    shown.press("ctrl+z")
    np.testing.assert_array_equal(mask_of(shown.run("viewer.drawing"), pictures.shape), rest)


def test_a_stroke_has_no_gaps(shown: Shown, pictures: Pictures) -> None:
    shown.press("d")
    shown.page.mouse.move(*place(shown, (Z, 30, 20)))
    shown.page.mouse.down()
    shown.page.mouse.move(*place(shown, (Z, 60, 100)))
    shown.page.mouse.up()
    drawn = mask_of(shown.run("viewer.drawing"), pictures.shape)[Z]
    y, x = np.mgrid[: pictures.shape[1], : pictures.shape[2]].astype(float)
    along = np.clip(((x - 20) * 80 + (y - 30) * 30) / (80**2 + 30**2), 0, 1)
    far = np.hypot(x - 20 - 80 * along, y - 30 - 30 * along) * 0.8
    assert drawn[far <= 1.8].all()
    assert not drawn[far > 2.01].any()


def test_the_models_mask_can_be_the_start(shown: Shown, pictures: Pictures) -> None:
    given = shown.run("fetch('/lesions/a/mask').then((answer) => answer.json())")
    shown.page.evaluate("(mask) => viewer.edit(mask)", given)
    low = given["box"][0]
    wanted = np.zeros(pictures.shape, bool)
    wanted[tuple(slice(a, a + n) for a, n in zip(low, pictures.mask.shape, strict=True))] = (
        pictures.mask
    )
    np.testing.assert_array_equal(mask_of(shown.run("viewer.drawing"), pictures.shape), wanted)
    shown.page.evaluate("() => viewer.edit([[3, 4, 5], [6, 7, 8]])")
    assert shown.run("viewer.drawing") == {"image": 0, "box": [[3, 4, 5], [6, 7, 8]]}
    shown.press("ctrl+z")
    np.testing.assert_array_equal(mask_of(shown.run("viewer.drawing"), pictures.shape), wanted)
    shown.press("ctrl+z")
    assert shown.run("viewer.drawing") is None


def test_a_drawing_is_made_with_keys_alone(shown: Shown, pictures: Pictures) -> None:
    shown.press("b", "Enter", *["shift+ArrowRight"] * 4, *["shift+ArrowDown"] * 3, "Enter")
    assert shown.run("viewer.drawing.box") == [[Z, 48, 64], [Z + 1, 52, 69]]
    shown.press("d", "Enter")
    drawn = mask_of(shown.run("viewer.drawing"), pictures.shape)
    np.testing.assert_array_equal(drawn, disc(pictures.shape, (Z, 51, 68), 2.0))
    shown.press("m", "Enter", *["shift+ArrowLeft"] * 10, "Enter")
    (line,) = shown.run("viewer.measurements")
    assert [line["from"], line["to"]] == [[Z, 51, 68], [Z, 51, 58]]


def test_a_line_is_measured_in_mm_where_calibrated(shown: Shown) -> None:
    lengths = (
        "import('/static/viewer/tools/measure.js').then(({lengthText}) => viewer.measurements.map("
        "(line) => lengthText(viewer.scenes.current.image, line)))"
    )
    shown.press("m")
    shown.drag(place(shown, (Z, 40, 30)), place(shown, (Z, 40, 80)))
    shown.drag(place(shown, (Z, 20, 30)), place(shown, (Z, 50, 70)))
    assert shown.run(lengths) == ["40.0 mm", "40.0 mm"]
    shown.press("ctrl+z")
    assert shown.run(lengths) == ["40.0 mm"]
    shown.press("ctrl+y", "Delete", "Delete")
    assert shown.run(lengths) == []
    shown.press("ctrl+z")
    assert shown.run(lengths) == ["40.0 mm"]
    shown.press("PageDown", "PageDown")
    shown.until("viewer.scenes.current.pixels.has()")
    shown.run("viewer.measurements = []")
    at = [shown.run(f"viewer.panes[0].screenOf({v})") for v in ("[0, 100, 100]", "[0, 400, 300]")]
    shown.drag(*at)
    (text,) = shown.run(lengths)
    assert text.endswith(" px")
    assert float(text[:-3]) == pytest.approx(np.hypot(300, 200), abs=1)


def test_the_end_of_a_line_is_moved_and_put_back(shown: Shown) -> None:
    ends = "viewer.measurements.map(({from, to}) => [from, to].map((v) => v.map(Math.round)))"
    shown.press("m")
    shown.drag(place(shown, (Z, 40, 30)), place(shown, (Z, 40, 80)))
    shown.drag(place(shown, (Z, 40, 80)), place(shown, (Z, 60, 70)))
    assert shown.run(ends) == [[[Z, 40, 30], [Z, 60, 70]]]
    shown.press("ctrl+z")
    assert shown.run(ends) == [[[Z, 40, 30], [Z, 40, 80]]]
    shown.press("ctrl+y")
    assert shown.run(ends) == [[[Z, 40, 30], [Z, 60, 70]]]


def test_two_fingers_zoom_and_move_and_draw_nothing(browser: Any, address: str) -> None:
    shown = Shown.open(browser, address, has_touch=True)
    touch = shown.page.context.new_cdp_session(shown.page)

    def fingers(kind: str, *at: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": k} for k, (x, y) in enumerate(at)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    shown.press("d")
    view = "[viewer.panes[0].view.zoom, ...viewer.panes[0].view.pan]"
    zoom = shown.run(view)[0]
    fingers("touchStart", (590, 388))
    fingers("touchStart", (590, 388), (690, 388))
    fingers("touchMove", (560, 408), (760, 408))
    fingers("touchEnd")
    after = shown.run(view)
    assert after[0] == pytest.approx(2 * zoom, rel=0.05)
    assert after[1:] == pytest.approx([20, 20], abs=3)
    assert shown.run("viewer.drawing") is None
    shown.close()


def test_what_readers_drew_is_outlined_on_its_planes_alone(shown: Shown) -> None:
    shown.run(f"viewer.show({{image: 0, z: {Z}}})")
    shown.settle()
    bare = shown.page.screenshot()
    box = f"[[{Z}, 40, 30], [{Z + 1}, 60, 80]]"
    shown.run(f"viewer.outlines.set([{{image: 0, box: {box}, mask: null, name: 'yours'}}])")
    shown.settle()
    assert shown.page.screenshot() != bare
    shown.press("o")
    shown.settle()
    without = shown.page.screenshot()
    shown.run("viewer.outlines.set([])")
    shown.settle()
    assert shown.page.screenshot() == without, "hidden with the boxes"
    shown.press("ArrowDown", "o")
    shown.settle()
    beside = shown.page.screenshot()
    shown.run(f"viewer.outlines.set([{{image: 0, box: {box}, mask: null, name: 'yours'}}])")
    shown.settle()
    assert shown.page.screenshot() == beside


def test_the_prior_scrolls_to_the_mapped_place(shown: Shown) -> None:
    shown.press("j")
    shown.run("viewer.goTo(viewer.scenes.current, [15, 40, 60])")
    dx, dy, dz = SHIFT
    mapped = [15 + round(dz / 2.4), 40 + round(dy / 0.8), 60 + round(dx / 0.8)]
    np.testing.assert_allclose(shown.run("viewer.scenes.prior.point"), mapped, atol=1)
    assert shown.run("viewer.scenes.prior.point[0]") == 20
    shown.run("viewer.scrollTo(viewer.panes[1], 30)")
    assert shown.run("viewer.scenes.current.point[0]") == 25
    shown.press("J")
    shown.press("ArrowUp")
    assert shown.run("[viewer.scenes.current.point[0], viewer.scenes.prior.point[0]]") == [24, 30]


def test_images_that_are_not_registered_scroll_alone(shown: Shown) -> None:
    shown.run(
        "viewer.load({...viewer.study, study: {study_uid: '9'}, prior: {...viewer.study.prior,"
        "links: [{image: 0, prior_image: 0, matrix: null, how: 'none'}]}})"
    )
    shown.press("j", "ArrowDown")
    assert shown.run("[viewer.scenes.current.point[0], viewer.scenes.prior.point[0]]") == [21, 20]
    assert not shown.run("viewer.linkable")


def test_keys_leave_text_dialogs_and_controls_alone(shown: Shown) -> None:
    shown.page.locator("#text").focus()
    shown.press("r", "ArrowDown", "i")
    assert shown.page.locator("#text").input_value() == "ri"
    shown.run("document.getElementById('text').blur(), document.getElementById('dialog').show()")
    shown.press("r", "ArrowDown")
    assert shown.run("viewer.scenes.current.point[0]") == Z
    assert shown.run("viewer.panes[0].view.turned") == [1, 0, 0, 1]
    shown.run("document.getElementById('dialog').close()")
    shown.press("ArrowDown")
    assert shown.run("viewer.scenes.current.point[0]") == Z + 1


def test_every_key_has_a_command_and_none_has_two(shown: Shown) -> None:
    keys = shown.run("import('/static/keys.js').then(({KEYS}) => KEYS)")
    pressed = [key for one in keys for key in one["keys"]]
    assert len(set(pressed)) == len(pressed)
    assert not {"]", "[", "y", "x", "a", "k", "c", "?"} & set(pressed), "the reading panel's"
    known = shown.run("import('/static/viewer/commands.js').then((m) => Object.keys(m.COMMANDS))")
    assert {one["command"] for one in keys} == set(known)


def test_letters_can_be_switched_off(shown: Shown) -> None:
    shown.run("import('/static/keys.js').then((m) => m.setLetters(false))")
    shown.press("r", "ArrowDown")
    shown.run("import('/static/keys.js').then((m) => m.setLetters(true))")
    assert shown.run("viewer.panes[0].view.turned") == [1, 0, 0, 1]
    assert shown.run("viewer.scenes.current.point[0]") == Z + 1


def test_a_lesion_is_shown_and_picked_by_a_click(shown: Shown) -> None:
    shown.run("viewer.show({lesion: 'a'})")
    assert shown.run("viewer.scenes.current.point") == [12, 35, 46]
    shown.page.mouse.click(*place(shown, (12, 62, 74)))
    assert shown.run("viewer.selected") == "b"
    assert shown.run("window.events.at(-1)") == ["picked", {"lesion": "b"}]
    shown.run("viewer.show({lesion: 'c'})")
    assert shown.run("viewer.scenes.current.image.n") == 1


def test_saliency_is_off_and_not_fetched_until_asked_for(shown: Shown, pictures: Pictures) -> None:
    shown.run("viewer.show({lesion: 'a'})")
    shown.settle()
    asked = len([path for path in pictures.requests if "saliency" in path])
    before = shown.page.screenshot()
    shown.press("q")
    shown.until("viewer.lesions.saliencies.size === 1")
    shown.settle()
    assert len([path for path in pictures.requests if "saliency" in path]) == asked + 1
    assert shown.page.screenshot() != before


def test_the_place_is_told_once_scrolling_has_stopped(shown: Shown) -> None:
    live = shown.page.locator("[aria-live]")
    shown.run("viewer.show({lesion: 'b'})")
    shown.press("ArrowUp")
    assert "13 of 40" not in live.inner_text()
    shown.until("document.querySelector('[aria-live]').textContent.includes('13 of 40')")
    assert live.inner_text().endswith("lesion 1 and 2 here")
    label = shown.page.locator("canvas").get_attribute("aria-label")
    assert label == "Series 1 Axial, 13 of 40, image number 128"


def test_arrays_are_given_back_when_the_study_changes(shown: Shown) -> None:
    shown.run("window.before = viewer.scenes.current.pixels")
    shown.run("viewer.load({...viewer.study, study: {study_uid: '9'}})")
    assert shown.run("window.before.data") is None
    shown.run("window.now = viewer.scenes.current")
    shown.run("viewer.load({...viewer.study, lesions: []})")
    assert shown.run("window.now === viewer.scenes.current"), "the same study stays"
    shown.run("viewer.close()")
    assert shown.run("window.now.pixels.data") is None
    assert shown.page.locator("canvas").count() == 0
