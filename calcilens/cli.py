"""The `calcilens` program: one app, put together from `calcilens.commands`."""

from __future__ import annotations

import atexit
import gc
import logging
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

import typer

from calcilens import DISCLAIMER, __version__
from calcilens.commands import (
    compare,
    doctor,
    evaluate,
    guide,
    listen,
    manifest,
    order,
    phantoms,
    predict,
    pull,
    push,
    review,
    train,
)
from calcilens.commands.console import EXIT_FAILED, guarded

_GARBAGE = 50_000
"""New objects between searches for garbage; Python's 700 cost a third of a second of imports."""

app = typer.Typer(
    name="calcilens",
    help=f"From a DICOM study to a calcification report. {DISCLAIMER}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich alone would take 0.3 s to start
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit()


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", help="Print the version.", callback=_print_version, is_eager=True
    ),
) -> None:
    """Hold options that stand before the command."""


for module in (
    doctor,
    manifest,
    phantoms,
    train,
    evaluate,
    predict,
    compare,
    guide,
    order,
    pull,
    push,
    listen,
    review,
):
    module.register(app)


def main() -> None:
    """Run the program; every error that we raise on purpose ends as one line.

    SIGTERM ends it as Ctrl-C does: an unpacked archive must not stay behind in /tmp.
    """
    # A program started without a terminal may have no standard streams at all.
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    # It would warn of a home folder that it cannot write to.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    gc.set_threshold(_GARBAGE)
    _end(guarded(app))


def _end(code: int) -> NoReturn:
    """Leave without taking apart what was imported, which for torch takes a second.

    What was written is flushed and exit handlers run, as at any other end.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # nobody reads on, or the disk is full: not all was told
            code = code or EXIT_FAILED
    os._exit(code)


if __name__ == "__main__":
    main()
