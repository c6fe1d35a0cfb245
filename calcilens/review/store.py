"""The cache of decoded images: one folder a study, whole or not at all, limited in size."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from calcilens.errors import ReviewError, compose
from calcilens.files import PART, held, part_folder

_NAME = re.compile(r"[0-9a-f]{40}")
_LIST = "images.json"
_KEPT = 64
_NOTED_S = 60.0
"""How exactly the last use of a study is known."""


class Store:
    """Images by key. Several processes may share one folder.

    Args:
        folder: Made where there is none; nobody else may read it.
        most_bytes: The least recently used studies go where there would be more.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder, self.most_bytes = folder, most_bytes
        self._lists: dict[str, dict[str, Any]] = {}
        _clear(folder)

    def listed(self, key: str) -> dict[str, Any] | None:
        """Return what is known of the images of a study, and note its use; None: not there."""
        path = self.folder / key / _LIST
        try:
            if time.time() - path.stat().st_mtime > _NOTED_S:
                os.utime(path)
            if key not in self._lists:
                if len(self._lists) >= _KEPT:
                    self._lists.clear()
                self._lists[key] = dict(json.loads(path.read_bytes()))
            return self._lists[key]
        except FileNotFoundError:
            return None

    def read(self, key: str, name: str, offset: int, size: int) -> bytes | None:
        """Return a part of a file; None where the study is not there any more."""
        try:
            descriptor = os.open(self.folder / key / name, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            return os.pread(descriptor, size, offset)
        finally:
            os.close(descriptor)

    def put(self, key: str, listed: dict[str, Any], files: dict[str, Any]) -> None:
        """Keep the images of a study.

        Args:
            key: Its name.
            listed: What is known of them.
            files: By name, arrays of which each file holds one after the other.

        Raises:
            ReviewError: They need more room than there is.
        """
        size = sum(array.nbytes for arrays in files.values() for array in arrays)
        if size > self.most_bytes:
            expected = f"a study of at most {self.most_bytes / 2**30:.1f} GiB"
            found = f"one of {size / 2**30:.1f} GiB"
            raise ReviewError(
                compose(expected, found, where="--cache-gb", fix="start with a larger --cache-gb")
            )
        self.trim(size)
        with part_folder(self.folder, key) as part:
            for name, arrays in files.items():
                _write(part / name, arrays)
            _write_list(part / _LIST, {**listed, "bytes": size})
            _settle(part, self.folder / key)
        self.trim(0, keep=key)

    def trim(self, needed: int, keep: str | None = None) -> None:
        """Remove the least recently used studies until `needed` bytes more fit in."""
        entries = sorted(self._entries())
        total = sum(size for _, size, _ in entries)
        for _, size, path in entries:
            if total + needed <= self.most_bytes:
                return
            if path.name != keep:
                _remove(path)
                total -= size

    def _entries(self) -> list[tuple[float, int, Path]]:
        """Return when each study was used last, its size and its folder."""
        found = []
        for path in self.folder.iterdir():
            if _NAME.fullmatch(path.name):
                with suppress(OSError, ValueError, KeyError):
                    used = (path / _LIST).stat().st_mtime
                    found.append(
                        (used, int(json.loads((path / _LIST).read_bytes())["bytes"]), path)
                    )
        return found


def _settle(part: Path, target: Path) -> None:
    try:
        part.rename(target)
    except OSError:
        if not target.exists():  # it is there where another process was first
            raise


def _write(path: Path, arrays: Sequence[Any]) -> None:
    with _private(path) as stream:
        for array in arrays:
            array.tofile(stream)


def _write_list(path: Path, listed: dict[str, Any]) -> None:
    with _private(path) as stream:
        stream.write(json.dumps(listed, allow_nan=False).encode())


def _private(path: Path) -> Any:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _remove(path: Path) -> None:
    """Remove a study at once for all who look for it."""
    gone = path.with_name(f"{PART}{os.getpid()}-gone-{path.name}")
    with suppress(OSError):  # another process was first
        path.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _clear(folder: Path) -> None:
    """Remove what killed programs left unfinished."""
    for left in [entry for entry in folder.glob(f"{PART}*") if entry.is_dir()]:
        with suppress(OSError), held(left) as ours:
            if ours:
                shutil.rmtree(left, ignore_errors=True)
