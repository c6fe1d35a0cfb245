"""What is true of a simulated lesion, worked out on a fine model of it before any scanner.

The model is a lattice of at most 0.4 mm in which the lesion's solids are painted and bone is cut
out as the outlines say. Mineral counts where it makes at least 130 HU at 120 kVp out of the soft
tissue that the lesion brings along, or muscle: the same in every pose, place and scan. Surfaces
of skin and bone are points on their outlines.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import binary_erosion
from scipy.spatial import cKDTree

from calcilens.imaging.anatomy import MINERAL_HU
from calcilens.imaging.measure import diameter_mm
from calcilens.phantoms.materials import BASE_NAMES, BONES, INDEX, hu_per_density, tissue_hu
from calcilens.phantoms.scene import Lesion
from calcilens.phantoms.segment import Segment
from calcilens.phantoms.solids import KEEP, Field, Float, Grid, paint
from calcilens.phantoms.tubes import Tube

LEAST_G_CM3, KVP = 0.02, 120.0
"""Less mineral than this is none; the tube voltage by which mineral counts."""
_FINEST_MM, _COARSEST_MM, _POINTS = 0.15, 0.4, 150
_SOME, _FAR_MM = 40, 40.0
_LEVEL_MM, _FINER = 0.5, 4
"""Distance of the outlines that make a surface, and points between two corners of one."""
_BONE_INDEX = np.array([INDEX[name] for name in BONES])
HOW = {
    "model": f"solids painted every {_FINEST_MM} to {_COARSEST_MM} mm, bone cut out; no scanner",
    "volume_mm3": f"where mineral makes at least {MINERAL_HU} HU at {KVP:g} kVp",
    "box_mm": "bounds of that volume: lowest and highest (x, y, z): to the left, back and head; "
    "LPS in CT, from the middle of the segment in the ap view of radiographs",
    "max_diameter_mm": "largest distance in 3D within that volume",
    "mass_mg": "all hydroxyapatite of the lesion",
    "mean_hu": "of that volume at the scan's tube voltage, without blur and noise; max_hu too",
    "skin_distance_mm": "shortest way in 3D from that volume to the outline of the skin",
    "bone_distance_mm": "shortest way in 3D from that volume to the outline of a bone",
    "fascia_distance_mm": "the same to the outline of the deep fascia",
    "depth": "deep where any of that volume lies inside the fascia, else subcutaneous",
}


@dataclass(frozen=True, eq=False)
class Model:
    """A lesion on a fine lattice.

    Args:
        grid: Where.
        density: (Z, Y, X) g/cm3 of mineral.
        own: (Z, Y, X) index of the soft tissue that the lesion brings along, else muscle.
        tissue: (Z, Y, X) index of the soft tissue that is there.
    """

    grid: Grid
    density: Field
    own: NDArray[np.uint8]
    tissue: NDArray[np.uint8]

    @cached_property
    def mineral(self) -> NDArray[np.bool_]:
        """(Z, Y, X) where there is mineral."""
        return np.asarray((self.density >= LEAST_G_CM3) & (self._hu(self.own, KVP) >= MINERAL_HU))

    def hu(self, kvp: float) -> Float:
        """Return HU (N,) of the mineral, without blur and noise."""
        return self._hu(self.tissue, kvp)[self.mineral]

    def _hu(self, tissue: NDArray[np.uint8], kvp: float) -> Float:
        rise = hu_per_density(kvp)[BASE_NAMES.index("mineral")]
        return np.asarray(tissue_hu(kvp)[tissue] + self.density * rise)

    def points(self, where: NDArray[np.bool_]) -> Float:
        """Return the points (N, 3) of the lattice that are set, mm."""
        return np.asarray(self.grid.start + np.argwhere(where) * self.grid.step)


def fine_model(lesion: Lesion, segment: Segment) -> Model:
    """Paint a lesion into the tissue around it."""
    dense = lesion.parts.part(lesion.parts.density > 0)
    soft = 1 + dense.edge[:, None]  # a soft border reaches beyond the ellipsoid
    low, high = replace(dense, radii=dense.radii * soft).box()
    step = float(np.clip((high - low).max() / _POINTS, _FINEST_MM, _COARSEST_MM))
    shape = np.ceil((high - low) / step).astype(int) + 3
    grid = Grid(low - step, np.full(3, step), (int(shape[0]), int(shape[1]), int(shape[2])))
    density, tissue = paint(lesion.parts, grid)
    around = np.stack(list(_tissues(segment.tubes, grid)))
    if not lesion.erosion:
        is_bone = np.isin(around, _BONE_INDEX)
        density[is_bone] = 0
        tissue[is_bone] = KEEP
    own = np.where(tissue == KEEP, INDEX["muscle"], tissue)
    return Model(grid, density, own, np.where(tissue == KEEP, around, tissue))


def _tissues(tubes: Iterable[Tube], grid: Grid) -> Iterable[NDArray[np.uint8]]:
    """Yield the tissue (Y, X) of every level of a grid."""
    outlines = [(INDEX[t.tissue], t.outlines(grid.axis(0))) for t in tubes]
    for k in range(grid.shape[0]):
        picture = Image.new("L", grid.shape[:0:-1], INDEX["air"])
        draw = ImageDraw.Draw(picture)
        for index, corners in outlines:
            at = (corners[k] - grid.start[1:]) / grid.step[1:]
            if (np.ptp(at, axis=0) >= 0.5).any():
                draw.polygon(at[:, ::-1].ravel().tolist(), fill=index)
        yield np.asarray(picture)


def lesion_truth(lesion: Lesion, segment: Segment, kvp: float | None) -> dict[str, Any]:
    """Return what is true of a lesion as it lies in the scanner.

    Args:
        lesion: In the pose of the scan.
        segment: In the same pose.
        kvp: Tube voltage that HU are given for; None for radiographs, which have none.
    """
    model = fine_model(lesion, segment)
    there = model.mineral
    voxel_mm3 = float(np.prod(model.grid.step))
    rim = model.points(there & ~binary_erosion(there))
    half = model.grid.step[0] / 2
    box = np.stack([rim.min(0) - half, rim.max(0) + half])
    return {
        "centroid_mm": _rounded(model.points(there).mean(0)[::-1]),
        "box_mm": [_rounded(corner[::-1]) for corner in box],
        "volume_mm3": round(float(there.sum() * voxel_mm3), 2),
        "mass_mg": round(float(model.density.sum() * voxel_mm3), 2),
        "max_diameter_mm": round(diameter_mm(there, model.grid.step), 2),
        **({} if kvp is None else _hu(model.hu(kvp))),
        "skin_distance_mm": _gap_mm(rim, [segment.skin], half),
        "bone_distance_mm": _gap_mm(rim, segment.bones, half),
        "fascia_distance_mm": _gap_mm(rim, [segment.fascia], half),
        "depth": _depth(model, segment),
    }


def _depth(model: Model, segment: Segment) -> str:
    """Return the depth: superficial is only what lies wholly over the fascia.

    What invades it or passes through it is deep (AJCC Cancer Staging Manual, 7th edition, 2010,
    soft tissue sarcoma).
    """
    inside = np.stack(list(_tissues([segment.fascia], model.grid))) != INDEX["air"]
    return "deep" if inside[model.mineral].any() else "subcutaneous"


def _hu(hu: Float) -> dict[str, float]:
    return {"mean_hu": round(float(hu.mean()), 1), "max_hu": round(float(hu.max()), 1)}


def _rounded(values: Float) -> list[float]:
    return [round(float(v), 3) for v in values]


def _gap_mm(rim: Float, tubes: Iterable[Tube], half: float) -> float | None:
    """Return the distance between points and the nearest of some outlines, mm; None without."""
    low, high = rim.min(0), rim.max(0)
    heights = np.arange(low[0] - _FAR_MM, high[0] + _FAR_MM, _LEVEL_MM)
    surfaces = [_surface(tube, heights) for tube in tubes]
    if not surfaces:
        return None
    surface = np.concatenate(surfaces)
    # Some points first: they say how near the others have to be to count.
    bound = float(np.min(cKDTree(surface).query(rim[::_SOME])[0])) + half
    near = surface[((surface >= low - bound) & (surface <= high + bound)).all(1)]
    nearest = float(np.min(cKDTree(rim).query(near, distance_upper_bound=bound)[0]))
    return round(max(nearest - half, 0), 2)


def _surface(tube: Tube, heights: Float) -> Float:
    """Return points (N, 3) on a tube."""
    corners = tube.outlines(heights)
    after = np.roll(corners, -1, 1)
    shares = np.arange(_FINER) / _FINER
    points = [corners * (1 - s) + after * s for s in shares]
    level = np.broadcast_to(heights[:, None, None], (*corners.shape[:2], 1))
    return np.concatenate([np.concatenate([level, p], -1).reshape(-1, 3) for p in points])
