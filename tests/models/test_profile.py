from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from calcilens.models.profile import Profile
from tests.training.made import patch_batch

Inputs = tuple[Tensor, Tensor, Tensor]
HU_KNOWN, HU_UNKNOWN = 1.0, 0.0


def inputs(count: int = 4, planes: int = 3) -> Inputs:
    batch = patch_batch(count, planes)
    pixels, box, extent = (torch.from_numpy(batch[k]) for k in ("pixels", "box", "extent_mm"))
    return pixels, box, extent


def in_hu(count: int = 64, unknown: int = 16) -> Inputs:
    """Patches of 3 groups of 3 planes, the HU of the first `unknown` ones not known."""
    pixels, box, extent = inputs(count, 9)
    pixels[:unknown, 3:] = 0
    return pixels, box, extent


def test_a_size_known_in_the_plane_only_changes_nothing_but_the_depth() -> None:
    features = Profile(3)
    pixels, box, extent = inputs()
    unknown = extent.clone()
    unknown[:, 0] = torch.nan
    differs = (features.raw(pixels, box, extent) != features.raw(pixels, box, unknown)).any(0)
    assert differs.nonzero()[:, 0].tolist() == [features.width - 8, features.width - 7]


def test_features_are_standardised_by_the_set_they_were_taken_from() -> None:
    profile, batch = Profile(3), inputs(64)
    profile.standardise_by(profile.raw(*batch))
    assert profile.standardised(profile.raw(*batch)).mean(0).abs().max() < 1e-3
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


@pytest.mark.parametrize("planes", [1, 3, 5])
def test_the_relative_group_is_read_as_if_it_were_alone(planes: int) -> None:
    pixels, box, extent = inputs(4, 3 * planes)
    alone, with_hu = Profile(planes), Profile(planes, 3)
    assert torch.equal(
        with_hu.raw(pixels, box, extent)[:, : alone.width],
        alone.raw(pixels[:, :planes], box, extent),
    )


def test_where_hu_are_not_known_their_features_are_at_their_mean_and_a_flag_says_so() -> None:
    profile, batch = Profile(3, 3), in_hu(unknown=16)
    raw = profile.raw(*batch)
    assert raw[:, -1].tolist() == [HU_UNKNOWN] * 16 + [HU_KNOWN] * 48
    profile.standardise_by(raw)
    z = profile.standardised(raw)
    assert (z[:16, profile.hu_from : -1] == 0).all()
    torch.testing.assert_close(z[:, -1].abs(), torch.ones(64))


def test_input_with_hu_and_without_is_standardised_apart() -> None:
    profile, batch = Profile(3, 3), in_hu(unknown=32)
    raw = profile.raw(*batch)
    raw[:32, : profile.hu_from] += 5
    profile.standardise_by(raw)
    z = profile.standardised(raw)[:, : profile.hu_from]
    for kind in (z[:32], z[32:]):
        assert kind.mean(0).abs().max() < 1e-3


def test_a_kind_of_input_with_few_rows_takes_the_standard_of_all() -> None:
    profile, relative = Profile(3, 3), Profile(3)
    raw = profile.raw(*in_hu(unknown=Profile.ENOUGH - 1))
    profile.standardise_by(raw)
    relative.standardise_by(raw[:, : relative.width])
    torch.testing.assert_close(profile.centre[0, : relative.width], relative.centre)


@pytest.mark.parametrize("unknown", [0, 64])
def test_a_set_in_which_hu_are_always_or_never_known_gives_finite_features(unknown: int) -> None:
    profile, batch = Profile(3, 3), in_hu(unknown=unknown)
    profile.standardise_by(profile.raw(*batch))
    assert profile(*batch).isfinite().all()
    assert profile(*in_hu(unknown=32)).isfinite().all()


def test_padding_a_patch_to_the_largest_of_its_batch_changes_no_feature() -> None:
    profile, (pixels, box, extent) = Profile(3, size=32), inputs()
    padded = F.pad(pixels, (0, 17, 0, 17), mode="replicate")
    wanted = profile.raw(pixels, box, extent)
    torch.testing.assert_close(profile.raw(padded, box, extent), wanted, atol=1e-4, rtol=0)


def test_a_lesion_larger_than_the_usual_patch_is_read_to_its_margin() -> None:
    profile, box = Profile(1, size=32), torch.tensor([[10.0, 10.0, 50.0, 50.0]])
    patch, extent = torch.zeros(1, 1, 70, 70), torch.full((1, 3), torch.nan)
    patch[..., 69, 69] = 1.0  # 1.75 times the box is 70 pixels
    maximum = len(Profile.ZONES) * (len(Profile.LEVELS) + 2) + len(Profile.PATCH_LEVELS) - 1
    assert profile.raw(patch, box, extent)[0, maximum] == 1
