"""Texture: a description of how brightness changes, not of where anything lies."""

from __future__ import annotations

import pytest
import torch

from calcilens.models.texture import STEPS, TEXTURES, texture


def drawn(seed: int = 0, side: int = 48) -> torch.Tensor:
    return torch.rand(3, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("side", [8, 17, 48])
def test_a_picture_of_any_size_is_described(side: int) -> None:
    found = texture(drawn(side=side))
    assert found.shape == (3, TEXTURES)
    assert torch.isfinite(found).all()


def test_a_mirrored_picture_has_the_same_texture_and_a_turned_one_swaps_the_axes() -> None:
    picture = drawn()
    found = texture(picture)
    torch.testing.assert_close(texture(picture.flip(1, 2)), found)
    turned = texture(picture.transpose(1, 2))
    per_axis = found[:, : 8 * len(STEPS)].reshape(3, len(STEPS), 2, 4)
    torch.testing.assert_close(turned[:, : 8 * len(STEPS)], per_axis.flip(2).flatten(1))
    torch.testing.assert_close(turned[:, 8 * len(STEPS) :], found[:, 8 * len(STEPS) :])


def test_differences_are_quantiles_as_torch_gives_them() -> None:
    picture = drawn()
    change = (picture[:, 4:] - picture[:, :-4]).abs().flatten(1)
    wanted = torch.log(change.quantile(torch.tensor([0.5, 0.9, 0.99]), 1).T + 1e-3)
    place = 8 * STEPS.index(4)
    torch.testing.assert_close(texture(picture)[:, place : place + 3], wanted, atol=2e-3, rtol=0)


def test_blur_lowers_change_over_a_pixel_and_leaves_brightness() -> None:
    noise = drawn()
    wide = torch.nn.functional.avg_pool2d(noise[:, None], 9, 1, 4, count_include_pad=False)[:, 0]
    sharp, smooth = texture(noise), texture(wide)
    assert (smooth[:, :8] < sharp[:, :8] - 1).all()
    median = 8 * len(STEPS) + 4 + 4
    torch.testing.assert_close(smooth[:, median], sharp[:, median], atol=0.05, rtol=0)


def test_saturation_shows_in_the_share_of_the_brightest() -> None:
    found = texture((drawn() * 2).clamp(max=1))
    assert found[:, -1].exp().tolist() == pytest.approx([0.5] * 3, abs=0.03)
    assert (found[:, -2].exp() < 0.01).all()
