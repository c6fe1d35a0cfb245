"""Where the series of a DICOM archive lie, from the heads of its files alone."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
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


def find_instances(root: Path, wanted: Collection[str]) -> dict[str, Path]:
    """Return the file of each wanted instance below `root`, by SOPInstanceUID."""
    found: dict[str, Path] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        files = list(_files(root)) if wanted else []
        uids = pool.map(lambda file: _uid(file, "SOPInstanceUID"), files)
        for file, uid in zip(files, uids, strict=True):
            if uid in wanted:
                found.setdefault(str(uid), file)
    return found


def _files(root: Path) -> Iterator[Path]:
    """Yield the files below a folder, through links as the review page finds them, each once."""
    seen: set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        yield from (path for name in sorted(names) if (path := Path(folder, name)).is_file())


def _series_uid(path: Path) -> str | None:
    return _uid(path, "SeriesInstanceUID")


def _uid(path: Path, keyword: str) -> str | None:
    try:
        head = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[keyword])
    except (InvalidDicomError, OSError, EOFError, ValueError):
        return None
    return str(head.get(keyword, "")).strip() or None


def _common(a: Path, b: Path) -> Path:
    return a if a == b else Path(os.path.commonpath([a, b]))
