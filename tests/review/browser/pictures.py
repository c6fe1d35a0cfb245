"""A study whose values are known, as the review page's server sends it."""

from __future__ import annotations

import base64
import json
import re
import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHIFT = (6.0, -4.0, 12.5)
"""From the current study to the prior one, in mm (LPS)."""
_BOXES = {"a": [[10, 30, 40], [16, 42, 54]], "b": [[12, 60, 70], [14, 66, 78]]}


def body(shape: tuple[int, int, int]) -> NDArray[np.int16]:
    """Return a body in air with a spine, vessels and a lesion; each voxel differs from those near.

    Args:
        shape: (Z, Y, X).
    """
    y, x = (np.arange(n, dtype=np.float32) for n in shape[1:])
    v, u = (y / shape[1] * 2 - 1)[:, None], (x / shape[2] * 2 - 1)[None, :]
    out = np.empty(shape, np.int16)
    grain = (17 * np.arange(shape[1])[:, None] + 13 * np.arange(shape[2])[None, :]) % 41 - 20
    for k in range(shape[0]):
        far = (u / 0.85) ** 2 + (v / 0.62) ** 2
        wave = 0.1 * np.sin(k / shape[0] * 9)
        plane = np.where(far < 1, np.where(far > 0.86, -100.0, 40.0), -1000.0)
        lung = ((np.abs(u) - 0.4) / 0.24) ** 2 + ((v + 0.05) / (0.36 + wave)) ** 2 < 1
        plane[lung] = -820
        plane[(u / 0.1) ** 2 + ((v - 0.4) / 0.11) ** 2 < 1] = 350 + 150 * np.sin(k / 3)
        plane[((u - wave) / 0.07) ** 2 + ((v - 0.12) / 0.07) ** 2 < 1] = 180
        plane[((u + 0.55) / 0.02) ** 2 + ((v + 0.3 + wave) / 0.02) ** 2 < 1] = 900
        out[k] = plane + grain + (7 * k) % 23
    return out


@dataclass
class Pictures:
    """A study with a CT, two films and a prior CT.

    Args:
        shape: Of the CT (Z, Y, X).
        slow: Answers wait for this before they send pixels.
    """

    shape: tuple[int, int, int] = (40, 96, 128)
    spacing: tuple[float, float, float] = (2.4, 0.8, 0.8)
    requests: list[str] = field(default_factory=list)
    slow: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.slow.set()
        self.ct = body(self.shape)
        rows, cols = np.mgrid[0:600, 0:480]
        film = 900 + 4 * rows + 3 * cols + 37 * ((rows // 7 + cols // 5) % 9)
        self.film = film.astype("<u2")
        self.levels = [self.film[:: 2**k, :: 2**k] for k in range(3)]
        box = [[10, 30, 40], [16, 42, 54]]
        sizes = [b - a for a, b in zip(*box, strict=True)]
        z, y, x = np.ogrid[tuple(slice(n) for n in sizes)]
        self.mask = ((z - 2.5) / 3) ** 2 + ((y - 5.5) / 6) ** 2 + ((x - 6.5) / 7) ** 2 < 1
        self.saliency = (255 * np.exp(-(((y - 5.5) / 4) ** 2 + ((x - 6.5) / 5) ** 2)[0])).astype(
            "u1"
        )

    @property
    def affine(self) -> list[list[float]]:
        """Voxel (z, y, x, 1) -> LPS mm: first plane at the feet, as `read_study` sorts."""
        z, y, x = self.spacing
        return [[0, 0, x, -50.0], [0, y, 0, -40.0], [z, 0, 0, -100.0], [0, 0, 0, 1]]

    def study(self) -> dict[str, Any]:
        """Return the study as the page's server describes it."""
        ct = _image(0, "volume", "CT", self.shape, self.spacing, self.affine)
        ct["numbers"] = list(range(self.shape[0] + 100, 100, -1))
        film = _image(1, "film", "DX", self.film.shape, (0.5, 0.5), None)
        bare = _image(2, "film", "DX", self.film.shape, None, None)
        for one in (film, bare):
            one["levels"] = [list(level.shape) for level in self.levels]
        matrix = [[1, 0, 0, SHIFT[0]], [0, 1, 0, SHIFT[1]], [0, 0, 1, SHIFT[2]], [0, 0, 0, 1]]
        link = {"image": 0, "prior_image": 0, "matrix": matrix, "how": "made"}
        return {
            "study": {"study_uid": "1.2.3", "study_date": "2024-05-06"},
            "images": [ct, film, bare],
            "prior": {
                "study_uid": "1.2.4", "study_date": "2023-11-08", "days": 180,
                "images": [dict(ct)], "links": [link],
            },
            "lesions": [
                _lesion("a", 1, 0, 12, whole=True), _lesion("b", 2, 0, 13, whole=False),
                {**_lesion("c", 3, 1, 0, whole=False), "box": [[0, 200, 150], [1, 260, 220]]},
            ],
        }  # fmt: skip

    def answer(self, path: str, query: dict[str, list[str]]) -> bytes:
        """Return what the server sends for an address."""
        if found := re.fullmatch(r"(?:/prior)?/images/0/planes/(\d+)", path):
            z, count = int(found[1]), int(query["count"][0])
            return self.ct[z : z + count].astype("<i2").tobytes()
        if re.fullmatch(r"/images/[12]/film", path):
            return bytes(self.levels[int(query["level"][0])].tobytes())
        if path == "/study":
            return json.dumps(self.study()).encode()
        if path == "/lesions/a/mask":
            return _packed(_BOXES["a"], bits=np.packbits(self.mask).tobytes())
        if path == "/lesions/a/saliency":
            return _packed(_BOXES["a"], values=self.saliency.tobytes())
        raise FileNotFoundError(path)


def _image(
    n: int, kind: str, modality: str, shape: tuple[int, ...], mm: Any, affine: Any
) -> dict[str, Any]:
    window = {"center": 40, "width": 400} if modality == "CT" else {"center": 3000, "width": 4200}
    return {
        "n": n, "kind": kind, "modality": modality, "label": f"Series {n + 1}", "body_part": "",
        "shape": list(shape), "spacing_mm": mm and list(mm), "affine": affine, "side": "",
        "numbers": [], "view": "", "window": window,
        "dtype": "int16" if kind == "volume" else "uint16", "levels": [],
        "series_uid": f"1.2.3.{n}",
    }  # fmt: skip


def _lesion(name: str, number: int, image: int, plane: int, *, whole: bool) -> dict[str, Any]:
    return {
        "id": name, "number": number, "image": image, "box": _BOXES.get(name), "key_plane": plane,
        "mask": whole, "saliency": whole,
    }  # fmt: skip


def _packed(box: list[list[int]], **content: bytes) -> bytes:
    texts = {key: base64.b64encode(value).decode() for key, value in content.items()}
    return json.dumps({"box": box, **texts}).encode()
