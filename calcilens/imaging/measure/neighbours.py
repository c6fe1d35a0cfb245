"""What lies beside a lesion: bone, its erosion, a soft-tissue component; and the compartment."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from calcilens.imaging.anatomy import Mask, anatomy
from calcilens.imaging.measure.lesion import Field, Float, Lesion, Part
from calcilens.imaging.measure.measurement import Measurement
from calcilens.imaging.measure.surfaces import bone, nearest_mm

_BESIDE_MM, _FAR_MM, _CORTEX_MM = 3.0, 20.0, 2.0
_LEAST_VOXELS = 12
_SOFT_HU = (-10.0, 120.0)
_AROUND_MM, _CLEAR_MM, _SMOOTH_MM, _MOST = 20.0, 2.0, 0.8, 0.5
_MUSCLE, _APART_MM = 0.7, 5.0
_BONE_MM, _VOXELS = 0.5, 0.5


def measure_neighbours(lesion: Lesion, border_mm: Float, taken: Measurement) -> None:
    """Take the figures of what lies beside a lesion, after those of its layer."""
    _bone(lesion, border_mm, taken)
    _erosion(lesion, taken)
    part = lesion.part(_AROUND_MM)
    away = ndimage.distance_transform_edt(~lesion.mask_in(part), sampling=lesion.spacing)
    hu = ndimage.gaussian_filter(
        lesion.volume.hu[part].astype(np.float32), _SMOOTH_MM / lesion.spacing
    )
    own = anatomy(lesion.volume).body[part] & ~anatomy(lesion.volume).bone[part]
    shells = _soft_shares(hu, away, own)
    _component(shells, taken)
    _compartment(shells, taken)


def _bone(lesion: Lesion, border_mm: Float, taken: Measurement) -> None:
    distance = nearest_mm(lesion, border_mm, bone)
    if distance is None:
        return taken.set("bone_distance_mm", None, "no bone was found in the image")
    if (lesion.mask & anatomy(lesion.volume).bone[lesion.part(0.0)]).any():
        distance = 0.0
    how = "shortest way in 3D from the lesion's border to bone found in the image; 0 inside it"
    sd = float(np.hypot(_BONE_MM, _VOXELS * lesion.spacing.mean()))
    return taken.set("bone_distance_mm", distance, how, sd)


def _erosion(lesion: Lesion, taken: Measurement) -> None:
    """Say that no bone is near; where it is, say how dense its cortex is, and no more.

    A mass that eats bone and one that only lies against it look alike to thresholds: on phantoms
    a rule on the cortex alone was wrong as often as right.
    """
    distance = taken.bone_distance_mm
    if distance is None:
        return taken.set("bone_erosion", None, "no bone was found in the image")
    if distance > _BESIDE_MM:
        return taken.set("bone_erosion", False, f"no bone lies within {_BESIDE_MM:g} mm")
    beside, far = _cortex(lesion, lesion.part(_FAR_MM))
    if min(len(beside), len(far)) < _LEAST_VOXELS:
        return taken.set("bone_erosion", None, "too little bone surface lies beside the lesion")
    ratio = float(np.median(beside) / max(float(np.median(far)), 1.0))
    how = f"to be judged by eye: the cortex within {_BESIDE_MM:g} mm has {ratio:.2f} times"
    return taken.set("bone_erosion", None, f"{how} the density of that farther away")


def _cortex(lesion: Lesion, part: Part) -> tuple[Float, Float]:
    """Return the densest HU near each voxel of bone surface, beside the lesion and farther away."""
    mask = lesion.mask_in(part)
    solid = anatomy(lesion.volume).bone[part] & ~mask
    hu = np.where(solid, lesion.volume.hu[part], -1000).astype(np.float32)
    reach = 2 * np.maximum(1, np.round(_CORTEX_MM / lesion.spacing)).astype(int) + 1
    densest = ndimage.maximum_filter(hu, size=tuple(int(n) for n in reach))
    surface = solid & ~np.asarray(ndimage.binary_erosion(solid, border_value=1), bool)
    away = ndimage.distance_transform_edt(~mask, sampling=lesion.spacing)
    beside = surface & (away <= _BESIDE_MM)
    far = surface & (away > 2 * _BESIDE_MM)
    return densest[beside].astype(np.float64), densest[far].astype(np.float64)


def _soft_shares(hu: Field, away: Float, own: Mask) -> Float:
    """Return the shares (N,) of soft tissue in shells 1 mm thick around the lesion.

    The first shell begins where the lesion's blur ends.
    """
    shell = np.floor(away - _CLEAR_MM).astype(int)
    shares = []
    for number in range(int(_AROUND_MM - _CLEAR_MM)):
        values = hu[(shell == number) & own & (away > _CLEAR_MM)]
        soft = (values > _SOFT_HU[0]) & (values < _SOFT_HU[1])
        shares.append(float(soft.mean()) if len(values) else 0.0)
    return np.array(shares)


def _component(shells: Float, taken: Measurement) -> None:
    """Soft tissue around a lesion in fat; in muscle nothing on CT tells where it would end."""
    soft = shells > _MOST
    if soft.all():
        why = "tissue as dense lies all around: CT does not show where a component would end"
        return taken.set("soft_tissue_mm", None, why)
    thickness = float(np.argmin(soft))
    if thickness and taken.depth == "deep":
        why = "it lies in muscle, as dense as a component would be"
        return taken.set("soft_tissue_mm", None, why)
    how = f"how far more than {100 * _MOST:.0f} % of the surroundings are soft tissue, not fat"
    found = thickness + _CLEAR_MM if thickness else 0.0
    return taken.set("soft_tissue_mm", found, how, 1.5)


def _compartment(shells: Float, taken: Measurement) -> None:
    """Name the compartment where layers and surroundings tell it; never a guess."""
    if taken.depth is None:
        return taken.set("compartment", None, f"unknown depth: {taken.how['depth']}")
    if taken.depth == "subcutaneous":
        return taken.set("compartment", "subcutaneous", "it lies in the fat under the skin")
    near = float(shells[:4].mean())
    distance = taken.bone_distance_mm
    if near >= _MUSCLE and (distance is None or distance > _APART_MM):
        how = f"deep, {100 * near:.0f} % of what lies within 6 mm is soft tissue, away from bone"
        return taken.set("compartment", "muscle", how)
    why = (
        f"deep, {100 * near:.0f} % of what lies within 6 mm is soft tissue: muscle, tendon, joint "
        "and vessel are not told apart by CT values alone"
    )
    return taken.set("compartment", None, why)
