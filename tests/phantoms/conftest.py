"""Simulated studies that several files look at, written once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from calcilens.commands.phantom_study import write_whole
from calcilens.phantoms.study import Plan


@dataclass(frozen=True)
class Made:
    """A study as it was written, and its plan."""

    folder: Path
    plan: Plan


@pytest.fixture(scope="session")
def made_ct(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A forearm with one lesion that has doubled in the follow-up."""
    plan = Plan(seed=5, site="forearm", patterns=("diffuse",), follow_up=2.0)
    folder = tmp_path_factory.mktemp("phantom") / "ct"
    write_whole(folder, plan)
    return Made(folder, plan)


@pytest.fixture(scope="session")
def made_films(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Two views of a forearm with one lesion, and a follow-up."""
    plan = Plan(seed=5, modality="radiograph", site="forearm", patterns=("diffuse",), follow_up=3.0)
    folder = tmp_path_factory.mktemp("phantom") / "films"
    write_whole(folder, plan)
    return Made(folder, plan)
