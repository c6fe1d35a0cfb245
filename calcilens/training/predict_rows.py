"""Run a model over the rows of a manifest, each member only where it has not been taught."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from calcilens.data_manifests.schema import Manifest, plain_rows
from calcilens.models.loading import LoadedModel
from calcilens.training.samples import LoadLesion
from calcilens.vocabulary import PATTERN_KEYS

BATCH = 32


def trusted_members(model: LoadedModel, patient_keys: pd.Series) -> NDArray[np.bool_]:
    """Tell which members did not train on which patient.

    Args:
        model: A model whose card lists `patients` (key -> fold) and `members`
            (`held_out`: the fold not trained on).
        patient_keys: (N,) keys of the rows.

    Returns:
        (N, members) bool.
    """
    folds: dict[str, int | None] = model.card.get("patients", {})
    held = [member["held_out"] for member in model.card["members"]]
    unseen = [[True] * len(held)] * len(patient_keys)
    trusted = np.array(unseen, bool)
    for i, key in enumerate(patient_keys):
        if key in folds:
            trusted[i] = [folds[key] == fold for fold in held]
    return trusted


def predict_manifest(manifest: Manifest, model: LoadedModel, rows: pd.DataFrame) -> pd.DataFrame:
    """Predict rows.

    Args:
        manifest: Where the images are.
        model: What to run.
        rows: Rows of its frame.

    Returns:
        On the index of `rows`: finding, concern, pattern_<key> for each pattern (probabilities),
        out_of_domain (distance from the training set),
        abstained (bool), members_used (how many members answered that had not been taught on
        this patient; 0 where all had, and then all answered).
    """
    trusted = trusted_members(model, rows["patient_key"])
    used = trusted.sum(1)
    trusted[used == 0] = True
    load = LoadLesion(manifest, model.spec)
    parts = []
    plain = plain_rows(rows)
    for start in range(0, len(plain), BATCH):
        lesions = [load(row) for row in plain[start : start + BATCH]]
        parts.append(_predict(model, lesions, trusted[start : start + BATCH]))
    frame = pd.DataFrame(np.concatenate(parts), rows.index, _COLUMNS)
    return frame.assign(abstained=False, members_used=used)


def profiles(manifest: Manifest, model: LoadedModel, rows: pd.DataFrame) -> Tensor:
    """Return the raw profile features (N, width) of rows."""
    load = LoadLesion(manifest, model.spec)
    profile = model.network.first.profile
    lesions = (
        [_stack([lesion[name]]) for name in _INPUTS] for lesion in map(load, plain_rows(rows))
    )
    return torch.cat([profile.raw(*inputs) for inputs in lesions])


_INPUTS = ("pixels", "box", "extent_mm")
_COLUMNS = ["finding", "concern", "out_of_domain", *(f"pattern_{key}" for key in PATTERN_KEYS)]


def _predict(
    model: LoadedModel, lesions: list[dict[str, NDArray[np.float32]]], trusted: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Predict patches of one size together; larger ones come one by one."""
    out = np.empty((len(lesions), len(_COLUMNS)))
    sizes = np.array([lesion["pixels"].shape[-1] for lesion in lesions])
    for size in np.unique(sizes):
        index = np.flatnonzero(sizes == size)
        pixels, box, extent_mm = (
            _stack([lesions[i][name] for i in index]) for name in ("pixels", "box", "extent_mm")
        )
        some = torch.from_numpy(trusted[index])
        found = model.network.predict(pixels, box, extent_mm, some)
        single = torch.stack([found.finding, found.concern, found.out_of_domain], 1)
        out[index] = torch.cat([single, found.pattern], 1).numpy()
    return out


def _stack(arrays: list[NDArray[np.float32]]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))
