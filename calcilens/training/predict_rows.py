"""Run a model over the rows of a manifest, each member only where it has not been taught."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from calcilens.data_manifests.schema import Manifest, plain_rows
from calcilens.models.abstention import REASONS
from calcilens.models.ensemble import Ensemble, Seen
from calcilens.models.loading import LoadedModel
from calcilens.training.predictions import PATTERN_COLUMNS, WHY_COLUMNS
from calcilens.training.samples import LoadLesion
from calcilens.vocabulary import PATTERN_KEYS

BATCH = 32
INPUTS = ("pixels", "box", "extent_mm")


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
        On the index of `rows` what `answers` gives, and members_used: how many members answered
        that had not been taught on this patient; 0 where all had, and then all answered.
    """
    trusted = trusted_members(model, rows["patient_key"])
    used = trusted.sum(1)
    trusted[used == 0] = True
    seen = see_rows(manifest, model.network, rows, trusted)
    return answers(model.network, seen, rows.index).assign(members_used=used)


def see_rows(
    manifest: Manifest,
    network: Ensemble,
    rows: pd.DataFrame,
    trusted: NDArray[np.bool_],
    advance: Callable[[int], None] = lambda rows: None,
) -> Seen:
    """Cut the patch of every row once and run the networks.

    Args:
        manifest: Where the images are.
        network: What to run.
        rows: Rows of its frame.
        trusted: (N, members) which members are asked for which row.
        advance: Is told how many rows were done since the last call.
    """
    load = LoadLesion(manifest, network.first.spec)
    return see_lesions(network, map(load, plain_rows(rows)), trusted, advance)


def see_lesions(
    network: Ensemble,
    lesions: Iterable[Mapping[str, Any]],
    trusted: NDArray[np.bool_],
    advance: Callable[[int], None] = lambda rows: None,
) -> Seen:
    """Run the networks on N samples, some at a time; arguments as for `see_rows`."""
    parts, left = [], iter(lesions)
    for start in range(0, len(trusted), BATCH):
        asked = torch.from_numpy(trusted[start : start + BATCH])
        batch = list(islice(left, len(asked)))
        parts.append(_see(network, batch, asked))
        advance(len(asked))
    return Seen(*(torch.cat(tables) for tables in zip(*parts, strict=True)))


def answers(network: Ensemble, seen: Seen, index: pd.Index) -> pd.DataFrame:
    """Turn what the networks saw into a table.

    Returns:
        On `index`: finding, concern, pattern_<key> (probabilities), out_of_domain (distance from
        the training set), pattern_set (list of keys, where the model has sets), abstained_finding,
        abstained_pattern and abstained_concern (the reason, empty where there is an answer),
        abstained (whether the finding has none).
    """
    with torch.inference_mode():
        said = network.judge(seen)
    singles = {name: getattr(said, name).numpy() for name in ("finding", "concern")}
    patterns = dict(zip(PATTERN_COLUMNS, said.pattern.numpy().T, strict=True))
    numbers = singles | {"out_of_domain": said.out_of_domain.numpy()} | patterns
    frame = pd.DataFrame(numbers, index).astype(np.float64)
    reasons = [[str(REASONS[code]) for code in codes] for codes in said.why.tolist()]
    frame[list(WHY_COLUMNS)] = pd.DataFrame(reasons, index, dtype=object)
    if network.sets.fitted:
        held = [np.flatnonzero(row) for row in said.pattern_set.numpy()]
        frame["pattern_set"] = pd.Series([[PATTERN_KEYS[i] for i in row] for row in held], index)
    return frame.assign(abstained=frame["abstained_finding"] != "")


def _see(network: Ensemble, lesions: Sequence[Mapping[str, Any]], asked: Tensor) -> Seen:
    """See patches of one size together; larger ones come by themselves."""
    sizes = np.array([lesion["pixels"].shape[-1] for lesion in lesions])
    groups = [np.flatnonzero(sizes == size) for size in np.unique(sizes)]
    parts = []
    with torch.inference_mode():
        for group in groups:
            stacks = [np.stack([lesions[int(i)][name] for i in group]) for name in INPUTS]
            pixels, box, extent_mm = map(torch.from_numpy, stacks)
            parts.append(network.see((pixels, box, extent_mm), asked[group]))
    order = torch.from_numpy(np.argsort(np.concatenate(groups)))
    return Seen(*(torch.cat(tables)[order] for tables in zip(*parts, strict=True)))
