"""Where a calcification may be: dense pieces of a CT that are neither bone nor contrast."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import ArrayLike, NDArray

from calcilens.imaging.anatomy import Anatomy, Mask, anatomy
from calcilens.imaging.doubts import is_mimic, may_be_vessel
from calcilens.imaging.grouping import group_pieces
from calcilens.imaging.images import Image, Radiograph, Volume
from calcilens.imaging.pieces import Piece, find_pieces

GIVEN = "given in"
"""How `why` begins where a lesion was not found here, but named by the user."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A place to look at.

    Args:
        id: Stable name, made of the image's UIDs and the box.
        box: (2, 3) half-open voxel box, start and stop in (z, y, x).
        mask: The lesion's voxels, box-shaped, or None where only a box is known.
        why: Why it was proposed, in words.
        outline_sd: Standard deviation of the mask's lengths, as a share of them, where software
            drew it on a film; 0 where it is taken as drawn.
    """

    id: str
    box: NDArray[np.int64]
    mask: Mask | None
    why: str
    outline_sd: float = 0.0

    @property
    def key_plane(self) -> int:
        """Plane that shows most of the lesion; where only a box is known, its middle."""
        start, stop = (int(z) for z in self.box[:, 0])
        if self.mask is None or not self.mask.any():
            return (start + stop - 1) // 2
        area = self.mask.sum((1, 2))
        fullest = np.flatnonzero(area == area.max())
        return start + int(fullest[(len(fullest) - 1) // 2])

    @property
    def is_given(self) -> bool:
        """Whether it was named by the user."""
        return self.why.startswith(GIVEN)

    @property
    def members(self) -> list[Mask]:
        """Box-shaped masks of the connected pieces, the largest first; none without a mask."""
        if self.mask is None:
            return []
        labels, count = cc3d.connected_components(self.mask, connectivity=26, return_N=True)
        masks = [labels == label for label in range(1, count + 1)]
        return sorted(masks, key=lambda mask: -int(mask.sum()))


def candidate(image: Image, box: ArrayLike, mask: Mask | None, why: str) -> Candidate:
    """Make a candidate with an id that depends on the image and the box alone."""
    b = np.asarray(box, np.int64)
    text = f"{image.series_uid}|{image.planes[0].sop_uid}|{b.ravel().tolist()}"
    return Candidate("L" + hashlib.sha256(text.encode()).hexdigest()[:12], b, mask, why)


def propose(image: Image, bone: Mask | None = None) -> list[Candidate]:
    """Propose calcifications, those with most mineral first.

    A radiograph yields none: its lesions are given by hand.

    Args:
        image: CT or radiograph.
        bone: (Z, Y, X) bones of a CT from elsewhere; by default they are found here.
    """
    if isinstance(image, Radiograph):
        return []
    ground = anatomy(image, bone)
    pieces = [p for p in _dense(image, ground) if not is_mimic(p, ground)]
    found = [_join(image, group, ground) for group in group_pieces(pieces, image.spacing_mm)]
    return [c for _, c in sorted(found, key=lambda f: (-f[0], f[1].id))]


def _dense(volume: Volume, ground: Anatomy) -> list[Piece]:
    """Return the pieces denser than contrast medium, and those that no vessel looks like."""
    where = np.greater(ground.body, ground.covered)  # in it and not covered
    pieces = find_pieces(volume, ground, where, ground.level_hu)
    if ground.contrast_hu is None:
        return pieces
    faint = find_pieces(volume, ground, where, ground.floor_hu)
    below = [p for p in faint if p.hu.max() < ground.level_hu]
    return pieces + [p for p in below if not may_be_vessel(p, ground)]


def _join(volume: Volume, group: list[Piece], ground: Anatomy) -> tuple[float, Candidate]:
    """Make one candidate of a group; its weight is the mineral above the level, HU mm3."""
    voxels = np.concatenate([p.voxels for p in group])
    box = np.stack([voxels.min(0), voxels.max(0) + 1])
    mask = np.zeros(box[1] - box[0], bool)
    mask[tuple((voxels - box[0]).T)] = True
    hu = np.concatenate([p.hu for p in group]).astype(np.float64)
    weight = float((hu - ground.floor_hu + 1).sum() * np.prod(volume.spacing_mm))
    level = min(ground.level_hu, max(ground.floor_hu, float(hu.min())))
    why = f"{len(group)} dense piece{'s' if len(group) > 1 else ''} above {level:.0f} HU"
    if ground.contrast_hu is not None:
        denser = hu.max() >= ground.level_hu
        than = "denser than" if denser else "compact, though no denser than"
        why += f", {than} the contrast medium around {ground.contrast_hu:.0f} HU"
    return weight, candidate(volume, box, mask, why + ", outside bone")
