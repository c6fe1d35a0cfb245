"""Pictures for docs/review.md: `python -m tests.review.browser.document REPORTS STUDIES OUT`.

REPORTS must hold a CT with a prior study, and a radiograph; what is read is kept in a database of
its own. Pictures have few colours, so that they stay small.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from calcilens.review.accounts import Role
from calcilens.review.database import opened
from tests.review.browser.site import browser
from tests.review.browser.test_reading_day import Desk
from tests.review.served import served, settings_of, with_readers

ROLES = {
    "ann": Role.READER,
    "ben": Role.READER,
    "dora": Role.ADJUDICATOR,
    "emil": Role.ADMINISTRATOR,
}
PATTERNS = ("diffuse", "peripheral_zonal", "popcorn", "lobulated")
COLOURS = 160


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
        picture = Pillow.open(io.BytesIO(desk.tab.screenshot())).convert("RGB")
        small = picture.quantize(COLOURS, dither=Pillow.Dither.NONE)
        small.save(self.out / f"review-{name}.png", optimize=True)

    def page(self, desk: Desk, path: str, there: str, name: str) -> None:
        """Open a page, and take its picture when something is there."""
        desk.tab.goto(f"{self.url}{path}")
        desk.tab.locator(there).first.wait_for()
        self.keep(desk, name)

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
        if shown:
            desk.tab.get_by_role("tab", name="Guidance").click()
            self.keep(desk, "guidance")
        desk.sign()

    def film(self, desk: Desk, uid: str) -> None:
        """Take a picture of a radiograph, and give it back."""
        desk.take(self.url, uid)
        desk.choose(0)
        self.keep(desk, "radiograph")
        desk.press("Release")
        desk.tab.get_by_role("dialog").get_by_role("button", name="Release").click()
        desk.tab.wait_for_url("**/worklist")

    def _views(self, desk: Desk) -> None:
        desk.press("Saliency")
        self.keep(desk, "model")
        desk.press("Saliency")
        for button, name in (("Three planes", "planes"), ("Prior", "prior"), ("One", "")):
            desk.press(button)
            if name:
                self.keep(desk, name)


def main(reports: Path, studies: Path, out: Path) -> None:
    """Let four people work, and take the pictures."""
    work = Path(tempfile.mkdtemp())
    with (
        opened(with_readers(work / "r.sqlite", ROLES)) as engine,
        served(engine, settings_of(reports, studies, work / "cache")) as port,
        browser() as chromium,
    ):
        painter = Painter(chromium, f"http://127.0.0.1:{port}", out)
        painter.page(Desk(chromium, "nobody"), "/", "form", "sign-in")
        ann, ben, dora, emil = (painter.sit_down(name) for name in ROLES)
        rows = ann.tab.locator("tr[data-study]")
        rows.first.wait_for()
        ann.tab.wait_for_timeout(5000)  # the list grows while reports are read
        uids = [row.get_attribute("data-study") for row in rows.all()]
        first, film = (
            ann.tab.locator("tr[data-study]", has_text=text).first.get_attribute("data-study")
            for text in ("prior", "DX")
        )
        painter.film(ann, film)
        order = [first, *(uid for uid in uids if uid != first)]
        for number, uid in enumerate(order[:-1]):
            painter.read(ann, uid, wrong=False, shown=number == 0)
            painter.read(ben, uid, wrong=number % 2 == 1)
        painter.page(dora, "/worklist", "tr[data-study]", "worklist")
        painter.page(dora, "/statistics", "#plots img", "statistics")
        painter.page(emil, "/readers", "table", "readers")
        dora.take(painter.url, order[1])
        dora.choose(0)
        painter.keep(dora, "settle")
        dora.tab.keyboard.press("?")
        painter.keep(dora, "keys")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
