"""What all commands share: messages, progress, JSON, errors as one line."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from calcilens.errors import CalcilensError

if TYPE_CHECKING:
    from rich.progress import Progress

EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_PARTLY = 0, 1, 2, 3
"""Done; failed; wrong use; done, but some series, files or rows were refused."""


def say(message: str) -> None:
    """Write one line for the person at the terminal; standard output stays for results."""
    sys.stderr.write(message + "\n")


def print_json(value: Any) -> None:
    """Write a result for a program to standard output."""
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")


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
    except KeyboardInterrupt:
        say("calcilens: stopped by the user; what was written whole is kept")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except OSError as error:
        say(f"calcilens: {error.strerror or error} ({error.filename or 'no file named'})")
        return EXIT_FAILED
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else EXIT_FAILED
    except Exception as error:
        if os.environ.get("CALCILENS_DEBUG"):
            raise
        say(
            f"calcilens: unexpected {type(error).__name__}; this is a fault of the program: "
            "run again with CALCILENS_DEBUG=1 and report what it prints"
        )
        return EXIT_FAILED
    return EXIT_DONE
