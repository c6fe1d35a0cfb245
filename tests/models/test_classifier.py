from __future__ import annotations

import pytest
import torch
from torch import Tensor

from calcilens.errors import UsageError
from calcilens.models.classifier import LesionClassifier, PatternOutput, Profile
from calcilens.training.losses import lesion_loss
from calcilens.vocabulary import PATTERN_KEYS
from tests.training.made import patch_batch

Inputs = tuple[Tensor, Tensor, Tensor]


def network(planes: int = 3) -> LesionClassifier:
    torch.manual_seed(0)
    return LesionClassifier(planes, 32, lesion_px=32, context_px=32)


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


def test_a_size_known_in_the_plane_only_changes_nothing_but_the_depth() -> None:
    features = Profile(3)
    pixels, box, extent = inputs()
    unknown = extent.clone()
    unknown[:, 0] = torch.nan
    differs = (features.raw(pixels, box, extent) != features.raw(pixels, box, unknown)).any(0)
    assert differs.nonzero()[:, 0].tolist() == [features.width - 8, features.width - 7]


def test_the_loss_reaches_every_parameter() -> None:
    net = network()
    with torch.no_grad():  # the profile's first layer must not be dead by chance
        net.profile.standardise_by(net.profile.raw(*inputs(32)))
    targets = {
        "finding": torch.tensor([0.0, 1.0] * 8),
        "concern": torch.tensor([1.0, 0.25] * 8),
        "pattern": torch.eye(18)[:16],
        "weight": torch.ones(16),
    }
    answers = net.answers(net.branches(*inputs(16)))
    torch.stack([lesion_loss(answer, targets) for answer in answers]).sum().backward()  # type: ignore[no-untyped-call]
    without = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_profile_features_are_standardised_by_the_set_they_were_taken_from() -> None:
    profile, batch = Profile(3), inputs(64)
    profile.standardise_by(profile.raw(*batch))
    features = (profile.raw(*batch) - profile.centre) / profile.spread
    assert features.mean(0).abs().max() < 1e-3
    assert profile(*batch).abs().max() <= Profile.LIMIT


def test_the_profile_sees_brightness_inside_the_box_apart_from_outside() -> None:
    profile, box = Profile(1), torch.tensor([[12.0, 12.0, 20.0, 20.0]])
    extent = torch.full((1, 3), torch.nan)
    inside, outside = torch.zeros(1, 1, 32, 32), torch.zeros(1, 1, 32, 32)
    inside[..., 12:20, 12:20] = 1
    outside[..., 24:32, 24:32] = 1
    core = slice(0, len(Profile.LEVELS))
    assert profile.raw(inside, box, extent)[0, core].min() > 0.99
    assert profile.raw(outside, box, extent)[0, core].max() < 0.01


def test_an_even_number_of_planes_is_refused() -> None:
    with pytest.raises(UsageError, match="odd number of planes"):
        LesionClassifier(planes=4)
