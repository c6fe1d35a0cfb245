"""Where a calcification may be: dense pieces of a CT that are neither bone nor contrast."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from calcilens.imaging.anatomy import Anatomy, Mask, anatomy
from calcilens.imaging.images import Image, Radiograph, Volume

LEAST_MM3, LEAST_VOXELS = 1.0, 2
BONE_MARGIN_MM = 2.0
"""Dense voxels nearer to bone than this are its surface."""
GROUP_MM = 3.0
"""Specks nearer to each other than this are one lesion."""
_MOST_PIECES = 2000


@dataclass(frozen=True, eq=False)
class Candidate:
    """A place to look at.

    Args:
        id: Stable name, made of the image's UIDs and the box.
        box: (2, 3) half-open voxel box, start and stop in (z, y, x).
        mask: The lesion's voxels, box-shaped, or None where only a box is known.
        why: Why it was proposed, in words.
    """

    id: str
    box: NDArray[np.int64]
    mask: Mask | None
    why: str

    @property
    def key_plane(self) -> int:
        """Plane that shows most of the lesion; where only a box is known, its middle."""
        start, stop = (int(z) for z in self.box[:, 0])
        if self.mask is None or not self.mask.any():
            return (start + stop - 1) // 2
        area = self.mask.sum((1, 2))
        fullest = np.flatnonzero(area == area.max())
        return start + int(fullest[(len(fullest) - 1) // 2])


def candidate(image: Image, box: ArrayLike, mask: Mask | None, why: str) -> Candidate:
    """Make a candidate with an id that depends on the image and the box alone."""
    b = np.asarray(box, np.int64)
    text = f"{image.series_uid}|{image.planes[0].sop_uid}|{b.ravel().tolist()}"
    return Candidate("L" + hashlib.sha256(text.encode()).hexdigest()[:12], b, mask, why)


def propose(image: Image) -> list[Candidate]:
    """Propose calcifications, those with most mineral first.

    A radiograph yields none: its lesions are given by hand.
    """
    if isinstance(image, Radiograph):
        return []
    ground = anatomy(image)
    pieces = [p for p in _pieces(image, ground) if not _is_bone(p, ground, image.spacing_mm)]
    found = [_join(image, group, ground) for group in _groups(pieces, image.spacing_mm)]
    return [c for _, c in sorted(found, key=lambda f: (-f[0], f[1].id))]


def _pieces(volume: Volume, ground: Anatomy) -> list[NDArray[np.int64]]:
    """Return the voxel indices (n, 3) of each dense piece that is large enough."""
    dense = ground.body & ~ground.bone & (volume.hu >= ground.level_hu)
    labels = cc3d.connected_components(dense, connectivity=26)
    stats = cc3d.statistics(labels)
    counts = np.asarray(stats["voxel_counts"], np.int64)
    least = max(LEAST_VOXELS, np.ceil(LEAST_MM3 / np.prod(volume.spacing_mm)))
    order = [i for i in np.argsort(-counts[1:], kind="stable") + 1 if counts[i] >= least]
    return [_indices(labels, stats["bounding_boxes"][i], i) for i in order[:_MOST_PIECES]]


def _indices(
    labels: NDArray[np.generic], box: tuple[slice, slice, slice], label: int
) -> NDArray[np.int64]:
    start = np.array([s.start for s in box], np.int64)
    return np.asarray(np.argwhere(labels[box] == label) + start)


def _is_bone(
    voxels: NDArray[np.int64], ground: Anatomy, spacing_mm: tuple[float, float, float]
) -> bool:
    """Say whether a piece lies on bone: at least half of it within the margin."""
    reach = np.ceil(BONE_MARGIN_MM / np.asarray(spacing_mm)).astype(int) + 1
    lo = np.maximum(voxels.min(0) - reach, 0)
    near = tuple(slice(a, b) for a, b in zip(lo, voxels.max(0) + reach + 1, strict=True))
    bone = ground.bone[near]
    if not bone.any():
        return False
    away = distance_transform_edt(~bone, sampling=spacing_mm)
    return bool((away[tuple((voxels - lo).T)] <= BONE_MARGIN_MM).mean() >= 0.5)


def _groups(
    pieces: list[NDArray[np.int64]], spacing_mm: tuple[float, float, float]
) -> list[list[NDArray[np.int64]]]:
    """Put pieces that lie close to each other into one group."""
    if not pieces:
        return []
    step = np.asarray(spacing_mm)
    trees = [cKDTree(p * step) for p in pieces]
    boxes = np.array([[p.min(0) * step - GROUP_MM, p.max(0) * step] for p in pieces])
    group = np.arange(len(pieces))
    for i in range(len(pieces)):
        meets = (boxes[:, 0] <= boxes[i, 1]) & (boxes[i, 0] <= boxes[:, 1])
        for j in np.flatnonzero(meets.all(1)):
            if j > i and np.min(trees[i].query(trees[j].data)[0]) <= GROUP_MM:
                group[group == group[j]] = group[i]
    return [[pieces[i] for i in np.flatnonzero(group == g)] for g in np.unique(group)]


def _join(
    volume: Volume, group: list[NDArray[np.int64]], ground: Anatomy
) -> tuple[float, Candidate]:
    """Make one candidate of a group; its weight is the mineral above the level, HU mm3."""
    voxels = np.concatenate(group)
    box = np.stack([voxels.min(0), voxels.max(0) + 1])
    mask = np.zeros(box[1] - box[0], bool)
    mask[tuple((voxels - box[0]).T)] = True
    hu = volume.hu[tuple(voxels.T)].astype(np.float64)
    weight = float((hu - ground.level_hu + 1).sum() * np.prod(volume.spacing_mm))
    why = f"{len(group)} dense piece{'s' if len(group) > 1 else ''} above {ground.level_hu:.0f} HU"
    if ground.contrast_hu is not None:
        why += f", denser than the contrast medium around {ground.contrast_hu:.0f} HU"
    return weight, candidate(volume, box, mask, why + ", outside bone")
