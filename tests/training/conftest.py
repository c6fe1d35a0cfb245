"""One small manifest for all tests of training, and runs that leave no trace in the process."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.training.made import saved, stacks


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifest of 24 small stacks with split and folds."""
    folder = tmp_path_factory.mktemp("stacks")
    return saved(stacks(folder), folder / "stacks.parquet")


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo what a run does to the process: seeds, signal handlers, command line."""
    monkeypatch.setattr("sys.argv", ["calcilens"])
    handler = signal.getsignal(signal.SIGINT)
    with torch.random.fork_rng():
        yield
    signal.signal(signal.SIGINT, handler)
