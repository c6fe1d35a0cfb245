"""Reading a lesion list, whatever its kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

from calcilens.errors import RoiError, compose
from calcilens.imaging.headers import modality_of
from calcilens.imaging.records import Skipped
from calcilens.inference.roi.boxes import read_csv, read_json
from calcilens.inference.roi.region import Region


def read_rois(path: Path) -> tuple[list[Region], list[Skipped]]:
    """Read one file, or all files of a folder.

    Returns:
        The entries that can be used, and one line for each that cannot.

    Raises:
        RoiError: There is no such file, or nothing in it can be used or named.
    """
    if not path.exists():
        raise RoiError(compose("a file or folder of lesions", "nothing", where=f"--roi {path}"))
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    good: list[Region] = []
    bad: list[Skipped] = []
    for file in files:
        try:
            regions, refused = _read_file(file)
            good.extend(regions)
            bad.extend(refused)
        except RoiError as error:
            bad.append(Skipped(file.name, str(error)))
    return good, bad


def _read_file(path: Path) -> tuple[Sequence[Region], list[Skipped]]:
    if path.suffix.lower() == ".json":
        return read_json(path)
    if path.suffix.lower() == ".csv":
        return read_csv(path)
    try:
        with standard(path.name):
            entries = _entries(path)
    except InvalidDicomError as error:
        raise RoiError(
            compose("JSON, CSV, DICOM SEG or RTSTRUCT", "another file", where=path.name)
        ) from error
    good: list[Region] = []
    bad = []
    for where, read in entries:
        try:
            with standard(where):
                good.append(read())
        except RoiError as error:
            bad.append(Skipped(where, str(error)))
    return good, bad


@contextmanager
def standard(where: str) -> Iterator[None]:
    """Turn what a malformed object makes the libraries raise into one line."""
    try:
        yield
    except (RoiError, InvalidDicomError, OSError, MemoryError):
        raise
    except Exception as error:  # pydicom and highdicom raise anything on broken values
        what = f"one that breaks the standard ({type(error).__name__})"
        raise RoiError(compose("a whole SEG or RTSTRUCT", what, where=where)) from error


def _entries(path: Path) -> Sequence[tuple[str, Callable[[], Region]]]:
    dataset = pydicom.dcmread(path)
    modality = dataset.get("Modality")
    if modality == "SEG":
        from calcilens.inference.roi.segmentation import read_seg

        return read_seg(path, dataset)
    if modality == "RTSTRUCT":
        from calcilens.inference.roi.rtstruct import read_rtstruct

        return read_rtstruct(path, dataset)
    found = f"modality {modality_of(dataset) or '(another)'}"
    raise RoiError(compose("a SEG or RTSTRUCT", found, where=path.name))
