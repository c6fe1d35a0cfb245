"""`listen`: studies come in, results go out, several at once, for months."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from calcilens.inference.network.address import Address
from calcilens.inference.network.archive import Node
from calcilens.inference.network.database import explained
from calcilens.inference.network.queue import STATES, Queue
from calcilens.inference.network.receiver import Limits, Place, Receiver
from calcilens.inference.network.retries import Patience
from calcilens.inference.network.sender import SendLoop
from calcilens.inference.network.spool import Spool
from calcilens.inference.network.worker import Options
from calcilens.inference.network.workers import PAUSE_S, PredictLoop, Worker


@dataclass(frozen=True)
class Settings:
    """How to listen.

    Args:
        place: Where, and to whom.
        to: Archive that gets the results.
        node: This end of the connection to it.
        options: Of the workers.
        workers: How many studies are predicted at once.
        quiet_s: Silence after which a study is complete.
        keep_s: How long a study stays after its results were sent.
        predict_s: Longest time for one study.
        limits: What senders may ask for.
    """

    place: Place
    to: Address
    node: Node
    options: Options
    workers: int = 1
    quiet_s: float = 15.0
    keep_s: float = 3600.0
    predict_s: float = 1800.0
    limits: Limits = field(default_factory=Limits)


class Listener:
    """Receives, predicts and sends until it is told to stop.

    Args:
        spool: Where everything lies meanwhile.
        settings: How.
        tell: Gets one line an event.
    """

    def __init__(self, spool: Spool, settings: Settings, tell: Callable[[str], None]) -> None:
        self._spool, self._settings, self._tell = spool, settings, tell
        self._queue = Queue(spool.queue)
        self._receiver = Receiver(spool, self._queue, settings.limits, tell)

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; what is not done then is done after the next start.

        Raises:
            UsageError: Another program works on the spool, or the address cannot be used.
            InputError: The queue cannot be read or written.
        """
        with explained(self._spool.queue), self._spool.ours():
            self._begin()
            with self._receiver.serving(self._settings.place):
                place = self._settings.place
                self._tell(f"listening as {place.title} on {place.host}:{place.port}")
                self._work(stop)
        self._queue.close()
        self._tell("stopped; what is not done is done after the next start")

    def _begin(self) -> None:
        """Take up what an earlier run left."""
        self._queue.recover()
        self._spool.clear(self._queue.is_result)
        for folder in self._spool.studies.iterdir():
            row, objects = self._queue.study(folder.name), len(self._spool.objects(folder.name))
            if row is None or row.objects != objects:
                self._queue.arrived(folder.name, objects)
        left = [r for r in self._queue.studies() if r.state not in ("sent", "failed")]
        if left:
            self._tell(f"{len(left)} studies of an earlier run go on")

    def _work(self, stop: threading.Event) -> None:
        loops = [self._loop() for _ in range(self._settings.workers)]
        to, node = self._settings.to, self._settings.node
        sender = SendLoop(self._spool, self._queue, to, node, self._tell)
        with ThreadPoolExecutor(len(loops) + 2) as threads:
            tasks = (self._watch, sender.run, *(loop.run for loop in loops))
            running = [threads.submit(task, stop) for task in tasks]
            try:
                self._wait(running, stop)
            finally:
                stop.set()
                for loop in loops:
                    loop.end()

    def _loop(self) -> PredictLoop:
        worker = Worker(self._settings.options, self._settings.predict_s)
        return PredictLoop(self._spool, self._queue, worker, Patience(), self._tell)

    def _wait(self, running: list[Future[None]], stop: threading.Event) -> None:
        """Wait for the end; a task that fails ends all, for the system to start us again."""
        while not stop.is_set():
            done, _ = wait(running, PAUSE_S, FIRST_COMPLETED)
            for task in done:
                task.result()

    def _watch(self, stop: threading.Event) -> None:
        """See which studies are complete, and remove those that are done."""
        while not stop.wait(PAUSE_S):
            for row in self._queue.studies("receiving"):
                announced = self._queue.announced(row.uid)
                quiet = time.time() - row.changed >= self._settings.quiet_s
                if quiet or (announced and announced <= self._spool.objects(row.uid)):
                    self._complete(row.uid, row.objects)
            self._clean()

    def _complete(self, uid: str, objects: int) -> None:
        if self._queue.move(uid, "receiving", "received"):
            self._tell(f"study {uid}: complete, {objects} objects")

    def _clean(self) -> None:
        for row in self._queue.studies("sent"):
            if time.time() - row.changed < self._settings.keep_s:
                continue
            with self._receiver.lock:
                now = self._queue.study(row.uid)
                if now is not None and now.state == "sent":
                    results = [r.sop_uid for r in self._queue.results(row.uid)]
                    self._queue.remove(row.uid)
                    self._spool.remove(row.uid, results)


def status(spool: Spool) -> dict[str, Any]:
    """Return how things stand: of a running listener, or of what a stopped one left."""
    queue = Queue(spool.queue)
    rows = queue.studies()
    queue.close()
    count = Counter(row.state for row in rows)
    open_ = [row.changed for row in rows if row.state not in ("sent", "failed")]
    return {
        "running": spool.in_use(),
        "free_bytes": spool.free_bytes(),
        "studies": {state: count[state] for state in STATES},
        "oldest_open_s": round(time.time() - min(open_), 1) if open_ else None,
        "troubles": [
            {"study_uid": r.uid, "state": r.state, "failures": r.failures, "why": r.why}
            for r in rows
            if r.why is not None
        ],
    }
