"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PART = ".part-"
"""What the name of an unfinished file begins with; its end is that of the whole one."""


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a name beside `path` to write to, which becomes `path`, or vanishes on an error.

    Raises:
        OSError: It cannot be written; it is `path` that the error names.
    """
    part = path.with_name(f"{PART}{os.getpid()}-{path.name}")
    try:
        yield part
        part.replace(path)
    except OSError as error:
        name_file(error, path)  # libraries name the part, or nothing
        raise
    finally:
        with suppress(OSError):
            part.unlink()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with whole(path) as part:
        part.write_bytes(content)


@contextmanager
def part_folder(parent: Path, name: str) -> Iterator[Path]:
    """Give a hidden folder in `parent` to write into, which is gone at the end.

    Those of the same name that killed programs left there are removed first.
    """
    for left in [entry for entry in parent.iterdir() if _is_part(entry, name)]:
        with held(left) as ours:
            if ours:
                shutil.rmtree(left, ignore_errors=True)
    part = Path(tempfile.mkdtemp(prefix=PART, suffix=f"-{name}", dir=parent))
    with held(part):
        try:
            yield part
        finally:
            shutil.rmtree(part, ignore_errors=True)


@contextmanager
def files_whole(folder: Path) -> Iterator[Path]:
    """Give a folder to write to, whose files come into `folder` at the end, or none of them."""
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with part_folder(folder, "files") as part:
            yield part
            for file in [entry for entry in part.rglob("*") if entry.is_file()]:
                target = folder / file.relative_to(part)
                target.parent.mkdir(parents=True, exist_ok=True)
                file.replace(target)
    except OSError as error:
        if error.filename:
            error.filename = str(error.filename).replace(str(part), str(folder))
        raise
    finally:
        if made:
            with suppress(OSError):  # it is not empty where all went well
                folder.rmdir()


def _is_part(entry: Path, name: str) -> bool:
    return entry.name.startswith(PART) and entry.name.endswith(f"-{name}") and entry.is_dir()


@contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Hold a folder until the end, or the end of the program; tell whether nobody else does."""
    if sys.platform == "win32":  # has no such locks: what is left there stays
        yield False
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held = True
    except OSError:  # by another program, or not on this kind of disk
        held = False
    try:
        yield held
    finally:
        os.close(descriptor)


def usual_mode(most: int) -> int:
    """Return the permissions that a new file or folder has here: `most` without the umask."""
    mask = os.umask(0)
    os.umask(mask)
    return most & ~mask


def system_error(error: OSError) -> OSError:
    """Return the error with a number that a library wrapped into one without."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno is not None:
            return cause
        cause = cause.__cause__ or cause.__context__
    return error


def name_file(error: OSError, path: Path) -> None:
    """Set which file an error is about; without a number it would lose its text for that."""
    system = system_error(error)
    if system.errno is not None:
        system.filename = str(path)
