"""Many lesions at once: processes that share them out, tell of each, and stop when asked to."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import Event, Value, parent_process
from threading import Thread
from typing import Any

from threadpoolctl import threadpool_limits

from calcilens.errors import InputError, compose

Write = Callable[[int], None]
_POLL_S = 0.2
_shared: dict[str, Any] = {}
"""Of a worker: the counter `done` and the event `stop`, which only its start can hand over."""


def write_all(
    write: Write,
    chunks: Sequence[Sequence[int]],
    workers: int,
    *,
    advance: Callable[[int], None],
    stopping: Callable[[], None],
) -> None:
    """Write numbered things, those of a chunk one after the other in the same process.

    Args:
        write: Writes one of them, whole or not at all; can be pickled.
        chunks: Numbers.
        workers: Processes.
        advance: Told how many were done since the last call.
        stopping: Called when the user stops it, before what is in hand is done.

    Raises:
        InputError: A process was killed.
    """
    processes = min(workers, len(chunks))  # all of them start at once, used or not
    if processes < 2:
        # The last bit of a sum hangs on the number of threads that share it, and pixels on it.
        with threadpool_limits(1):
            for number in (number for chunk in chunks for number in chunk):
                write(number)
                advance(1)
        return
    done, stop = Value("q", 0), Event()
    with ProcessPoolExecutor(processes, initializer=_start, initargs=(done, stop)) as pool:
        try:
            _follow([pool.submit(_write_chunk, write, chunk) for chunk in chunks], done, advance)
        except KeyboardInterrupt:
            stopping()
            raise
        except BrokenProcessPool as error:
            fix = "if memory was short, run again with fewer --workers; what is whole is kept"
            wanted, found = f"{processes} processes that end by themselves", "one that was killed"
            raise InputError(compose(wanted, found, fix=fix)) from error
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


def _follow(futures: Sequence[Future[None]], done: Any, advance: Callable[[int], None]) -> None:
    """Wait for all, and tell of each thing that is done."""
    told = 0
    for future in futures:
        running = True
        while running:
            running = bool(wait([future], _POLL_S).not_done)
            now = int(done.value)
            advance(now - told)
            told = now
        future.result()


def _start(done: Any, stop: Any) -> None:
    """Get a worker ready: Ctrl-C is for the program, which tells it to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _shared.update(done=done, stop=stop)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the program that started it is gone, killed even."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _write_chunk(write: Write, numbers: Sequence[int]) -> None:
    with threadpool_limits(1):
        for number in numbers:
            if _shared["stop"].is_set():
                return
            write(number)
            with _shared["done"].get_lock():
                _shared["done"].value += 1
