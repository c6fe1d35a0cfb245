"""Which files belong to which study: found in the background, and remembered."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from calcilens.errors import StudyError, compose
from calcilens.imaging.headers import read_study_uid
from calcilens.imaging.scan import opened

_AGAIN_S, _SOON_S = 300.0, 15.0
"""How often the folders are searched again: anyway, and when a study is missed."""
_COMMIT = 500
Stamped = tuple[str, int, int]
"""Path, time of the last change in ns, and size of a file."""
_FORMAT = 1


@dataclass(frozen=True)
class Files:
    """The files of a study.

    Args:
        key: Name of their content in the cache: it tells nothing of them.
    """

    key: str
    files: Sequence[Stamped]


def key_of(files: Sequence[Stamped]) -> str:
    """Return another name for other files, or files that changed."""
    text = repr((_FORMAT, sorted(files)))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:40]


class StudyFiles:
    """Files by study, of folders, single files and zip archives.

    What a file belongs to is kept in the cache folder under a hash of its path, time and size:
    searching again reads new files alone, and no name of a file is written anywhere.

    Args:
        paths: Where DICOM files lie.
        cache: Folder for what is remembered.

    Raises:
        StudyError: One of the paths is not there.
    """

    def __init__(self, paths: Sequence[Path], cache: Path) -> None:
        missing = [n for n, path in enumerate(paths, 1) if not path.exists()]
        if missing:
            found = f"nothing at path {missing[0]}"
            raise StudyError(compose("files or folders with DICOM", found, where="--studies"))
        self._paths, self._memory = [p.resolve() for p in paths], cache / "files.sqlite"
        self._found: dict[str, Files] = {}
        self._lock, self._wake = threading.Lock(), threading.Event()
        self._stop = threading.Event()
        self.searched, self.total, self.complete = 0, 0, False
        self._thread = threading.Thread(target=self._run, name="study files", daemon=True)

    def start(self) -> None:
        """Begin to search in the background."""
        self._thread.start()

    def close(self) -> None:
        """End the search."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def of(self, study_uid: str) -> Files | None:
        """Return the files of a study; None where it is not found, or not yet.

        Before the first search is through, nobody knows whether a study is whole: none is found.
        """
        with self._lock:
            return self._found.get(study_uid)

    def missed(self) -> None:
        """Let the folders be searched again soon: somebody asks for what is not there."""
        self._wake.set()

    def search(self) -> None:
        """Search all paths once, now."""
        files = list(self._files())
        self.searched, self.total = 0, len(files)
        new: dict[str, list[Stamped]] = {}
        with closing(self._memory_opened()) as memory:
            for number, file in enumerate(files, 1):
                if self._stop.is_set():
                    return
                for uid in self._studies(memory, file):
                    new.setdefault(uid, []).append(file)
                self.searched = number
                if number % _COMMIT == 0:
                    memory.commit()
            memory.commit()
        with self._lock:
            self._found = {uid: Files(key_of(found), found) for uid, found in new.items()}
        self.complete = True

    def _run(self) -> None:
        while not self._stop.is_set():
            with suppress(OSError, sqlite3.Error):  # a folder that goes away comes back
                self.search()
            self._wake.clear()
            self._stop.wait(_SOON_S)
            self._wake.wait(_AGAIN_S)

    def _files(self) -> Iterator[Stamped]:
        for path in self._paths:
            if path.is_file():
                yield _stamped(path)
            elif path.is_dir():
                with opened(path) as found:
                    for _, file in found.files:
                        with suppress(OSError):  # gone meanwhile
                            yield _stamped(file)

    def _memory_opened(self) -> sqlite3.Connection:
        self._memory.touch(mode=0o600)
        memory = sqlite3.connect(self._memory, timeout=30)
        memory.execute("CREATE TABLE IF NOT EXISTS files (name BLOB PRIMARY KEY, studies TEXT)")
        return memory

    def _studies(self, memory: sqlite3.Connection, file: Stamped) -> list[str]:
        name = hashlib.sha256(repr(file).encode("utf-8", "surrogateescape")).digest()
        row = memory.execute("SELECT studies FROM files WHERE name = ?", (name,)).fetchone()
        if row is None:
            row = (" ".join(_studies_in(Path(file[0]))),)
            memory.execute("INSERT OR IGNORE INTO files VALUES (?, ?)", (name, row[0]))
        return str(row[0]).split()


def _stamped(path: Path) -> Stamped:
    stat = path.stat()
    return str(path), stat.st_mtime_ns, stat.st_size


def _studies_in(path: Path) -> list[str]:
    """Return the studies of a file: of a zip archive or DICOMDIR all that it holds."""
    if not zipfile.is_zipfile(path) and not path.name.upper().startswith("DICOMDIR"):
        uid = read_study_uid(path)
        return [] if uid is None else [uid]
    try:
        with opened(path) as found:
            uids = {read_study_uid(file) for _, file in found.files}
    except (StudyError, OSError):
        return []
    return sorted(uid for uid in uids if uid is not None)
