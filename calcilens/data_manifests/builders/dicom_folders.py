"""Where the series of a DICOM archive lie, from the heads of its files alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

from calcilens.errors import ManifestError, compose


def find_series(root: Path) -> dict[str, Path]:
    """Return the folder of every series below `root`, by SeriesInstanceUID.

    Where a series is spread over several folders, it is the one that holds them all.

    Raises:
        ManifestError: `root` is not a folder.
    """
    if not root.is_dir():
        raise ManifestError(compose("a folder of DICOM files", "none", where=f"--root {root.name}"))
    found: dict[str, Path] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        files = list(_files(root))
        for file, series_uid in zip(files, pool.map(_series_uid, files), strict=True):
            if series_uid:
                found[series_uid] = _common(found.get(series_uid, file.parent), file.parent)
    return found


def _files(root: Path) -> Iterator[Path]:
    return (path for path in sorted(root.rglob("*")) if path.is_file())


def _series_uid(path: Path) -> str | None:
    try:
        head = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SeriesInstanceUID"])
    except (InvalidDicomError, OSError, EOFError, ValueError):
        return None
    return str(head.get("SeriesInstanceUID", "")).strip() or None


def _common(a: Path, b: Path) -> Path:
    return a if a == b else Path(os.path.commonpath([a, b]))
