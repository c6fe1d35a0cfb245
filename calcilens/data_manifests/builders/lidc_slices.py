"""Manifest of the public "LIDC-IDRI-slices" set: crops of lung nodules as PNG planes.

Layout: ``<patient>/nodule-<i>/{images,mask-0..3}/slice-<z>.png``; labels come as a CSV with one
row a nodule and every reader's votes (Armato et al., Med Phys 2011).
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calcilens.data_manifests.builders.build import (
    Advance,
    Built,
    box_cells,
    median_box,
    row_id,
    spacing_cells,
)
from calcilens.data_manifests.faults import Fault
from calcilens.data_manifests.pixels import digest, plane_files, read_png
from calcilens.data_manifests.rows import count_readers
from calcilens.data_manifests.schema import new_manifest
from calcilens.errors import InputError, ManifestError, UsageError, compose
from calcilens.patients import LIDC_SALT, patient_key
from calcilens.vocabulary import ABSENT, LIDC_CALCIFICATION, MALIGNANCY_VOTES

SOURCE = "lidc-slices"
FOLDER = "LIDC-IDRI-slices"
NEEDED = ("patient_id", "nodule", "calc_votes", "malignancy_votes")
NO_IMAGES = "no images in the nodule's folder; the row is left out"
NO_MASK = "no reader's mask marks anything, so there is no box; the row is left out"
NO_LABELS = "a nodule's folder without a row in the labels is left out"
TWICE = "the same nodule is listed twice; the first row counts"

Labels = Mapping[str, str]


def build_lidc_slices(root: Path, labels: Path, advance: Advance | None = None) -> Built:
    """Build the manifest of an unpacked set and its labels.

    Args:
        root: The folder LIDC-IDRI-slices, or the folder that holds it.
        labels: CSV with one row a nodule; needed columns are `NEEDED`.
        advance: Told how many nodules are done.

    Raises:
        UsageError: `root` is not an unpacked set.
        ManifestError: `labels` is not such a CSV, or no row of it has images.
    """
    root = find_root(root)
    table = read_labels(labels)
    rows: list[dict[str, Any]] = []
    refused: list[Fault] = []
    for number, row in enumerate(_build_rows(root, table), start=1):
        rows.append(row) if isinstance(row, dict) else refused.append(row)
        if advance:
            advance(number, len(table))
    refused.extend(_unlabelled(root, table))
    if not rows:
        found = str(refused[0]) if refused else "no rows"
        raise ManifestError(compose("at least one nodule with images", found, where=labels.name))
    return Built(new_manifest(rows, root), tuple(refused))


def find_root(root: Path) -> Path:
    """Return the folder that holds the patients' folders."""
    if root.is_file():
        fix = f"unpack it: tar -xf {root.name} -C FOLDER, then --root FOLDER"
        raise UsageError(compose("an unpacked folder", "a file", where="--root", fix=fix))
    found = root / FOLDER if (root / FOLDER).is_dir() else root
    if not found.is_dir() or next(found.glob("*/nodule-*"), None) is None:
        fix = f"name the folder {FOLDER} or the one that holds it"
        raise UsageError(
            compose("folders PATIENT/nodule-0", "none", where=f"--root {root.name}", fix=fix)
        )
    return found


def read_labels(path: Path) -> list[dict[str, str]]:
    """Read the labels as text, one mapping a nodule.

    Raises:
        ManifestError: It is not a CSV with the needed columns.
    """
    if not path.is_file():
        raise ManifestError(compose("a CSV of labels", "no such file", where=path.name))
    with path.open(encoding="utf-8-sig", newline="") as stream:
        table = csv.DictReader(stream)
        missing = [name for name in NEEDED if name not in (table.fieldnames or ())]
        if missing:
            raise ManifestError(
                compose(f"columns {', '.join(NEEDED)}", f"no {missing[0]}", where=path.name)
            )
        return [{key: value or "" for key, value in row.items() if key} for row in table]


def _build_rows(root: Path, table: Sequence[Labels]) -> Iterator[dict[str, Any] | Fault]:
    """Build row by row, in the order of the labels; pictures are read by all cores."""
    seen: set[Path] = set()
    jobs: list[tuple[int, Path, Labels]] = []
    twice: set[int] = set()
    for number, labels in enumerate(table, start=1):
        folder = root / labels["patient_id"] / labels["nodule"]
        twice |= {number} if folder in seen else set()
        seen.add(folder)
        jobs.append((number, folder, labels))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, row in enumerate(pool.map(lambda job: _build_row(root, *job), jobs), start=1):
            yield Fault(number, "nodule", TWICE) if number in twice else row


def _build_row(root: Path, number: int, folder: Path, labels: Labels) -> dict[str, Any] | Fault:
    images = plane_files(folder / "images")
    if not images:
        return Fault(number, None, NO_IMAGES)
    try:
        votes = _votes(labels, number)
        box = _box(folder, images)
        measures = _measures(labels)
    except InputError as error:
        return Fault(number, None, str(error))
    if isinstance(votes, Fault):
        return votes
    if box is None:
        return Fault(number, None, NO_MASK)
    image = (folder / "images").relative_to(root).as_posix()
    return {
        "row_id": row_id(SOURCE, image),
        "image": image,
        "image_kind": "png_stack",
        "modality": "CT",
        "series_uid": labels.get("series_uid") or None,
        "key_plane": _key_plane(labels, images),
        "patient_key": patient_key(labels["patient_id"], LIDC_SALT),
        "source": SOURCE,
        "sha256": digest(folder / "images"),
        "readers": count_readers(votes),
        **box_cells(box),
        **votes,
        **measures,
    }


def _box(folder: Path, images: Sequence[Path]) -> NDArray[np.int64] | None:
    planes = {file.name: index for index, file in enumerate(images)}
    boxes = [_mask_box(mask, planes) for mask in sorted(folder.glob("mask-*"))]
    marked = [box for box in boxes if box is not None]
    return median_box(marked) if marked else None


def _mask_box(mask: Path, planes: Mapping[str, int]) -> NDArray[np.int64] | None:
    """Return the half-open box (2, 3) of one reader's mask, None where it marks nothing."""
    corners = []
    for file in mask.glob("*.png"):
        if file.name in planes and (marked := read_png(file)).any():
            y, x = np.flatnonzero(marked.any(1)), np.flatnonzero(marked.any(0))
            z = planes[file.name]
            corners.append([[z, y[0], x[0]], [z + 1, y[-1] + 1, x[-1] + 1]])
    if not corners:
        return None
    low, high = np.array(corners).transpose(1, 0, 2)
    return np.stack([low.min(0), high.max(0)])


def _votes(labels: Labels, number: int) -> dict[str, Any] | Fault:
    """Return the three vote columns; every reader's vote is kept."""
    calcification = _integers(labels["calc_votes"])
    malignancy = _integers(labels["malignancy_votes"])
    if any(vote not in LIDC_CALCIFICATION for vote in calcification):
        return Fault(number, "calc_votes", compose("votes 1 to 6", labels["calc_votes"]))
    if any(vote not in MALIGNANCY_VOTES for vote in malignancy):
        return Fault(
            number, "malignancy_votes", compose("votes 1 to 5", labels["malignancy_votes"])
        )
    patterns = [LIDC_CALCIFICATION[vote] for vote in calcification]
    return {
        "finding_votes": [int(pattern != ABSENT) for pattern in patterns] or None,
        "pattern_votes": patterns or None,
        "concern_votes": malignancy or None,
    }


def _integers(text: str) -> list[int]:
    """Read votes joined by ``|``; what is not a number becomes 0, which is no vote."""
    parts = [part.strip() for part in text.split("|") if part.strip()]
    return [int(part) if part.isdecimal() else 0 for part in parts]


def _measures(labels: Labels) -> dict[str, Any]:
    in_plane = _number(labels.get("pixel_spacing"))
    return {
        **spacing_cells((_number(labels.get("slice_thickness")), in_plane, in_plane)),
        "diameter_mm": _number(labels.get("diameter_mm")),
        "contrast": {"true": True, "false": False}.get(labels.get("contrast", "").lower()),
    }


def _number(text: str | None) -> float | None:
    """Read a length; what is not a positive number is not known."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 < value < np.inf else None


def _key_plane(labels: Labels, images: Sequence[Path]) -> int | None:
    names = [file.name for file in images]
    key = labels.get("key_slice")
    return names.index(key) if key in names else None


def _unlabelled(root: Path, table: Sequence[Labels]) -> list[Fault]:
    listed = {root / labels["patient_id"] / labels["nodule"] for labels in table}
    folders = sorted(folder for folder in root.glob("*/nodule-*") if folder.is_dir())
    return [Fault(None, None, NO_LABELS) for folder in folders if folder not in listed]
