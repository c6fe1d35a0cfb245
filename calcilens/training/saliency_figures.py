"""How good a saliency map is: does it point at the mineral, and does the answer hang on it?

Every function takes the map of one lesion, (S, S) over its patch, and looks at the pixels inside
the lesion view alone: beyond it there is little to find, and a map that is dark there would look
better than it is.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from sklearn.metrics import average_precision_score
from torch import Tensor

from calcilens.models import views
from calcilens.models.saliency import Inputs, likeness

Float = NDArray[np.floating]
Bool = NDArray[np.bool_]

TOLERANCE_PX = 2.0
"""A maximum hits within this distance of the mineral, pixels of the image: the size of a reader's
pointer, and less than a cell of any map."""
SHARES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7)
"""Shares of the lesion view that are taken away or put in; 0 and 1 are added."""
RANDOM_CELLS = 32
"""Cells along a random map: as fine as an attention map, since finer noise erases less."""
SHIFT_PX = (2, -1)
NOISE = 0.01
JITTER = 0.05
_SEED = 0


def inside_view(window: Tensor, size: int) -> Bool:
    """Return which pixels (S, S) of a patch the lesion view (1, 4) shows."""
    seen = views.put_back(torch.ones(1, 1, RANDOM_CELLS, RANDOM_CELLS), window, size)
    return np.asarray(seen[0, 0].numpy() > 0)


def pointing(found: Float, mask: Bool, inside: Bool) -> tuple[bool, float]:
    """Return whether the maximum lies on the mineral, and the chance that any place would.

    The pointing game of Zhang et al. (IJCV 2018), with a tolerance of `TOLERANCE_PX`.
    """
    near = distance_transform_edt(~mask) <= TOLERANCE_PX
    best = np.where(inside, found, -1.0).argmax()
    return bool(near.flat[best]), float(near[inside].mean())


def overlap(found: Float, mask: Bool, inside: Bool) -> tuple[float, float]:
    """Return the area under precision and recall of the map as a segmentation, and its baseline.

    The baseline, what a map without any knowledge reaches, is the mask's share of the view.
    """
    truth = mask[inside]
    return float(average_precision_score(truth, found[inside])), float(truth.mean())


def random_map(window: Tensor, size: int) -> Float:
    """Return a map (S, S) that knows nothing: smooth noise in the lesion view (1, 4)."""
    generator = torch.Generator().manual_seed(_SEED)
    noise = torch.rand(1, 1, RANDOM_CELLS, RANDOM_CELLS, generator=generator)
    return np.asarray(views.put_back(noise, window, size)[0, 0].numpy())


def exchanges(inputs: Inputs, found: Float, inside: Bool) -> tuple[Tensor, Tensor]:
    """Return patches from which the brightest part of the map was deleted, or holds it alone.

    What is gone shows the median of the view around the box (Petsiuk et al., BMVC 2018, with a
    background that is no finding itself).

    Args:
        inputs: Of one lesion.
        found: (S, S) map.
        inside: (S, S) pixels of the lesion view.

    Returns:
        Two of (len(SHARES) + 2, C, S, S): deletion from nothing to all, insertion the same way.
    """
    pixels, box, _ = inputs
    blank = torch.where(torch.from_numpy(inside), _around(pixels, box, inside), pixels)
    tie_break = np.random.default_rng(_SEED).random(found.shape) * 1e-6
    order = np.argsort(np.argsort(-(found + tie_break)[inside]))
    rank = np.full(found.shape, 2.0)
    rank[inside] = (order + 0.5) / len(order)
    shares = np.array([0.0, *SHARES, 1.0])
    chosen = torch.from_numpy(rank < shares[:, None, None])[:, None]
    return torch.where(chosen, blank, pixels), torch.where(chosen, pixels, blank)


def _around(pixels: Tensor, box: Tensor, inside: Bool) -> Tensor:
    """Return the median (1, C, 1, 1) of what the view shows outside the box."""
    at = np.arange(pixels.shape[-1]) + 0.5
    y0, x0, y1, x1 = box[0].tolist()
    in_box = ((at > y0) & (at < y1))[:, None] & ((at > x0) & (at < x1))
    ring = inside & ~in_box if (inside & ~in_box).any() else inside
    return pixels[:, :, torch.from_numpy(ring)].median(2).values[:, :, None, None]


def deletion_and_insertion(
    answer: Callable[[Tensor], Tensor], inputs: Inputs, found: Float, inside: Bool
) -> tuple[float, float]:
    """Return the area under the answer as more of the view is deleted, and as more is inserted.

    Args:
        answer: Patches (N, C, S, S) of this lesion -> probabilities (N,) of 'calcified'.
        inputs: Of one lesion.
        found: (S, S) map.
        inside: (S, S) pixels of the lesion view.
    """
    shares = np.array([0.0, *SHARES, 1.0])
    deleted, inserted = (answer(part).numpy() for part in exchanges(inputs, found, inside))
    return float(np.trapezoid(deleted, shares)), float(np.trapezoid(inserted, shares))


def disturbed(inputs: Inputs) -> Inputs:
    """Return a lesion three times: shifted by `SHIFT_PX`, with noise, with its box jittered.

    Groups of planes that are empty because HU are not known stay empty.
    """
    pixels, box, extent_mm = inputs
    dy, dx = SHIFT_PX
    shifted = pixels.roll(SHIFT_PX, (2, 3)), box + torch.tensor([dy, dx, dy, dx])
    generator = torch.Generator().manual_seed(_SEED)
    noise = NOISE * torch.randn(pixels.shape, generator=generator)
    filled = pixels.amax((2, 3), keepdim=True) > 0
    noisy = (pixels + noise * filled).clamp(0, 1)
    side = (box[:, 2:] - box[:, :2]).repeat(1, 2) * JITTER
    jittered = box + side * torch.tensor([1.0, -1.0, 1.0, -1.0])
    boxes = torch.cat([shifted[1], box, jittered])
    return torch.cat([shifted[0], noisy, pixels]), boxes, extent_mm.expand(3, 3)


def repeatability(maps: Callable[[Inputs], Tensor], inputs: Inputs, found: Tensor) -> float:
    """Return the mean structural similarity of a map (S, S) to those of the lesion disturbed."""
    shifted, noisy, jittered = maps(disturbed(inputs))
    back = shifted.roll((-SHIFT_PX[0], -SHIFT_PX[1]), (0, 1))
    return float(np.mean([likeness(found, other) for other in (back, noisy, jittered)]))
