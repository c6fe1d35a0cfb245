"""What a radiograph allows: lengths in its plane, pieces and their spread."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import label

from calcilens.imaging.candidates import Candidate
from calcilens.imaging.images import Radiograph
from calcilens.imaging.measure.borders import faces
from calcilens.imaging.measure.extent import farthest, spread_of
from calcilens.imaging.measure.lesion import Float
from calcilens.imaging.measure.measurement import Measurement

_FLAT = (
    "volume_mm3", "skin_distance_mm", "fascia_distance_mm", "depth", "compartment",
    "bone_distance_mm", "bone_erosion", "soft_tissue_mm",
)  # fmt: skip
_NO_HU = (
    "mean_hu", "max_hu", "p95_hu", "agatston", "mass_mg", "radial_profile", "rim_ratio", "zoning",
)  # fmt: skip


def measure_film(image: Radiograph, candidate: Candidate) -> Measurement:
    """Measure a lesion of a radiograph: projected, in mm only where calibrated."""
    taken = Measurement()
    taken.omit(_FLAT, "a radiograph has no depth")
    taken.omit(_NO_HU, "a radiograph has no Hounsfield units")
    _lengths(image, candidate, taken)
    _members(image, candidate, taken)
    return taken


def _lengths(image: Radiograph, candidate: Candidate, taken: Measurement) -> None:
    spacing = np.ones(2) if image.spacing_mm is None else np.asarray(image.spacing_mm)
    lengths, what = _extent(candidate, spacing)
    if image.spacing_mm is None:
        why = f"not in mm: {image.spacing_how}; the largest diameter is given in pixels"
        taken.omit(("max_diameter_mm", "axes_mm"), why)
        sd = max(1.0, candidate.outline_sd * lengths[0])
        return taken.set("diameter_px", lengths[0], f"{what}, projected, pixels", sd)
    how = f"{what}, projected; spacing: {image.spacing_how}"
    sd = max(float(spacing.max()), candidate.outline_sd * lengths[0])
    taken.set("max_diameter_mm", lengths[0], how, sd)
    taken.set("axes_mm", lengths, f"{how}; and the extent across it", sd)
    return taken.set("diameter_px", None, "in mm: see max_diameter_mm")


def _extent(candidate: Candidate, spacing: Float) -> tuple[list[float], str]:
    """Return the largest length and that across it, and what they are lengths of."""
    if candidate.mask is None or not candidate.mask.any():
        sides = (candidate.box[1] - candidate.box[0])[1:] * spacing
        return sorted(map(float, sides), reverse=True), "longest side of the box"
    at = faces(np.pad(candidate.mask, 1))[:, 1:] * spacing
    first, last = farthest(at)
    y, x = (last - first) / np.linalg.norm(last - first)
    across = float(np.ptp(at @ np.array([-x, y])))
    drawn = "outline that the software drew" if candidate.outline_sd else "mask"
    return [float(np.linalg.norm(last - first)), across], f"largest distance within the {drawn}"


def _members(image: Radiograph, candidate: Candidate, taken: Measurement) -> None:
    if candidate.mask is None or not candidate.mask.any():
        return taken.omit(("members", "spread_mm"), "only a box is known, no mask")
    labels, count = label(candidate.mask[0], np.ones((3, 3)))  # cc3d errs in 2D by corners
    taken.set("members", int(count), "pieces of the mask")
    if image.spacing_mm is None:
        return taken.set("spread_mm", None, f"not in mm: {image.spacing_how}")
    spread = spread_of(labels, np.asarray(image.spacing_mm))
    how = "root mean square distance of the pieces from their common centre, weighted by area"
    return taken.set("spread_mm", spread, how)
