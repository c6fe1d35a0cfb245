from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from calcilens.errors import ModelError
from calcilens.models.finder import Finder, heat_map
from calcilens.models.finder_file import load_finder, save_finder
from calcilens.models.loading import load_model
from calcilens.models.registry import FINDER

CARD = {
    "name": "mine",
    "modality": "radiograph",
    "network": {"width": 8},
    "longest_px": 512,
    "threshold": 0.4,
}


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    return save_finder(Finder(8).eval(), CARD, tmp_path / "mine.safetensors").weights


def test_a_finder_read_back_sees_the_same(weights: Path) -> None:
    torch.manual_seed(0)
    network = Finder(8).eval()
    film = np.random.default_rng(0).random((96, 64), np.float32)
    read = load_finder(weights)
    assert (read.longest_px, read.threshold, read.name) == (512, 0.4, "mine")
    np.testing.assert_allclose(heat_map(read.network, film), heat_map(network, film), atol=2e-3)


def test_a_classifier_is_no_finder_and_a_finder_no_classifier(weights: Path) -> None:
    with pytest.raises(ModelError, match="expected a model that finds lesions"):
        load_finder("calcilens-radiograph")
    with pytest.raises(ModelError, match="expected a model that judges lesions"):
        load_model(weights)


def test_a_card_that_does_not_fit_is_one_line(weights: Path) -> None:
    path = weights.with_suffix(".json")
    card = json.loads(path.read_text())
    path.write_text(json.dumps(card | {"network": {"width": 9}}))
    with pytest.raises(ModelError, match=r"mine\.safetensors: expected weights and a card") as said:
        load_finder(weights)
    assert "\n" not in str(said.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"threshold": float("nan")}, "a number from 0.001 to 0.999 as threshold"),
        ({"threshold": 5}, "as threshold on the card, found 5"),
        ({"threshold": -1}, "as threshold"),
        ({"threshold": "0.5"}, "as threshold"),
        ({"threshold": None}, "as threshold"),
        ({"longest_px": 0}, "a whole number from 64 to 4096 as longest_px on the card, found 0"),
        ({"longest_px": -5}, "as longest_px"),
        ({"longest_px": 1}, "as longest_px"),
        ({"longest_px": 10**9}, "as longest_px"),
        ({"longest_px": 512.5}, "as longest_px"),
        ({"network": {"width": 10**7}}, "from 1 to 1024 as width"),
        ({"network": {}}, "as width on the card, found None"),
        ({"network": [1]}, "settings by name as network"),
        ({"limits": 5}, "as limits"),
        ({"modality": "CT"}, "expected a finder for radiographs, found one for CT"),
    ],
    ids=str,
)
def test_a_card_that_would_find_nothing_or_everything_is_refused(
    weights: Path, change: dict[str, Any], said: str
) -> None:
    path = weights.with_suffix(".json")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError, match=said) as raised:
        load_finder(weights)
    assert "\n" not in str(raised.value)


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    network = Finder(8).eval()
    torch.nn.init.constant_(network.score.weight, torch.nan)
    file = save_finder(network, CARD, tmp_path / "mine.safetensors")
    with pytest.raises(ModelError, match=r"expected finite weights.*score.weight"):
        load_finder(file.weights)


def test_a_heat_map_that_is_no_number_is_no_negative_film() -> None:
    network = Finder(8).eval()
    torch.nn.init.constant_(network.score.weight, torch.nan)
    film = np.random.default_rng(0).random((64, 64), np.float32)
    with pytest.raises(ModelError, match="expected a finder that gives numbers"):
        heat_map(network, film)


def test_damaged_weights_are_refused(weights: Path) -> None:
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match="sha256"):
        load_finder(weights)


def test_the_embedded_finder_loads_and_is_small() -> None:
    finder = load_finder(FINDER)
    assert 0 < finder.threshold < 1
    assert finder.file.weights.stat().st_size <= 4e6
