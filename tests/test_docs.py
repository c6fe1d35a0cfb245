"""Every command that README and docs show is run, in order, a document in a folder of its own.

A block that cannot be run says why on the line above it: ``<!-- not run: needs two GPUs -->``.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from calcilens.vocabulary import PATTERNS
from tests.documented_data import write_documented_data

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(
    r"(?:<!-- not run: (?P<reason>.+?) -->\n)?```(?:bash|sh|console)\n(?P<body>.*?)```", re.DOTALL
)
LINK = re.compile(r"\]\((?!https?:|#)(?P<target>[^)#]+)")
SHORT = {
    "calcilens train": [
        "--trainer.max_epochs=1",
        "--trainer.limit_train_batches=2",
        "--data.batch_size=4",
        "--model.network.size=64",
    ],
}
SHORT["calcilens train-finder"] = [
    "--trainer.max_epochs=1",
    "--data.draws=2",
    "--data.side=64",
]
SHORT["calcilens phantoms films"] = ["--n=9"]
SHORT["calcilens crossval"] = SHORT["calcilens train"]
SHORT["calcilens phantoms patches"] = SHORT["calcilens phantoms benchmark"] = ["--n=12"]
"""What is added to a command so that a test of it stays short."""


@dataclass(frozen=True)
class Command:
    words: list[str]
    line: int
    not_run: str | None


def commands(document: Path) -> Iterator[Command]:
    text = document.read_text()
    for fence in FENCE.finditer(text):
        line = text.count("\n", 0, fence.start("body")) + 1
        for command in fence["body"].replace("\\\n", " ").splitlines():
            words = shlex.split(command.removeprefix("$ "), comments=True)
            if words and words[0] in ("calcilens", "make"):
                yield Command(words, line, fence["reason"])


def run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    extra = SHORT.get(" ".join(words[:2]), []) + SHORT.get(" ".join(words[:3]), [])
    program = [sys.executable, "-m", "calcilens.cli", *words[1:], *extra]
    return subprocess.run(program, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def documented_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = tmp_path_factory.mktemp("documented")
    write_documented_data(written)
    return written


@pytest.fixture
def folder(documented_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own with what a reader has at hand."""
    shutil.copytree(documented_data, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_shown_command_works(document: Path, folder: Path) -> None:
    for command in commands(document):
        if command.words[0] == "make" or command.not_run:
            continue
        done = run(command.words, folder)
        where = f"{document.name}:{command.line}: {shlex.join(command.words)}"
        assert done.returncode == 0, f"{where}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


@pytest.mark.parametrize("document", [*DOCUMENTS, ROOT / "CONTRIBUTING.md"], ids=lambda p: p.name)
def test_every_shown_make_target_exists(document: Path) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    shown = [command.words for command in commands(document) if command.words[0] == "make"]
    unknown = [w for words in shown for w in words[1:] if "=" not in w and w not in targets]
    assert unknown == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_local_link_leads_somewhere(document: Path) -> None:
    targets = [m["target"] for m in LINK.finditer(document.read_text())]
    assert [t for t in targets if not (document.parent / t).exists()] == []


def test_every_page_is_in_the_navigation() -> None:
    shown = set(re.findall(r"[\w-]+\.md", (ROOT / "mkdocs.yml").read_text()))
    assert shown == {p.name for p in (ROOT / "docs").glob("*.md")}


def test_clinical_basis_lists_the_patterns_of_the_vocabulary_with_their_readings() -> None:
    page = (ROOT / "docs" / "clinical-basis.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", page, re.MULTILINE)
    assert [key for key, _ in rows] == [p.key for p in PATTERNS]
    wrong = [p.key for p, (_, said) in zip(PATTERNS, rows, strict=True) if p.reading not in said]
    assert wrong == []
