from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from calcilens.data_manifests.schema import Manifest
from calcilens.data_manifests.stats import counts, draw, lesion_size_mm, to_table
from calcilens.errors import UsageError
from tests.data_manifests.made import png_manifest, tissue


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return png_manifest(
        tmp_path,
        {f"{n}.png": tissue(n) for n in range(4)},
        split=["train", "train", "test", None],
        fold=[0, 1, None, 0],
        finding_votes=[[1, 1], [0, 0, 0], None, [1]],
        pattern_votes=[["central", "central"], None, None, ["diffuse"]],
        concern_votes=[[5, 5, 5], [1, 1, 1], [3, 3, 3], None],
        readers=[3, 3, 3, 1],
        diameter_mm=[4.0, None, None, None],
        spacing_y_mm=[1.0, 0.5, None, 1.0],
        spacing_x_mm=[1.0, 0.5, None, 1.0],
    )


def test_every_row_is_counted_once_in_all_and_in_its_split(manifest: Manifest) -> None:
    found = counts(manifest)
    assert found["all"]["finding"] == {"positive": 2, "negative": 1, "unknown": 1}
    assert found["all"]["concern"] == {"positive": 1, "negative": 1, "unknown": 2}
    assert found["all"]["pattern"] == {"central": 1, "diffuse": 1}
    assert found["all"]["readers"] == {"1": 1, "3": 3}
    assert {name: part["rows"] for name, part in found["splits"].items()} == {"train": 2, "test": 1}
    assert {name: part["rows"] for name, part in found["folds"].items()} == {"0": 2, "1": 1}


def test_size_is_the_diameter_or_else_the_longer_side_of_the_box(manifest: Manifest) -> None:
    assert lesion_size_mm(manifest.frame).tolist() == pytest.approx(
        [4, 15, float("nan"), 30], nan_ok=True
    )


def test_the_table_has_a_line_for_each_part(manifest: Manifest) -> None:
    stream = io.StringIO()
    Console(file=stream, width=120).print(to_table(counts(manifest)))
    text = stream.getvalue()
    assert [name for name in ("all", "train", "test", "fold 0", "fold 1") if name not in text] == []
    assert "2 of 3" in text


@pytest.mark.parametrize("empty", [False, True], ids=["with labels", "without any"])
def test_a_picture_is_drawn_whatever_is_missing(
    empty: bool, manifest: Manifest, tmp_path: Path
) -> None:
    if empty:
        manifest.frame[["finding_votes", "pattern_votes", "concern_votes", "split"]] = None
        manifest.frame["diameter_mm"] = manifest.frame["spacing_y_mm"] = float("nan")
        manifest.frame["spacing_x_mm"] = float("nan")
    draw(manifest, tmp_path / "new" / "stats.png")
    with Image.open(tmp_path / "new" / "stats.png") as picture:
        assert min(picture.size) > 500
        assert len(picture.convert("L").getcolors() or []) > 10


def test_an_unknown_kind_of_picture_is_refused(manifest: Manifest, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ending in \.png, \.svg, \.pdf, found a\.txt"):
        draw(manifest, tmp_path / "a.txt")
