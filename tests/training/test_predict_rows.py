from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from calcilens.data_manifests.schema import Manifest, read_manifest
from calcilens.models.ensemble import Ensemble
from calcilens.models.loading import LoadedModel, load_model, save_model
from calcilens.training import predict_rows
from calcilens.training.predict_rows import predict_manifest, trusted_members
from tests.training.made import FOLDS, SMALL


@pytest.fixture
def made(manifest: Path) -> Manifest:
    return read_manifest(manifest)


def model(folder: Path, patients: dict[str, int], members: int = FOLDS) -> LoadedModel:
    torch.manual_seed(0)
    card: dict[str, Any] = {
        **{"name": "made", "modality": "CT", "network": SMALL, "patterns": ["diffuse"]},
        "members": [{"held_out": fold} for fold in range(members)],
        "patients": patients,
    }
    network = Ensemble(SMALL, members, ["diffuse"])
    with torch.no_grad():
        network.calibration.offset[:, :, 0] = torch.arange(members) * 3.0  # tells the members apart
    save_model(network, card, folder / "made.safetensors")
    return load_model(folder / "made.safetensors")


def folds(made: Manifest) -> dict[str, int]:
    pairs = zip(made.frame["patient_key"], made.frame["fold"], strict=True)
    return {key: int(fold) for key, fold in pairs}


def test_a_member_answers_only_for_patients_it_did_not_see(tmp_path: Path, made: Manifest) -> None:
    trusted = trusted_members(model(tmp_path, folds(made)), made.frame["patient_key"])
    assert (trusted.argmax(1) == made.frame["fold"].to_numpy()).all()
    assert (trusted.sum(1) == 1).all()


def test_a_stranger_gets_all_members_and_a_patient_all_trained_on_none(tmp_path: Path) -> None:
    keys = pd.Series(["stranger", "everyone's"])
    found = trusted_members(model(tmp_path, {"everyone's": -2}), keys)
    assert found.tolist() == [[True] * FOLDS, [False] * FOLDS]


def test_answers_are_those_of_the_trusted_members(tmp_path: Path, made: Manifest) -> None:
    full = predict_manifest(made, model(tmp_path / "a", {}), made.frame)
    own = predict_manifest(made, model(tmp_path / "b", folds(made)), made.frame)
    assert (full["members_used"] == FOLDS).all()
    assert (own["members_used"] == 1).all()
    logit = pd.Series(np.log(own["finding"] / (1 - own["finding"])), own.index)
    mean = logit.groupby(made.frame["fold"].astype(int)).mean()
    assert mean.diff().dropna().min() > 2  # members differ by 3


def test_a_patient_that_all_members_saw_is_answered_and_marked(
    tmp_path: Path, made: Manifest
) -> None:
    everyone = dict.fromkeys(made.frame["patient_key"], -2)
    found = predict_manifest(made, model(tmp_path, everyone), made.frame)
    assert (found["members_used"] == 0).all()
    assert found["finding"].between(0, 1).all()


def test_a_row_is_answered_the_same_alone_and_among_others(
    tmp_path: Path, made: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = model(tmp_path, folds(made))
    large = made.frame.index[3]
    made.frame.loc[large, ["y0", "x0", "y1", "x1"]] = [2, 2, 44, 46]  # asks for a larger patch
    together = predict_manifest(made, loaded, made.frame)
    monkeypatch.setattr(predict_rows, "BATCH", 5)
    alone = pd.concat(predict_manifest(made, loaded, made.frame.loc[[i]]) for i in (0, large, 23))
    pd.testing.assert_frame_equal(alone, together.loc[[0, large, 23]], rtol=1e-4)
    pd.testing.assert_frame_equal(predict_manifest(made, loaded, made.frame), together, rtol=1e-4)
