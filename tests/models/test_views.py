from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from calcilens.models import views

SIZE = 64


def blob(y: int, x: int) -> Tensor:
    """A patch (1, 1, 64, 64) with a spot whose brightest pixel is (y, x)."""
    at = torch.arange(SIZE, dtype=torch.float32)
    distance = (at[:, None] - y).square() + (at[None, :] - x).square()
    return (-distance / 8).exp()[None, None]


def peak(image: Tensor) -> tuple[int, int]:
    return divmod(int(image[0, 0].argmax()), image.shape[-1])


@given(
    st.integers(4, SIZE - 5),
    st.integers(4, SIZE - 5),
    st.sampled_from([(0, 0, 64, 64), (-20, -30, 70, 80), (-64, -64, 128, 128), (1.5, 0.5, 62, 63)]),
)
def test_what_was_seen_returns_to_its_pixel(
    y: int, x: int, window: tuple[float, float, float, float]
) -> None:
    where = torch.tensor([window], dtype=torch.float32)
    view = views.sample(blob(y, x), where, 192)
    back = peak(views.put_back(view, where, SIZE))
    assert max(abs(back[0] - y), abs(back[1] - x)) == 0


@pytest.mark.parametrize("window", [(0, 0, 24, 24), (40, 40, 64, 64), (-10, 30, 20, 60)])
def test_a_small_window_at_the_border_returns_every_pixel_inside(
    window: tuple[int, int, int, int],
) -> None:
    where = torch.tensor([window], dtype=torch.float32)
    smooth = torch.nn.functional.avg_pool2d(torch.rand(1, 1, SIZE, SIZE), 9, 1, 4)
    back = views.put_back(views.sample(smooth, where, 96), where, SIZE)
    y0, x0, y1, x1 = (min(max(edge, 0), SIZE) for edge in window)
    inner = (..., slice(y0 + 1, y1 - 1), slice(x0 + 1, x1 - 1))
    torch.testing.assert_close(back[inner], smooth[inner], atol=0.01, rtol=0)
    outside = torch.ones(SIZE, SIZE, dtype=torch.bool)
    outside[y0:y1, x0:x1] = False
    assert (back[0, 0][outside] == 0).all()


def test_mirroring_patch_and_window_mirrors_the_view() -> None:
    patch, window = torch.rand(1, 3, SIZE, SIZE), torch.tensor([[3.0, 10.0, 40.0, 70.0]])
    mirrored = torch.tensor([[3.0, SIZE - 70.0, 40.0, SIZE - 10.0]])
    view = views.sample(patch, window, 32)
    torch.testing.assert_close(views.sample(patch.flip(-1), mirrored, 32), view.flip(-1))
    back = views.put_back(view.flip(-1), mirrored, SIZE)
    torch.testing.assert_close(back, views.put_back(view, window, SIZE).flip(-1))


def test_the_whole_patch_as_window_is_the_patch_resized() -> None:
    patch = torch.rand(1, 2, SIZE, SIZE)
    view = views.sample(patch, torch.tensor([[0.0, 0.0, SIZE, SIZE]]), SIZE)
    assert view.shape == patch.shape
    torch.testing.assert_close(view.mean(), patch.mean(), atol=1e-3, rtol=0)


def test_the_lesion_window_is_square_about_the_box_and_no_smaller_than_asked() -> None:
    box = torch.tensor([[10.0, 10.0, 20.0, 40.0], [5.0, 5.0, 6.0, 6.0]])
    window = views.lesion_window(box, 1.5, 12.0)
    assert window.tolist() == [[-7.5, 2.5, 37.5, 47.5], [-0.5, -0.5, 11.5, 11.5]]


def test_the_context_window_shows_a_length_in_mm_where_spacing_is_known() -> None:
    box = torch.tensor([[20.0, 20.0, 40.0, 40.0]] * 2)
    extent = torch.tensor([[5.0, 10.0, 10.0], [5.0, torch.nan, torch.nan]])
    window = views.context_window(box, extent, side_mm=40.0, side_px=48.0)
    assert (window[:, 2] - window[:, 0]).tolist() == [80.0, 48.0]


def test_the_stretched_window_follows_the_shape_of_the_box() -> None:
    window = views.stretched_window(torch.tensor([[10.0, 10.0, 20.0, 40.0]]), 2.0)
    assert window.tolist() == [[5.0, -5.0, 25.0, 55.0]]
