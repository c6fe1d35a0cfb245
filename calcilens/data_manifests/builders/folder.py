"""Manifest of your own data: a CSV that names images, boxes and whatever is known of them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pydicom

from calcilens.data_manifests.builders.build import Advance, Built, row_id, spacing_cells
from calcilens.data_manifests.columns import BOX_COLUMNS, COLUMNS, NAMES
from calcilens.data_manifests.csv_form import from_text, wanted
from calcilens.data_manifests.faults import Fault, near_word
from calcilens.data_manifests.pixels import (
    digest,
    image_kind,
    image_shape,
    nifti_spacing,
    read_series,
)
from calcilens.data_manifests.rows import count_readers, row_faults
from calcilens.data_manifests.schema import new_manifest
from calcilens.data_manifests.validate import box_fault, mask_faults
from calcilens.errors import CalcilensError, InputError, ManifestError, compose
from calcilens.imaging.images import Volume
from calcilens.patients import patient_key

SOURCE = "folder"
PATIENT = "patient"
MADE_HERE = ("row_id", "image_kind", "patient_key", "readers", "sha256")
"""Columns of a manifest that the builder fills; they are not read from the CSV."""
GIVEN = (PATIENT, *(name for name in NAMES if name not in MADE_HERE))
NEEDED = ("image", "y0", "x0", "y1", "x1")
NUMBERS = tuple(column.name for column in COLUMNS if pa.types.is_floating(column.type))
NO_PATIENT = "rows name no patient; each of their images counts as a patient of its own"
ID_IN_PATH = "rows have the patient's identifier in the path of the image, which the manifest keeps"


@dataclass(frozen=True)
class _Facts:
    """What an image says of itself."""

    cells: Mapping[str, Any]
    shape: tuple[int | None, int | None, int | None]
    patient: str | None


Look = Callable[[Path, str | None], _Facts]


def build_folder(
    table: Path, salt: bytes, *, root: Path | None = None, advance: Advance | None = None
) -> Built:
    """Build a manifest from a CSV with one row a lesion.

    Args:
        table: CSV; needed are `NEEDED`, and z0 and z1 where an image has several planes.
        salt: Secret that patients' identifiers are hashed with.
        root: Folder that the paths in the CSV start from; by default the CSV's own.
        advance: Told how many rows are done.

    Raises:
        ManifestError: It is no such CSV, or not one row of it can be used.
    """
    lines = _read_table(table)
    return build_lines(lines, salt, root or table.parent, where=table.name, advance=advance)


def build_lines(
    lines: Sequence[Mapping[str, str]],
    salt: bytes,
    root: Path,
    *,
    where: str,
    advance: Advance | None = None,
) -> Built:
    """Build a manifest from lines as such a CSV has them.

    Args:
        lines: One a lesion, text by column.
        salt: Secret that patients' identifiers are hashed with.
        root: Folder that the paths start from.
        where: What the lines come from, for messages.
        advance: Told how many rows are done.

    Raises:
        ManifestError: Not one line can be used.
    """
    root = root.resolve()
    look = lru_cache(maxsize=None)(_look_at)
    rows: list[dict[str, Any]] = []
    refused: list[Fault] = []
    for number, line in enumerate(lines, start=1):
        row, faults = _build_row(line, number, root, salt, look)
        rows += [row] if not faults else []
        refused += faults
        if advance:
            advance(number, len(lines))
    if not rows:
        found = f"none ({refused[0]})" if refused else "an empty table"
        raise ManifestError(compose("at least one good row", found, where=where))
    rows, twice = _without_repeats(rows)
    return Built(new_manifest(rows, root), tuple(refused + twice), _notes(lines, rows))


def _read_table(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise ManifestError(compose("a CSV", "no such file", where=path.name))
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            delimiter = _delimiter(stream.readline())
            stream.seek(0)
            table = csv.DictReader(stream, delimiter=delimiter)
            _check_header(list(table.fieldnames or ()), path.name)
            lines = [{k: (v or "").strip() for k, v in line.items() if k} for line in table]
    except UnicodeDecodeError as error:
        found, fix = "another encoding", "save it as CSV in UTF-8"
        raise ManifestError(compose("CSV in UTF-8", found, where=path.name, fix=fix)) from error
    except csv.Error as error:
        raise ManifestError(compose("CSV in UTF-8", str(error), where=path.name)) from error
    return lines if delimiter == "," else [_with_points(line) for line in lines]


def _delimiter(header: str) -> str:
    """Tell how cells are separated: spreadsheets write semicolons where commas are decimal."""
    return max(",;\t", key=header.count)


def _with_points(line: dict[str, str]) -> dict[str, str]:
    """Write decimal commas as points."""
    return line | {name: line[name].replace(",", ".") for name in NUMBERS if name in line}


def _check_header(names: list[str], where: str) -> None:
    unknown = next((name for name in names if name not in GIVEN), None)
    if unknown is not None:
        fix = near_word(unknown, GIVEN) or "rename or remove that column"
        message = compose(f"columns among {', '.join(GIVEN)}", repr(unknown), where=where, fix=fix)
        raise ManifestError(message)
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise ManifestError(
            compose(f"columns {', '.join(NEEDED)}", f"no {', '.join(missing)}", where=where)
        )


def _build_row(
    line: Mapping[str, str], number: int, root: Path, salt: bytes, look: Look
) -> tuple[dict[str, Any], list[Fault]]:
    """Return a row and what is wrong with it; the row counts only where nothing is."""
    row, faults = _cells(line, number)
    place = _below(root, line["image"])
    if place is None:
        message = compose("an image below --root", repr(line["image"]))
        return row, [*faults, Fault(number, "image", message)]
    try:
        facts = look(place, row["series_uid"])
    except (CalcilensError, OSError) as error:
        return row, [*faults, Fault(number, "image", str(error))]
    row = _filled(row, facts, place.relative_to(root).as_posix())
    if row["mask"] is not None:
        mask = _below(root, row["mask"])
        row["mask"] = mask.relative_to(root).as_posix() if mask else row["mask"]
    patient = line.get(PATIENT) or facts.patient or row["image"]
    row["patient_key"] = patient_key(patient, salt)
    faults += _unless_named(row_faults(row, number), faults)
    if not faults:
        outside = box_fault(row, number, facts.shape)
        faults = [*([outside] if outside else []), *mask_faults(root, row, number, facts.shape)]
    return row, faults


def _cells(line: Mapping[str, str], number: int) -> tuple[dict[str, Any], list[Fault]]:
    row: dict[str, Any] = {}
    faults = []
    for column in (c for c in COLUMNS if c.name not in MADE_HERE):
        text = line.get(column.name, "")
        try:
            row[column.name] = from_text(column, text)
        except ValueError:
            row[column.name] = None
            faults.append(
                Fault(number, column.name, compose(wanted(column, text), repr(text)[:80]))
            )
    return row, faults


def _unless_named(found: list[Fault], earlier: list[Fault]) -> list[Fault]:
    named = {fault.column for fault in earlier}
    return [fault for fault in found if fault.column not in named]


def _below(root: Path, image: str) -> Path | None:
    """Return where the image lies, None where that is not below the root."""
    if "\0" in image:
        return None
    place = (root / image.replace("\\", "/")).resolve()
    return place if image and place.is_relative_to(root) and place != root else None


def _filled(row: Mapping[str, Any], facts: _Facts, image: str) -> dict[str, Any]:
    """Fill empty cells with what the image says of itself."""
    known = {name: value for name, value in row.items() if value is not None}
    planes = facts.shape[0]
    flat = {"z0": 0, "z1": 1} if planes == 1 else {}
    filled = {**dict.fromkeys(NAMES), "source": SOURCE, **flat, **facts.cells, **known}
    filled["image"] = image
    box = [filled[name] for name in BOX_COLUMNS]
    filled["row_id"] = row_id(filled["source"], image, filled["series_uid"], *box)
    return filled | {"readers": count_readers(filled)}


def _look_at(path: Path, series_uid: str | None) -> _Facts:
    if not path.exists():
        raise InputError(compose("an image", "no such file or folder"))
    kind = image_kind(path)
    shared: dict[str, Any] = {"image_kind": kind, "sha256": digest(path)}
    if kind == "dicom":
        return _dicom_facts(path, series_uid, shared)
    if kind == "nifti":
        shared |= spacing_cells(nifti_spacing(path))
    return _Facts(shared, image_shape(path, kind), None)


def _dicom_facts(path: Path, series_uid: str | None, shared: Mapping[str, Any]) -> _Facts:
    image = read_series(path, series_uid)
    if isinstance(image, Volume):
        z, y, x = image.hu.shape
        spacing: tuple[float | None, float | None, float | None] = image.spacing_mm
    else:
        (y, x), z = image.pixels.shape, 1
        spacing = (None, *(image.spacing_mm or (None, None)))
    cells = {
        **shared,
        "modality": image.modality,
        "study_uid": image.study_uid,
        "series_uid": image.series_uid,
        "sop_uid": image.planes[0].sop_uid if len(image.planes) == 1 else None,
        **spacing_cells(spacing),
    }
    return _Facts(cells, (z, y, x), _patient_of(path))


def _patient_of(path: Path) -> str | None:
    """Return the PatientID of the first readable file; it goes into the hash and nowhere else."""
    files = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.is_file())
    for file in files:
        try:
            head = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["PatientID"])
        except (pydicom.errors.InvalidDicomError, OSError, EOFError, ValueError):
            continue
        return str(head.get("PatientID") or "").strip() or None
    return None


def _without_repeats(
    rows: list[dict[str, Any]],
) -> tuple[list[dict[str, Any]], list[Fault]]:
    first: dict[str, dict[str, Any]] = {}
    for row in rows:
        first.setdefault(row["row_id"], row)
    repeats = len(rows) - len(first)
    message = "the same box of the same image is listed twice; the first row counts"
    return list(first.values()), [Fault(None, None, message)] * repeats


def _notes(lines: Sequence[Mapping[str, str]], rows: list[dict[str, Any]]) -> tuple[str, ...]:
    unnamed = [line for line in lines if not line.get(PATIENT)]
    kinds = {row["image_kind"] for row in rows}
    showing = sum(1 for line in lines if _shows_patient(line))
    notes = []
    if unnamed and kinds - {"dicom"}:
        notes.append(f"{len(unnamed)} {NO_PATIENT}")
    if showing:
        notes.append(f"{showing} {ID_IN_PATH}")
    return tuple(notes)


def _shows_patient(line: Mapping[str, str]) -> bool:
    patient = line.get(PATIENT, "")
    kept = f"{line['image']} {line.get('mask', '')}"
    return len(patient) > 2 and patient.lower() in kept.lower()
