"""Windows that a network looks through: cut out of a patch inside the network.

A window is (y0, x0, y1, x1) in patch pixels, edges of pixels, so that (0, 0, S, S) is the whole
patch. Sampling and putting back use the same map, which is what makes a saliency map exact.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def lesion_window(box: Tensor, zoom: float, least: float) -> Tensor:
    """Return the square window around a lesion.

    Args:
        box: (B, 4) lesion boxes (y0, x0, y1, x1), patch pixels.
        zoom: Side of the window in units of the box's longer side.
        least: Smallest side, pixels.

    Returns:
        (B, 4) windows.
    """
    side = (box[:, 2:] - box[:, :2]).amax(1).mul(zoom).clamp(min=least)
    return _square(box, side)


def context_window(box: Tensor, extent_mm: Tensor, side_mm: float, side_px: float) -> Tensor:
    """Return the square window that shows the surroundings at a known scale.

    Args:
        box: (B, 4) lesion boxes, patch pixels.
        extent_mm: (B, 3) size of the box along (z, y, x), mm; NaN where not calibrated.
        side_mm: Side of the window, mm.
        side_px: Side where the image has no calibrated spacing, pixels.
    """
    size_px = box[:, 2:] - box[:, :2]
    px_per_mm = (size_px / extent_mm[:, 1:]).mean(1)
    side = torch.nan_to_num(px_per_mm * side_mm, nan=side_px, posinf=side_px)
    return _square(box, torch.maximum(side, size_px.amax(1) * 1.5))


def stretched_window(box: Tensor, zoom: float) -> Tensor:
    """Return the window that stretches the box to a square, `zoom` times as wide."""
    centre = (box[:, :2] + box[:, 2:]) / 2
    half = (box[:, 2:] - box[:, :2]).clamp(min=3) * zoom / 2
    return torch.cat([centre - half, centre + half], 1)


def _square(box: Tensor, side: Tensor) -> Tensor:
    centre = (box[:, :2] + box[:, 2:]) / 2
    half = side[:, None] / 2
    return torch.cat([centre - half, centre + half], 1)


def sample(pixels: Tensor, window: Tensor, size: int) -> Tensor:
    """Look at `pixels` through windows.

    Every output pixel is the mean of 2 x 2 bilinear samples, against aliasing; outside the
    patch its edge repeats.

    Args:
        pixels: (B, P, S, S).
        window: (B, 4), patch pixels.
        size: Height and width of the view.

    Returns:
        (B, P, size, size).
    """
    grid = _grid(window, pixels.shape[-1], 2 * size).to(pixels.dtype)
    fine = F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    return F.avg_pool2d(fine, 2)


def put_back(view: Tensor, window: Tensor, size: int) -> Tensor:
    """Put maps of views back into the patch grid; 0 outside the window.

    Args:
        view: (B, C, h, w) maps, each over its whole window.
        window: (B, 4), patch pixels.
        size: Height and width of the patch.

    Returns:
        (B, C, size, size).
    """
    centre = (window[:, :2] + window[:, 2:]) / 2
    side = window[:, 2:] - window[:, :2]
    # The patch seen from the window's own coordinates is a window of the view.
    h, w = view.shape[-2:]
    per_pixel = torch.stack([h / side[:, 0], w / side[:, 1]], 1)
    lo = (0 - centre) * per_pixel + torch.tensor([h / 2, w / 2], device=view.device)
    hi = (size - centre) * per_pixel + torch.tensor([h / 2, w / 2], device=view.device)
    inverse = torch.cat([lo, hi], 1)
    grid = _grid(inverse, (h, w), size).to(view.dtype)
    inside = (grid.abs() <= 1).all(-1)[:, None]
    values = F.grid_sample(view, grid, padding_mode="border", align_corners=False)
    return values * inside


def _grid(window: Tensor, length: int | tuple[int, int], size: int) -> Tensor:
    """Return the sampling grid (B, size, size, 2) of pixel centres, in -1..1 as torch wants it."""
    h, w = (length, length) if isinstance(length, int) else length
    steps = (torch.arange(size, device=window.device, dtype=torch.float32) + 0.5) / size
    y = window[:, 0:1] + (window[:, 2:3] - window[:, 0:1]) * steps
    x = window[:, 1:2] + (window[:, 3:4] - window[:, 1:2]) * steps
    y, x = 2 * y / h - 1, 2 * x / w - 1
    shape = (len(window), size, size)
    return torch.stack([x[:, None, :].expand(shape), y[:, :, None].expand(shape)], -1)
