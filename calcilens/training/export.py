"""From a trained task to a weights file with its card."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from calcilens import DISCLAIMER, __version__
from calcilens.errors import ModelError, compose
from calcilens.models.classifier import LesionClassifier
from calcilens.models.ensemble import Ensemble
from calcilens.models.loading import save_model
from calcilens.models.registry import ModelFile
from calcilens.training.datamodule import LesionData
from calcilens.training.exposures import see_exposures
from calcilens.training.held_out import Truth, described, learn
from calcilens.training.predict_rows import see_lesions
from calcilens.training.saliency_trust import learn_trust
from calcilens.training.samples import spread
from calcilens.training.task import LesionTask
from calcilens.vocabulary import ABSENT, PATTERN_KEYS

TAUGHT_SAMPLE = 2000
"""Training lesions that what is usual is learnt from."""
HELD_SAMPLE = 6000
"""Validation lesions, at most, that all else which the model knows of itself is learnt from."""
CONCERN_THRESHOLDS = (0.3, 0.7)
"""Where `intermediate` and `high` concern begin; a convention until readers set them."""


def write_model(task: LesionTask, data: LesionData, weights: Path) -> ModelFile:
    """Write the network of one run as a model that `predict` and `evaluate` take.

    Args:
        task: The trained task.
        data: What it was trained with.
        weights: Path of the safetensors file; its card goes beside it.

    Raises:
        ModelError: Training went astray: a weight is NaN or infinite.
    """
    _, train, held = data.rows()
    known = known_patterns(train)
    hparams = task.hparams
    network_args = dict(hparams["network"] or {})
    ensemble = Ensemble(network_args, 1, known).eval()
    ensemble.members[0].load_state_dict(task.network.state_dict())
    require_finite(task.network)
    modality = str(hparams["modality"])
    _learn_held_out(ensemble, modality, data, train, held)
    card = make_card(
        weights.stem,
        modality=modality,
        network=network_args,
        known=known,
        patients={key: None for key in train["patient_key"]},
        members=[{"held_out": -1}],
        data=describe(train) | {"validation_rows": len(held)},
    )
    return save_model(ensemble, card | {"answers": described(ensemble)}, weights)


def _learn_held_out(
    ensemble: Ensemble, modality: str, data: LesionData, train: pd.DataFrame, held: pd.DataFrame
) -> None:
    """Fill the state of the model: calibrated by the validation rows, usual as in training."""
    taught, judged = spread(len(train), TAUGHT_SAMPLE).tolist(), spread(len(held), HELD_SAMPLE)
    lesions = chain(map(data.train.plain, taught), map(data.val.plain, judged.tolist()))
    asked = np.arange(len(taught) + len(judged))[:, None] >= len(taught)
    changed = (data.val.varied(index, seed=index) for index in judged.tolist())
    varied = see_lesions(ensemble, changed, np.ones((len(judged), 1), bool))
    seen = see_lesions(ensemble, lesions, asked)
    strange = see_exposures(ensemble, data.train.patches.__getitem__, taught, modality)
    learn(ensemble, seen, varied, Truth.of(held.iloc[judged]), strange)
    calcified = (held["finding_truth"] == 1).to_numpy(bool)
    learn_trust(ensemble, data.val.plain, calcified, np.ones((len(held), 1), bool))


def require_finite(network: nn.Module) -> None:
    """Refuse a network that training led astray.

    Raises:
        ModelError: A weight is NaN or infinite.
    """
    for name, tensor in network.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise ModelError(
                compose("finite weights", f"NaN or infinity in {name}", fix="no model was written")
            )


def known_patterns(frame: pd.DataFrame) -> list[str]:
    """Return the patterns that readers named at least once, in the vocabulary's order."""
    named: set[str] = set()
    for column in ("pattern", "pattern_votes"):
        for cell in frame[column]:
            named |= set(cell) if isinstance(cell, list | np.ndarray) else set()
    return [key for key in PATTERN_KEYS if key in named - {ABSENT}]


def card_text(recipe: Path) -> dict[str, Any]:
    """Return what only a person can say of a model: the .card.json beside its recipe."""
    path = recipe.with_suffix(".card.json")
    text: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return text


def describe(frame: pd.DataFrame) -> dict[str, Any]:
    """Return counts of the training data for the card."""
    return {
        "sources": sorted(set(frame["source"])),
        "rows": len(frame),
        "patients": int(frame["patient_key"].nunique()),
        "calcified": int((frame["finding_truth"] == 1).sum()),
        "concerning": int((frame["concern_truth"] == 1).sum()),
        "with_concern_label": int(frame["concern_truth"].notna().sum()),
    }


def make_card(
    name: str,
    *,
    modality: str,
    network: Mapping[str, Any],
    known: Sequence[str],
    patients: Mapping[str, int | None],
    members: Sequence[Mapping[str, int]],
    data: Mapping[str, Any],
) -> dict[str, Any]:
    """Compose a card: what is needed to load the model, and what a reader must know.

    Args:
        name: Name of the model.
        modality: CT or radiograph.
        network: Keyword arguments of `LesionClassifier`.
        known: Patterns it was taught.
        patients: Salted key of every patient it was trained on, with the fold.
        members: For each member the fold that it did not see; -1 where it saw all.
        data: Counts of the training data.
    """
    spec = LesionClassifier(**network).spec
    return {
        "name": name,
        "version": __version__,
        "date": date.today().isoformat(),
        "modality": modality,
        "network": dict(network),
        "patch": {"planes": spec.planes, "size": spec.size, "intensity": spec.intensity},
        "heads": ["finding", "pattern", "concern"],
        "patterns": list(known),
        "concern_thresholds": list(CONCERN_THRESHOLDS),
        "training_data": dict(data),
        "members": [dict(member) for member in members],
        "patients": dict(sorted(patients.items())),
        "intended_use": f"Research on lesions given by their boxes. {DISCLAIMER}",
        "limits": [
            f"Trained on {data['rows']} lesions of {data['patients']} patients; "
            "its author has stated no other limits."
        ],
        "figures": {},
    }
