from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from calcilens.errors import ModelError
from calcilens.files import PART
from calcilens.models.registry import ModelFile, embedded, find


def test_names_and_cards_are_read_without_torch() -> None:
    code = (
        "import sys; from calcilens.models import registry as r; "
        "[m.card for m in r.embedded().values()]; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_embedded_model_is_whole_and_small_enough_to_ship() -> None:
    for name, file in embedded().items():
        file.verify()
        assert file.card["name"] == name
        assert {"intended_use", "training_data", "limits", "figures", "patients"} <= set(file.card)
    assert sum(file.weights.stat().st_size for file in embedded().values()) <= 30e6


def test_a_path_of_weights_is_found_with_the_card_beside_it(tmp_path: Path) -> None:
    weights = tmp_path / "mine.safetensors"
    weights.touch()
    assert find(weights) == ModelFile("mine", weights, tmp_path / "mine.json")


@pytest.mark.parametrize("name", ["no-such-model", "missing.safetensors", "README.md", ""])
def test_an_unknown_model_is_named_in_one_line(name: str) -> None:
    with pytest.raises(ModelError, match=r"model: expected an embedded model") as raised:
        find(name)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", [None, "{", "[]", "{}", '{"name": "x"}'])
def test_a_missing_or_broken_card_is_named(tmp_path: Path, text: str | None) -> None:
    weights = tmp_path / "mine.safetensors"
    weights.touch()
    if text is not None:
        weights.with_suffix(".json").write_text(text)
    with pytest.raises(ModelError, match="card"):
        find(weights).verify()


def test_a_card_without_a_hash_does_not_vouch_for_weights(tmp_path: Path) -> None:
    weights = tmp_path / "mine.safetensors"
    weights.touch()
    card = {"name": "mine", "modality": "CT", "network": {}}
    weights.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="sha256"):
        find(weights).verify()


def test_figures_are_noted_beside_what_the_card_says(tmp_path: Path) -> None:
    weights = tmp_path / "mine.safetensors"
    card = {"name": "mine", "modality": "CT", "network": {}}
    weights.with_suffix(".json").write_text(json.dumps(card))
    weights.touch()
    file = find(weights)
    file.note("bench", {"n": 1})
    file.note("lidc", {"n": 2})
    file.note("bench", {"n": 3})
    assert file.card == card | {"evaluations": {"bench": {"n": 3}, "lidc": {"n": 2}}}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.json", "mine.safetensors"]


def test_a_card_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    card = tmp_path / "mine.json"
    card.write_text(json.dumps({"name": "mine", "modality": "CT", "network": {}}))
    card.with_name(f"{PART}{os.getpid()}-{card.name}").mkdir()
    with pytest.raises(ModelError, match=r"mine\.json: expected a card to write to"):
        ModelFile("mine", tmp_path / "mine.safetensors", card).note("bench", {})
