"""Manifest of simulated lesions: what `calcilens phantoms patches` wrote, with its exact truth."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from calcilens.data_manifests.builders.build import Advance, box_cells, row_id, spacing_cells
from calcilens.data_manifests.pixels import digest, image_kind
from calcilens.data_manifests.rows import count_readers, row_faults
from calcilens.data_manifests.schema import Manifest, new_manifest
from calcilens.errors import ManifestError, UsageError, compose
from calcilens.patients import patient_key

TRUTH = "truth.jsonl"
SOURCES = {"CT": "phantom-ct", "DX": "phantom-radiograph"}
IN_REAL = "-in-real"
"""What is added where the body around the lesion is a real one: judged and drawn apart."""
SALT = b"calcilens/phantoms"
"""Public on purpose: nobody stands behind a simulated patient, and the same seed must give the
same key wherever it is simulated."""
_AGAIN = "run `calcilens phantoms patches` again, which writes this file anew"
KEPT = ("key_plane", "finding", "concern", "site", "kvp", "kernel", "diameter_mm", "mask")
"""What is taken over as it is."""
NEEDED = (
    *("id", "image", "modality", "domain", "seed", "person", "patterns", "box", "spacing_mm"),
    *KEPT,
)


def build_phantoms(root: Path, advance: Advance | None = None) -> Manifest:
    """Build the manifest of a folder of simulated lesions.

    Args:
        root: Folder with `truth.jsonl`, one lesion a line, and the images that it names.
        advance: Told how many lesions are done.

    Raises:
        UsageError: There is no such file.
        ManifestError: A line cannot be used, or the file holds none.
    """
    root = root.resolve()
    lines = _read_lines(root / TRUTH)
    rows: list[dict[str, Any]] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = pool.map(lambda line: _row(root, *line), enumerate(lines, start=1))
        for number, row in enumerate(made, start=1):
            rows.append(row)
            if advance:
                advance(number, len(lines))
    _refuse_doubled(rows)
    return new_manifest(rows, root)


def _read_lines(path: Path) -> list[Mapping[str, Any]]:
    if not path.is_file():
        fix = "name the folder that `calcilens phantoms patches` wrote"
        raise UsageError(compose(TRUTH, "no such file", where="--root", fix=fix))
    try:
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]
    except (ValueError, RecursionError) as error:
        raise ManifestError(compose("JSON on every line", str(error), where=TRUTH)) from error
    if not lines:
        raise ManifestError(compose("at least one lesion", "none", where=TRUTH))
    wrong = [number for number, line in enumerate(lines, 1) if not isinstance(line, dict)]
    if wrong:
        where = f"{TRUTH}, line {wrong[0]}"
        raise ManifestError(compose("a JSON object", "something else", where=where, fix=_AGAIN))
    return lines


def _source(line: Mapping[str, Any]) -> str:
    return SOURCES[line["modality"]] + (IN_REAL if line.get("background") == "real" else "")


def _refuse_doubled(rows: Sequence[Mapping[str, Any]]) -> None:
    """Refuse the first lesion that stands there twice."""
    first: dict[str, int] = {}
    for number, row in enumerate(rows, 1):
        earlier = first.setdefault(row["row_id"], number)
        if earlier != number:
            where, found = f"{TRUTH}, line {number}", f"the lesion of line {earlier} again"
            fix = "remove one of them"
            raise ManifestError(compose("every lesion once", found, where=where, fix=fix))


def _row(root: Path, number: int, line: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a line into a row that keeps every promise of a manifest."""
    where = f"{TRUTH}, line {number}"
    missing = [name for name in NEEDED if name not in line]
    if missing:
        raise ManifestError(compose(f"keys {', '.join(NEEDED)}", f"no {missing[0]}", where=where))
    try:
        row = _cells(line, root)
    except (KeyError, TypeError, ValueError) as error:
        raise ManifestError(
            compose("the truth of a lesion", "other values", where=where)
        ) from error
    faults = row_faults(row, number)
    if faults:
        raise ManifestError(f"{TRUTH}: {faults[0]}")
    for name in ("image", "mask"):
        if row[name] and not (root / row[name]).is_file():
            raise ManifestError(compose(f"its {name}", "no such file", where=where))
    return row


def _cells(line: Mapping[str, Any], root: Path) -> dict[str, Any]:
    modality, origin, person = line["modality"], (line["domain"], line["seed"]), line["person"]
    source, image = _source(line), root / line["image"]
    if line.get("background") != "real":  # there it is a real patient's key already
        person = patient_key("-".join(map(str, (modality, *origin, person))), SALT)
    row = {
        **{name: line[name] for name in KEPT},
        "row_id": row_id(source, *origin, line["id"]),
        "image": line["image"],
        "image_kind": image_kind(image),
        "modality": modality,
        "patient_key": person,
        "source": source,
        "sha256": digest(image),
        "pattern": line["patterns"] or None,
        **box_cells(np.array(line["box"]).reshape(2, 3)),
        **spacing_cells(line["spacing_mm"]),
    }
    return row | {"readers": count_readers(row)}
