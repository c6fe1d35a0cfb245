"""A process that reads a study and keeps its images: `python -m calcilens.review.prepare`.

One JSON line in, JSON lines out: {"done", "total"} while it reads, {"error"} at the end or {}.
It takes what it must do from its input, since its arguments are for all to see, and ends when
nobody listens any more.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from calcilens.errors import CalcilensError, ReviewError, StudyError, compose
from calcilens.imaging.study import Study, read_all
from calcilens.review.described import described
from calcilens.review.store import Store

_EVERY_S = 0.2


def prepare(wanted: Mapping[str, Any], progress: Callable[[int, int], None]) -> None:
    """Read a study and put its images into the store.

    Args:
        wanted: `study_uid`, `paths` of its files, `key`, `folder` and `most_bytes` of the store,
            `workers` that decode, or None for as many as there are cores.
        progress: Called with the number of planes read, and their total.

    Raises:
        ReviewError: It cannot be read, or there is no room for it.
    """
    store = Store(Path(wanted["folder"]), wanted["most_bytes"])
    if store.listed(wanted["key"]) is not None:  # another process was first
        return
    listed, files = described(_read(wanted, progress))
    store.put(wanted["key"], listed, files)


def _read(wanted: Mapping[str, Any], progress: Callable[[int, int], None]) -> Study:
    try:
        reading = read_all(wanted["paths"], workers=wanted["workers"], progress=progress)
    except StudyError as error:  # its text names files, which may name the patient
        raise _nothing() from error
    for study in reading.studies:
        if study.study_uid == wanted["study_uid"] and study.images:
            return study
    raise _nothing()


def _nothing() -> ReviewError:
    return ReviewError(compose("images of this study", "none that can be read"))


def main(request: TextIO, replies: TextIO) -> None:
    """Do what one line asks."""
    last = 0.0

    def tell(**what: object) -> None:
        replies.write(json.dumps(what) + "\n")
        replies.flush()

    def progress(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _EVERY_S or done == total:
            last = time.monotonic()
            tell(done=done, total=total)

    wanted = json.loads(request.readline())
    if hasattr(os, "nice"):
        os.nice(wanted["nice"])
    try:
        prepare(wanted, progress)
    except CalcilensError as error:
        tell(error=str(error))
    except (OSError, MemoryError) as error:
        found = getattr(error, "strerror", None) or "not enough memory"
        tell(error=compose("room for the images of this study", str(found)))
    else:
        tell()


if __name__ == "__main__":
    try:
        main(sys.stdin, sys.stdout)
    except (KeyboardInterrupt, BrokenPipeError):
        os._exit(130)  # nobody listens: what is open need not be flushed
