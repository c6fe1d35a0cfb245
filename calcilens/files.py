"""Files that appear whole or not at all."""

from __future__ import annotations

import os
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
        error.filename = str(path)  # libraries name the part, or nothing
        raise
    finally:
        with suppress(OSError):
            part.unlink()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with whole(path) as part:
        part.write_bytes(content)


def usual_mode(most: int) -> int:
    """Return the permissions that a new file or folder has here: `most` without the umask."""
    mask = os.umask(0)
    os.umask(mask)
    return most & ~mask
