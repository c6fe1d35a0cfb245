"""Where `listen` keeps what it received, until the results have been sent on.

SPOOL/queue.sqlite        studies on their way
SPOOL/incoming/           objects not yet whole; emptied at each start
SPOOL/studies/<study>/    objects, one file each, by UID
SPOOL/reports/<study>/    reports
SPOOL/outbox/             objects to be sent, by UID
"""

from __future__ import annotations

import filecmp
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from calcilens.errors import UsageError, compose
from calcilens.files import held, whole
from calcilens.inference.network.objects import ObjectFile

_PATIENCE = 10
"""Tries to get hold of a spool."""


class Spool:
    """A folder for what is on its way, readable by its owner only: it holds patient data.

    Args:
        root: The folder; made when there is none.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.incoming, self.studies = root / "incoming", root / "studies"
        self.reports, self.outbox = root / "reports", root / "outbox"
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in (self.incoming, self.studies, self.reports, self.outbox):
            folder.mkdir(exist_ok=True, mode=0o700)

    @property
    def queue(self) -> Path:
        """File of the queue."""
        return self.root / "queue.sqlite"

    @contextmanager
    def ours(self) -> Iterator[None]:
        """Hold the folder: two programs must not work on one.

        Raises:
            UsageError: Another one does.
        """
        for _ in range(_PATIENCE):
            with held(self.root) as free:
                if free:
                    yield
                    return
            time.sleep(0.1)  # one that asks for the status holds it for a moment
        fix = "stop the other calcilens listen, or give another --spool"
        raise UsageError(compose("a spool of its own", "one in use", where=str(self.root), fix=fix))

    def in_use(self) -> bool:
        """Say whether a program works on the folder."""
        with held(self.root) as free:
            return not free

    def free_bytes(self) -> int:
        """Return the room that is left on its disk."""
        return shutil.disk_usage(self.root).free

    def put(self, file: ObjectFile) -> bool:
        """Move a received object to its study, on disk for good when this returns.

        Returns:
            Whether it is new; of two objects with one UID the first is kept.
        """
        folder = self.studies / file.instance.study_uid
        if not folder.exists():
            folder.mkdir(exist_ok=True, mode=0o700)
            _sync(self.studies)
        target = folder / f"{file.instance.sop_uid}.dcm"
        if target.exists():
            return False
        _sync(file.path)
        file.path.replace(target)
        _sync(folder)
        return True

    def differs(self, file: ObjectFile) -> bool:
        """Say whether another object with the same UID is there."""
        kept = self.studies / file.instance.study_uid / f"{file.instance.sop_uid}.dcm"
        return kept.exists() and not filecmp.cmp(kept, file.path, shallow=False)

    def objects(self, study_uid: str) -> set[str]:
        """Return the UIDs of the objects of a study."""
        return {path.name.removesuffix(".dcm") for path in (self.studies / study_uid).iterdir()}

    def result(self, sop_uid: str) -> Path:
        """Return where an object to be sent lies."""
        return self.outbox / f"{sop_uid}.dcm"

    def post(self, files: Sequence[ObjectFile]) -> list[str]:
        """Copy result objects to the outbox; return their UIDs."""
        for file in files:
            with whole(self.result(file.instance.sop_uid)) as part:
                shutil.copyfile(file.path, part)
                _sync(part)
        return [file.instance.sop_uid for file in files]

    def clear(self, is_result: Callable[[str], bool]) -> None:
        """Remove what the end of the program left.

        Objects that never came whole, whose senders were not told that they did; and results of
        reports that did not come to be.
        """
        for left in self.incoming.iterdir():
            left.unlink(missing_ok=True)
        for path in self.outbox.iterdir():
            if not is_result(path.name.removesuffix(".dcm")):
                path.unlink(missing_ok=True)

    def remove(self, study_uid: str, results: Iterable[str]) -> None:
        """Remove a study that is done."""
        for folder in (self.studies, self.reports):
            shutil.rmtree(folder / study_uid, ignore_errors=True)
        for sop_uid in results:
            self.result(sop_uid).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
