"""K-fold training by patient, and the ensemble that remembers who taught which member.

Each member answers, in `evaluate`, only for patients that it did not train on. So the shipped
ensemble reproduces its own cross-validated figures, and on new patients all members answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from calcilens.data_manifests.schema import Manifest, read_manifest, truth
from calcilens.errors import ManifestError, compose
from calcilens.models.ensemble import Ensemble
from calcilens.models.loading import LoadedModel, load_model, save_model
from calcilens.models.registry import ModelFile
from calcilens.training.cli import LAST, MODEL_FILE, recipe_path, train
from calcilens.training.evaluate import evaluate
from calcilens.training.export import card_text, describe, known_patterns, make_card
from calcilens.training.predict_rows import predict_manifest, profiles

HEADS = ("finding", "concern")


@dataclass(frozen=True)
class CrossValidation:
    """Where one cross-validation lies.

    Args:
        config: Recipe, by name or path.
        manifest: Manifest whose column `fold` is filled.
        out: Folder: one sub-folder a fold, and the ensemble.
        name: Name of the ensemble.
    """

    config: str
    manifest: Path
    out: Path
    name: str

    def folds(self) -> list[int]:
        """Return the folds of the manifest.

        Raises:
            ManifestError: The column is empty or has a single fold.
        """
        folds = sorted(int(f) for f in read_manifest(self.manifest).frame["fold"].dropna().unique())
        if len(folds) < 2:
            raise ManifestError(
                compose(
                    "at least 2 folds",
                    f"{len(folds)}",
                    where=self.manifest.name,
                    fix="`calcilens manifest split MANIFEST --folds 5` makes them",
                )
            )
        return folds

    def folder(self, fold: int) -> Path:
        """Return the folder of one fold's run."""
        return self.out / f"fold-{fold}"

    def fit(self, fold: int, extra: Sequence[str] = ()) -> None:
        """Train one fold; one that is done is left alone, a stopped one goes on."""
        folder = self.folder(fold)
        if (folder / MODEL_FILE).is_file():
            return
        args = ["--config", str(recipe_path(self.config)), "--data.manifest", str(self.manifest)]
        args += ["--data.fold", str(fold), "--out", str(folder), *extra]
        if (folder / LAST).is_file():
            args += ["--ckpt_path", str(folder / LAST)]
        train(args)

    def assemble(self) -> ModelFile:
        """Put the folds' networks together, calibrated, with card and figures."""
        manifest = read_manifest(self.manifest)
        frame = truth(manifest.frame[manifest.frame["fold"].notna()])
        folds = self.folds()
        models = [load_model(self.folder(fold) / MODEL_FILE) for fold in folds]
        ensemble = Ensemble(models[0].card["network"], len(folds), known_patterns(frame))
        for member, model in zip(ensemble.members, models, strict=True):
            member.load_state_dict(model.network.first.state_dict())
        found = _held_out(manifest, frame, folds, models)
        logits = _log_odds(found)
        for i, fold in enumerate(folds):
            _calibrate(ensemble, i, frame, logits, frame["fold"] != fold)
        limit = round(ensemble.learn_usual(profiles(manifest, models[0], frame)), 3)
        card = self._card(frame, folds, models[0].card) | {"out_of_domain_limit": limit}
        path = self.out / f"{self.name}.safetensors"
        save_model(ensemble, card, path)
        figures = evaluate(manifest, load_model(path)).as_json()
        return save_model(ensemble, card | {"figures": figures}, path)

    def _card(self, frame: pd.DataFrame, folds: list[int], one: dict[str, Any]) -> dict[str, Any]:
        pairs = zip(frame["patient_key"], frame["fold"], strict=True)
        card = make_card(
            self.name,
            modality=one["modality"],
            network=one["network"],
            known=known_patterns(frame),
            patients={key: int(fold) for key, fold in pairs},
            members=[{"held_out": fold} for fold in folds],
            data=describe(frame),
        )
        return card | card_text(recipe_path(self.config))


def _held_out(
    manifest: Manifest, frame: pd.DataFrame, folds: list[int], models: list[LoadedModel]
) -> pd.DataFrame:
    """Return the predictions of every row by the model that held it out, in the rows' order."""
    parts = [
        predict_manifest(manifest, model, frame[frame["fold"] == fold])
        for fold, model in zip(folds, models, strict=True)
    ]
    return pd.concat(parts).loc[frame.index]


def _log_odds(found: pd.DataFrame) -> NDArray[np.float64]:
    """Return (N, 2) log-odds of finding and concern."""
    p = found[list(HEADS)].to_numpy(np.float64).clip(1e-6, 1 - 1e-6)
    odds: NDArray[np.float64] = np.log(p / (1 - p))
    return odds


def _calibrate(
    ensemble: Ensemble,
    index: int,
    frame: pd.DataFrame,
    logits: NDArray[np.float64],
    others: pd.Series,
) -> None:
    """Fit slope and offset of a member on the other folds' held-out answers (Platt 1999).

    Neither the member's own training rows nor the rows that it will be judged on are used.
    """
    for column, head in enumerate(HEADS):
        target = frame[f"{head}_truth"].astype(float).to_numpy()
        rows = others.to_numpy(bool) & np.isfinite(target)
        if len(np.unique(target[rows])) < 2:
            continue
        fit = LogisticRegression(C=1e6).fit(logits[rows, column : column + 1], target[rows])
        with torch.no_grad():
            ensemble.slope[index, column] = float(fit.coef_[0, 0])
            ensemble.offset[index, column] = float(fit.intercept_[0])
