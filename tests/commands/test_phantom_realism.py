"""`calcilens phantoms realism`: one comparison a real input, of the modality of the phantoms."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from calcilens.cli import app
from calcilens.data_manifests.schema import write_manifest
from calcilens.errors import InputError
from tests.data_manifests.made import png_manifest, tissue

RUN = CliRunner()


def lesions(folder: Path, seed: int) -> Path:
    """Write a manifest of 20 calcified lesions, each of a person of its own."""
    pictures = {f"{i}.png": tissue(100 * seed + i, 140) for i in range(20)}
    manifest = png_manifest(folder, pictures, finding=[1] * 20, site=["thorax"] * 20)
    write_manifest(manifest, folder / "manifest.parquet")
    return folder / "manifest.parquet"


def test_figures_are_printed_for_a_program_and_for_a_person(tmp_path: Path) -> None:
    phantoms, real = lesions(tmp_path / "phantoms", 1), lesions(tmp_path / "real", 2)
    words = ["phantoms", "realism", "--phantoms", str(phantoms), "--real", str(real)]
    done = RUN.invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    (found,) = json.loads(done.stdout)["comparisons"]
    assert (found["kind"], found["real"], found["phantom"]) == ("lesions", 20, 20)
    low, high = found["by_family"]["all"]["auroc_ci95"]
    assert low < 0.5 < high
    text = RUN.invoke(app, words).stdout
    assert f"{found['by_family']['network']['auroc']:.3f}" in text
    assert "20 real pictures of 20 groups" in text


def test_a_site_without_phantoms_is_refused(tmp_path: Path) -> None:
    phantoms, real = lesions(tmp_path / "phantoms", 1), lesions(tmp_path / "real", 2)
    words = ["phantoms", "realism", "--phantoms", str(phantoms), "--real", str(real)]
    with pytest.raises(InputError, match=r"phantom lesions .* found 0 of 0"):
        RUN.invoke(app, [*words, "--site", "knee"], catch_exceptions=False)
