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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from calcilens.errors import UsageError, compose
from calcilens.files import held, whole
from calcilens.inference.network.objects import ObjectFile


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
        with held(self.root) as free:
            if not free:
                raise UsageError(
                    compose("a spool of its own", "one in use", where=str(self.root),
                            fix="stop the other calcilens listen, or give another --spool")
                )  # fmt: skip
            yield

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
        folder.mkdir(exist_ok=True, mode=0o700)
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

    def post(self, files: Sequence[ObjectFile]) -> list[tuple[str, Path]]:
        """Copy result objects to the outbox; their UIDs and places."""
        posted = []
        for file in files:
            target = self.outbox / f"{file.instance.sop_uid}.dcm"
            with whole(target) as part:
                shutil.copyfile(file.path, part)
                _sync(part)
            posted.append((file.instance.sop_uid, target))
        return posted

    def clear_incoming(self) -> None:
        """Remove what was never received whole: its senders were not told that it was."""
        for left in self.incoming.iterdir():
            left.unlink(missing_ok=True)

    def remove(self, study_uid: str, results: Sequence[Path]) -> None:
        """Remove a study that is done."""
        for folder in (self.studies, self.reports):
            shutil.rmtree(folder / study_uid, ignore_errors=True)
        for path in results:
            path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
