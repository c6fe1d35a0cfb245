"""Every command that README and docs show is run, in order, a document in a folder of its own.

A block that cannot be run says why on the line above it: ``<!-- not run: needs two GPUs -->``.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from calcilens.inference.network.objects import find_objects
from calcilens.vocabulary import PATTERNS
from tests.documented_data import write_documented_data
from tests.inference.network.made import until
from tests.inference.network.orthanc import own_network, running, why_not

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(
    r"(?:<!-- not run: (?P<reason>.+?) -->\n)?```(?:bash|sh|console)\n(?P<body>.*?)```", re.DOTALL
)
LINK = re.compile(r"\]\((?!https?:|#)(?P<target>[^)#]+)")
TEST = re.compile(r"`(?P<path>tests/[\w/]+\.py)::(?P<name>\w+)`")
PASSWORD = "correct horse battery staple\n"  # noqa: S105 of a test
"""What is typed where a command asks for something."""
PRIMITIVES = [
    "qualitative finding",
    "measurement",
    "location",
    "region",
    "parametric map",
    "tracking identifier",
    "image reference",
]
"""What results are made of in the profile AI Results of IHE Radiology (RAD TF-3 6.5.3)."""
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
    return subprocess.run(
        program, cwd=folder, input=PASSWORD, capture_output=True, text=True, check=False
    )


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
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_shown_command_works(document: Path, folder: Path) -> None:
    shown = [c for c in commands(document) if c.words[0] != "make" and not c.not_run]
    archive = {word for c in shown for word in c.words[1:2]} & {"push", "pull", "listen"}
    with beside_an_archive(folder) if archive else nullcontext():
        run_all(shown, document, folder)


def run_all(shown: list[Command], document: Path, folder: Path) -> None:
    study = find_objects([folder / "my-study"])[0][0].instance.study_uid
    with ExitStack() as background:
        for command in shown:
            where = f"{document.name}:{command.line}: {shlex.join(command.words)}"
            words = [w for word in command.words for w in expanded(word, study, folder)]
            if words[1] == "listen" and "--status" not in words:
                background.enter_context(listening(words, folder))
                continue
            if words[1] == "review" and words[2].startswith("-"):
                background.enter_context(reviewing(words, folder))
                continue
            done = run(words, folder)
            assert done.returncode == 0, f"{where}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


def expanded(word: str, study: str, folder: Path) -> list[str]:
    """What a reader puts in a word's place, and what the shell does."""
    found = sorted(folder.glob(word)) if "*" in word else []
    return [str(path) for path in found] or [study if word == "STUDY_UID" else word]


@contextmanager
def beside_an_archive(folder: Path) -> Iterator[None]:
    """Run the archive that the documentation speaks of, where nothing else can be reached."""
    if why_not():
        pytest.skip(why_not() or "")
    (folder / ".archive").mkdir()
    with own_network(), running(folder / ".archive"):
        yield


@contextmanager
def reviewing(words: list[str], folder: Path) -> Iterator[None]:
    """Run the review page beside the commands that follow it."""
    log = folder / "review.log"
    program = [sys.executable, "-m", "calcilens.cli", *words[1:], "--port", "0"]
    with log.open("w") as stream:
        process = subprocess.Popen(program, cwd=folder, stderr=stream)
    try:
        until(lambda: "the review page: http://127.0.0.1:" in log.read_text(), 120)
        yield
        process.terminate()
        process.wait(60)
        assert "all that was saved is kept" in log.read_text()
    finally:
        process.kill()
        process.wait()


@contextmanager
def listening(words: list[str], folder: Path) -> Iterator[None]:
    """Run `calcilens listen` beside the commands that follow it."""
    log = folder / "listen.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "calcilens.cli", *words[1:]], cwd=folder, stderr=stream
        )
    try:
        until(lambda: "listening as" in log.read_text(), 120)
        yield
        until(lambda: ": sent" in log.read_text(), 120)
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


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


def test_every_page_is_in_the_navigation_and_in_readme() -> None:
    pages = {p.name for p in (ROOT / "docs").glob("*.md")}
    assert set(re.findall(r"[\w-]+\.md", (ROOT / "mkdocs.yml").read_text())) == pages
    further = (ROOT / "README.md").read_text().partition("## Further reading")[2]
    assert set(re.findall(r"docs/([\w-]+\.md)", further)) == pages - {"index.md"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_section_leads_to_one(document: Path) -> None:
    for target, name in re.findall(r"\]\(([\w./-]*\.md)#([\w-]+)\)", document.read_text()):
        heads = re.findall(r"^#+ (.+)$", (document.parent / target).read_text(), re.MULTILINE)
        assert name in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in heads}


def test_every_named_test_exists() -> None:
    named = [match for page in DOCUMENTS for match in TEST.finditer(page.read_text())]
    assert named
    assert [m[0] for m in named if m["name"] not in functions(ROOT / m["path"])] == []


def functions(file: Path) -> set[str]:
    if not file.is_file():
        return set()
    body = ast.parse(file.read_text()).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef)}


def test_each_primitive_of_ai_results_has_one_test_of_its_own() -> None:
    page = (ROOT / "docs" / "dicom-results.md").read_text().split("## IHE AI Results")[1]
    rows = [row.strip("|").split("|") for row in page.splitlines() if "::" in row]
    assert [name.strip() for name, *_ in rows] == PRIMITIVES
    tests = [TEST.findall(test) for *_, test in rows]
    assert all(len(found) == 1 for found in tests)
    assert len({found[0] for found in tests}) == len(PRIMITIVES)


HEADS = (("finding", "auroc"), ("pattern", "macro_auroc"), ("concern", "auroc"))
"""Of the table of simulated lesions in README, in the order of its columns."""


def intervals(row: str) -> list[list[float]]:
    """Figures with their intervals in a row of a table."""
    number = r"(\d\.\d{3})"
    return [[*map(float, x)] for x in re.findall(rf"{number} \({number} to {number}\)", row)]


def rows_of(model: str, document: str) -> list[str]:
    text = (ROOT / document).read_text()
    return [row for row in text.splitlines() if row.startswith(f"| `{model}` | 0.")]


@pytest.mark.parametrize("model", ["calcilens-ct", "calcilens-radiograph"])
def test_the_figures_in_readme_are_those_of_the_cards(model: str) -> None:
    card = json.loads((ROOT / "calcilens" / "models" / "cards" / f"{model}.json").read_text())
    (found,) = card["evaluations"].values()
    expected = [[found[h][key], *found[h][f"{key}_ci95"]] for h, key in HEADS]
    shown = intervals(rows_of(model, "README.md")[0])
    assert np.array(shown) == pytest.approx(np.array(expected), abs=0.00056)  # rounded twice


@pytest.mark.parametrize("model", ["calcilens-ct", "lidc-ct"])
def test_the_figures_of_real_nodules_are_those_of_the_page_on_models(model: str) -> None:
    (page,) = rows_of(model, "docs/models.md")
    assert intervals(rows_of(model, "README.md")[-1]) == intervals(page) != []


def test_clinical_basis_lists_the_patterns_of_the_vocabulary_with_their_readings() -> None:
    page = (ROOT / "docs" / "clinical-basis.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", page, re.MULTILINE)
    assert [key for key, _ in rows] == [p.key for p in PATTERNS]
    wrong = [p.key for p, (_, said) in zip(PATTERNS, rows, strict=True) if p.reading not in said]
    assert wrong == []
