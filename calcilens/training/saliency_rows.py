"""Saliency over the rows of a manifest that have a mask: figures of a model, and of each lesion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from calcilens.data_manifests.schema import Manifest, plain_rows
from calcilens.errors import ManifestError, compose
from calcilens.models.loading import LoadedModel
from calcilens.models.saliency import TRUSTED, Explainer, Inputs, method_of
from calcilens.training import saliency_figures as figures
from calcilens.training.metrics import Interval, interval, mean_of, resample
from calcilens.training.predict_rows import trusted_members
from calcilens.training.samples import LoadLesion, spread

Bool = figures.Bool


@dataclass(frozen=True, eq=False)
class JudgedMap:
    """The map of one lesion, cut to the lesion view, and its figures."""

    row_id: str
    patient_key: str
    patterns: tuple[str, ...]
    plane: figures.Float
    mask: Bool
    values: figures.Float
    numbers: dict[str, float]


@dataclass(frozen=True)
class PatternMaps:
    """Where the maps of one pattern's lesions point."""

    n: int
    hits: float
    auprc: float
    area: float


@dataclass(frozen=True)
class SaliencyFigures:
    """How good the maps of a model are; means over lesions unless said otherwise."""

    n: int
    """Calcified lesions with a mask that shows mineral on their key plane."""
    method: str
    tolerance_px: float
    hits: float
    """Share of the maps whose maximum lies on the mineral or within the tolerance."""
    hits_by_chance: float
    auprc: float
    area: float
    """Share of the lesion view that is mineral: the AUPRC of a map that knows nothing."""
    deletion: float
    deletion_random: float
    insertion: float
    insertion_random: float
    shown: float
    """Share of the maps that pass the test by shuffled weights."""
    repeatability: float
    trust: float
    """Median of 1 minus the likeness to the map of a network with shuffled weights."""
    auprc_over_area: float
    hits_ci95: Interval | None
    by_pattern: dict[str, PatternMaps]


def judge_maps(
    manifest: Manifest,
    model: LoadedModel,
    rows: pd.DataFrame,
    limit: int,
    advance: Callable[[int], None] = lambda rows: None,
) -> list[JudgedMap]:
    """Make and judge the maps of calcified lesions with a mask.

    Args:
        manifest: Where the images and masks are.
        model: Whose maps; members that trained on a lesion's patient are not asked.
        rows: Rows of the manifest with their truth.
        limit: At most so many, spread evenly over the rows.
        advance: Is told how many rows were done since the last call.

    Raises:
        ManifestError: There is none.
    """
    masked = rows[rows["mask"].notna() & (rows["finding_truth"] == 1)]
    if masked.empty:
        raise ManifestError(
            compose("calcified lesions with a mask of the mineral", "none", where="column mask")
        )
    chosen = masked.iloc[spread(len(masked), limit)]
    trusted = trusted_members(model, chosen["patient_key"])
    explainer, load = Explainer(model.network), LoadLesion(manifest, model.spec)
    judged = []
    for row, asked in zip(plain_rows(chosen), trusted, strict=True):
        members = list(compress(explainer.members, asked)) or explainer.members
        judged.append(_judge(explainer, members, load(row), row))
        advance(1)
    return [one for one in judged if one is not None]


def _judge(
    explainer: Explainer, members: Sequence[Any], sample: dict[str, Any], row: dict[str, Any]
) -> JudgedMap | None:
    """Judge one map; None where the key plane shows no mineral in the lesion view."""
    arrays = (sample[name] for name in ("pixels", "box", "extent_mm"))
    pixels, box, extent_mm = (torch.from_numpy(array)[None] for array in arrays)
    inside = figures.inside_view(members[0].windows(box, extent_mm)[0], pixels.shape[-1])
    mask = sample["mask"][0] > 0.5
    if not mask[inside].any():
        return None
    numbers, values = _numbers(explainer, members, (pixels, box, extent_mm), mask, inside)
    rows, cols = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
    part = slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
    plane = sample["pixels"][members[0].spec.planes // 2]
    return JudgedMap(
        row_id=row["row_id"],
        patient_key=row["patient_key"],
        patterns=tuple(row["pattern"] or ()),
        plane=plane[part],
        mask=mask[part],
        values=values[part],
        numbers=numbers,
    )


def _numbers(
    explainer: Explainer, members: Sequence[Any], inputs: Inputs, mask: Bool, inside: Bool
) -> tuple[dict[str, float], figures.Float]:
    found = explainer.maps(inputs, members)[0]
    values = found.numpy()
    window = members[0].windows(*inputs[1:])[0]
    control = figures.random_map(window, len(values))
    answer = _answer(members, inputs)
    hit, chance = figures.pointing(values, mask, inside)
    auprc, area = figures.overlap(values, mask, inside)
    deletion, insertion = figures.deletion_and_insertion(answer, inputs, values, inside)
    by_chance = figures.deletion_and_insertion(answer, inputs, control, inside)
    trust = explainer.trust(inputs, found)
    numbers = {
        "hit": float(hit and values.any()),
        "hit_by_chance": chance,
        "auprc": auprc,
        "area": area,
        "insertion": insertion,
        "insertion_random": by_chance[1],
        "deletion": deletion,
        "deletion_random": by_chance[0],
        "trust": trust,
        "shown": float(trust >= TRUSTED and values.any()),
        "repeatability": figures.repeatability(lambda i: explainer.maps(i, members), inputs, found),
    }
    return numbers, values


def _answer(members: Sequence[Any], inputs: Inputs) -> Callable[[Tensor], Tensor]:
    """Return what gives the probability of 'calcified' (N,) for other pixels of the same lesion."""
    _, box, extent_mm = inputs

    def answer(pixels: Tensor) -> Tensor:
        count = len(pixels)
        given = pixels, box.expand(count, 4), extent_mm.expand(count, 3)
        with torch.inference_mode():
            return torch.stack([member(*given).finding.sigmoid() for member in members]).mean(0)

    return answer


def saliency_figures(judged: Sequence[JudgedMap], model: LoadedModel) -> SaliencyFigures:
    """Put the figures of lesions together.

    Raises:
        ManifestError: There are none.
    """
    if not judged:
        raise ManifestError(compose("a mask with mineral on the key plane", "none"))
    table = pd.DataFrame([one.numbers for one in judged])
    mean = table.mean().rename({"hit": "hits", "hit_by_chance": "hits_by_chance"})
    patient = np.array([one.patient_key for one in judged])
    resampled = resample(patient, mean_of(table["hit"].to_numpy()))
    rest: dict[str, Any] = {
        "hits_ci95": interval(resampled),
        "auprc_over_area": float(mean["auprc"] / mean["area"]),
        "trust": float(table["trust"].median()),
        "by_pattern": _by_pattern(judged, table),
    }
    means = {str(name): float(value) for name, value in mean.items()}
    method = method_of(model.network.first)
    return SaliencyFigures(len(judged), method, figures.TOLERANCE_PX, **means | rest)


def _by_pattern(judged: Sequence[JudgedMap], table: pd.DataFrame) -> dict[str, PatternMaps]:
    named = sorted({key for one in judged for key in one.patterns})
    found = {}
    for key in named:
        part = table[[key in one.patterns for one in judged]]
        means = (float(part[name].mean()) for name in ("hit", "auprc", "area"))
        found[key] = PatternMaps(len(part), *means)
    return found
