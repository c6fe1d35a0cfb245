"""Files of finders: read and written as safetensors, with a card beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from calcilens.errors import ModelError, compose
from calcilens.files import usual_mode, whole
from calcilens.models.card_facts import number
from calcilens.models.finder import Finder
from calcilens.models.registry import FINDS, Loaded, ModelFile, find
from calcilens.models.weights_file import load_into, read_state

_WIDTHS = (1, 1024)
_SIDES_PX = (64, 4096)
"""A film smaller than a few cells shows nothing; a larger one needs more memory than there is."""
_THRESHOLDS = (0.001, 0.999)
"""Anything else reports either every place of a film or none."""


@dataclass(frozen=True, eq=False)
class LoadedFinder(Loaded):
    """A finder ready to look.

    Args:
        network: In evaluation mode.
        file: Where it comes from.
        longest_px: Longest side of a film that it looks at.
        threshold: Probability at its brightest from which a place is reported.
    """

    network: Finder
    file: ModelFile
    longest_px: int
    threshold: float


def load_finder(name_or_path: str | Path | ModelFile) -> LoadedFinder:
    """Load a finder by name, path or file, checked against its card.

    Raises:
        ModelError: No such model, it finds nothing, the weights are damaged or do not fit, or the
            card asks for what no finder can do.
    """
    file = find(name_or_path, finds=True)
    file.verify()
    card = file.card
    if card["modality"] != "radiograph":
        found = f"one for {card['modality']}"
        raise ModelError(compose("a finder for radiographs", found, where=file.name))
    where = file.card_path.name
    longest = int(number(card, "longest_px", *_SIDES_PX, where=where, whole=True))
    threshold = float(number(card, "threshold", *_THRESHOLDS, where=where))
    width = int(number(card["network"], "width", *_WIDTHS, where=where, whole=True))
    network = Finder(width)
    try:
        load_into(network, read_state(file), file)
    except RuntimeError as error:
        found = str(error).splitlines()[0]
        fitting = "weights and a card that fit together"
        raise ModelError(compose(fitting, found, where=file.weights.name)) from error
    network = network.eval().to(memory_format=torch.channels_last)
    return LoadedFinder(network, file, longest, threshold)


def save_finder(network: Finder, card: Mapping[str, Any], weights: Path) -> ModelFile:
    """Write weights (half precision) and card; both appear whole or not at all.

    Args:
        network: What to write.
        card: Everything but task and sha256, which are added here.
        weights: Path of the safetensors file; the card goes beside it as .json.
    """
    weights.parent.mkdir(parents=True, exist_ok=True)
    state = {k: _halved(k, v) for k, v in network.state_dict().items()}
    with whole(weights) as part:
        save_file(state, part)
        part.chmod(usual_mode(0o666))  # safetensors writes for the owner alone
    file = ModelFile(weights.stem, weights, weights.with_suffix(".json"))
    file.write_card({**card, "task": FINDS, "sha256": file.sha256})
    return file


def _halved(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Keep statistics in full: half precision could round them to 0."""
    small = tensor.is_floating_point() and "running_" not in name
    return (tensor.half() if small else tensor).contiguous()
