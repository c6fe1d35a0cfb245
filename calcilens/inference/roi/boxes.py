"""Boxes in JSON or CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calcilens.errors import RoiError, compose
from calcilens.imaging.images import Image, Radiograph
from calcilens.imaging.records import Skipped
from calcilens.inference.roi.region import Box, shape_of

VOXEL_KEYS = ("z0", "y0", "x0", "z1", "y1", "x1")
PIXEL_KEYS = ("x0", "y0", "x1", "y1")
MM_KEYS = ("x0_mm", "y0_mm", "z0_mm", "x1_mm", "y1_mm", "z1_mm")
_FARTHEST = 1e6
"""Larger numbers lie on no image, neither as voxels nor as mm."""
_KINDS = {"box": 6, "box_px": 4, "box_mm": 6}


@dataclass(frozen=True)
class BoxRegion:
    """A box of one entry.

    Args:
        kind: ``box`` voxels (z0, y0, x0, z1, y1, x1); ``box_px`` pixels (x0, y0, x1, y1);
            ``box_mm`` LPS (x0, y0, z0, x1, y1, z1). The end is not part of the box.
        plane_uid: SOP instance that a pixel box lies on.
    """

    where: str
    uids: frozenset[str]
    kind: str
    numbers: tuple[float, ...]
    plane_uid: str | None

    def on(self, image: Image) -> tuple[Box, None]:
        """Return the voxel box on that image."""
        if self.kind == "box":
            return np.rint(np.reshape(self.numbers, (2, 3))).astype(np.int64), None
        return (self._from_px(image) if self.kind == "box_px" else self._from_mm(image)), None

    def _from_px(self, image: Image) -> Box:
        x0, y0, x1, y1 = (round(n) for n in self.numbers)
        plane = 0
        if shape_of(image)[0] > 1:
            uids = [p.sop_uid for p in image.planes]
            if self.plane_uid not in uids:
                raise RoiError(compose("a sop_uid beside a pixel box on a volume", "none of it"))
            plane = uids.index(str(self.plane_uid))
        return np.array([[plane, y0, x0], [plane + 1, y1, x1]])

    def _from_mm(self, image: Image) -> Box:
        if isinstance(image, Radiograph):
            raise RoiError(compose("a box in pixels on a radiograph", "box_mm", fix="use box_px"))
        mm = np.reshape(self.numbers, (2, 3))
        ends = np.stack(np.meshgrid(*mm.T, indexing="ij"), -1).reshape(-1, 3)
        voxels = image.affine.to_voxel(ends)
        lo, hi = np.rint(voxels.min(0) + 0.5), np.rint(voxels.max(0) + 0.5)
        return np.stack([lo, np.maximum(hi, lo + 1)]).astype(np.int64)


def read_json(path: Path) -> tuple[list[BoxRegion], list[Skipped]]:
    """Read a list of entries, or an object with the list under `lesions` (such as report.json)."""
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise RoiError(compose("a JSON file", "text that is none", where=path.name)) from error
    entries = content.get("lesions") if isinstance(content, dict) else content
    if not isinstance(entries, list):
        raise RoiError(compose("a list of lesions", type(entries).__name__, where=path.name))
    return _collect([(f"{path.name} entry {i}", e) for i, e in enumerate(entries, 1)])


def read_csv(path: Path) -> tuple[list[BoxRegion], list[Skipped]]:
    """Read a table with one lesion a row."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        try:
            head = stream.readline()
            stream.seek(0)
            # A spreadsheet in a country with decimal commas separates cells by semicolons.
            rows = list(csv.DictReader(stream, delimiter=max(",;\t", key=head.count)))
        except (csv.Error, UnicodeDecodeError) as error:
            raise RoiError(compose("a CSV file", "text that is none", where=path.name)) from error
    if not head.strip():
        raise RoiError(compose("a line of column names", "an empty file", where=path.name))
    return _collect([(f"{path.name} line {i}", _nested(r)) for i, r in enumerate(rows, 2)])


def _nested(row: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the columns of a CSV row into the keys of a JSON entry."""
    filled = {k: v for k, v in row.items() if k and v not in (None, "")}
    entry: dict[str, Any] = {k: filled[k] for k in ("series_uid", "sop_uid") if k in filled}
    for kind, keys in (("box", VOXEL_KEYS), ("box_mm", MM_KEYS), ("box_px", PIXEL_KEYS)):
        if all(k in filled for k in keys):
            return {**entry, kind: [filled[k] for k in keys]}
    return entry


def _collect(entries: list[tuple[str, Any]]) -> tuple[list[BoxRegion], list[Skipped]]:
    good, bad = [], []
    for where, entry in entries:
        try:
            good.append(_region(where, entry))
        except RoiError as error:
            bad.append(Skipped(where, str(error)))
    return good, bad


def _region(where: str, entry: Any) -> BoxRegion:
    kind = next((k for k in _KINDS if isinstance(entry, dict) and entry.get(k)), None)
    if kind is None:
        raise RoiError(compose("a box under box, box_px or box_mm", "none"))
    try:
        numbers = tuple(np.asarray(entry[kind], np.float64).ravel().tolist())
    except (TypeError, ValueError, OverflowError) as error:
        raise RoiError(compose(f"numbers under {kind}", _short(entry[kind]))) from error
    if len(numbers) != _KINDS[kind] or not (np.abs(numbers) <= _FARTHEST).all():
        raise RoiError(compose(f"{_KINDS[kind]} numbers under {kind}", _short(entry[kind])))
    half = len(numbers) // 2
    if any(a >= b for a, b in zip(numbers[:half], numbers[half:], strict=True)):
        raise RoiError(compose(f"start before end in {kind}", _short(entry[kind])))
    sop = entry.get("sop_uid")
    uids = frozenset(str(u) for u in (entry.get("series_uid"), sop) if u)
    return BoxRegion(where, uids | _only(entry), kind, numbers, str(sop) if sop else None)


def _short(value: Any) -> str:
    return f"{value}"[:120]


def _only(entry: Mapping[str, Any]) -> frozenset[str]:
    """Return the SOP UID of a report's radiograph lesion, which names its plane in a list."""
    several = entry.get("sop_uids")
    if isinstance(several, list) and len(several) == 1:
        return frozenset({str(several[0])})
    return frozenset()
