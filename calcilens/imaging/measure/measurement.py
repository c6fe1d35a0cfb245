"""The figures of one lesion, and how each came about."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


@dataclass
class Measurement:
    """Figures of one lesion; None where one could not be taken, with the reason in `how`.

    Lengths are mm; on a radiograph without calibration `diameter_px` and nothing else is there.

    Args:
        max_diameter_mm: Largest distance within the mineral; on a radiograph, projected.
        axes_mm: Lengths along the principal axes of the mineral, the largest first.
        diameter_px: The largest distance in pixels, on radiographs without calibration.
        volume_mm3: Volume of the mineral, corrected for blur.
        members: Separate pieces.
        spread_mm: Mean distance of the pieces from their common centre, weighted by volume.
        mean_hu: Mean over the mask; max_hu and p95_hu (95th percentile) likewise.
        agatston: Agatston score, by its own definition.
        mass_mg: Calcium hydroxyapatite.
        skin_distance_mm: Shortest way to the skin.
        fascia_distance_mm: Shortest way to the border between fat and muscle.
        depth: "subcutaneous" or "deep": on which side of that border it lies.
        compartment: "subcutaneous", "muscle", "periarticular", "intra-articular", "vascular" or
            "other".
        bone_distance_mm: Shortest way to bone; 0 where they touch.
        bone_erosion: Whether the bone beside it is destroyed.
        soft_tissue_mm: Thickness of the soft-tissue component around it; 0 without one.
        radial_profile: Mean HU of shells 1 mm thick, from the rim inwards.
        rim_ratio: Density of the rim over that of the centre.
        zoning: "zonal" (dense rim), "reverse-zonal" (dense centre) or "even".
        uncertainty: One standard deviation, in the figure's own unit, under its name. That of
            `volume_mm3` is against the truth; `volume_repeat_mm3` is the part of it that differs
            between two scans of one lesion: what a change of volume has to be held against.
        how: How each figure was taken, or why not, under the figure's name.
    """

    max_diameter_mm: float | None = None
    axes_mm: list[float] | None = None
    diameter_px: float | None = None
    volume_mm3: float | None = None
    members: int | None = None
    spread_mm: float | None = None
    mean_hu: float | None = None
    max_hu: float | None = None
    p95_hu: float | None = None
    agatston: float | None = None
    mass_mg: float | None = None
    skin_distance_mm: float | None = None
    fascia_distance_mm: float | None = None
    depth: str | None = None
    compartment: str | None = None
    bone_distance_mm: float | None = None
    bone_erosion: bool | None = None
    soft_tissue_mm: float | None = None
    radial_profile: list[float] | None = None
    rim_ratio: float | None = None
    zoning: str | None = None
    uncertainty: dict[str, float] = field(default_factory=dict)
    how: dict[str, str] = field(default_factory=dict)

    def set(self, name: str, value: Any, how: str, sd: float | None = None) -> None:
        """Record a figure, or None, with how it came about and its standard deviation."""
        setattr(self, name, value)
        self.how[name] = how
        if sd is not None and value is not None:
            self.uncertainty[name] = float(sd)

    def omit(self, names: tuple[str, ...], why: str) -> None:
        """Record that figures cannot be taken."""
        for name in names:
            self.set(name, None, why)

    def tells(self, name: str) -> bool:
        """Return whether a figure says anything: the spread of one piece is always 0."""
        return name != "spread_mm" or self.members != 1


FIGURES = tuple(f.name for f in fields(Measurement) if f.name not in ("uncertainty", "how"))
"""Names of the figures, in the order of the report."""
