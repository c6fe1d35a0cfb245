"""Pictures for docs/review.md: `python -m tests.review.browser.document REPORTS STUDIES OUT`.

REPORTS must hold a CT with a prior study; what is read is kept in a database of its own.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from calcilens.review.accounts import Role
from calcilens.review.database import opened
from tests.review.browser.site import browser
from tests.review.browser.test_reading_day import Desk
from tests.review.served import served, settings_of, with_readers

ROLES = {"ann": Role.READER, "ben": Role.READER, "dora": Role.ADJUDICATOR}
PATTERNS = ("diffuse", "peripheral_zonal", "popcorn", "lobulated")


class Painter:
    """Takes pictures of what somebody sees."""

    def __init__(self, chromium: Any, url: str, out: Path) -> None:
        self.chromium, self.url, self.out = chromium, url, out

    def sit_down(self, name: str) -> Desk:
        desk = Desk(self.chromium, name)
        desk.sign_in(self.url)
        return desk

    def keep(self, desk: Desk, name: str) -> None:
        desk.tab.wait_for_timeout(1500)  # planes that are still on their way
        desk.tab.screenshot(path=self.out / f"review-{name}.png")

    def read(self, desk: Desk, uid: str, *, wrong: bool, shown: bool = False) -> None:
        """Read a study to the end, now and then unlike the model."""
        desk.take(self.url, uid)
        lesions = desk.tab.locator("#lesions").get_by_role("button")
        for number in range(lesions.count()):
            desk.choose(number)
            if shown and number == 0:
                self.keep(desk, "blinded")
            pattern = PATTERNS[(number + wrong) % len(PATTERNS)]
            desk.commit("yes", pattern, "intermediate")
            if shown and number == 0:
                self._views(desk)
            agree = desk.tab.get_by_role("button", name="Agree with model")
            if wrong or agree.is_disabled():
                desk.press("Keep mine")
            else:
                agree.click()
            desk.saved()
        desk.sign()

    def _views(self, desk: Desk) -> None:
        desk.press("Saliency")
        self.keep(desk, "model")
        desk.press("Saliency")
        for button, name in (("Three planes", "planes"), ("Prior", "prior"), ("One", "")):
            desk.press(button)
            if name:
                self.keep(desk, name)


def main(reports: Path, studies: Path, out: Path) -> None:
    """Let three people work, and take the pictures."""
    work = Path(tempfile.mkdtemp())
    with (
        opened(with_readers(work / "r.sqlite", ROLES)) as engine,
        served(engine, settings_of(reports, studies, work / "cache")) as port,
        browser() as chromium,
    ):
        painter = Painter(chromium, f"http://127.0.0.1:{port}", out)
        ann, ben, dora = (painter.sit_down(name) for name in ROLES)
        rows = ann.tab.locator("tr[data-study]")
        rows.first.wait_for()
        ann.tab.wait_for_timeout(5000)  # the list grows while reports are read
        uids = [row.get_attribute("data-study") for row in rows.all()]
        prior = ann.tab.locator("tr[data-study]", has_text="prior").first
        first = prior.get_attribute("data-study")
        order = [first, *(uid for uid in uids if uid != first)]
        for number, uid in enumerate(order):
            painter.read(ann, uid, wrong=False, shown=number == 0)
            if number < len(order) - 1:
                painter.read(ben, uid, wrong=number % 2 == 1)
        for name, there in (("worklist", "tr[data-study]"), ("statistics", "#plots img")):
            dora.tab.goto(f"{painter.url}/{name}")
            dora.tab.locator(there).first.wait_for()
            painter.keep(dora, name)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
