"""`calcilens phantoms study` and what all commands of phantoms share."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from calcilens.cli import app
from calcilens.commands import phantom_study, phantoms
from calcilens.commands.console import EXIT_DONE, EXIT_USAGE, Steps, guarded
from calcilens.phantoms.anatomy import SITES
from calcilens.phantoms.study import GROWTH
from calcilens.vocabulary import PATTERN_KEYS


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    alone = typer.Typer(pretty_exceptions_enable=False)
    phantoms.register(alone)
    alone.callback()(lambda: None)
    monkeypatch.setattr(sys, "argv", ["calcilens", "phantoms", *words])
    return guarded(alone)


def helped(*words: str) -> str:
    found = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "400"})
    assert found.exit_code == EXIT_DONE
    return " ".join(found.output.split())


def test_a_follow_up_is_said_with_its_place_and_the_change_of_volume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "leg"
    words = ("--modality", "RADIOGRAPH", "--site", "calf", "--pattern", "diffuse")
    told: list[str] = []
    monkeypatch.setattr(Steps, "stage", lambda _, name: told.append(name))
    assert call(monkeypatch, "study", "-o", str(out), *words, "--follow-up", "1.5") == EXIT_DONE
    assert list(dict.fromkeys(told)) == [
        "study: body",
        "study: scan",
        "study: files",
        "follow-up: body",
        "follow-up: scan",
        "follow-up: files",
        "segmentations",
    ]
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("simulated calf with diffuse in ")
    (ratio,) = json.loads((out / "follow-up" / "truth.json").read_text())["change"]["volume_ratio"]
    where = f"follow-up after 91 days in {out / 'follow-up'}"
    assert second == f"{where}; volumes of the lesions times {ratio:.2f}"
    assert call(monkeypatch, "study", "-o", str(out)) == EXIT_USAGE
    assert "expected a folder that is missing or empty" in capsys.readouterr().err


def test_the_help_names_all_choices() -> None:
    said = helped("phantoms", "study")
    assert f"Part of the body: {', '.join(SITES)}." in said
    assert f"{', '.join(PATTERN_KEYS)}." in said
    assert f"{GROWTH[0]:g} to {GROWTH[1]:g}." in said
    assert phantom_study.GROWTH == GROWTH


def test_the_help_of_the_group_says_what_is_in_it() -> None:
    assert "lesions, studies and a benchmark" in helped("phantoms")


@pytest.mark.parametrize("command", ["patches", "benchmark"])
@pytest.mark.parametrize(
    ("option", "value"), [("--n", "1000000000"), ("--n", "0"), ("--seed", "-1")]
)
def test_numbers_that_no_set_has_are_wrong_use(
    command: str, option: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "set"
    assert call(monkeypatch, command, "-o", str(out), option, value) == EXIT_USAGE
    assert not out.exists()
