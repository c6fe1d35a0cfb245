"""Weights files: read and written as safetensors, with a card beside them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from calcilens.errors import ModelError, UsageError, compose
from calcilens.files import usual_mode, whole
from calcilens.imaging.patches import PatchSpec
from calcilens.models.card_facts import number
from calcilens.models.ensemble import Ensemble
from calcilens.models.registry import Loaded, ModelFile, find
from calcilens.models.weights_file import load_into, read_state
from calcilens.vocabulary import PATTERN_KEYS

MOST_MEMBERS = 32
"""A card that asks for more is broken or hostile."""
_MOST_PLANES, _SIZES_PX = 99, (8, 2048)


@dataclass(frozen=True, eq=False)
class LoadedModel(Loaded):
    """A network ready to predict, and what is known of it."""

    network: Ensemble
    file: ModelFile

    @property
    def spec(self) -> PatchSpec:
        """How patches for this model are cut."""
        return self.network.first.spec


def load_model(name_or_path: str | Path | ModelFile) -> LoadedModel:
    """Load a model by name, path or file, checked against its card.

    Raises:
        ModelError: No such model, it finds lesions instead, or the weights are damaged or do not
            fit their card.
    """
    file = find(name_or_path, finds=False)
    file.verify()
    card = file.card
    try:
        if len(card["members"]) > MOST_MEMBERS:
            raise UsageError(f"{len(card['members'])} members, at most {MOST_MEMBERS} are taken")
        _check_sizes(card["network"], file.card_path.name)
        state = read_state(file)
        first = "slope" in state
        network = Ensemble(
            card["network"], len(card["members"]), card["patterns"], by_profile=first
        )
        load_into(network, _of_today(state, network, card), file)
        _check_patterns(network, card["patterns"])
        _check_modality(network.first.spec, card["modality"])
    except (KeyError, TypeError, ValueError, RuntimeError, UsageError) as error:
        raise ModelError(
            compose(
                "weights and a card that fit together",
                str(error).splitlines()[0],
                where=file.weights.name,
            )
        ) from error
    return LoadedModel(network.eval(), file)


def _of_today(
    state: dict[str, torch.Tensor], network: Ensemble, card: Mapping[str, Any]
) -> dict[str, torch.Tensor]:
    """Return the state of weights that were written before calibration had modules of its own.

    Their limit of the domain stands on the card.
    """
    if "slope" not in state:
        return state
    names = {
        "slope": "calibration.slope",
        "offset": "calibration.offset",
        "usual": "domain.mean",
        "precision": "domain.precision",
    }
    moved = {new: state[old][None] for old, new in names.items()}
    moved["domain.limit"] = torch.tensor(float(card.get("out_of_domain_limit", torch.inf)))
    kept = {key: value for key, value in state.items() if key not in names}
    fresh = {k: v for k, v in network.state_dict().items() if not k.startswith("members.")}
    return fresh | kept | moved


def _check_patterns(network: Ensemble, stated: Collection[str]) -> None:
    """Hold the card's patterns against those that the weights were taught."""
    taught = [key for key, known in zip(PATTERN_KEYS, network.known, strict=True) if known]
    if set(stated) != set(taught):
        raise UsageError(f"patterns {', '.join(stated)} in the card, {', '.join(taught)} taught")


def _check_sizes(network: Mapping[str, Any], where: str) -> None:
    """Refuse sizes of which patches alone would fill the memory."""
    if "planes" in network:
        number(network, "planes", 1, _MOST_PLANES, where=where, whole=True)
    for key in {"size", "lesion_px", "context_px"} & network.keys():
        number(network, key, *_SIZES_PX, where=where, whole=True)


def _check_modality(spec: PatchSpec, modality: str) -> None:
    """Hold the card's modality against what the network is given: HU are of a CT alone."""
    asks = {"percentile": "radiograph", "hu_window": "CT", "hu_and_relative": "CT"}
    meant = asks.get(spec.intensity, modality)
    if modality not in ("CT", "radiograph") or meant != modality:
        raise UsageError(f"modality {modality} on the card, intensity {spec.intensity} of {meant}")


def save_model(network: Ensemble, card: Mapping[str, Any], weights: Path) -> ModelFile:
    """Write weights (half precision) and card; both appear whole or not at all.

    Args:
        network: What to write.
        card: Everything but sha256, which is added here.
        weights: Path of the safetensors file; the card goes beside it as .json.
    """
    weights.parent.mkdir(parents=True, exist_ok=True)
    state = {k: _halved(k, v) for k, v in network.state_dict().items()}
    with whole(weights) as part:
        save_file(state, part)
        part.chmod(usual_mode(0o666))  # safetensors writes for the owner alone
    file = ModelFile(weights.stem, weights, weights.with_suffix(".json"))
    file.write_card({**card, "sha256": file.sha256})
    return file


def _halved(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Keep statistics and calibration in full: half precision could round them to 0."""
    exact = not name.startswith("members.") or "running_" in name or ".profile." in name
    small = tensor.half() if tensor.is_floating_point() and not exact else tensor
    return small.contiguous()
