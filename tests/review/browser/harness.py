"""The viewer of the review page by itself, in a browser, with images whose values are known."""

from __future__ import annotations

import io
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.inference.network.orthanc import IN_CI
from tests.review.browser.pictures import Pictures

NEEDS_CHROMIUM = pytest.mark.skipif(
    shutil.which("chromium") is None and not IN_CI, reason="chromium is not installed"
)
HERE = Path(__file__).parent
STATIC = Path(__file__).parents[3] / "calcilens" / "review" / "page" / "static"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
KINDS = {".js": "text/javascript", ".css": "text/css", ".html": "text/html"}


@contextmanager
def serving(pictures: Pictures) -> Iterator[str]:
    """Serve the harness on loopback; yield its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            pictures.requests.append(self.path)
            try:
                content, kind = _content(pictures, parts.path, parse_qs(parts.query))
            except FileNotFoundError:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Content-Security-Policy", CSP)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        pictures.slow.set()
        server.shutdown()
        server.server_close()


def _content(pictures: Pictures, path: str, query: dict[str, list[str]]) -> tuple[bytes, str]:
    file = HERE / "harness.html" if path == "/" else HERE / path[1:]
    if path.startswith("/static/"):
        file = STATIC / path.removeprefix("/static/")
    if file.suffix in KINDS:
        return file.read_bytes(), KINDS[file.suffix]
    if "/planes/" in path:
        pictures.slow.wait()
    return pictures.answer(path, query), "application/octet-stream"


def until(page: Any, true: str, seconds: float = 30) -> Any:
    """Wait until an expression is true in a page; its CSP forbids Playwright's own way."""
    end = time.monotonic() + seconds
    while not (value := page.evaluate(true)):
        assert time.monotonic() < end, f"waited in vain for {true}"
        page.wait_for_timeout(20)
    return value


@dataclass(frozen=True)
class Shown:
    """The harness in a browser."""

    page: Any
    faults: list[str]

    @classmethod
    def open(cls, browser: Any, address: str, *, wait: bool = True, **settings: Any) -> Shown:
        """Open it; unless told otherwise, wait until all planes are there."""
        size = {"width": 1280, "height": 800}
        page = browser.new_page(viewport=size, **settings)
        shown = cls(page, [])
        page.on("pageerror", lambda error: shown.faults.append(str(error)))
        page.on("console", lambda m: shown.faults.append(m.text) if m.type == "error" else None)
        page.goto(address)
        shown.until("window.viewer?.scenes.current !== null && window.viewer !== undefined")
        if wait:
            shown.until("viewer.scenes.current.pixels.progress === 1")
        return shown

    def close(self) -> None:
        """Close it; nothing may have gone wrong."""
        self.page.close()
        assert not self.faults

    def run(self, script: str) -> Any:
        """Return the value of an expression in the page."""
        return self.page.evaluate(script)

    def until(self, true: str) -> None:
        """Wait until an expression is true."""
        until(self.page, true)

    def press(self, *keys: str) -> None:
        """Press keys, named as in keys.js."""
        for key in keys:
            names = {"ctrl": "Control", "shift": "Shift", " ": "Space"}
            parts = [key] if len(key) == 1 else key.split("+")
            self.page.keyboard.press("+".join(names.get(part, part) for part in parts))

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag with the left button."""
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        mouse.move(*end)
        mouse.up()

    def settle(self) -> None:
        """Wait until what was asked for is painted; the pointer is away."""
        self.page.mouse.move(5, 795)
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def seen(
        self, shape: tuple[int, ...], pane: int = 0, steps: tuple[int, int] = (5, 5)
    ) -> NDArray[np.int16]:
        """Return the greys at the centres of the pixels of a plane, -1 outside of the pane.

        Where they lie is worked out here, not by the viewer: the plane is in the middle of the
        pane, at `steps` (odd) screen pixels a row and column.
        """
        width, height = self.run(f"[viewer.panes[{pane}].width, viewer.panes[{pane}].height]")
        odd = [(width % 2) / 2, (height % 2) / 2]
        self.run(
            f"{{const p = viewer.panes[{pane}]; const s = p.view.scale(p.plane, p.width, p.height);"
            f"p.view.zoom *= {min(steps)} / (s * Math.min(p.plane.colMm, p.plane.rowMm));"
            f"p.view.pan = {odd}; p.invalidate()}}"
        )
        self.settle()
        shot = self.page.locator("canvas").nth(pane).screenshot()
        image = np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"), np.int16)[..., 0]
        rows, cols = (
            np.floor(half + shift + (np.arange(n) - (n - 1) / 2) * step).astype(int)
            for half, shift, n, step in zip(
                (height / 2, width / 2), odd[::-1], shape, steps, strict=True
            )
        )
        inside = np.ix_(
            *((k >= 0) & (k < n) for k, n in zip((rows, cols), image.shape, strict=True))
        )
        out = np.full(shape, -1, np.int16)
        out[inside] = _picked(image, rows, cols)[inside]
        return out


def _picked(image: NDArray[np.int16], rows: Any, cols: Any) -> NDArray[np.int16]:
    """Return the pixels of rows and columns, clipped to the image."""
    low = [np.clip(k, 0, n - 1) for k, n in zip((rows, cols), image.shape, strict=True)]
    return image[np.ix_(*low)]
