from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from calcilens.errors import ModelError
from calcilens.models.ensemble import Ensemble, Prediction
from calcilens.models.loading import load_model, save_model
from calcilens.models.registry import ModelFile
from tests.training.made import SMALL, patch_batch

MEASURED = [0.9595795, 1.6622610e-06, 175.99847]
CARD: dict[str, Any] = {
    "name": "made",
    "modality": "CT",
    "network": SMALL,
    "members": [{"held_out": -1}],
    "patterns": ["diffuse"],
}


class Bomb:
    """Leaves a file behind where a pickle is allowed to run."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self.trace,)


def predict(network: Ensemble) -> Prediction:
    batch = patch_batch(8)
    pixels, box, extent_mm = (torch.from_numpy(batch[k]) for k in ("pixels", "box", "extent_mm"))
    return network.predict(pixels, box, extent_mm)


@pytest.fixture
def network() -> Ensemble:
    torch.manual_seed(0)
    made = Ensemble(SMALL, 1, ["diffuse"]).eval()
    made.calibration.slope.fill_(1e-6)  # lost in half precision
    made.first.profile.spread.fill_(1e-3)
    return made


def test_predictions_survive_half_precision_and_a_second_round_changes_nothing(
    network: Ensemble, tmp_path: Path
) -> None:
    network.calibration.slope.fill_(1.3)
    save_model(network, CARD, tmp_path / "one.safetensors")
    once = load_model(tmp_path / "one.safetensors")
    save_model(once.network, CARD, tmp_path / "two.safetensors")
    twice = load_model(tmp_path / "two.safetensors")
    for before, after, again in zip(
        predict(network)[:3], predict(once.network)[:3], predict(twice.network)[:3], strict=True
    ):
        torch.testing.assert_close(after, before, atol=1e-2, rtol=0)
        assert torch.equal(after, again)
    assert once.sha256 == twice.sha256


def test_calibration_and_statistics_are_kept_exactly(network: Ensemble, tmp_path: Path) -> None:
    save_model(network, CARD, tmp_path / "m.safetensors")
    loaded = load_model(tmp_path / "m.safetensors")
    assert torch.equal(loaded.network.calibration.slope, network.calibration.slope)
    assert torch.equal(loaded.network.first.profile.spread, network.first.profile.spread)
    assert not loaded.network.training
    assert (loaded.name, loaded.spec.planes, loaded.card["modality"]) == ("m", 3, "CT")


def test_changed_weights_are_refused(network: Ensemble, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_model(network, CARD, path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"m\.safetensors: expected weights with sha256") as raised:
        load_model(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"network": {**SMALL, "planes": 5}}, "fit together"),
        ({"network": {**SMALL, "no_such_thing": 1}}, "fit together"),
        ({"network": 3}, "expected settings by name as network on the card, found 3"),
        ({"limits": 5}, "expected text or a list of it as limits on the card, found 5"),
        ({"version": [1]}, "expected text as version on the card"),
        ({"modality": "MR"}, "modality MR on the card"),
        ({"network": {**SMALL, "size": 10**7}}, "from 8 to 2048 as size on the card"),
        ({"network": {**SMALL, "planes": 2}}, "odd number"),
        ({"members": [{}, {}]}, "fit together"),
        ({"members": None}, "fit together"),
        ({"patterns": ["no_such_pattern"]}, "no_such_pattern in the card, diffuse taught"),
        ({"patterns": None}, "fit together"),
    ],
    ids=str,
)
def test_a_card_that_does_not_fit_is_refused_in_one_line(
    network: Ensemble, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    path = tmp_path / "m.safetensors"
    save_model(network, CARD, path)
    card = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(card | change))
    with pytest.raises(ModelError, match=said) as raised:
        load_model(path)
    assert "\n" not in str(raised.value)


def test_a_pickle_named_safetensors_does_not_run(network: Ensemble, tmp_path: Path) -> None:
    path, trace = tmp_path / "m.safetensors", tmp_path / "it-ran"
    file = save_model(network, CARD, path)
    path.write_bytes(pickle.dumps(Bomb(trace)))
    sha256 = type(file)("m", path, file.card_path).sha256
    file.card_path.write_text(json.dumps({**CARD, "sha256": sha256}))
    with pytest.raises(ModelError, match="safetensors file"):
        load_model(path)
    assert not trace.exists()


def test_a_failed_write_leaves_the_old_model_whole(
    network: Ensemble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.safetensors"
    save_model(network, CARD, path)

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("calcilens.models.loading.save_file", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_model(network, CARD, path)
    assert load_model(path).name == "m"


@pytest.mark.parametrize(
    ("card", "reason"),
    [
        ({"members": [{"held_out": -1}] * 200_000}, "at most 32"),
        ({"network": {"planes": "five"}}, "a whole number from 1 to 99 as planes"),
        ({"network": [1]}, "settings by name as network"),
    ],
)
def test_a_hostile_card_costs_nothing_and_is_refused(
    network: Ensemble, tmp_path: Path, card: dict[str, Any], reason: str
) -> None:
    file = save_model(network, CARD, tmp_path / "made.safetensors")
    stored = json.loads(file.card_path.read_text("utf-8"))
    file.card_path.write_text(json.dumps(stored | card), "utf-8")
    with pytest.raises(ModelError, match=reason):
        load_model(file.weights)


@pytest.mark.parametrize("name", ["members.0.encoder.mix.weight", "calibration.slope"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_no_numbers_are_refused(
    network: Ensemble, tmp_path: Path, name: str, value: float
) -> None:
    network.state_dict()[name].fill_(value)
    file = save_model(network, CARD, tmp_path / "made.safetensors")
    with pytest.raises(ModelError, match=f"expected finite weights, found NaN or inf.* in {name}"):
        load_model(file.weights)


def test_a_model_of_films_is_none_of_ct(tmp_path: Path) -> None:
    film = SMALL | {"planes": 1, "intensity": "percentile"}
    made = Ensemble(film, 1, ["diffuse"]).eval()
    file = save_model(made, CARD | {"network": film}, tmp_path / "made.safetensors")
    with pytest.raises(ModelError, match="modality CT on the card, intensity percentile of radio"):
        load_model(file.weights)


def test_a_card_nested_too_deeply_is_refused(network: Ensemble, tmp_path: Path) -> None:
    file = save_model(network, CARD, tmp_path / "made.safetensors")
    file.card_path.write_text("[" * 100_000, "utf-8")
    with pytest.raises(ModelError, match="model card"):
        load_model(file.weights)


def test_weights_from_before_calibration_had_modules_answer_as_they_did(tmp_path: Path) -> None:
    torch.manual_seed(0)
    made = Ensemble(SMALL, 1, ["diffuse"], by_profile=True).eval()
    made.calibration.slope.copy_(torch.tensor([[[1.5, 0.7]]]))
    made.calibration.offset.copy_(torch.tensor([[[0.2, -0.4]]]))
    made.domain.mean.fill_(0.1)
    made.domain.limit.fill_(1)
    wanted = predict(made)
    old = {"calibration.slope": "slope", "calibration.offset": "offset"}
    old |= {"domain.mean": "usual", "domain.precision": "precision"}
    state = {old[k]: v[0] for k, v in made.state_dict().items() if k in old}
    plain = ("members.", "known")
    state |= {k: v for k, v in made.state_dict().items() if k.startswith(plain)}
    save_file(state, tmp_path / "old.safetensors")
    file = ModelFile("old", tmp_path / "old.safetensors", tmp_path / "old.json")
    middle = float(wanted.out_of_domain.median())
    card = CARD | {"sha256": file.sha256, "out_of_domain_limit": middle}
    file.card_path.write_text(json.dumps(card))
    found = predict(load_model(file.weights).network)
    for before, after in zip(wanted[:4], found[:4], strict=True):
        assert torch.equal(before, after)
    assert (found.why[:, 0] > 0).tolist() == (found.out_of_domain > middle).tolist()
    assert not found.pattern_set.any()


def test_the_first_shipped_model_answers_as_when_it_was_measured() -> None:
    y, x = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    ball = torch.exp(-((y - 60) ** 2 + (x - 66) ** 2) / 80)
    pixels = (0.3 + 0.05 * torch.sin(x / 5) + 0.6 * ball).expand(1, 5, 128, 128)
    box, extent = torch.tensor([[50.0, 56, 70, 76]]), torch.tensor([[8.0, 14, 14]])
    said = load_model("lidc-ct").network.predict(pixels, box, extent)
    numbers = [float(said.finding), float(said.concern), float(said.out_of_domain)]
    assert numbers == pytest.approx(MEASURED, rel=1e-3)
