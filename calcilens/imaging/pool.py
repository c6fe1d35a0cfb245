"""Decoding in several processes.

Codecs hold Python's lock, so threads gain nothing. Workers are plain programs that talk over
pipes, not multiprocessing: the caller's script is never imported again (it needs no
``if __name__ == "__main__"``), nothing is inherited from a parent that runs threads, a codec
that crashes costs one image, and pixels go straight into the volume.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calcilens.errors import PixelError
from calcilens.imaging.decode import PixelSource, decode

Place = Callable[[int, NDArray[Any]], None]
Progress = Callable[[int, int], None]
BREAK_EVEN_SECONDS = 3.0
"""Work below this is done in the calling process. A worker takes about 1 s of processor time
to start (importing pydicom; measured), so two of them are level at 2 s of work; the rest is
room for a busy machine."""
_CRASHED = "the decoder crashed on this image"


def cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class DecoderPool:
    """Decodes frames, in workers where that pays.

    Args:
        workers: Number of processes; 0 or 1 for none; by default one a core.
        seconds: Expected work on one core; decides whether starting processes pays.
    """

    def __init__(self, workers: int | None, seconds: float) -> None:
        wanted = cores() if workers is None else workers
        worth = (
            wanted > 1
            and bool(sys.executable)
            and (workers is not None or seconds > BREAK_EVEN_SECONDS)
        )
        self._workers = [_Worker() for _ in range(wanted)] if worth else []

    def __enter__(self) -> DecoderPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self._workers:
            worker.stop()

    def decode(
        self, sources: Sequence[PixelSource], place: Place, done: Callable[[], None]
    ) -> dict[int, str]:
        """Decode frames; `place(i, pixels)` gets each as it is ready, in any order.

        Returns:
            For each frame that failed: its index and the reason.
        """
        failed: dict[int, str] = {}
        if not self._workers:
            _decode_here(sources, place, done, failed)
            return failed
        todo: queue.SimpleQueue[int] = queue.SimpleQueue()
        for index in range(len(sources)):
            todo.put(index)
        job = _Job(sources, place, done, failed, todo, threading.Lock())
        with ThreadPoolExecutor(len(self._workers)) as threads:
            try:
                for running in [threads.submit(w.work, job) for w in self._workers]:
                    running.result()
            except BaseException:
                for worker in self._workers:
                    worker.stop()
                raise
        return failed


@dataclass(frozen=True)
class _Job:
    """What the threads of one call share."""

    sources: Sequence[PixelSource]
    place: Place
    done: Callable[[], None]
    failed: dict[int, str]
    todo: queue.SimpleQueue[int]
    lock: threading.Lock


def _decode_here(
    sources: Sequence[PixelSource],
    place: Place,
    done: Callable[[], None],
    failed: dict[int, str],
) -> None:
    for index, source in enumerate(sources):
        try:
            place(index, decode(source))
        except PixelError as error:
            failed[index] = str(error)
        done()


class _Worker:
    """One worker process, started when first needed and again after a crash."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def work(self, job: _Job) -> None:
        """Take frames from the job until none is left."""
        while not self._stopped:
            try:
                index = job.todo.get_nowait()
            except queue.Empty:
                return
            try:
                job.place(index, self._ask(job.sources[index]))
            except PixelError as error:
                job.failed[index] = str(error)
            with job.lock:
                job.done()

    def _ask(self, source: PixelSource) -> NDArray[Any]:
        process = self._process = self._process or self._start()
        if process.stdin is None or process.stdout is None:
            raise PixelError(_CRASHED)
        try:
            process.stdin.write(json.dumps(source.to_json()).encode() + b"\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline() or b'{"crashed": true}')
            pixels = process.stdout.read(answer.get("bytes", 0))
        except OSError:
            answer = {"crashed": True}
        if "error" in answer:
            raise PixelError(answer["error"])
        if "crashed" in answer or len(pixels) < answer["bytes"]:
            self._end()
            raise PixelError(_CRASHED)
        return np.frombuffer(pixels, answer["dtype"]).reshape(answer["shape"])

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "calcilens.imaging.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join(p or str(Path.cwd()) for p in sys.path)},
        )

    def stop(self) -> None:
        """End the process at once; nothing is asked of it any more."""
        self._stopped = True
        self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            end(process)


def end(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """End a worker at once, and close what led to it."""
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            try:
                stream.close()
            except OSError:
                continue
