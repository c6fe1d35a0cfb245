"""Figures of strangers: what is found, at which price."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calcilens.data_manifests.schema import read_manifest, truth
from calcilens.models.abstention import Reason
from calcilens.models.ensemble import Ensemble
from calcilens.models.loading import LoadedModel, load_model, save_model
from calcilens.training import out_of_domain, strangers
from calcilens.training.held_out import learn_domain
from calcilens.training.out_of_domain import domain_figures, judge_domain
from calcilens.training.predict_rows import predict_manifest, see_rows
from tests.training.made import SMALL


def table(distance: list[float], reason: str = "", **more: object) -> pd.DataFrame:
    return pd.DataFrame({"out_of_domain": distance, "abstained_finding": reason, **more})


def test_found_counts_flags_and_found_at_5_percent_counts_distances() -> None:
    usual = table(list(np.linspace(0, 1, 101)))
    usual.loc[99:, "abstained_finding"] = Reason.STRANGE
    usual.loc[:10, "abstained_finding"] = Reason.UNDECIDED
    far = table([0.505, 0.965, 3, 4], kind=["a", "a", "b", "b"])
    far.loc[2:, "abstained_finding"] = [Reason.METAL, Reason.STRANGE_BRIGHTNESS]
    found = domain_figures(far, usual)
    assert found.found == {"a": 0, "b": 1}
    assert found.found_overall == 0.5
    assert found.false_alarms == pytest.approx(2 / 101)
    assert found.found_at_5_percent == {"a": 0.5, "b": 1}
    assert found.found_at_5_percent_overall == 0.75
    assert found.auroc == pytest.approx((51 + 97 + 101 + 101) / 404)


def test_a_picture_without_content_is_further_than_anything() -> None:
    blank = table([0.0], Reason.NO_CONTENT, kind=["blank"])
    found = domain_figures(blank, table([0.1, 0.2, 0.3]))
    assert (found.found["blank"], found.found_at_5_percent["blank"], found.auroc) == (1, 1, 1)


@pytest.fixture
def model(manifest: Path, tmp_path: Path) -> LoadedModel:
    network = Ensemble(SMALL, 1, ["diffuse"]).eval()
    made = read_manifest(manifest)
    rows = made.frame
    asked = np.arange(len(rows))[:, None] % 2 == 0
    learn_domain(network, see_rows(made, network, rows, asked))
    card = {"name": "m", "modality": "CT", "network": SMALL, "patterns": ["diffuse"]}
    save_model(network, card | {"members": [{"held_out": -1}]}, tmp_path / "m.safetensors")
    return load_model(tmp_path / "m.safetensors")


def test_strangers_are_shown_to_a_model_and_found(
    manifest: Path, model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = {name: strangers.MAKERS[name] for name in ("noise", "blank")}
    for module in (strangers, out_of_domain):
        monkeypatch.setattr(module, "MAKERS", kinds)
    monkeypatch.setattr(out_of_domain, "DONORS", 5)
    made = read_manifest(manifest)
    told: list[int] = []
    predicted = predict_manifest(made, model, made.frame)
    found = judge_domain(made, model, truth(made.frame), predicted, told.append)
    assert found is not None
    assert (found.n, sum(told)) == (10, 10)
    assert found.found.keys() == kinds.keys()
    assert found.found["blank"] == 1
    assert 0 <= found.false_alarms < 0.3


def test_a_model_that_was_not_taught_what_is_usual_has_no_figures(
    manifest: Path, model: LoadedModel
) -> None:
    made = read_manifest(manifest)
    model.network.domain.limit.fill_(np.inf)
    predicted = predict_manifest(made, model, made.frame)
    assert judge_domain(made, model, truth(made.frame), predicted) is None
