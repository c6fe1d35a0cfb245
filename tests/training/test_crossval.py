from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from calcilens.commands.console import guarded
from calcilens.data_manifests.schema import read_manifest, truth
from calcilens.errors import ManifestError
from calcilens.models.loading import load_model
from calcilens.training import crossval
from calcilens.training.cli import LAST, MODEL_FILE
from calcilens.training.crossval import CrossValidation
from calcilens.training.evaluate import score
from calcilens.training.predict_rows import predict_manifest
from calcilens.training.predictions import join
from tests.training.evaluation_cases import guesses, labelled
from tests.training.made import BRIEF, FOLDS, saved, stacks

pytestmark = pytest.mark.usefixtures("alone")
SHORT = [*BRIEF, "--trainer.max_epochs=1"]


def test_cross_validation_ends_in_an_ensemble_that_answers_out_of_fold(
    manifest: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from calcilens.cli import app

    words = ["crossval", "--config", "lidc-ct", "--manifest", str(manifest), "--json"]
    words += ["--out", str(tmp_path), "--name", "mine", *SHORT]
    assert guarded(lambda: app(words)) == 0
    figures = json.loads(capsys.readouterr().out)

    model, made = load_model(tmp_path / "mine.safetensors"), read_manifest(manifest)
    found = predict_manifest(made, model, made.frame)
    assert (found["members_used"] == 1).all()
    assert figures["members_used"] == {"1": len(made)}
    assert figures["n_seen_in_training"] == 0
    assert model.card["figures"] == figures
    assert "undecided" in model.card["answers"]
    assert "figures_by_source" not in model.card  # there is one
    assert [m["held_out"] for m in model.card["members"]] == list(range(FOLDS))
    for i in range(FOLDS):  # each member is the network that held its fold out
        alone = load_model(tmp_path / f"fold-{i}" / MODEL_FILE)
        held = set(made.frame.loc[made.frame["fold"] == i, "patient_key"])
        assert not held & set(alone.card["patients"])
        state = model.network.members[i].state_dict()
        wanted = alone.network.first.state_dict()
        assert all(torch.equal(state[name], wanted[name]) for name in wanted)

    monkeypatch.setattr(crossval, "train", _must_not_train)
    assert guarded(lambda: app(words)) == 0  # all folds are done


def _must_not_train(args: Sequence[str]) -> None:
    raise AssertionError("a fold that is done was trained again")


def test_a_stopped_fold_goes_on_from_its_last_epoch(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = CrossValidation("ct", manifest, tmp_path, "mine")
    calls: list[list[str]] = []
    monkeypatch.setattr(crossval, "train", lambda args: calls.append(list(args)))
    run.fit(0)
    run.folder(1).mkdir()
    (run.folder(1) / LAST).touch()
    run.fit(1)
    assert "--ckpt_path" not in calls[0]
    assert calls[1][-2:] == ["--ckpt_path", str(run.folder(1) / LAST)]


def test_two_sources_have_figures_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crossval, "score", partial(score, resamples=20))
    given = labelled(tmp_path, 30)
    frame = join(truth(given.frame), guesses(given), "guesses")
    assert crossval.figures_of(frame).keys() == {"figures"}
    frame["source"] = np.where(frame["split"] == "test", "phantoms", "lidc")
    found = crossval.figures_of(frame)["figures_by_source"]
    assert {name: part["n"] for name, part in found.items()} == {"lidc": 40, "phantoms": 20}
    assert found["lidc"] == score(frame[frame["source"] == "lidc"], resamples=20).as_json()


@pytest.mark.parametrize("fold", [None, 0])
def test_fewer_than_two_folds_are_refused(tmp_path: Path, fold: int | None) -> None:
    made = stacks(tmp_path, 6)
    made.frame["fold"] = pd.array([fold] * 6, "Int64")
    path = saved(made, tmp_path / "m.parquet")
    with pytest.raises(ManifestError, match=r"m\.parquet: expected at least 2 folds"):
        CrossValidation("ct", path, tmp_path, "mine").folds()
