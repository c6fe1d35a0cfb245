"""Sizes, densities and distances of one lesion, each with how it was measured and how surely."""

from __future__ import annotations

import numpy as np

from calcilens.imaging.candidates import Candidate
from calcilens.imaging.images import Image, Radiograph
from calcilens.imaging.measure.borders import faces
from calcilens.imaging.measure.density import measure_density
from calcilens.imaging.measure.extent import diameter_mm, measure_extent
from calcilens.imaging.measure.films import measure_film
from calcilens.imaging.measure.fine import coarser
from calcilens.imaging.measure.layers import measure_layers
from calcilens.imaging.measure.lesion import Lesion, lesion_mask
from calcilens.imaging.measure.measurement import FIGURES, Measurement
from calcilens.imaging.measure.mineral import find_mineral
from calcilens.imaging.measure.neighbours import measure_neighbours
from calcilens.imaging.measure.zones import measure_zones

__all__ = ["FIGURES", "Measurement", "diameter_mm", "lesion_mask", "measure"]


def measure(image: Image, candidate: Candidate) -> Measurement:
    """Measure a lesion.

    Args:
        image: CT volume or radiograph.
        candidate: The lesion; without a mask, its mineral in the box is measured, or the box
            where there is none.
    """
    if isinstance(image, Radiograph):
        return measure_film(image, candidate)
    mask, of = lesion_mask(image, candidate)
    lesion = coarser(Lesion(image, candidate.box[0], mask, of))
    mineral = find_mineral(lesion)
    taken = Measurement()
    taken.set("diameter_px", None, "in mm: see max_diameter_mm")
    measure_extent(lesion, mineral, taken)
    measure_density(lesion, mineral, taken)
    measure_zones(lesion, mineral, taken)
    border = mineral.border_mm
    if not len(border):
        border = (faces(np.pad(lesion.mask, 1)) - 1 + lesion.start) * lesion.spacing
    measure_layers(lesion, border, taken)
    measure_neighbours(lesion, border, taken)
    return taken
