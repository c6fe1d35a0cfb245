"""A study in OHIF in Debian's Chromium: opened, waited for, and looked at."""

from __future__ import annotations

import io
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

GPU = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
PATIENCE_S = 150.0
"""For each thing that is waited for: two slow cores, shared with other tests."""
QUIET = 3
"""Pictures in a row that are the same when all is drawn."""
PICTURES = os.environ.get("CALCILENS_DOC_IMAGES")
"""Folder for the pictures of the docs, where they are to be made anew."""
NO_TOUR = "localStorage.setItem('shownTours', '[\"basicViewerTour\"]')"
Pixels = NDArray[np.int16]


@contextmanager
def chromium() -> Iterator[Any]:
    """Start a browser that draws on the CPU, and keeps what it has fetched."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    assert program is not None, "chromium is missing; see .ci/run"
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox", *GPU])
        try:
            context = browser.new_context(viewport={"width": 1440, "height": 900})
            context.set_default_timeout(1000 * PATIENCE_S)
            context.add_init_script(NO_TOUR)
            yield context
        finally:
            browser.close()


@dataclass(frozen=True)
class Opened:
    """A study in OHIF."""

    page: Any
    faults: list[str]

    def open(self, modality: str) -> None:
        """Open results, as a double click in the list of series does, once the images are drawn."""
        self.page.get_by_text(modality, exact=True).first.dblclick()

    def seen(self) -> Pixels:
        """Return what is seen now (Y, X, RGB)."""
        return _pixels(self.page.screenshot())

    def until(self, true: Callable[[Pixels], bool], picture: str) -> None:
        """Wait until what is seen is right and all is drawn; keep it for the docs if asked to."""
        shot = self._until(lambda shots: len(shots) >= QUIET and true(_pixels(shots[-1])))
        if PICTURES:
            (Path(PICTURES) / f"{picture}.png").write_bytes(shot)

    def drawn(self) -> None:
        """Wait until images are there and nothing moves any more."""
        self.page.get_by_text("W:", exact=True).first.wait_for()
        self._until(lambda shots: len(shots) >= QUIET)

    def _until(self, done: Callable[[list[bytes]], bool]) -> bytes:
        """Take pictures until `done` with the last ones that are all the same."""
        same: list[bytes] = []
        end = time.monotonic() + PATIENCE_S
        while not done(same):
            assert time.monotonic() < end, f"waited in vain; faults: {self.faults}"
            self.page.wait_for_timeout(700)
            shot = self.page.screenshot()
            same = [*same, shot] if same and shot == same[-1] else [shot]
        return same[-1]


@contextmanager
def opened(browser: Any, address: str) -> Iterator[Opened]:
    """Open a study in a page of its own."""
    page = browser.new_page()
    faults: list[str] = []
    page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    try:
        page.goto(address, wait_until="commit")
        study = Opened(page, faults)
        study.drawn()
        yield study
    finally:
        page.close()


def coloured(seen: Pixels) -> int:
    """Return how many pixels of the image, which is grey, have a colour; text lies elsewhere."""
    image = seen[200:700, 450:1250]
    return int((np.ptp(image, axis=2) > 60).sum())


def _pixels(shot: bytes) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"), np.int16)
