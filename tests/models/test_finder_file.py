from __future__ import annotations

import json
from pathlib import Path

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


def test_damaged_weights_are_refused(weights: Path) -> None:
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match="sha256"):
        load_finder(weights)


def test_the_embedded_finder_loads_and_is_small() -> None:
    finder = load_finder(FINDER)
    assert 0 < finder.threshold < 1
    assert finder.file.weights.stat().st_size <= 4e6
