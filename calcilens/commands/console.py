"""What all commands share: messages, progress, JSON, errors as one line."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from typer.core import TyperArgument, TyperCommand

from calcilens.errors import CalcilensError, unexpected
from calcilens.files import system_error

if TYPE_CHECKING:
    from rich.progress import Progress

EXIT_STOPPED = 130
"""Stopped by Ctrl-C or SIGTERM."""
EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_PARTLY = 0, 1, 2, 3
"""Done; failed; wrong use; done, but some series, files or rows were refused."""


def say(message: str) -> None:
    """Write one line for the person at the terminal; standard output stays for results."""
    sys.stderr.write(printable(message) + "\n")


def printable(message: str) -> str:
    """Write out control characters: a file's name could hold commands to the terminal."""
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in message
    )


def print_json(value: Any) -> None:
    """Write a result for a program to standard output."""
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")


class PlainCommand(TyperCommand):
    """A command whose help names its arguments alone: typer puts their Python types beside them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for param in self.params:
            if isinstance(param, TyperArgument):
                setattr(param, "display_type_rich", lambda ctx: None)  # noqa: B010 a method


class Steps:
    """A bar over things that each go through the same stages; without a terminal it is silent.

    Args:
        bar: Of `progress_bar`.
        what: What one thing is called.
        count: How many there are.
        stages: In their order; others may be told, and move nothing.
    """

    def __init__(self, bar: Progress, what: str, count: int, stages: tuple[str, ...]) -> None:
        self._bar, self._what, self._count, self._stages = bar, what, count, stages
        self._done = 0
        self._task = bar.add_task(self._name(), total=count * len(stages))

    def stage(self, name: str) -> None:
        """Say which stage of the thing in hand begins."""
        step = self._stages.index(name) if name in self._stages else None
        at = None if step is None else self._done * len(self._stages) + step
        self._bar.update(self._task, description=f"{self._name()}: {name}", completed=at)

    def finish(self) -> None:
        """Say that the thing in hand is done."""
        self._done += 1
        self._bar.update(
            self._task, description=self._name(), completed=self._done * len(self._stages)
        )

    def _name(self) -> str:
        at = min(self._done + 1, self._count)
        return self._what if self._count < 2 else f"{self._what} {at}/{self._count}"


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Show progress on standard error where a terminal is there."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
    ) as bar:
        yield bar


def guarded(app: Callable[..., Any]) -> int:
    """Run `app` and turn what it raises into one line and an exit code.

    CALCILENS_DEBUG=1 shows the traceback of an unexpected error instead.
    """
    try:
        app()
    except CalcilensError as error:
        say(f"calcilens: {error}")
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except (KeyboardInterrupt, SystemExit) as leave:
        return _leave(leave)
    except Exception as error:
        if os.environ.get("CALCILENS_DEBUG"):
            raise
        say(f"calcilens: {_why(error)}")
        return EXIT_FAILED
    return EXIT_DONE


def _leave(leave: KeyboardInterrupt | SystemExit) -> int:
    """Return the exit code; typer turns an interruption into this code without a word."""
    code = EXIT_STOPPED if isinstance(leave, KeyboardInterrupt) else leave.code
    if code == EXIT_STOPPED:
        say("calcilens: stopped by the user; what was written whole is kept")
    return code if isinstance(code, int) else EXIT_FAILED


def _why(error: Exception) -> str:
    """Say in one line what went wrong outside of this program, or that it is a fault of ours."""
    if isinstance(error, OSError):
        system = system_error(error)
        # pydicom puts a whole traceback before the reason of a failed write
        reason = system.strerror or str(error).strip().split("\n")[-1]
        named = error.filename or system.filename or "no file named"
        place = " ".join(str(named)[-200:].split())
        full = system.errno in (errno.ENOSPC, errno.EDQUOT)
        return f"{reason} ({place})" + ("; make room and run again" if full else "")
    if isinstance(error, MemoryError):
        return "not enough memory; give fewer studies at once, or smaller files"
    return unexpected(error)
