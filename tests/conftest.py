"""What all tests share: real data where it is at hand, and a repeatable Hypothesis."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # tmp_path is cleaned by tests
)
settings.load_profile("ci")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real images and labels that are not part of the project."""
    folder = os.environ.get("CALCILENS_REAL_DATA")
    if not folder:
        pytest.skip("CALCILENS_REAL_DATA is not set: it names the folder with real data")
    path = Path(folder).resolve()
    if not path.is_dir():
        pytest.skip("CALCILENS_REAL_DATA names no folder")
    return path


def pytest_configure() -> None:
    """Let programs under test hear Ctrl-C, also where the suite itself was started deaf to it.

    A shell without job control starts what runs in its background with SIGINT ignored, and
    children inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest: one that comes last keeps one core busy while the other is idle."""
    items.sort(key=lambda item: item.path.name != "test_docs.py")
