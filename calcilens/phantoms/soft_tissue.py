"""Fine structure of soft tissue in CT: fat in muscles, septa in fat, small vessels in lungs.

The first two are sheets, where a smooth random field passes through 0; vessels are strands, where
two of them do. They are too thin and too many to be drawn as parts of the anatomy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calcilens.phantoms.solids import Field, Grid, smooth

_GATE_MM = 13.0
"""Over this length marbling comes and goes."""
_LEAST = 0.02
"""A share of fat or septa below this cannot be seen."""


@dataclass(frozen=True)
class Sheets:
    """How sheets or strands look.

    Args:
        scale_mm: (z, y, x) distance between them, about.
        width: Their width, as a share of that distance.
        share: How much of the tissue they replace at their middle, 0..1.
        spread: How much of the tissue has them: -1 for hardly any, 1 for all of it.
        fields: 1 for sheets, 2 for strands.
    """

    scale_mm: tuple[float, float, float]
    width: float
    share: float
    spread: float
    fields: int = 1

    def draw(self, rng: np.random.Generator, grid: Grid) -> Field:
        """Return the share (Z, Y, X) that they take of each voxel."""
        off = sum(_noise(rng, grid, self.scale_mm) ** 2 for _ in range(self.fields))
        gate = np.clip(
            1.2 * _noise(rng, grid, (2 * _GATE_MM, _GATE_MM, _GATE_MM)) + self.spread, 0, 1
        )
        return np.asarray(np.float32(self.share) * np.exp(-off / self.width**2) * gate)


def marbling(rng: np.random.Generator) -> Sheets:
    """Draw how fatty muscles are: most a little, some much."""
    long = rng.uniform(4, 11)
    across = rng.uniform(2.5, 6)
    y, x = (long, across) if rng.random() < 0.5 else (across, long)
    share = min(rng.gamma(1.6, 0.16), 0.9)
    return Sheets((30.0, y, x), rng.uniform(0.12, 0.3), share, rng.uniform(-0.6, 0.5))


def septa(rng: np.random.Generator) -> Sheets:
    """Draw the septa between lobules of fat: faint, and thinner than most voxels."""
    scale = (rng.uniform(8, 20), rng.uniform(5, 14), rng.uniform(5, 14))
    return Sheets(scale, rng.uniform(0.04, 0.12), rng.uniform(0.0, 0.35), rng.uniform(-0.5, 0.6))


def vessels(rng: np.random.Generator) -> Sheets:
    """Draw the small vessels of a lung."""
    scale = rng.uniform(5, 9)
    return Sheets((scale, scale, scale), rng.uniform(0.12, 0.26), 0.9, rng.uniform(0.3, 1.2), 2)


def add_sheets(clean: Field, tissue: Field, sheets: Field, hu: float) -> None:
    """Replace some of a tissue by what its sheets are made of, in place.

    Args:
        clean: (Z, Y, X) HU.
        tissue: (Z, Y, X) share of the voxel that is this tissue.
        sheets: (Z, Y, X) share of the tissue that they replace.
        hu: Of the sheets less that of the tissue.
    """
    taken = tissue * sheets
    taken[taken < _LEAST] = 0
    clean += np.float32(hu) * taken


def fill(clean: Field, tissue: Field, strands: Field, hu: float) -> Field:
    """Put something of known density in the place of some of a tissue, in place.

    Unlike `add_sheets`, whatever was in the voxel gives way: blood in a lung that is rough, or
    beside its wall, is no denser than blood.

    Args:
        clean: (Z, Y, X) HU.
        tissue: (Z, Y, X) share of the voxel that is this tissue.
        strands: (Z, Y, X) share of the tissue that they replace.
        hu: Of the strands.

    Returns:
        (Z, Y, X) share of the voxel that they fill.
    """
    taken = tissue * strands
    taken[taken < _LEAST] = 0
    clean += taken * (np.float32(hu) - clean)
    return taken


def _noise(rng: np.random.Generator, grid: Grid, scale_mm: tuple[float, ...]) -> Field:
    """Return a smooth field (Z, Y, X) of unit size."""
    extent = np.array(grid.shape) * grid.step
    coarse = np.clip(np.ceil(extent / scale_mm).astype(int) + 2, 2, 120)
    field = smooth(rng.standard_normal(coarse), grid.shape)
    return np.asarray(field / np.float32(_SMOOTHED))


_SMOOTHED = 0.48
"""Size of a field of unit noise after smoothing along three axes, about."""
