"""K-fold training by patient, and the ensemble that remembers who taught which member.

Each member answers, in `evaluate`, only for patients that it did not train on. So the shipped
ensemble reproduces its own cross-validated figures, and on new patients all members answer.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from calcilens.data_manifests.schema import plain_rows, read_manifest, truth
from calcilens.errors import ManifestError, compose
from calcilens.models.ensemble import Ensemble
from calcilens.models.loading import load_model, save_model
from calcilens.models.registry import ModelFile
from calcilens.training.cli import LAST, MODEL_FILE, recipe_path, train
from calcilens.training.evaluate import score
from calcilens.training.export import card_text, describe, known_patterns, make_card
from calcilens.training.exposures import see_exposures
from calcilens.training.held_out import Truth, described, learn
from calcilens.training.predict_rows import answers, see_lesions, see_rows
from calcilens.training.predictions import join
from calcilens.training.saliency_trust import learn_trust
from calcilens.training.samples import CutLesion, LoadLesion, spread
from calcilens.training.transforms import VaryLesion

JUDGED = 3000
"""Held-out lesions of each source, at most, that an ensemble learns of itself from."""


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

    def looks(self) -> int:
        """Return how many lesions `assemble` looks at: each twice."""
        frame = read_manifest(self.manifest).frame
        return 2 * len(_judged(frame[frame["fold"].notna()]))

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
        gc.collect()  # a trainer refers to itself: its patches would stay beside the next fold's

    def assemble(self, advance: Callable[[int], None] = lambda rows: None) -> ModelFile:
        """Put the folds' networks together, calibrated, with card and figures.

        Args:
            advance: Is told how many lesions were looked at since the last call.
        """
        manifest = read_manifest(self.manifest)
        frame = truth(manifest.frame[manifest.frame["fold"].notna()])
        folds = self.folds()
        models = [load_model(self.folder(fold) / MODEL_FILE) for fold in folds]
        ensemble = Ensemble(models[0].card["network"], len(folds), known_patterns(frame)).eval()
        for member, model in zip(ensemble.members, models, strict=True):
            member.load_state_dict(model.network.first.state_dict())
        judged = _judged(frame)
        held, rows = judged["fold"].to_numpy(int)[:, None] == folds, plain_rows(judged)
        spec = ensemble.first.spec
        vary, load = VaryLesion(manifest, spec), LoadLesion(manifest, spec)
        seen = see_rows(manifest, ensemble, judged, held, advance)
        changed = (vary(row, seed) for seed, row in enumerate(rows))
        varied = see_lesions(ensemble, changed, held, advance)
        cut, modality = CutLesion(manifest, spec), models[0].card["modality"]
        taught = np.flatnonzero(~held[:, 0])
        strange = see_exposures(ensemble, lambda i: cut(rows[i]), taught.tolist(), modality)
        learn(ensemble, seen, varied, Truth.of(judged), strange)
        calcified = (judged["finding_truth"] == 1).to_numpy(bool)
        learn_trust(ensemble, lambda i: load(rows[i]), calcified, held)
        found = answers(ensemble, seen, judged.index).assign(members_used=1)
        card = self._card(frame, folds, models[0].card) | {"answers": described(ensemble)}
        card |= figures_of(join(judged, found.assign(row_id=judged["row_id"]), self.name))
        return save_model(ensemble, card, self.out / f"{self.name}.safetensors")

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


def _judged(frame: pd.DataFrame) -> pd.DataFrame:
    """Return up to `JUDGED` rows of each source, evenly spread."""
    sources = frame.reset_index().groupby("source").indices.values()
    chosen = [places[spread(len(places), JUDGED)] for places in sources]
    return frame.iloc[np.sort(np.concatenate(chosen))]


def figures_of(judged: pd.DataFrame) -> dict[str, Any]:
    """Return the figures of a card: of all rows, and where there are several sources, of each."""
    figures: dict[str, Any] = {"figures": score(judged).as_json()}
    sources = sorted(set(judged["source"]))
    if len(sources) > 1:
        by_source = {s: score(judged[judged["source"] == s]).as_json() for s in sources}
        figures["figures_by_source"] = by_source
    return figures
