"""The public set, read once for all tests that look at it."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from calcilens.data_manifests.builders.build import Built
from calcilens.data_manifests.builders.lidc_slices import build_lidc_slices


@pytest.fixture(scope="session")
def lidc(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """LIDC-IDRI-slices, unpacked and built."""
    folder = tmp_path_factory.mktemp("lidc")
    with tarfile.open(real_data / "lidc" / "lidc-idri-slices.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return build_lidc_slices(folder, real_data / "lidc" / "lidc_labels.csv")
