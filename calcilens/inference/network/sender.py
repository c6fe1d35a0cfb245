"""Results on their way to the archive: each arrives once, however often the way is broken."""

from __future__ import annotations

import threading
from collections.abc import Callable

from calcilens.errors import ArchiveError, CalcilensError, NotOffered, Unreachable
from calcilens.inference.network.address import Address
from calcilens.inference.network.archive import Archive, Node, open_archive
from calcilens.inference.network.objects import ObjectFile, read_object
from calcilens.inference.network.queue import Queue, StudyRow
from calcilens.inference.network.spool import Spool
from calcilens.inference.network.workers import PAUSE_S


class SendLoop:
    """Sends the results of one study after the other.

    Args:
        spool: Where the results lie.
        queue: Studies on their way.
        to: The archive.
        node: This end; an archive is never given up, `node.patience` says how long to wait.
        tell: Gets one line an event.
    """

    def __init__(
        self,
        spool: Spool,
        queue: Queue,
        to: Address,
        node: Node,
        tell: Callable[[str], None],
    ) -> None:
        self._spool, self._queue, self._tell = spool, queue, tell
        self._to, self._node = to, node

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""
        while not stop.is_set():
            row = self._queue.claim("predicted", "sending")
            if row is None:
                stop.wait(PAUSE_S)
            else:
                self._send(row)

    def _send(self, row: StudyRow) -> None:
        try:
            why = self._send_results(row)
        except CalcilensError as error:
            why = str(error)
        except OSError as error:
            why = f"a result cannot be read: {error.strerror}"
        if why is None:
            self._queue.move(row.uid, "sending", "sent")
            self._tell(f"study {row.uid}: sent")
            return
        wait = self._node.patience.delay_s(row.failures + 1)
        self._queue.again(row.uid, "sending", "predicted", wait, why)
        self._tell(f"study {row.uid}: not sent: {why}; next try in {wait:.3g} s")

    def _send_results(self, row: StudyRow) -> str | None:
        """Send what the archive does not have; return why some of it was refused, or None."""
        if not self._left(row.uid):
            return None
        with open_archive(self._to, self._node) as archive:
            self._settle(archive, row.uid)
            files = self._left(row.uid)
            # After each failure another one is the first: no object holds up the others
            first = row.failures % max(len(files), 1)
            files = files[first:] + files[:first]
            self._queue.mark([f.instance.sop_uid for f in files], "sending")
            refused = archive.send(files, self._taken) if files else []
        return f"object {refused[0].file.instance.sop_uid}: {refused[0].why}" if refused else None

    def _settle(self, archive: Archive, study_uid: str) -> None:
        """Ask for objects of which it is not known whether they arrived before the end of all."""
        doubtful = [r.sop_uid for r in self._queue.results(study_uid) if r.state == "sending"]
        if not doubtful:
            return
        try:
            held = {i.sop_uid for i in archive.instances(study_uid)}
        except (NotOffered, Unreachable):  # if it is down, sending says so
            return
        except ArchiveError as error:
            # Sent again they are the same objects, which an archive knows by their UIDs
            self._tell(f"study {study_uid}: what has arrived cannot be asked: {error}")
            return
        self._queue.mark([uid for uid in doubtful if uid in held], "sent")

    def _taken(self, file: ObjectFile) -> None:
        self._queue.mark([file.instance.sop_uid], "sent")

    def _left(self, study_uid: str) -> list[ObjectFile]:
        results = self._queue.results(study_uid)
        return [read_object(self._spool.result(r.sop_uid)) for r in results if r.state != "sent"]
