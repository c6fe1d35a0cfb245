"""What metal and thick bone do to a CT: beam hardening and photon starvation.

A plane's dense parts are projected through a sparse system matrix, the rays' true attenuation
is compared with what a single energy would give, and the difference is reconstructed by
filtered back-projection: dark bands between dense parts, streaks around metal.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from calcilens.phantoms.ct_settings import CTSettings
from calcilens.phantoms.materials import BASE_NAMES, beam, hu_per_density
from calcilens.phantoms.solids import Field, smooth

_SIDE, _ANGLES = 72, 96
_DENSE_HU = 350.0
_METAL_HU = 4500.0
_WORTHWHILE_CM = 0.5
"""Less dense matter than this along every ray leaves no visible trace."""


def hardening(clean: Field, settings: CTSettings, rng: np.random.Generator) -> Field | float:
    """Return HU to add to planes (Z, Y, X) of clean HU; 0 where nothing is dense enough."""
    per_density = hu_per_density(settings.kvp)
    mineral_hu = float(per_density[BASE_NAMES.index("mineral")])
    metal_hu = float(per_density[BASE_NAMES.index("metal")])
    is_metal = clean > _METAL_HU
    bone = np.where(is_metal, 0, np.maximum(clean - _DENSE_HU, 0)) / mineral_hu
    metal = np.where(is_metal, clean, 0) / metal_hu
    side_cm = max(clean.shape[1:]) * settings.pixel_mm / 10
    cell_cm = side_cm / _SIDE
    small = [_shrink(layer) for layer in (bone, metal)]
    if max(float(s.sum(2).max()) for s in small) * cell_cm < _WORTHWHILE_CM * 0.3:
        return 0.0
    rays = [_rays(s, cell_cm) for s in small]
    error = _error(rays[0], rays[1], settings, rng)
    planes = _reconstruct(error, cell_cm)
    water = 0.195  # 1/cm around 65 keV: what HU are relative to
    return smooth(planes / water * 1000, clean.shape)


def _rays(layer: Field, cell_cm: float) -> Field:
    """Return line integrals (angles * detectors, Z) through planes (Z, side, side)."""
    planes = layer.reshape(len(layer), -1).T
    if not planes.any():  # most bodies hold no metal
        return np.zeros((_ANGLES * _detectors(), len(layer)), np.float32)
    return np.asarray(_system() @ planes * np.float32(cell_cm), np.float32)


def _shrink(layer: NDArray[np.floating]) -> Field:
    """Average planes (Z, Y, X) over the cells of a coarse grid (Z, side, side)."""
    for axis in (1, 2):
        weights = _cells(layer.shape[axis])
        layer = np.moveaxis(np.tensordot(weights, layer, axes=(1, axis)), 0, axis)
    return np.asarray(layer, np.float32)


@lru_cache(maxsize=64)
def _cells(points: int) -> Field:
    """Return the weights (side, points) that average points over cells."""
    edges = np.linspace(0, points, _SIDE + 1)
    start, stop = edges[:-1, None], edges[1:, None]
    index = np.arange(points)[None]
    weight = np.clip(np.minimum(stop, index + 1) - np.maximum(start, index), 0, None)
    return np.asarray(weight / weight.sum(1, keepdims=True), np.float32)


def _error(
    bone: NDArray[np.float32],
    metal: NDArray[np.float32],
    settings: CTSettings,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Return what the detector reads too much or too little of, in line integrals."""
    source = beam(round(settings.kvp), 7.0, 6)
    kinds = [BASE_NAMES.index(name) for name in ("mineral", "metal")]
    through = source.fluence * source.kev
    water = np.exp(-source.attenuation[0] * 18)
    weight = through * water / (through * water).sum()
    total = np.zeros_like(bone)
    straight = np.zeros_like(bone)
    for share, *mu in zip(weight, *(source.attenuation[k] for k in kinds), strict=True):
        total += np.float32(share) * np.exp(-np.float32(mu[0]) * bone - np.float32(mu[1]) * metal)
    for k, thickness in zip(kinds, (bone, metal), strict=True):
        straight += np.float32((weight * source.attenuation[k]).sum()) * thickness
    floor = 1e-4
    read = -np.log(np.maximum(total, floor))
    starved = np.sqrt(1 / (4e4 * settings.dose * np.maximum(total, floor)))
    grain = (
        rng.standard_normal(read.shape, dtype=np.float32)
        * np.float32(2.0)
        * starved
        * (metal > 0.05)
    )
    return np.asarray(read - straight + grain, np.float32)


@lru_cache(maxsize=1)
def _system() -> sparse.csr_matrix:
    """Return the matrix (angles * detectors, pixels) of line integrals by linear interpolation."""
    at = np.arange(_SIDE) - (_SIDE - 1) / 2
    y, x = (a.ravel() for a in np.meshgrid(at, at, indexing="ij"))
    rows, columns, values = [], [], []
    pixel = np.arange(_SIDE * _SIDE)
    for i, angle in enumerate(np.arange(_ANGLES) * np.pi / _ANGLES):
        place = x * np.cos(angle) + y * np.sin(angle) + (_detectors() - 1) / 2
        low = np.floor(place).astype(int)
        for step, share in ((0, 1 - (place - low)), (1, place - low)):
            rows.append(i * _detectors() + low + step)
            columns.append(pixel)
            values.append(share)
    parts = [np.concatenate(p) for p in (values, rows, columns)]
    shape = (_ANGLES * _detectors(), _SIDE * _SIDE)
    return sparse.csr_matrix((parts[0].astype(np.float32), (parts[1], parts[2])), shape)


def _detectors() -> int:
    return int(np.ceil(_SIDE * 2**0.5)) + 3


def _reconstruct(rays: NDArray[np.float32], cell_cm: float) -> NDArray[np.float32]:
    """Filtered back-projection: (angles * detectors, Z) -> (Z, side, side), 1/cm."""
    planes = rays.shape[1]
    lines = rays.T.reshape(planes, _ANGLES, _detectors())
    length = 2 ** int(np.ceil(np.log2(2 * _detectors())))
    ramp = np.fft.rfftfreq(length) * np.cos(np.pi * np.fft.rfftfreq(length)) * 2
    filtered = np.fft.irfft(np.fft.rfft(lines, length) * ramp, length)[..., : _detectors()]
    back = _system().T @ filtered.reshape(planes, -1).T.astype(np.float32)
    return np.asarray(
        back.T.reshape(planes, _SIDE, _SIDE) * np.pi / (2 * _ANGLES) / cell_cm, np.float32
    )
