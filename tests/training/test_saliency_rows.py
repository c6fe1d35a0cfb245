"""Saliency over a manifest: a network that answers by brightness points at bright mineral."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from calcilens.data_manifests.pixels import digest
from calcilens.data_manifests.schema import Manifest, new_manifest, truth
from calcilens.errors import ManifestError
from calcilens.models.saliency import HIRESCAM
from calcilens.training.saliency_gallery import write_maps
from calcilens.training.saliency_rows import JudgedMap, judge_maps, saliency_figures
from tests.data_manifests.made import row_of, save_png
from tests.inference.made import FakeModel

SIZE, ROWS = 128, 8
NOT_CALCIFIED, EMPTY_MASK = 6, 7


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Eight lesions of eight patients; row 6 is not calcified, the mask of row 7 is empty."""
    root = tmp_path_factory.mktemp("masks")
    return new_manifest([_row(root, number) for number in range(ROWS)], root)


def _row(root: Path, number: int) -> dict[str, Any]:
    rng, name = np.random.default_rng(number), f"lesion-{number}.png"
    pixels = rng.integers(20, 40, (SIZE, SIZE)).astype(np.uint8)
    mask = np.zeros((SIZE, SIZE), np.uint8)
    y, x = 54 + 2 * number % 8, 64 - 3 * number % 8
    pixels[y : y + 8, x : x + 8] = 250
    if number != EMPTY_MASK:
        mask[y : y + 8, x : x + 8] = 255
    save_png(pixels, root / name)
    Image.fromarray(mask).save(root / f"mask-{name}")
    return {
        **row_of(f"lesion-{number}", root, number),
        **{
            "image": name,
            "mask": f"mask-{name}",
            "image_kind": "png",
            "sha256": digest(root / name),
        },
        **{"z0": 0, "y0": 48, "x0": 50, "z1": 1, "y1": 74, "x1": 76, "key_plane": 0},
        **{"finding": int(number != NOT_CALCIFIED), "readers": 1},
        "pattern": ["diffuse"] if number % 2 else ["popcorn", "diffuse"],
    }


@pytest.fixture(scope="module")
def judged(manifest: Manifest) -> list[JudgedMap]:
    return judge_maps(manifest, model(), truth(manifest.frame), 20)


def model() -> Any:
    return FakeModel(card={"members": [{"held_out": -1}]})


def test_only_calcified_lesions_with_mineral_on_the_key_plane_are_judged(
    judged: list[JudgedMap],
) -> None:
    assert [one.row_id for one in judged] == [f"lesion-{n}" for n in range(6)]
    assert all(one.mask.sum() == 64 for one in judged)


def test_a_network_that_answers_by_brightness_points_at_bright_mineral(
    judged: list[JudgedMap],
) -> None:
    found = saliency_figures(judged, model())
    assert (found.n, found.method) == (6, HIRESCAM)
    assert found.hits == 1
    assert 0 < found.hits_by_chance < 0.3
    assert found.auprc_over_area > 3
    assert found.deletion < found.deletion_random
    assert found.insertion > found.insertion_random
    assert found.repeatability > 0.5
    assert {key: one.n for key, one in found.by_pattern.items()} == {"diffuse": 6, "popcorn": 3}


def test_a_limit_takes_lesions_from_first_to_last(manifest: Manifest) -> None:
    done: list[int] = []
    few = judge_maps(manifest, model(), truth(manifest.frame), 3, done.append)
    assert [one.row_id for one in few] == ["lesion-0", "lesion-3"]  # the last has an empty mask
    assert sum(done) == 3


def test_without_masks_there_is_nothing_to_judge(manifest: Manifest) -> None:
    rows = truth(manifest.frame).assign(mask=None)
    with pytest.raises(ManifestError, match="column mask: expected calcified lesions with a mask"):
        judge_maps(manifest, model(), rows, 3)
    with pytest.raises(ManifestError, match="mineral on the key plane"):
        saliency_figures([], model())


def test_picture_and_table_show_every_lesion(judged: list[JudgedMap], tmp_path: Path) -> None:
    write_maps(tmp_path, judged)
    with Image.open(tmp_path / "plots" / "saliency.png") as picture:
        assert min(picture.size) > 300
        assert np.asarray(picture).std() > 20
    table = pd.read_csv(tmp_path / "saliency.csv")
    assert table["row_id"].tolist() == [one.row_id for one in judged]
    assert table["hit"].tolist() == [1.0] * 6
    assert table["patterns"][0] == "popcorn|diffuse"
