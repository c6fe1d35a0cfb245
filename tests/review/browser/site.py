"""The pages of the review in a browser, answered from memory: no server, and any state at will."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

import calcilens.review
from calcilens import DISCLAIMER
from calcilens.vocabulary import PATTERNS

PAGE = Path(calcilens.review.__file__).parent / "page"
ORIGIN = "http://review.test"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'"
)
TYPES = {".js": "text/javascript", ".css": "text/css"}
SIZE = (40, 128, 128)
"""Voxels of the volume, (z, y, x)."""


@dataclass
class Site:
    """What the server would hold, and how it would answer.

    Args:
        study: As GET /api/studies/{uid} answers.
        worklist: As GET /api/worklist answers.
        me: Who is signed in; None: nobody.
        refuse: Answers by method and path, before all others: status and content.
        cut: Whether nobody answers any more.
        asked: Method, path and content of every request.
    """

    study: dict[str, Any]
    worklist: dict[str, Any]
    me: dict[str, str] | None
    others: dict[str, Any] = field(default_factory=dict)
    refuse: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict)
    cut: bool = False
    seq: int = 0
    asked: list[tuple[str, str, Any]] = field(default_factory=list)

    def answer(self, route: Any) -> Any:
        """Answer a request of the browser."""
        request = route.request
        address = urlsplit(request.url)
        path = unquote(address.path)
        if path.startswith("/static/"):
            return self._file(route, PAGE / path[1:])
        if self.cut:
            return route.abort()
        content = json.loads(request.post_data) if request.post_data else None
        self.asked.append((request.method, path, content))
        if (request.method, path) in self.refuse:
            status, said = self.refuse[request.method, path]
            return _json(route, said, status)
        if "/planes/" in path:
            return self._planes(route, path, parse_qs(address.query))
        if path.startswith("/api/"):
            return self._api(route, request.method, path, content)
        return self._page(route, path)

    def _file(self, route: Any, path: Path) -> Any:
        if not path.is_file():
            return route.fulfill(status=404)
        return route.fulfill(path=path, content_type=TYPES[path.suffix])

    def _page(self, route: Any, path: str) -> None:
        name = "study" if path.startswith("/studies/") else path.strip("/").replace("-", "_")
        known = (PAGE / "templates" / f"{name}.html.j2").is_file()
        body = rendered(name if known else "refused", self.me)
        route.fulfill(body=body, content_type="text/html", headers=_headers(known))

    def _planes(self, route: Any, path: str, query: dict[str, list[str]]) -> None:
        first, count = int(path.rsplit("/", 1)[1]), int(query.get("count", ["1"])[0])
        route.fulfill(
            body=planes()[first : first + count].tobytes(), content_type="application/octet-stream"
        )

    def _api(self, route: Any, method: str, path: str, content: Any) -> Any:
        if path in self.others:
            return _json(route, self.others[path])
        if path == "/api/worklist":
            return _json(route, self.worklist)
        if path == "/api/sign-in":
            self.me = self.me or {"name": "anna", "role": "reader"}
            return _json(route, {"next": "/worklist"})
        if method == "GET" and re.fullmatch(r"/api/studies/[0-9.]+", path):
            return _json(route, self.study)
        if method == "POST":
            return _json(route, *self._save(path.split("/")[4:], content))
        return _json(route, {"error": "there is nothing here"}, 404)

    def _save(self, what: list[str], content: Any) -> tuple[Any, int]:
        if what == ["masks"]:
            return {"mask": "a" * 64}, 200
        lesion = next((one for one in self.study["lesions"] if one["id"] in what), None)
        if what[-1] in {"verdict", "settle"} and lesion:
            held = lesion["mine" if what[-1] == "verdict" else "settled"]
            if (held or {"seq": 0})["seq"] != content["based_on"]:
                current = {**held, "reader": (self.me or {})["name"]}
                return {"error": "saved since", "current": current}, 409
        self.seq += 1
        self._enter(what, lesion, content)
        extra = {"id": self.study["lesions"][-1]["id"]} if what == ["lesions"] else {}
        return {"seq": self.seq, "hash": "0" * 64, "study": self.study, **extra}, 200

    def _enter(self, what: list[str], lesion: Any, content: Any) -> None:
        if what[-1] == "commit":
            said = {"seq": self.seq, "answer": content["answer"]}
            lesion.update(committed=said, revealed=True, model=model(lesion["id"]))
        elif what[-1] == "verdict":
            lesion["mine"] = {"seq": self.seq, "answer": content["answer"]}
        elif what[-1] == "settle":
            name = (self.me or {})["name"]
            lesion["settled"] = {"seq": self.seq, "answer": content["answer"], "reader": name}
        elif what[-1] == "withdraw":
            self.study["lesions"].remove(lesion)
        elif what == ["lesions"]:
            number = len(self.study["lesions"]) + 1
            mine = {"seq": self.seq, "answer": content["answer"]}
            new = made_lesion(number, content["box"]) | {
                "added_by": "anna",
                "mine": mine,
                "revealed": True,
            }
            self.study["lesions"].append(new)
        elif what[-1] == "sign":
            self.study.update(mine="signed", can=["reopen"])
            self.study["study"]["state"] = "waiting"
        elif what[-1] == "take":
            self.study.update(mine="reading", can=["release", "commit", "verdict", "add", "sign"])
            self.study["study"]["state"] = "reading"


def _headers(known: bool) -> dict[str, str]:
    return {"Content-Security-Policy": CSP, "X-Known": str(known)}


def _json(route: Any, content: Any, status: int = 200) -> None:
    route.fulfill(body=json.dumps(content), status=status, content_type="application/json")


def rendered(name: str, me: dict[str, str] | None) -> str:
    """Return a page as the server makes it."""
    loader = FileSystemLoader(PAGE / "templates")
    pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    vocabulary = [
        {"key": p.key, "label": p.label, "look": p.look, "reading": p.reading.value}
        for p in PATTERNS
    ]
    facts = {"csrf": "token", "me": me, "notice": DISCLAIMER, "page": name, "error": None}
    return pages.get_template(f"{name}.html.j2").render(vocabulary=vocabulary, **facts)


def planes() -> Any:
    """Return a body with a lump of mineral in it, int16 HU (z, y, x)."""
    z, y, x = np.indices(SIZE)
    body = np.where((y - 64) ** 2 + (x - 64) ** 2 < 50**2, 40, -1000)
    lump = (2 * (z - 12)) ** 2 + (y - 50) ** 2 + (x - 60) ** 2 < 12**2
    return np.where(lump, 700, body).astype("<i2")


def made_lesion(number: int, box: Any = None) -> dict[str, Any]:
    """Return a lesion that nobody has answered."""
    box = box or [[8 + 6 * number, 40, 50], [14 + 6 * number, 62, 72]]
    found = {
        "max_diameter_mm": 12.3,
        "volume_mm3": 810.0,
        "mean_hu": 512.0,
        "skin_distance_mm": 9.1,
        "depth": "deep",
    }
    nothing = dict.fromkeys(("model", "committed", "mine", "settled", "added_by"))
    where = {"image": 0, "box": box, "key_plane": box[0][0] + 2, "mask": True, "saliency": True}
    return {
        "id": f"L{number}",
        "number": number,
        **where,
        "measurements": found,
        "revealed": False,
        **nothing,
        "others": [],
        "disputed": False,
    }


def model(lesion: str) -> dict[str, Any]:
    """Return the model's answer: on the second lesion it abstains and is out of domain."""
    rest = {p.key: 0.002 for p in PATTERNS}
    probabilities = {**rest, "popcorn": 0.74, "stippled": 0.19, "diffuse": 0.04}
    unsure = lesion == "L2"
    return {
        "name": "calcilens-ct",
        "finding": {"probability": 0.97, "abstained": False, "why": None},
        "pattern": {
            "probabilities": probabilities,
            "set": ["popcorn", "stippled"],
            "coverage": 0.9,
            "abstained": unsure,
            "why": "the set holds 7 patterns" if unsure else None,
        },
        "concern": {
            "probability": 0.12,
            "level": "low",
            "model_reasons": [
                "probability 0.12 is below 0.30, where intermediate begins for this model"
            ],
            "rule_reasons": [],
        },
        "out_of_domain": {"score": 3.1 if unsure else 0.4, "flag": unsure},
        "change": {
            "prior_study_uid": "1.2.1",
            "volume_ratio": 1.31,
            "volume_ratio_ci": [1.1, 1.52],
            "doubling_time_days": 412.0,
            "skin_distance_change_mm": 0.1,
            "level": "grown",
        },
        "saliency": {"method": "attention", "trust": 0.9, "shown": True},
    }


@contextmanager
def browser() -> Iterator[Any]:
    """Start Debian's chromium."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    assert program is not None, "chromium is missing; see .ci/run"
    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield started
        finally:
            started.close()
