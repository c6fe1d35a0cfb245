"""A made-up site in a browser: what the tests of its pages start from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.review.browser.site import SIZE, Site, browser, made_lesion

UID = "1.2.3"
READER = {"name": "anna", "role": "reader"}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as started:
        yield started


@pytest.fixture
def site() -> Site:
    image = {
        "n": 0,
        "kind": "volume",
        "series_uid": "1.2.3.1",
        "modality": "CT",
        "label": "CT 2 mm",
        "shape": list(SIZE),
        "spacing_mm": [2.0, 1.0, 1.0],
        "frame_of_reference_uid": "1.2.3.9",
        "affine": [[0, 0, 1, 0], [0, 1, 0, 0], [2, 0, 0, 0], [0, 0, 0, 1]],
        "numbers": list(range(1, SIZE[0] + 1)),
        "dtype": "int16",
        "levels": [],
        "window": {"center": 40, "width": 400},
        "body_part": None,
        "side": None,
        "view": None,
    }
    study = {
        "study": {
            "study_uid": UID,
            "study_date": "20250114",
            "modalities": ["CT"],
            "state": "reading",
            "report": "0" * 64,
            "notice": "",
        },
        "me": READER,
        "mine": "reading",
        "mode": {"blinded": True, "readers": 2},
        "can": ["release", "commit", "verdict", "add"],
        "images": [image],
        "ready": {"ready": True, "done": 1, "total": 1, "error": None},
        "prior": None,
        "ohif": None,
        "lesions": [made_lesion(n) for n in (1, 2)],
        "guidance": None,
        "history": [
            {"time": "2026-11-26T12:00:00Z", "reader": "anna", "kind": "taken", "lesion": None}
        ],
    }
    return Site(study, _worklist(), READER)


def _row(uid: str, date: str | None, modality: str, state: str, **more: Any) -> dict[str, Any]:
    nothing = {"concern": None, "uncertainty": None, "mine": None, "why_no_images": None}
    row = {"study_uid": uid, "study_date": date, "modalities": [modality], "state": state}
    usual = {"holders": [], "abstained": False, "comparison": False, "images": True, "lesions": 2}
    return row | nothing | usual | {"can": ["take"]} | more


def _worklist() -> dict[str, Any]:
    held = {"holders": ["anna"], "mine": "reading", "can": ["open", "release"]}
    none = {"images": False, "why_no_images": "no DICOM of it was found", "can": []}
    studies = [
        _row("1.2.3", "20250114", "CT", "reading", uncertainty=0.31, comparison=True, **held),
        _row("1.2.4", "20240302", "DX", "new", uncertainty=0.82, abstained=True),
        _row("1.2.5", None, "CT", "done", concern="high", lesions=0, can=["open"]),
        _row("1.2.6", "20240811", "CR", "disputed", uncertainty=0.5, lesions=3, **none),
    ]
    progress = {"new": 1, "reading": 1, "waiting": 0, "disputed": 1, "done": 1, "total": 4}
    mode = {"blinded": True, "readers": 2}
    broken = [
        {"folder": "1.2.9", "why": "1.2.9/report.json: expected JSON, found text that is none"}
    ]
    return {"me": READER, "mode": mode, "progress": progress, "studies": studies, "broken": broken}


@pytest.fixture
def opened(chromium: Any, site: Site) -> Iterator[Any]:
    """Return what opens an address in a new tab of one browser window."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(20_000)
    context.route("**/*", site.answer)
    faults: list[str] = []

    def go(address: str) -> Any:
        tab = context.new_page()
        tab.on("pageerror", lambda fault: faults.append(str(fault)))
        tab.on(
            "console",
            lambda line: faults.append(line.text) if "Content Security" in line.text else None,
        )
        tab.goto(address)
        return tab

    yield go
    context.close()
    assert faults == []
