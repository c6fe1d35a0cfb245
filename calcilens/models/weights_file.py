"""Tensors of a weights file, and whether a network can work with them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from calcilens.errors import ModelError, compose
from calcilens.models.registry import ModelFile


def read_state(file: ModelFile) -> dict[str, Tensor]:
    """Return the tensors of a weights file, in single precision.

    Raises:
        ModelError: It is no safetensors file.
    """
    try:
        stored = load_file(file.weights)
    except (OSError, SafetensorError) as error:
        found, where = type(error).__name__, file.weights.name
        raise ModelError(compose("a safetensors file", found, where=where)) from error
    return {k: v.float() if v.is_floating_point() else v for k, v in stored.items()}


def load_into(network: nn.Module, state: Mapping[str, Tensor], file: ModelFile) -> None:
    """Give a fresh network its weights.

    What is not finite in a fresh network stands for "not known" and may be so in a file, too.

    Raises:
        RuntimeError: Names or shapes do not fit.
        ModelError: A weight is NaN or infinite: the network would answer with silence.
    """
    known = [k for k, v in network.state_dict().items() if torch.isfinite(v).all()]
    network.load_state_dict(state)
    for name in known:
        if not torch.isfinite(state[name]).all():
            found = f"NaN or infinity in {name}"
            fix = "train it again, or take another copy"
            raise ModelError(compose("finite weights", found, where=file.weights.name, fix=fix))
