"""What every command shares: one line for every way to end, whatever stands in it."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from calcilens.commands import console
from calcilens.commands.console import EXIT_FAILED, EXIT_STOPPED, guarded, say


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (MemoryError(), EXIT_FAILED, "calcilens: not enough memory; "),
        (KeyboardInterrupt(), EXIT_STOPPED, "calcilens: stopped by the user; "),
        (SystemExit(EXIT_STOPPED), EXIT_STOPPED, "calcilens: stopped by the user; "),
        (
            OSError(errno.ENOSPC, "No space", "a\nb"),
            EXIT_FAILED,
            "calcilens: No space (a b); make room and run again\n",
        ),
        (OSError("a trace\nof many lines\nNo space"), EXIT_FAILED, "calcilens: No space ("),
        (ZeroDivisionError(), EXIT_FAILED, "calcilens: unexpected ZeroDivisionError; "),
    ],
)
def test_every_end_is_one_line_and_its_code(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    assert guarded(fail) == code
    said = capsys.readouterr().err
    assert said.startswith(line)
    assert said.count("\n") == 1


def test_the_reason_is_that_of_the_system_however_a_library_wraps_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise OSError(f"With tag got exception: {error}\nTraceback\nOSError: x") from error

    assert guarded(fail) == EXIT_FAILED
    said = "calcilens: No space left on device (no file named); make room and run again\n"
    assert capsys.readouterr().err == said


def test_control_characters_never_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("left out: a\x1b[2J\r.dcm: Größe")
    assert capsys.readouterr().err == "left out: a\\x1b[2J\\r.dcm: Größe\n"


def test_a_bar_moves_on_with_every_stage_and_never_back() -> None:
    with console.progress_bar() as bar:
        steps = console.Steps(bar, "report", 2, ("read", "write"))
        seen = []
        for stage in ("read", "unknown", "write"):
            steps.stage(stage)
            seen.append((bar.tasks[0].description, bar.tasks[0].completed))
        steps.finish()
        steps.stage("write")
        seen.append((bar.tasks[0].description, bar.tasks[0].completed))
        assert bar.tasks[0].total == 4
    assert seen == [
        ("report 1/2: read", 0),
        ("report 1/2: unknown", 0),
        ("report 1/2: write", 1),
        ("report 2/2: write", 3),
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
def test_a_terminated_program_ends_as_an_interrupted_one() -> None:
    code = (
        "import os, signal; from calcilens import cli; "
        "cli.app = lambda: os.kill(os.getpid(), signal.SIGTERM); cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == EXIT_STOPPED != -signal.SIGTERM
    assert done.stderr.startswith("calcilens: stopped by the user")


def ended(told: str, to: str = "") -> tuple[int, str]:
    """Return the exit code of a program that says something, and what came of it."""
    code = f"import atexit, sys; from calcilens import cli; cli.app = lambda: {told}; cli.main()"
    shell = f'"{sys.executable}" -c "{code}" {to}'
    done = subprocess.run(shell, shell=True, capture_output=True, text=True, check=False)  # noqa: S602
    return done.returncode, done.stdout


def test_a_program_ends_with_all_told_and_its_exit_handlers_run() -> None:
    told = "(atexit.register(print, 'last'), print('first'), sys.exit(3))"
    assert ended(told) == (3, "first\nlast\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_result_that_could_not_be_written_is_a_failure() -> None:
    assert ended("print('result')", "> /dev/full")[0] == EXIT_FAILED


def test_a_closed_standard_output_is_no_fault_of_the_program() -> None:
    shell = f'"{sys.executable}" -m calcilens.cli predict --schema >&-'
    done = subprocess.run(shell, shell=True, capture_output=True, text=True, check=False)  # noqa: S602
    assert (done.returncode, done.stderr) == (0, "")
