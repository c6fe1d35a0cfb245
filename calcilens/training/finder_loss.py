"""Loss of a heat map: every lesion cell counts, and of the rest those that look most like one."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from calcilens.models.finder import STRIDE

LESION = 255
_LEAST_SHARE = 0.15
"""Share of a cell that is lesion from which the whole cell is."""
_NEAR = 5
"""Cells across a neighbourhood: what lies so near a lesion is neither right nor wrong."""
_HARDEST, _PER_LESION = 0.03, 3
"""Share of all other cells that teach; at least this many for each such lesion cell."""


def cells(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the cells of a heat map show.

    Args:
        mask: (B, Y, X) uint8: 255 on a lesion, 128 where nobody can tell, else 0.

    Returns:
        (B, 1, Y / 4, X / 4) bool: lesion cells, and cells that surely show none.
    """
    share = F.avg_pool2d((mask == LESION).float()[:, None], STRIDE)
    lesion = share >= _LEAST_SHARE
    some = F.max_pool2d((mask > 0).float()[:, None], STRIDE)
    near = F.max_pool2d(some, _NEAR, stride=1, padding=_NEAR // 2)
    return lesion, near == 0


def finder_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Return the loss of heat maps.

    Half of it is the mean over those lesion cells with the greater losses, half over those other
    cells with the greatest (online hard examples, Shrivastava et al., CVPR 2016): nearly all of a
    film, and much of a dense lesion, is easy.

    Args:
        logits: (B, 1, Y / 4, X / 4).
        mask: (B, Y, X), see `cells`.
    """
    lesion, clear = cells(mask)
    logits = logits.float()
    found = F.softplus(-logits[lesion])
    found = found.topk(-(-found.numel() // 2)).values
    false = F.softplus(logits[clear])
    least = _PER_LESION * found.numel()
    count = min(max(int(_HARDEST * false.numel()), least), false.numel())
    hardest = false.topk(count).values
    return 0.5 * (_mean(found) + _mean(hardest))


def _mean(losses: Tensor) -> Tensor:
    """Return the mean, and 0 of none."""
    return losses.sum() / max(losses.numel(), 1)
