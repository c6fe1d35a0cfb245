"""What a reader drew, entered and was told: none of it is lost, hidden or unclear."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

from tests.review.browser.site import ORIGIN, SIZE, Site, made_lesion
from tests.review.browser.test_pages import ADDRESS, MINE, commit, fill_form, findings, revealed

pytestmark = pytest.mark.slow
BOX = [[20, 60, 60], [24, 70, 72]]


def start(opened: Any) -> Any:
    tab = opened(ADDRESS)
    tab.locator("#viewer canvas").first.wait_for()
    tab.get_by_role("button", name="Commit answer").wait_for()
    return tab


def drag(tab: Any, *points: tuple[float, float]) -> None:
    """Drag over the image; points as shares of its width and height."""
    box = tab.locator("#viewer canvas").first.bounding_box()
    for number, (x, y) in enumerate(points):
        tab.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=4)
        if number == 0:
            tab.mouse.down()
    tab.mouse.up()


def sent(site: Site, end: str) -> list[Any]:
    return [
        content for method, path, content in site.asked if method == "POST" and path.endswith(end)
    ]


def test_what_was_drawn_and_not_yet_used_is_saved_with_the_answer(site: Site, opened: Any) -> None:
    tab = start(opened)
    tab.get_by_role("button", name="Draw a box").click()
    drag(tab, (0.45, 0.45), (0.55, 0.55))
    commit(tab)
    [first] = sent(site, "/commit")
    assert first["answer"]["box"][1][1] > first["answer"]["box"][0][1]
    tab.keyboard.press("Escape")
    tab.keyboard.press("]")
    tab.get_by_role("button", name="Draw a mask").click()
    drag(tab, (0.45, 0.45), (0.5, 0.5))
    commit(tab)
    assert len(sent(site, "/masks")) == 1
    assert sent(site, "/commit")[1]["answer"]["mask"] == "a" * 64


def test_a_missed_lesion_is_drawn_and_saved_in_one_go(site: Site, opened: Any) -> None:
    tab = start(opened)
    tab.keyboard.press("M")
    drag(tab, (0.45, 0.45), (0.55, 0.55))
    fill_form(tab, MINE)
    tab.keyboard.press("Control+Enter")
    tab.get_by_text("Added by anna").wait_for()
    [added] = sent(site, "/lesions")
    assert added["box"] == added["answer"]["box"]


def test_what_was_drawn_is_shown_again_with_the_answer(site: Site, opened: Any) -> None:
    bits = base64.b64encode(np.packbits(np.ones(4 * 10 * 12, bool)).tobytes()).decode()
    site.others[f"/api/studies/1.2.3/masks/{'b' * 64}"] = {"box": BOX, "bits": bits}
    lesion = revealed(site, mine={"seq": 5, "answer": MINE | {"box": BOX}})
    lesion["others"] = [{"reader": "ben", "answer": MINE | {"box": BOX, "mask": "b" * 64}}]
    site.study.update(mine="signed", can=[])
    tab = opened(ADDRESS)
    tab.locator("#viewer canvas").first.wait_for()
    place = tab.locator("#lesions").get_by_role("button").first
    place.click()
    for _ in range(50):
        tab.wait_for_timeout(100)
        if ("GET", f"/api/studies/1.2.3/masks/{'b' * 64}", None) in site.asked:
            break
    else:
        pytest.fail("the other reader's mask was not fetched")


def test_entered_is_not_called_saved_and_an_old_refusal_goes(site: Site, opened: Any) -> None:
    tab = start(opened)
    tab.get_by_role("button", name="Commit answer").click()
    tab.get_by_text("Choose whether it is a calcification").wait_for()
    commit(tab)
    assert "done" in (tab.locator("#saved").get_attribute("class") or "")
    tab.keyboard.press("Escape")
    tab.keyboard.press("]")
    fill_form(tab, MINE)
    tab.get_by_text("Entered, not saved yet").wait_for()
    assert "done" not in (tab.locator("#saved").get_attribute("class") or "")
    assert tab.locator("#failed").inner_text() == ""


def test_the_next_lesion_to_do_is_a_key_away(site: Site, opened: Any) -> None:
    revealed(site, mine={"seq": 5, "answer": MINE})
    tab = opened(ADDRESS)
    tab.locator("#lesions").get_by_role("button").first.click()
    tab.get_by_role("button", name="Next lesion to do").wait_for()
    tab.keyboard.press("u")
    tab.get_by_role("heading", name="Lesion 2").wait_for()


def test_of_many_lesions_the_chosen_one_is_in_sight(site: Site, opened: Any) -> None:
    site.study["lesions"] = [
        made_lesion(1 + n % 3) | {"id": f"L{n}", "number": n} for n in range(1, 31)
    ]
    tab = start(opened)
    tab.keyboard.press("[")
    tab.get_by_role("heading", name="Lesion 30").wait_for()
    inside = tab.locator("#lesions .current").bounding_box()
    around = tab.locator("#lesions").bounding_box()
    assert around["y"] <= inside["y"]
    assert inside["y"] + inside["height"] <= around["y"] + around["height"] + 1


def test_the_keys_are_shown_from_the_top(site: Site, opened: Any) -> None:
    tab = start(opened)
    tab.keyboard.press("?")
    tab.get_by_role("dialog").wait_for()
    assert tab.get_by_role("dialog").evaluate("dialog => dialog.scrollTop") == 0
    assert findings(tab) == []


def test_a_study_that_is_no_longer_mine_says_why(site: Site, opened: Any) -> None:
    tab = start(opened)
    fill_form(tab, MINE)
    refused = (403, {"error": "take the study first"})
    site.refuse["POST", "/api/studies/1.2.3/lesions/L1/commit"] = refused
    site.refuse["GET", "/api/studies/1.2.3"] = refused
    tab.keyboard.press("Control+Enter")
    tab.get_by_text("predicted anew").wait_for()
    assert tab.get_by_role("button", name="Take the study").is_visible()
    assert findings(tab) == []


def test_without_images_nothing_is_drawn_and_the_answer_is_taken(site: Site, opened: Any) -> None:
    site.study.update(images=[], ready={"ready": False, "done": 0, "total": 0, "error": "no files"})
    tab = opened(ADDRESS)
    tab.get_by_text("There are no images of this study: no files").wait_for()
    assert tab.get_by_role("button", name="Draw a box").count() == 0
    assert tab.get_by_role("button", name="Add a missed lesion").count() == 0
    commit(tab)


def test_images_that_come_later_leave_the_form_as_it_is(site: Site, opened: Any) -> None:
    images = site.study["images"]
    site.study.update(images=[], ready={"ready": False, "done": 3, "total": 9, "error": None})
    tab = opened(ADDRESS)
    tab.get_by_label("Comment").fill("a bone island?")
    site.study.update(images=images, ready={"ready": True, "done": 9, "total": 9, "error": None})
    tab.get_by_role("button", name="Start from the found mask").wait_for()
    assert tab.get_by_label("Comment").input_value() == "a bone island?"
    assert tab.evaluate("document.activeElement.name") == "comment"
    tab.locator("h2", has_text="images 15–20").wait_for()


def test_images_counted_from_the_feet_are_named_upwards(site: Site, opened: Any) -> None:
    site.study["images"][0]["numbers"] = list(range(SIZE[0], 0, -1))
    tab = start(opened)
    tab.locator("h2", has_text="images 21–26").wait_for()


def test_reports_that_cannot_be_used_are_listed(site: Site, opened: Any) -> None:
    tab = opened(f"{ORIGIN}/worklist")
    tab.get_by_text("1 report cannot be used").click()
    assert tab.get_by_text("expected JSON, found text that is none").is_visible()
    assert findings(tab) == []
    site.worklist.update(broken=[], unread=7)
    tab.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    tab.get_by_text("7 reports still to be read").wait_for()
    assert tab.locator("#broken").is_hidden()


def test_figures_are_in_words_and_names_as_they_are(site: Site, opened: Any) -> None:
    kappa = {"n": 44, "kappa": -0.1, "ci95": [-0.2, 0.0], "small": False}
    site.others["/api/statistics"] = {
        "small_below": 20,
        "reader_and_model": {"final": {"by_reader": {"dr.ann": {"finding": kappa}}}},
        "overrides": {"by_pattern": {"cloud_like": kappa}},
    }
    tab = opened(f"{ORIGIN}/statistics")
    tab.get_by_text("dr.ann", exact=True).wait_for()
    assert tab.get_by_text("Cloud-like", exact=True).is_visible()
    assert tab.get_by_text("−0.10 (−0.20 to 0.00), n 44").count() == 2


def test_a_long_place_leaves_the_list_of_lesions_in_its_panel(site: Site, opened: Any) -> None:
    site.study["images"][0].update(kind="film", label="EXTREMITY, right, oblique, series 101, long")
    revealed(site)
    tab = opened(ADDRESS)
    tab.get_by_text("committed, verdict wanted").wait_for()
    fits = "list => list.scrollWidth <= list.clientWidth"
    assert tab.locator("#lesions").evaluate(fits)


def test_a_study_is_released_only_after_a_question(site: Site, opened: Any) -> None:
    tab = start(opened)
    tab.get_by_role("button", name="Release").click()
    tab.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert sent(site, "/release") == []
    tab.get_by_role("button", name="Release").click()
    tab.keyboard.press("Enter")
    tab.wait_for_timeout(300)
    assert len(sent(site, "/release")) == 1


def test_an_administrator_ends_what_somebody_holds(site: Site, opened: Any) -> None:
    site.me = site.worklist["me"] = {"name": "eve", "role": "administrator"}
    site.worklist["studies"][0]["can"] = ["end"]
    tab = opened(f"{ORIGIN}/worklist")
    tab.get_by_role("button", name="End hold").click()
    tab.get_by_role("dialog").get_by_text("End what anna holds?").wait_for()
    assert findings(tab) == []
    tab.get_by_role("button", name="End it").click()
    tab.get_by_role("dialog").wait_for(state="hidden")
    assert sent(site, "/1.2.3/release") == [{"holder": "anna"}]


def test_a_new_password_is_typed_at_once_and_entered(site: Site, opened: Any) -> None:
    site.me = {"name": "eve", "role": "administrator"}
    people = [{"name": "ben", "role": "reader", "active": True}]
    site.others["/api/readers"] = people
    site.others["/api/readers/ben"] = people
    tab = opened(f"{ORIGIN}/readers")
    tab.get_by_role("button", name="New password for ben").click()
    tab.get_by_role("dialog").wait_for()
    tab.keyboard.type("twelve or more letters")
    tab.keyboard.press("Enter")
    tab.get_by_text("ben has a new password").wait_for()
    assert sent(site, "/api/readers/ben") == [{"password": "twelve or more letters"}]


def test_tools_tell_their_keys_and_a_film_has_no_windows_in_hu(site: Site, opened: Any) -> None:
    tab = start(opened)
    assert tab.get_by_role("button", name="Measure").get_attribute("title") == "Key: m"
    options = tab.get_by_label("Window preset").locator("option")
    assert [one.is_disabled() for one in options.all()] == [False] * 6
    site.study["images"][0].update(kind="film", modality="DX")
    tab.reload()
    tab.get_by_role("button", name="Commit answer").wait_for()
    assert [one.is_disabled() for one in options.all()] == [False, True, True, True, True, False]


def test_long_names_leave_room_for_the_notice_and_the_actions(site: Site, opened: Any) -> None:
    long = "dr.maximiliane-elisabeth-von-der-hohenwarte-schneider"
    site.me = {"name": long, "role": "adjudicator"}
    site.study["study"]["state"], site.study["ohif"] = "disputed", "http://ohif.test"
    revealed(site, mine={"seq": 5, "answer": MINE})
    site.study["lesions"][0]["others"] = [{"reader": long, "answer": MINE}]
    tab = opened(ADDRESS)
    tab.locator("#lesions").get_by_role("button").first.click()
    assert tab.locator("header").bounding_box()["height"] < 90
    wide = "document.documentElement.scrollWidth <= innerWidth"
    assert tab.evaluate(wide)
    site.worklist["studies"][0]["holders"] = [long, "ben"]
    tab.goto(f"{ORIGIN}/worklist")
    tab.get_by_role("button", name="Release").wait_for()
    right = tab.get_by_role("button", name="Release").bounding_box()
    assert right["x"] + right["width"] <= 1280
