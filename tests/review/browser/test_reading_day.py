"""A day at the page, from sign-in to the exports: the real program in a real browser."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from calcilens.review.accounts import Role
from tests.review.day import make_day
from tests.review.served import PASSWORD, with_readers
from tests.review.test_kill import CLI, running

PATIENCE_MS = 90_000
ROLES = {"ann": Role.READER, "ben": Role.READER, "dora": Role.ADJUDICATOR}


class Desk:
    """Somebody at the page, with a window of their own."""

    def __init__(self, chromium: Any, name: str) -> None:
        self.name = name
        self.context = chromium.new_context(viewport={"width": 1280, "height": 800})
        self.context.set_default_timeout(PATIENCE_MS)
        self.faults: list[str] = []
        self.tab = self.new_tab()

    def new_tab(self) -> Any:
        tab = self.context.new_page()
        tab.on("pageerror", lambda fault: self.faults.append(str(fault)))
        tab.on("requestfailed", lambda request: self._outside(request.url))
        tab.on("request", lambda request: self._outside(request.url))
        return tab

    def _outside(self, url: str) -> None:
        if not url.startswith(("http://127.0.0.1:", "blob:", "data:")):
            self.faults.append(f"asked {url}")

    def sign_in(self, url: str) -> None:
        self.tab.goto(url)
        self.tab.get_by_label("Name").fill(self.name)
        self.tab.get_by_label("Password").fill(PASSWORD)
        self.tab.get_by_role("button", name="Sign in").click()
        self.tab.wait_for_url("**/worklist")

    def take(self, url: str, uid: str) -> None:
        self.tab.goto(f"{url}/worklist")
        row = self.tab.locator(f"tr[data-study='{uid}']")
        row.get_by_role("button", name="Take").click()
        self.tab.wait_for_url(f"**/studies/{uid}")
        self.drawn()

    def drawn(self) -> None:
        """Wait until the images are there."""
        self.tab.locator("#viewer canvas").first.wait_for()
        self.tab.wait_for_function("!document.querySelector('#viewer-note').textContent")

    def choose(self, number: int) -> None:
        self.tab.locator("#lesions").get_by_role("button").nth(number).click()

    def fill(self, calcified: str, pattern: str | None = None, concern: str = "low") -> None:
        form = self.tab.locator("form.answer")
        form.locator(f"[name=calcified][value={calcified}]").check()
        if pattern:
            for other in form.locator("[name=patterns]:checked").all():
                other.uncheck()
            form.locator(f"[name=patterns][value={pattern}]").check()
        form.locator(f"[name=concern][value={concern}]").check()
        form.locator("[name=confidence][value='4']").check()

    def press(self, button: str) -> None:
        self.tab.get_by_role("button", name=button, exact=True).click()

    def commit(self, calcified: str, pattern: str | None = None, concern: str = "low") -> None:
        self.fill(calcified, pattern, concern)
        self.press("Commit answer")
        self.tab.get_by_text("Yours is committed").wait_for()

    def saved(self) -> None:
        self.tab.get_by_text("Your verdict is saved").wait_for()

    def drag(self, *points: tuple[float, float]) -> None:
        """Drag over the image; points as shares of its width and height."""
        box = self.tab.locator("#viewer canvas").first.bounding_box()
        mouse = self.tab.mouse
        for number, (x, y) in enumerate(points):
            mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=5)
            if number == 0:
                mouse.down()
        mouse.up()

    def sign(self) -> None:
        self.press("Sign the study")
        self.tab.get_by_role("dialog").get_by_role("button", name="Sign", exact=True).click()
        self.tab.get_by_role("button", name="Sign the study").wait_for(state="hidden")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("day")
    make_day(made)
    with_readers(made / "r.sqlite", ROLES)
    return made


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    with running(folder) as (_, port):
        yield f"http://127.0.0.1:{port}"


def review(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    given = [*CLI, *words, "--db", str(folder / "r.sqlite")]
    return subprocess.run(given, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_day_from_sign_in_to_the_exports(folder: Path, chromium: Any, tmp_path: Path) -> None:
    uids = [f"1.2.826.5.{k}" for k in range(5)]
    ann, ben, dora = (Desk(chromium, name) for name in ROLES)
    with serving(folder) as url:
        ann.sign_in(url)
        read_with_drawing(ann, url, uids[0])
        read(ann, url, uids[1])
        half_read(ann, url, uids[2])
    with serving(folder) as url:  # the same browser at a program that started anew
        resume(ann, url, uids[2])
        for uid in uids[3:]:
            read(ann, url, uid)
        ben.sign_in(url)
        read(ben, url, uids[0], pattern="popcorn", concern="high")
        dora.sign_in(url)
        settle(dora, url, uids[0])
        two_tabs(ben, url, uids[1])
    assert ann.faults + ben.faults + dora.faults == []
    check_exports(folder, tmp_path / "out", uids)


def read(desk: Desk, url: str, uid: str, **answer: str) -> None:
    """Read both lesions of a study: change the first after the model's answer, keep the second."""
    desk.take(url, uid)
    for number in range(2):
        desk.choose(number)
        desk.commit("yes", **{"pattern": "diffuse", **answer})
        if number == 0:
            desk.press("Change …")
            desk.fill("yes", answer.get("pattern", "central"), answer.get("concern", "low"))
            desk.press("Save verdict")
        else:
            desk.press("Keep mine")
        desk.saved()
    desk.sign()


def read_with_drawing(desk: Desk, url: str, uid: str) -> None:
    """Agree, reject with a mask of one's own, and add what was missed."""
    desk.take(url, uid)
    assert desk.tab.get_by_text("The model's answer").count() == 0
    desk.choose(0)
    desk.commit("yes", "diffuse")
    desk.press("Keep mine")
    desk.saved()
    desk.choose(1)
    desk.fill("no")
    desk.press("Draw a mask")
    desk.drag((0.4, 0.4), (0.5, 0.5))
    desk.press("Use drawing")
    desk.tab.get_by_text("A mask that you drew").wait_for()
    desk.press("Commit answer")
    desk.tab.get_by_text("Yours is committed").wait_for()
    desk.press("Keep mine")
    desk.saved()
    desk.press("Add a missed lesion")
    desk.drag((0.55, 0.55), (0.65, 0.65))
    desk.press("Use drawing")
    desk.fill("yes", "phlebolith")
    desk.press("Save the missed lesion")
    desk.tab.locator("#lesions").get_by_role("button").nth(2).wait_for()
    desk.sign()


def half_read(desk: Desk, url: str, uid: str) -> None:
    """Commit one answer, begin the next, and reload."""
    desk.take(url, uid)
    desk.choose(0)
    desk.commit("yes", "diffuse")
    desk.tab.reload()
    desk.drawn()
    desk.tab.get_by_text("Yours is committed").wait_for()


def resume(desk: Desk, url: str, uid: str) -> None:
    """Find everything as it was before the program was ended, without signing in again."""
    desk.tab.goto(f"{url}/studies/{uid}")
    desk.drawn()
    desk.choose(0)
    desk.tab.get_by_text("Yours is committed").wait_for()
    desk.press("Keep mine")
    desk.saved()
    desk.choose(1)
    desk.commit("yes", "diffuse")
    desk.press("Keep mine")
    desk.saved()
    desk.sign()


def settle(desk: Desk, url: str, uid: str) -> None:
    """Settle all on which the readers differ."""
    desk.take(url, uid)
    lesions = desk.tab.locator("#lesions").get_by_role("button")
    lesions.nth(2).wait_for()
    for number in range(3):
        desk.choose(number)
        desk.press("Take ann's")
        desk.tab.locator("#lesions").get_by_text("settled").nth(number).wait_for()
    desk.sign()
    desk.tab.goto(f"{url}/worklist")
    desk.tab.locator(f"tr[data-study='{uid}'] .state.done").wait_for()


def two_tabs(desk: Desk, url: str, uid: str) -> None:
    """Commit in one tab what the other has committed: the second is told, and nothing is lost."""
    desk.take(url, uid)
    first, second = desk.tab, desk.new_tab()
    second.goto(first.url)
    desk.tab = second
    desk.drawn()
    desk.choose(0)
    desk.fill("no")
    desk.tab = first
    desk.choose(0)
    desk.commit("yes", "diffuse")
    desk.tab = second
    desk.press("Commit answer")
    dialog = second.get_by_role("dialog")
    dialog.wait_for()
    assert "Diffuse" in dialog.inner_text()
    dialog.get_by_role("button", name="Keep what is saved").click()
    second.get_by_text("Yours is committed").wait_for()


def check_exports(folder: Path, out: Path, uids: list[str]) -> None:
    verified = review(folder, "verify", "--json")
    assert verified.returncode == 0, verified.stderr
    assert json.loads(verified.stdout)["faults"] == []
    words = ("--reports", str(folder / "reports"))
    exported = review(folder, "export", "--out", str(out), *words)
    assert exported.returncode == 0, exported.stderr
    rows = list(csv.DictReader((out / "verdicts.csv").read_text().splitlines()))
    assert {row["study_uid"] for row in rows} == set(uids)
    assert {row["reader"] for row in rows} == set(ROLES)
    text = "".join(f.read_text() for f in (out / "verdicts.csv", out / "reviews.jsonl"))
    assert "SECRET" not in text.upper()
    assert list((out / "masks").rglob("*.nii.gz"))
    documents = [dcmread(path) for path in sorted((out / "dicom").rglob("*.dcm"))]
    assert documents
    preliminary = {
        dcmread(path, stop_before_pixels=True).SOPInstanceUID
        for path in (folder / "reports").rglob("sr*.dcm")
    }
    for document in documents:
        assert document.VerificationFlag == "VERIFIED"
        [predecessor] = document.PredecessorDocumentsSequence
        [series] = predecessor.ReferencedSeriesSequence
        assert {one.ReferencedSOPInstanceUID for one in series.ReferencedSOPSequence} <= preliminary
