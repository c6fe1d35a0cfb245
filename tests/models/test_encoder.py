from __future__ import annotations

import pytest
import torch

from calcilens.models.encoder import HU_SHARE, STAGES, WIDTHS, Block, Encoder


@pytest.mark.parametrize("planes", [1, 3, 5])
def test_the_relative_group_starts_as_if_it_were_alone_and_hu_nearby(planes: int) -> None:
    alone, grouped = Encoder(planes).mix.weight, Encoder(planes, 3).mix.weight
    relative, *in_hu = torch.split(grouped, planes, dim=1)
    assert torch.equal(relative, alone)
    assert all(torch.equal(part, alone * HU_SHARE) for part in in_hu)


def test_stages_halve_the_resolution_and_the_last_is_the_output() -> None:
    encoder, view = Encoder(3).eval(), torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        stages = encoder.stages(view)
        assert torch.equal(stages[-1], encoder(view))
    assert tuple(stage.shape[1] for stage in stages) == WIDTHS
    assert [stage.shape[-1] for stage in stages] == [32, 16, 8, 4, 4]


def test_the_encoder_is_the_efficientnet_of_monai_with_lite_blocks() -> None:
    from monai.networks.nets.efficientnet import EfficientNet

    names = [f"r{n}_k{k}_s{s}{s}_e{e}_i{i}_o{o}" for k, s, e, i, o, n in STAGES]
    reference = EfficientNet(names, spatial_dims=2, num_classes=1, image_size=64).eval()
    for module in reference.modules():
        if hasattr(module, "_swish"):
            module._swish = torch.nn.ReLU6()
    encoder, view = Encoder(3).eval(), torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        for module in encoder.modules():  # statistics that are not those of a new network
            if isinstance(module, torch.nn.BatchNorm2d):
                module.get_buffer("running_mean").normal_()
                module.get_buffer("running_var").uniform_(0.5, 2)
        state = {k: v for k, v in encoder.state_dict().items() if not k.startswith("mix.")}
        reference.load_state_dict(state, strict=False)
        x = encoder.mix((view - 0.45) / 0.25)
        x = reference._swish(reference._bn0(reference._conv_stem(reference._conv_stem_padding(x))))
        expected = reference._blocks(x)
        assert set(state) <= set(reference.state_dict())
        assert torch.allclose(encoder(view), expected, atol=1e-5)


def test_blocks_are_skipped_in_training_alone_and_on_average_change_nothing() -> None:
    torch.manual_seed(0)
    block = Block(8, 8, 3, stride=1, expansion=2, drop=0.3).eval()
    x = torch.rand(1, 8, 6, 6).expand(4000, -1, -1, -1)
    with torch.no_grad():
        whole = block(x)
        for norm in (block._bn0, block._bn1, block._bn2):
            norm.training = False
        block.training = True
        dropped = block(x)
    kept = ~torch.isclose(dropped, x).flatten(1).all(1)
    assert kept.float().mean() == pytest.approx(0.7, abs=0.03)
    assert torch.allclose(dropped.mean(0), whole.mean(0), atol=0.05)
