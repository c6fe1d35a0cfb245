"""The pages by keyboard and by eye: accessible in every state, and nothing entered is lost."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from calcilens.guidance.cases import Case
from calcilens.guidance.document import of_case
from calcilens.guidance.facts import Facts
from tests.review.browser.conftest import UID
from tests.review.browser.site import ORIGIN, Site, model

ADDRESS = f"{ORIGIN}/studies/{UID}"
MINE = {
    "calcified": True,
    "patterns": ["stippled"],
    "concern": "high",
    "confidence": 4,
    "comment": "",
    "box": None,
    "mask": None,
}
THEIRS = MINE | {"patterns": ["popcorn"], "concern": "low"}
SMALL, LARGE = (1280, 800), (3840, 2160)

pytestmark = pytest.mark.slow


def findings(tab: Any) -> list[str]:
    """Return what axe calls serious or critical on a page as it is now."""
    found = Axe().run(tab).response["violations"]
    grave = [one for one in found if one["impact"] in {"serious", "critical"}]
    return [f"{one['id']}: {node['html'][:120]}" for one in grave for node in one["nodes"]]


def fill_form(tab: Any, answer: dict[str, Any]) -> None:
    yes = {True: "yes", False: "no", None: "unknown"}[answer["calcified"]]
    tab.locator(f"[name=calcified][value={yes}]").check()
    for key in answer["patterns"]:
        tab.locator(f"[name=patterns][value={key}]").check()
    tab.locator(f"[name=concern][value={answer['concern']}]").check()
    tab.locator(f"[name=confidence][value='{answer['confidence']}']").check()


def commit(tab: Any) -> None:
    fill_form(tab, MINE)
    tab.get_by_role("button", name="Commit answer").click()
    tab.get_by_role("button", name="Keep mine").wait_for()


def revealed(site: Site, **more: Any) -> dict[str, Any]:
    """Let the first lesion be committed; return it."""
    lesion: dict[str, Any] = site.study["lesions"][0]
    lesion.update(revealed=True, model=model("L1"), committed={"seq": 3, "answer": MINE}, **more)
    site.seq = 10
    return lesion


# --- every page, every state ---------------------------------------------------------------------


def test_sign_in_is_accessible_and_says_why_it_was_refused(site: Site, opened: Any) -> None:
    site.me = None
    site.refuse["POST", "/api/sign-in"] = (
        401,
        {"error": "this name and password do not go together"},
    )
    tab = opened(f"{ORIGIN}/sign-in")
    assert findings(tab) == []
    tab.keyboard.type("anna")
    tab.keyboard.press("Tab")
    tab.keyboard.type("wrong")
    tab.keyboard.press("Enter")
    tab.get_by_text("do not go together").wait_for()
    assert findings(tab) == []
    site.refuse.clear()
    tab.keyboard.press("Enter")
    tab.wait_for_url(f"{ORIGIN}/worklist")


def test_after_sign_in_no_other_server_is_gone_to(site: Site, opened: Any) -> None:
    site.me = None
    tab = opened(f"{ORIGIN}/sign-in?next=//elsewhere.test/worklist")
    tab.get_by_label("Name").fill("anna")
    tab.get_by_label("Password").fill("secret")
    tab.keyboard.press("Enter")
    tab.wait_for_url(f"{ORIGIN}/worklist")


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_the_worklist_is_accessible(site: Site, opened: Any, size: tuple[int, int]) -> None:
    tab = opened(f"{ORIGIN}/worklist")
    tab.set_viewport_size({"width": size[0], "height": size[1]})
    tab.locator("tbody tr").nth(3).wait_for()
    assert findings(tab) == []
    tab.keyboard.press("?")
    tab.get_by_role("dialog").wait_for()
    assert findings(tab) == []


def test_an_empty_and_a_failed_worklist_say_so(site: Site, opened: Any) -> None:
    site.worklist["studies"] = []
    tab = opened(f"{ORIGIN}/worklist")
    tab.get_by_text("There are no studies yet").wait_for()
    site.refuse["GET", "/api/worklist"] = (500, {"error": "the server failed; its log says more"})
    tab.reload()
    tab.get_by_text("The worklist could not be read: the server failed").wait_for()
    assert findings(tab) == []


STATES = ("blind", "compare", "unsure", "saved", "closed", "settle", "missed", "guidance")
FULLEST = ("compare", "guidance")
"""What is looked at on a large screen too."""


@pytest.mark.parametrize(
    ("state", "size"), [*((s, SMALL) for s in STATES), *((s, LARGE) for s in FULLEST)]
)
def test_a_study_is_accessible_and_fits_in_every_state(
    site: Site, opened: Any, state: str, size: tuple[int, int]
) -> None:
    _bring(site, state)
    tab = opened(ADDRESS)
    tab.set_viewport_size({"width": size[0], "height": size[1]})
    tab.locator("#part-lesion h2").wait_for()
    if state == "missed":
        tab.get_by_role("button", name="Add a missed lesion").click()
    if state == "guidance":
        tab.get_by_role("tab", name="Guidance: rules").click()
        tab.get_by_text("Rules, not the network.").wait_for()
    assert findings(tab) == []
    page = "document.scrollingElement"
    assert tab.evaluate(f"{page}.scrollHeight <= innerHeight && {page}.scrollWidth <= innerWidth")
    assert tab.get_by_role("note").is_visible()


def _bring(site: Site, state: str) -> None:
    study = site.study
    first, second = study["lesions"]
    if state in {"compare", "guidance"}:
        revealed(site)
    if state == "unsure":
        first.update(
            mine={"seq": 2, "answer": MINE}, committed={"seq": 1, "answer": MINE}, revealed=True
        )
        second.update(revealed=True, model=model("L2"), committed={"seq": 3, "answer": MINE})
    if state == "saved":
        revealed(site, mine={"seq": 4, "answer": MINE})
    if state == "closed":
        study.update(mine="signed", can=["reopen"])
        revealed(site, mine={"seq": 4, "answer": MINE})
    if state == "settle":
        _dispute(site)
    if state == "guidance":
        document = copy.deepcopy(of_case(Case(Facts())))
        document["lesions"][0]["lesion"] = "L1"
        study["guidance"] = document


def _dispute(site: Site) -> None:
    site.me = {"name": "dora", "role": "adjudicator"}
    site.study.update(mine="settling", can=["release", "settle", "sign"])
    site.study["study"]["state"] = "disputed"
    for lesion, other in zip(site.study["lesions"], (THEIRS, MINE), strict=True):
        others = [{"reader": "anna", "answer": MINE}, {"reader": "ben", "answer": other}]
        lesion.update(
            revealed=True, model=model(lesion["id"]), others=others, disputed=other is THEIRS
        )


# --- what it must never do -----------------------------------------------------------------------


def test_a_blinded_page_shows_no_answer_of_the_model_before_the_commit(
    site: Site, opened: Any
) -> None:
    tab = opened(ADDRESS)
    tab.get_by_role("button", name="Commit answer").wait_for()
    assert tab.locator(".model").count() == 0
    assert tab.get_by_role("button", name="Saliency").is_disabled()
    assert "74 %" not in tab.locator("body").inner_text()
    commit(tab)
    assert "74 %" in tab.locator(".model").inner_text()
    assert tab.get_by_role("button", name="Saliency").is_enabled()


def test_a_study_is_read_by_keyboard_alone(site: Site, opened: Any) -> None:
    tab = opened(ADDRESS)
    tab.get_by_role("button", name="Commit answer").wait_for()
    press = tab.keyboard.press
    for finish in ("a", "k"):
        press("y")
        press("Space")
        for _ in range(60):  # past the patterns, to the concern
            press("Tab")
            if tab.evaluate("document.activeElement.name") == "concern":
                break
        press("Space")
        press("Tab")
        press("Space")
        press("Control+Enter")
        tab.get_by_text("Yours is committed").wait_for()
        press(finish)
        tab.get_by_text("Your verdict is saved").wait_for()
        press("]")
    press("Control+Shift+Enter")
    tab.get_by_role("dialog").wait_for()
    press("Enter")
    tab.get_by_role("button", name="Take the next study").wait_for()
    saved = [path.rsplit("/", 1)[1] for method, path, _ in site.asked if method == "POST"]
    assert saved == ["commit", "verdict", "commit", "verdict", "sign"]
    agreed, kept = (
        content["answer"] for _, path, content in site.asked if path.endswith("/verdict")
    )
    assert agreed["patterns"] == ["popcorn"]
    assert kept == site.study["lesions"][1]["committed"]["answer"]


def test_a_signature_says_what_is_missing(site: Site, opened: Any) -> None:
    tab = opened(ADDRESS)
    tab.get_by_role("button", name="Sign the study").click()
    tab.get_by_text("Still wanted: 2 verdicts, on lesion 1, 2.").wait_for()
    assert [path for method, path, _ in site.asked if method == "POST"] == []


def test_what_is_entered_and_not_saved_survives_a_reload(site: Site, opened: Any) -> None:
    tab = opened(ADDRESS)
    tab.get_by_role("button", name="Commit answer").wait_for()
    fill_form(tab, MINE)
    tab.get_by_label("Comment").fill("beside the joint")
    tab.reload()
    tab.get_by_role("button", name="Commit answer").wait_for()
    assert tab.locator("[value=stippled]").is_checked()
    assert tab.get_by_label("Comment").input_value() == "beside the joint"
    assert tab.get_by_text("not saved", exact=True).is_visible()


def test_leaving_with_something_not_saved_warns(site: Site, opened: Any) -> None:
    tab = opened(ADDRESS)
    asked: list[str] = []

    def stay(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    tab.on("dialog", stay)
    tab.get_by_role("button", name="Commit answer").wait_for()
    tab.get_by_label("Comment").fill("not saved")
    tab.get_by_role("link", name="Worklist").click()
    tab.wait_for_timeout(300)
    assert asked == ["beforeunload"]
    assert tab.url == ADDRESS


# --- two at once, and nobody there ---------------------------------------------------------------


@pytest.mark.parametrize("choice", ["theirs", "mine"])
def test_the_second_of_two_tabs_is_told_and_decides(site: Site, opened: Any, choice: str) -> None:
    lesion = revealed(site)
    first, second = opened(ADDRESS), opened(ADDRESS)
    second.get_by_role("button", name="Keep mine").wait_for()
    first.get_by_role("button", name="Agree with model").click()
    first.get_by_text("Your verdict is saved").wait_for()
    second.get_by_role("button", name="Keep mine").click()
    dialog = second.get_by_role("dialog")
    dialog.get_by_text("you, in another tab").wait_for()
    assert "Popcorn" in dialog.inner_text()
    assert "Stippled" in dialog.inner_text()
    assert findings(second) == []
    dialog.locator(f"[data-choice={choice}]").click()
    second.get_by_text("Your verdict is saved").wait_for()
    assert (
        lesion["mine"]["answer"]["patterns"]
        == {"theirs": ["popcorn"], "mine": ["stippled"]}[choice]
    )


def test_a_lost_connection_is_said_and_the_save_arrives_later(site: Site, opened: Any) -> None:
    tab = opened(ADDRESS)
    tab.get_by_role("button", name="Commit answer").wait_for()
    fill_form(tab, MINE)
    site.cut = True
    tab.get_by_role("button", name="Commit answer").click()
    tab.get_by_text("The connection to the server is lost").wait_for()
    assert findings(tab) == []
    site.cut = False
    tab.get_by_role("button", name="Keep mine").wait_for()
    assert tab.get_by_text("entry 1").is_visible()
    assert not tab.get_by_text("The connection to the server is lost").is_visible()
    assert site.study["lesions"][0]["committed"]["answer"] == MINE


# --- adjudication --------------------------------------------------------------------------------


def test_an_adjudicator_sees_both_and_settles_what_differs(site: Site, opened: Any) -> None:
    _dispute(site)
    tab = opened(ADDRESS)
    tab.get_by_text("The readers differ").wait_for()
    table = tab.locator("table.compare")
    assert table.get_by_text("≠ differs").count() == 2
    tab.get_by_role("button", name="Take ben's").click()
    tab.get_by_text("settled", exact=False).first.wait_for()
    assert site.study["lesions"][0]["settled"]["answer"] == THEIRS


# --- worklist ------------------------------------------------------------------------------------


def test_filters_are_in_the_address_and_survive_a_reload(site: Site, opened: Any) -> None:
    tab = opened(f"{ORIGIN}/worklist")
    tab.locator("tbody tr").nth(3).wait_for()
    tab.get_by_label("State").select_option("new")
    tab.wait_for_url(lambda url: url.endswith("?state=new"))
    tab.reload()
    tab.locator("tbody tr").first.wait_for()
    assert tab.locator("tbody tr").count() == 1
    tab.get_by_role("button", name="Show all").click()
    tab.locator("tbody tr").nth(3).wait_for()
    tab.get_by_role("button", name="Lesions").click()
    tab.locator("tbody tr").first.locator("td:nth-child(5)", has_text="3").wait_for()


def test_what_teaches_most_is_on_top_and_keys_go_through_the_rows(site: Site, opened: Any) -> None:
    tab = opened(f"{ORIGIN}/worklist")
    tab.locator("tbody tr").nth(3).wait_for()
    rows = tab.locator("tbody tr").evaluate_all("rows => rows.map(r => r.dataset.study)")
    assert rows == ["1.2.4", "1.2.6", "1.2.3", "1.2.5"]
    for key in ("j", "ArrowDown", "j"):
        tab.keyboard.press(key)
    assert tab.evaluate("document.activeElement.closest('tr').dataset.study") == "1.2.3"
    site.worklist["studies"][0]["uncertainty"] = 0.9
    tab.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    tab.locator("tbody tr").first.get_by_text("0.90").wait_for()
    assert tab.evaluate("document.activeElement.closest('tr').dataset.study") == "1.2.3"
    tab.keyboard.press("Enter")
    tab.wait_for_url(ADDRESS)


# --- readers and statistics ----------------------------------------------------------------------


def test_readers_are_added_and_shut_out(site: Site, opened: Any) -> None:
    site.me = {"name": "eve", "role": "administrator"}
    site.others["/api/readers"] = [
        {"name": "eve", "role": "administrator", "active": True},
        {"name": "ben", "role": "reader", "active": True},
    ]
    tab = opened(f"{ORIGIN}/readers")
    tab.get_by_role("button", name="Shut out ben").wait_for()
    assert findings(tab) == []
    assert tab.get_by_role("button", name="Shut out eve").is_disabled()
    tab.get_by_role("button", name="New password for ben").click()
    tab.get_by_role("dialog").wait_for()
    assert findings(tab) == []


def test_statistics_are_accessible(site: Site, opened: Any) -> None:
    share = {"n": 24, "count": 6, "share": 0.25, "ci95": [0.12, 0.45], "small": False}
    kappa = {"n": 4, "kappa": 0.71, "ci95": [0.5, 0.9], "small": True}
    site.others["/api/statistics"] = {
        "small_below": 20,
        "n": {"studies": 4, "readers": 2},
        "between_readers": {"final": {"finding": kappa, "patterns": {"popcorn": kappa}}},
        "overrides": {"all": share, "by_pattern": {"popcorn": share}},
        "drift": {"mean": 0.25, "months": [{"month": "2026-11", **share, "outside": None}]},
    }
    tab = opened(f"{ORIGIN}/statistics")
    tab.get_by_text("0.71 (0.50 to 0.90), n 4").first.wait_for()
    assert tab.get_by_text("2026-11").is_visible()
    assert findings(tab) == []


def test_what_is_not_there_is_refused_in_words(site: Site, opened: Any) -> None:
    tab = opened(f"{ORIGIN}/elsewhere")
    tab.get_by_text("This page is not shown").wait_for()
    assert findings(tab) == []
