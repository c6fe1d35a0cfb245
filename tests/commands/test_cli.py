from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from calcilens import DISCLAIMER, __version__
from calcilens.cli import app

HEAVY = ("torch", "monai", "lightning", "numpy", "pandas", "pydicom", "scipy", "matplotlib")
HELP = [sys.executable, "-m", "calcilens.cli", "--help"]
PHANTOMS = ("study", "patches", "films", "benchmark", "sheet", "realism")
COMMANDS = ("doctor", "manifest", "phantoms", "train", "evaluate", "predict", "guide", "order")
run = CliRunner().invoke


def test_help_names_every_command_and_says_what_the_program_is_not() -> None:
    said = " ".join(run(app, ["--help"]).stdout.split())
    assert [name for name in COMMANDS if name not in said] == []
    assert "not a medical device" in said
    assert "not a medical device" in DISCLAIMER


# The help of `train` is LightningCLI's own and takes many seconds.
@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "train"])
def test_every_command_explains_itself(name: str) -> None:
    result = run(app, [name, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.stdout


@pytest.mark.parametrize("group", [[], ["phantoms"]], ids=["calcilens", "phantoms"])
def test_a_list_of_commands_fits_a_terminal_of_80_columns(group: list[str]) -> None:
    listed = run(app, [*group, "--help"], env={"COLUMNS": "80"}).stdout.split("Commands:")[1]
    assert [line for line in listed.splitlines() if line.endswith("...")] == []


@pytest.mark.parametrize(
    "words",
    [
        ["predict"],
        ["compare"],
        ["guide"],
        ["order"],
        ["evaluate"],
        ["pull"],
        ["push"],
        ["listen"],
        *(["phantoms", name] for name in PHANTOMS),
    ],
    ids=" ".join,
)
def test_arguments_and_options_are_named_as_a_reader_would(words: list[str]) -> None:
    said = run(app, [*words, "--help"]).stdout
    assert [bad for bad in ("<list", "<int", "<str", "<float", "<path") if bad in said] == []


def test_starting_the_program_imports_nothing_heavy() -> None:
    code = f"import sys, calcilens.cli; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_takes_at_most_300_ms_of_a_processor() -> None:
    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(HELP, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(5)) <= 0.3


def test_version_is_the_package_version() -> None:
    assert run(app, ["--version"]).stdout.strip() == __version__


def test_wrong_use_is_exit_code_2() -> None:
    assert run(app, ["phantoms", "study"]).exit_code == 2
    assert run(app, ["no-such-command"]).exit_code == 2


def test_an_error_of_ours_is_one_line_without_a_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "calcilens.cli", "phantoms", "study", "--out", str(tmp_path)]
    (tmp_path / "file").touch()
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert again.stdout == ""
    assert again.stderr.count("\n") == 1
    assert again.stderr.startswith("calcilens: --out")
