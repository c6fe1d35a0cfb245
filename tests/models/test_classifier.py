from __future__ import annotations

from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from calcilens.errors import UsageError
from calcilens.models.classifier import LesionClassifier, PatternOutput
from calcilens.models.loading import load_model
from calcilens.models.registry import find
from calcilens.training.losses import lesion_loss
from calcilens.vocabulary import PATTERN_KEYS
from tests.training.made import patch_batch

Inputs = tuple[Tensor, Tensor, Tensor]


def network(planes: int = 3, **options: Any) -> LesionClassifier:
    torch.manual_seed(0)
    return LesionClassifier(planes, 32, lesion_px=32, context_px=32, **options)


def inputs(count: int = 4, planes: int = 3) -> Inputs:
    batch = patch_batch(count, planes)
    pixels, box, extent = (torch.from_numpy(batch[k]) for k in ("pixels", "box", "extent_mm"))
    return pixels, box, extent


def test_a_lesion_gets_the_same_answer_alone_and_in_a_batch() -> None:
    net, batch = network().eval(), inputs()
    with torch.no_grad():
        together = net(*batch)
        alone = [net(*(part[i : i + 1] for part in batch)) for i in range(4)]
    for name in PatternOutput._fields:
        single = torch.cat([getattr(answer, name) for answer in alone])
        torch.testing.assert_close(single, getattr(together, name), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("planes", [1, 3, 5])
def test_answers_have_one_logit_a_head_and_one_a_pattern(planes: int) -> None:
    with torch.no_grad():
        out = network(planes).eval()(*inputs(2, planes))
    assert out.finding.shape == out.concern.shape == (2,)
    assert out.pattern.shape == (2, len(PATTERN_KEYS))


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_constant_patches_and_unknown_sizes_give_finite_answers_and_gradients(level: float) -> None:
    net = network()
    pixels, box, extent = inputs()
    out = net(torch.full_like(pixels, level), box, torch.full_like(extent, torch.nan))
    sum(part.sum() for part in out).backward()
    assert all(torch.isfinite(part).all() for part in out)
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)


@pytest.mark.parametrize("attention", [False, True])
def test_the_loss_reaches_every_parameter_where_no_row_has_a_mask(attention: bool) -> None:
    net = network(attention=attention)
    with torch.no_grad():  # the profile's first layer must not be dead by chance
        net.profile.standardise_by(net.profile.raw(*inputs(32)))
    targets = {
        "finding": torch.tensor([0.0, 1.0] * 8),
        "concern": torch.tensor([1.0, 0.25] * 8),
        "pattern": torch.eye(18)[:16],
        "weight": torch.ones(16),
        "pattern_weight": torch.ones(16),
    }
    answers = net.answers(net.branches(*inputs(16)))
    torch.stack([lesion_loss(answer, targets) for answer in answers]).sum().backward()  # type: ignore[no-untyped-call]
    without = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@pytest.mark.parametrize("intensity", ["plane_minmax", "hu_and_relative", "percentile"])
def test_a_network_takes_as_many_channels_as_its_specification_gives(intensity: str) -> None:
    planes = 1 if intensity == "percentile" else 3
    net = network(planes, intensity=intensity)
    with torch.no_grad():
        assert net.eval()(*inputs(2, net.spec.channels)).pattern.shape == (2, len(PATTERN_KEYS))


@pytest.mark.parametrize("changed", ["judge_in_hu.", ""])
@pytest.mark.parametrize("layer", ["measure.1.bias", "look.1.bias", "heads.0.bias"])
def test_each_kind_of_input_has_its_own_judge(changed: str, layer: str) -> None:
    net = network(intensity="hu_and_relative").eval()
    pixels, box, extent = inputs(4, 9)
    pixels[:2, 3:] = 0
    with torch.no_grad():
        before = net(pixels, box, extent).finding
        net.get_parameter(changed + layer).add_(1.0)
        moved = (net(pixels, box, extent).finding - before).abs() > 1e-3
    assert moved.tolist() == ([False] * 2 + [True] * 2 if changed else [True] * 2 + [False] * 2)


def test_without_attention_the_parameters_are_those_of_released_weights() -> None:
    file = find("lidc-ct")
    keys = load_file(file.weights).keys()
    stored = {k.removeprefix("members.0.") for k in keys if k.startswith("members.0.")}
    assert stored == set(LesionClassifier(**file.card["network"]).state_dict())


RELEASED = {
    "finding": [-3.226075, -4.926454, -4.318831],
    "concern": [-0.142267, 0.387689, 0.272110],
}
"""Logits of the first member of lidc-ct, as on the day of its release, on the inputs below."""


def test_released_weights_answer_as_they_did_when_they_were_released() -> None:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(3, 5, 128, 128, generator=generator)
    low = torch.rand(3, 2, generator=generator) * 30 + 40
    box = torch.cat([low, low + torch.rand(3, 2, generator=generator) * 30 + 5], 1)
    extent = torch.rand(3, 3, generator=generator) * 12 + 3
    extent[2] = torch.nan
    with torch.inference_mode():
        out = load_model("lidc-ct").network.first(pixels, box, extent)
    for name, wanted in RELEASED.items():
        torch.testing.assert_close(getattr(out, name), torch.tensor(wanted), atol=1e-4, rtol=0)


def test_attention_covers_the_lesion_view_at_half_its_resolution() -> None:
    net, batch = network(attention=True), inputs(2)
    with torch.no_grad():
        branches = net.branches(*batch)
    assert branches.attention is not None
    assert branches.attention.shape == (2, 1, 16, 16)
    assert torch.equal(branches.window, net.windows(batch[1], batch[2])[0])


def test_the_two_views_may_differ_in_size() -> None:
    torch.manual_seed(0)
    net = LesionClassifier(3, 32, lesion_px=48, context_px=32, attention=True).eval()
    with torch.no_grad():
        assert net(*inputs(2)).finding.isfinite().all()


def test_what_attention_picks_changes_the_answer() -> None:
    net, batch = network(attention=True).eval(), inputs(2)
    with torch.no_grad():
        before = net(*batch).finding
        net.get_parameter("attention.score.bias").fill_(3.0)
        assert not torch.equal(net(*batch).finding, before)


def test_an_even_number_of_planes_is_refused() -> None:
    with pytest.raises(UsageError, match="odd number of planes"):
        LesionClassifier(planes=4)
