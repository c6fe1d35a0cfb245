"""report.html in a real browser: on screens of any width, on paper, and beside a prior."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from calcilens.inference.change import Level
from calcilens.inference.export.html import build
from calcilens.inference.report import StudyReport
from tests.inference.made import ct, film
from tests.inference.reports import against, beside, reported

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium or google-chrome"),
]
WIDE = "document.documentElement.scrollWidth - innerWidth"
LABELS = (
    "[...document.querySelectorAll('header dt')].filter(e => e.scrollWidth > e.clientWidth).length"
)


def asked(folder: Path, page: str, *questions: str, width: int = 1400, paper: bool = False) -> Any:
    """Open a page and return what JavaScript expressions give there, on screen or on paper."""
    page = re.sub(r"<meta http-equiv[^>]*>", "", page)
    if paper:
        page = page.replace("@media print", "@media all").replace("@media screen", "@media not all")
    ask = (
        f"setTimeout(() => {{ document.title = JSON.stringify([{', '.join(questions)}]); }}, 1000)"
    )
    file = folder / "page.html"
    file.write_text(page.replace("</body>", f"<script>{ask}</script></body>"))
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=4000")
    own = (f"--user-data-dir={folder / 'profile'}", f"--window-size={width},900", "--dump-dom")
    command = [str(CHROMIUM), *options, *own, file.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
    return json.loads(html.unescape(shown.split("<title>", 1)[1].split("</title>", 1)[0]))


def seen(what: str) -> str:
    """An expression for whether each element of a kind is seen."""
    return (
        f"[...document.querySelectorAll('{what}')].map(e => e.getBoundingClientRect().height > 5)"
    )


def with_prior() -> StudyReport:
    report = against(reported(), Level.STABLE)
    return replace(report, lesions=(beside(report, 16.0),))


def test_all_lesions_and_the_overview_are_printed(tmp_path: Path) -> None:
    row = "getComputedStyle(document.querySelector('#all tr[aria-current=true]')).backgroundColor"
    kinds = [seen(k) for k in ("article", ".still", ".views figure", "nav li", "#viewer")]
    page = build(reported(film(1), film(2)))
    found = asked(tmp_path, page, *kinds, row, LABELS, width=720, paper=True)
    assert found == [
        [True] * 2,
        [True] * 2,
        [True] * 2,
        [True] * 2,
        [False],
        "rgb(255, 255, 255)",
        0,
    ]


def test_both_views_of_a_ct_stand_side_by_side_on_paper(tmp_path: Path) -> None:
    left = (
        "[...document.querySelectorAll('.views figure')].map(f => f.getBoundingClientRect().left)"
    )
    page = build(reported(ct((24, 160, 160))))
    (found,) = asked(tmp_path, page, left, width=720, paper=True)
    assert len(found) == 2
    assert found[1] - found[0] > 100


def test_a_plane_is_named_by_its_slice_and_by_its_number_in_a_viewer(tmp_path: Path) -> None:
    volume = ct()
    planes = tuple(replace(p, number=112 - k) for k, p in enumerate(volume.planes))
    where = "document.getElementById('where').textContent"
    (said,) = asked(tmp_path, build(reported(replace(volume, planes=planes))), where)
    assert said.startswith("Slice 6 of 12 (image 107), lesion on 4–8")
    (bare,) = asked(tmp_path, build(reported(volume)), where)
    assert bare.startswith("Slice 6 of 12, lesion on 4–8")


@pytest.mark.parametrize("width", [1000, 1200, 1270, 1400, 1600, 3840])
def test_nothing_runs_off_the_page_at_any_width(tmp_path: Path, width: int) -> None:
    off, labels = asked(tmp_path, build(with_prior()), WIDE, LABELS, width=width)
    assert off <= 0
    assert labels == 0


def test_the_prior_is_beside_at_once_and_all_films_are_shown(tmp_path: Path) -> None:
    state = "document.getElementById('{}')"
    pressed = state.format("prior") + ".getAttribute('aria-pressed')"
    off = state.format("zoom") + ".disabled"
    press = "document.dispatchEvent(new KeyboardEvent('keydown', {key: 'p', cancelable: true}))"
    page = build(with_prior())
    found = asked(tmp_path, page, pressed, off, press, pressed, off)
    assert found == ["true", True, False, "false", False]
    bare = asked(tmp_path, build(reported(film(1), film(2))), seen(".views figure"), off)
    assert bare == [[True, True], False]
