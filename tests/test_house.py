"""What holds for the repository as a whole."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PIN = re.compile(r"^(?P<name>[a-z0-9._-]+)==(?P<version>\S+)", re.MULTILINE)
PACKAGE = sorted((ROOT / "calcilens").rglob("*.py"))


def pins() -> dict[str, set[Version]]:
    """Pinned versions by package; a package may have one pin a Python version."""
    found: dict[str, set[Version]] = {}
    for match in PIN.finditer((ROOT / "constraints.txt").read_text()):
        found.setdefault(match["name"], set()).add(Version(match["version"]))
    return found


def declared() -> list[Requirement]:
    extras = PROJECT["project"]["optional-dependencies"].values()
    groups = PROJECT["dependency-groups"].values()
    lists = [PROJECT["project"]["dependencies"], *extras, *groups]
    return [Requirement(line) for lines in lists for line in lines]


@pytest.mark.parametrize("need", declared(), ids=str)
def test_every_declared_package_is_pinned_within_its_bounds(need: Requirement) -> None:
    versions = pins().get(need.name.lower().replace("_", "-"), set())
    assert versions, "not in constraints.txt; run: make constraints"
    assert all(need.specifier.contains(v) for v in versions)


def test_every_pin_carries_hashes_and_no_address() -> None:
    text = (ROOT / "constraints.txt").read_text()
    blocks = re.split(r"\n(?=\S)", text.strip())
    assert [b.splitlines()[0] for b in blocks if "--hash=sha256:" not in b] == []
    assert re.findall(r"https?://|index-url|find-links| @ ", text) == []


def test_every_bound_of_a_runtime_package_has_its_reason_beside_it() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    block = text.split("\ndependencies = [", 1)[1].split("\n]", 1)[0]
    lines = [line for line in block.splitlines() if line.strip()]
    assert [line for line in lines if "#" not in line] == []


@pytest.mark.parametrize("name", ["models", "training", "inference", "data_manifests"])
def test_links_at_the_root_lead_into_the_package(name: str) -> None:
    assert (ROOT / name).readlink() == Path("calcilens") / name


def test_no_file_of_the_package_is_longer_than_400_lines() -> None:
    long = [p.name for p in PACKAGE if len(p.read_text().splitlines()) > 400]
    assert long == []


def test_nothing_in_the_package_reads_a_pickle() -> None:
    pickled = re.compile(r"pickle\.load|weights_only\s*=\s*False|allow_pickle\s*=\s*True|joblib")
    assert [p.name for p in PACKAGE if pickled.search(p.read_text())] == []


def test_change_notes_are_named_after_issue_and_kind() -> None:
    notes = [p.name for p in (ROOT / "changelog.d").iterdir() if p.name != "README.md"]
    wanted = re.compile(r"\d+(-[a-z-]+)?\.(added|changed|fixed|removed)\.md")
    assert [name for name in notes if not wanted.fullmatch(name)] == []


def test_ci_runs_the_tests_and_stops_at_the_first_failure() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in script.read_text()
    assert script.read_text().rstrip().endswith("make test")
    subprocess.run(["bash", "-n", script], check=True)


def test_no_file_in_the_repository_could_be_a_patients_image() -> None:
    done = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("not a git checkout")
    images = (".dcm", ".nii", ".nii.gz", ".ima", ".mha", ".nrrd", ".npy", ".npz")
    assert [line for line in done.stdout.splitlines() if line.lower().endswith(images)] == []
