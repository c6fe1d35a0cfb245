"""Worker processes that predict, as `listen` sees them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from calcilens.errors import InputError, StudyError
from calcilens.imaging.pool import end
from calcilens.inference.network.objects import ObjectFile, find_objects
from calcilens.inference.network.queue import Queue, StudyRow
from calcilens.inference.network.retries import Patience
from calcilens.inference.network.spool import Spool
from calcilens.inference.network.worker import Options

PAUSE_S = 0.2
"""Between two looks at the queue."""


class Reported(NamedTuple):
    """What a worker made.

    Args:
        folder: Of the report.
        skipped: Files, series, places and objects that were left out; report.json says why.
    """

    folder: Path
    skipped: int


class WorkerError(InputError):
    """A worker failed in a way that another try may mend."""


class Worker:
    """One process, started when first needed and again after a crash.

    Args:
        options: What it is started with.
        timeout_s: Longest time for one study.
    """

    def __init__(self, options: Options, timeout_s: float) -> None:
        self._options, self._timeout_s = options, timeout_s
        self._process: subprocess.Popen[str] | None = None
        self._closed = False

    def report(self, folder: Path) -> Reported:
        """Have a study reported on.

        Raises:
            StudyError: The study cannot be reported on.
            WorkerError: The process crashed, or took too long.
        """
        process = self._process = self._process or self._start()
        if self._closed:  # looked at after the start: `close` has seen the process, or we see this
            self.stop()
            raise WorkerError("the process that predicts was stopped")
        timer = threading.Timer(self._timeout_s, process.kill)
        timer.start()
        try:
            if process.stdin is None or process.stdout is None:
                raise WorkerError("the worker has no pipes")
            process.stdin.write(json.dumps(str(folder)) + "\n")
            process.stdin.flush()
            said = json.loads(process.stdout.readline())
        except (OSError, ValueError):  # it is gone, or was cut off
            late = not timer.is_alive()
            self.stop()
            why = f"took more than {self._timeout_s:.0f} s" if late else "crashed"
            raise WorkerError(f"the process that predicts {why}") from None
        finally:
            timer.cancel()
        if "report" in said:
            return Reported(Path(said["report"]), said["skipped"])
        raise (StudyError if said["lasting"] else WorkerError)(said["error"])

    def stop(self) -> None:
        """End the process at once."""
        process, self._process = self._process, None
        if process is not None:
            end(process)

    def close(self) -> None:
        """End the process for good."""
        self._closed = True
        self.stop()

    def _start(self) -> subprocess.Popen[str]:
        debug = os.environ.get("CALCILENS_DEBUG")
        return subprocess.Popen(
            [sys.executable, "-m", "calcilens.inference.network.worker", self._options.to_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if debug else subprocess.DEVNULL,  # libraries print what is in files
            text=True,
            start_new_session=True,  # Ctrl-C is for us; we end it
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join(p or str(Path.cwd()) for p in sys.path)},
        )


class PredictLoop:
    """Takes studies from the queue, one after the other, and has them predicted.

    Args:
        spool: Where the studies lie.
        queue: Studies on their way.
        worker: Does the work.
        patience: With a study whose worker fails.
        tell: Gets one line an event.
    """

    def __init__(
        self,
        spool: Spool,
        queue: Queue,
        worker: Worker,
        patience: Patience,
        tell: Callable[[str], None],
    ) -> None:
        self._spool, self._queue, self._worker = spool, queue, worker
        self._patience, self._tell = patience, tell

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""
        while not stop.is_set():
            row = self._queue.claim("received", "predicting")
            if row is None:
                stop.wait(PAUSE_S)
            else:
                self._predict(row, stop)

    def end(self) -> None:
        """End the worker, whatever it does; its study is begun again at the next start."""
        self._worker.close()

    def _predict(self, row: StudyRow, stop: threading.Event) -> None:
        self._tell(f"study {row.uid}: predicting")
        try:
            report = self._worker.report(self._spool.studies / row.uid)
            posted = self._spool.post(_results(report.folder))
        except (InputError, OSError) as error:
            if not stop.is_set():
                self._failed(row, error)
            return
        if self._queue.predicted(row.uid, posted):
            left = f"; {report.skipped} things left out" if report.skipped else ""
            self._tell(f"study {row.uid}: predicted, {len(posted)} result objects{left}")
        else:
            self._tell(f"study {row.uid}: more of it came meanwhile; it is predicted again")

    def _failed(self, row: StudyRow, error: InputError | OSError) -> None:
        why = str(error) if isinstance(error, InputError) else error.strerror or "cannot be written"
        if isinstance(error, StudyError) or row.failures + 1 >= self._patience.attempts:
            self._queue.move(row.uid, "predicting", "failed", why=why)
            self._tell(f"study {row.uid}: failed: {why}")
            return
        wait = self._patience.delay_s(row.failures + 1)
        self._queue.again(row.uid, "predicting", "received", wait, why)
        self._tell(f"study {row.uid}: {why}; next try in {wait:.3g} s")


def _results(report: Path) -> list[ObjectFile]:
    folder = report / "dicom"
    return find_objects([folder])[0] if folder.is_dir() else []
