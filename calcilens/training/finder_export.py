"""From a trained finder to its file: the threshold is chosen on films that were held out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from calcilens import DISCLAIMER, __version__
from calcilens.imaging.films import LONGEST_PX
from calcilens.models.film_search import groups
from calcilens.models.finder import Finder, heat_map
from calcilens.models.finder_file import save_finder
from calcilens.models.registry import ModelFile
from calcilens.training.export import require_finite
from calcilens.training.film_data import FilmData
from calcilens.training.film_draws import FilmSample
from calcilens.training.finder_loss import cells
from calcilens.training.finder_task import FinderTask

Text = Mapping[str, Any]
FALSE_A_FILM = 0.9
"""Of the thresholds that give no more false places a film, the lowest of those is taken that find
most. One that is too low makes one place of the whole film, and finds nothing."""
_THRESHOLDS = np.round(np.arange(0.3, 0.99, 0.02), 2)
_OVERLAP = 0.2
_ONE = 0.5
"""Threshold by which a mask, which is 0 or 1, is grouped as a heat map is."""


def write_finder(task: FinderTask, data: FilmData, weights: Path, text: Text) -> ModelFile:
    """Write the network of one run as a finder that `predict` takes.

    Args:
        task: The trained task.
        data: What it was trained with.
        weights: Path of the safetensors file; its card goes beside it.
        text: What only a person can say of it, for the card.

    Raises:
        ModelError: Training went astray: a weight is NaN or infinite.
    """
    network = task.network.eval()
    require_finite(network)
    threshold, figures = choose_threshold(network, data.val.films)
    card = {
        "name": weights.stem,
        "version": __version__,
        "date": date.today().isoformat(),
        "disclaimer": DISCLAIMER,
        "modality": "radiograph",
        **text,
        "network": {"width": int(task.hparams["width"])},
        "start": str(task.hparams["start"]),
        "longest_px": LONGEST_PX,
        "threshold": threshold,
        "training_data": described(data),
        "patients": {line["person"]: None for line in data.told if line["background"] == "real"},
        "figures": {"films_held_out": figures},
    }
    return save_finder(network, card, weights)


def described(data: FilmData) -> dict[str, Any]:
    """Return counts of the training data for the card."""
    return {
        "films": dict(Counter(line["background"] for line in data.told)),
        "kinds": dict(sorted(Counter(k for line in data.told for k in line["kinds"]).items())),
        "films_held_out": len(data.val.films),
    }


def choose_threshold(
    network: Finder, films: Sequence[FilmSample]
) -> tuple[float, dict[str, float]]:
    """Return the threshold that finds most at few false places, and what it finds.

    Args:
        network: In evaluation mode.
        films: That it has not learned from.
    """
    seen = [(heat_map(network, film.pixels.astype(np.float32)), film.mask) for film in films]
    rows = [(float(t), *found_and_false(seen, float(t))) for t in _THRESHOLDS]
    few = [row for row in rows if row[2] <= FALSE_A_FILM * len(films)]
    threshold, found, false, lesions = max(few, key=lambda row: row[1], default=rows[-1])
    return threshold, {
        "films": len(films),
        "lesions": lesions,
        "recall": round(found / max(lesions, 1), 4),
        "false_a_film": round(false / len(films), 4),
    }


def found_and_false(
    seen: Sequence[tuple[NDArray[np.float32], NDArray[np.uint8]]], threshold: float
) -> tuple[int, int, int]:
    """Count lesions found, places that lie on none, and lesions.

    A lesion is found where the places that touch it cover the same cells to a fifth or more: one
    place over half of the film finds nothing.

    Args:
        seen: Heat maps (Y / 4, X / 4) and masks (Y, X) of films.
        threshold: See `groups`.
    """
    found = false = lesions = 0
    for heat, mask in seen:
        numbers, scores = groups(heat, threshold)
        lesion, clear = _cells(mask, heat.shape)
        truth, count = groups(lesion.astype(np.float32), _ONE)
        lesions += len(count)
        found += sum(_is_found(truth == i, numbers) for i in range(1, len(count) + 1))
        false += len(scores) - len(set(numbers[~clear].tolist()) - {0})
    return found, false, lesions


def _is_found(lesion: NDArray[np.bool_], numbers: NDArray[np.int32]) -> bool:
    touching = np.isin(numbers, list(set(numbers[lesion].tolist()) - {0}))
    return bool((lesion & touching).sum() >= _OVERLAP * (lesion | touching).sum())


def _cells(mask: NDArray[np.uint8], shape: tuple[int, ...]) -> tuple[NDArray, NDArray]:  # type: ignore[type-arg]
    """Return lesion cells and clear cells (Y, X) of a whole film's heat map."""
    room = [(0, 4 * n - m) for n, m in zip(shape, mask.shape, strict=True)]
    lesion, clear = cells(torch.from_numpy(np.pad(mask, room))[None])
    return lesion[0, 0].numpy(), clear[0, 0].numpy()
