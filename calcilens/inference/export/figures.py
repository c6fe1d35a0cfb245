"""A lesion's figures as rows of a table: value, uncertainty, how it was taken or why not."""

from __future__ import annotations

from typing import Any

from calcilens.imaging.images import Radiograph
from calcilens.imaging.measure import Measurement
from calcilens.inference.lesions import Lesion

FIGURES = (
    # size
    ("max_diameter_mm", "Largest diameter", "mm", 1),
    ("axes_mm", "Axes", "mm", 1),
    ("volume_mm3", "Volume", "mm³", 0),
    ("members", "Pieces", "", 0),
    ("spread_mm", "Spread of the pieces", "mm", 1),
    # density
    ("mean_hu", "Mean density", "HU", 0),
    ("p95_hu", "95th percentile", "HU", 0),
    ("max_hu", "Highest density", "HU", 0),
    ("mass_mg", "Mass of hydroxyapatite", "mg", 0),
    ("agatston", "Agatston score", "", 0),
    ("zoning", "Densest part", "", 0),
    ("rim_ratio", "Rim to centre ratio", "", 2),
    # place
    ("skin_distance_mm", "Distance to skin", "mm", 1),
    ("fascia_distance_mm", "Distance to fascia", "mm", 1),
    ("depth", "Depth", "", 0),
    ("compartment", "Compartment", "", 0),
    # neighbours
    ("bone_distance_mm", "Distance to bone", "mm", 1),
    ("bone_erosion", "Bone erosion", "", 0),
    ("soft_tissue_mm", "Soft tissue around it", "mm", 1),
)
"""Name, label, unit and digits, by size, density, place and neighbours."""
_ZONING = {"zonal": "rim (zonal)", "reverse-zonal": "centre (reverse-zonal)", "even": "none: even"}
_ON_FILMS = ("max_diameter_mm", "axes_mm", "members", "spread_mm")
COMPARED = {
    "max_diameter_mm": "prior_max_diameter_mm",
    "volume_mm3": "prior_volume_mm3",
}
"""Figures of which a change holds the earlier value, under this name."""
_DIAMETER_PX = ("diameter_px", "Largest diameter", "pixels", 0)


def figures(lesion: Lesion) -> list[dict[str, Any]]:
    """Return the rows; on a radiograph what cannot be measured is one row."""
    taken = lesion.measured
    shown = [f for f in FIGURES if taken.tells(f[0])]
    if not isinstance(lesion.image, Radiograph):
        return [_row(taken, *figure) for figure in shown]
    (x0, y0), (x1, y1) = lesion.box_px or [[0, 0], [0, 0]]
    size = {
        "label": "Box",
        "value": f"{x1 - x0} × {y1 - y0} pixels",
        "how": f"columns {x0}–{x1 - 1}, rows {y0}–{y1 - 1}",
    }
    rows = [_row(taken, *figure) for figure in shown if figure[0] in _ON_FILMS]
    if taken.diameter_px is not None:
        rows[0] = _row(taken, *_DIAMETER_PX)
    rest = {"label": "All others", "value": None, "how": "they need the depth and density of CT"}
    return [size, *rows, rest]


def before(lesion: Lesion) -> list[dict[str, str]]:
    """Return the sizes that a lesion had in the prior scan beside those that it has now."""
    change, taken = lesion.change, lesion.measured
    if change is None:
        return []
    rows = []
    for name, label, unit, digits in (f for f in FIGURES if f[0] in COMPARED):
        then, now = getattr(change, COMPARED[name]), getattr(taken, name)
        if then is not None and now is not None:
            errors = change.prior_uncertainty.get(COMPARED[name]), taken.uncertainty.get(name)
            told = [
                f"{_text(value, digits)}{_error(sd, digits)}"
                for value, sd in zip((then, now), errors, strict=True)
            ]
            rows.append({"label": label, "value": f"{' → '.join(told)} {unit}"})
    return rows


def _row(taken: Measurement, name: str, label: str, unit: str, digits: int) -> dict[str, Any]:
    value, sd = getattr(taken, name), taken.uncertainty.get(name)
    text = None if value is None else f"{_text(value, digits)}{_error(sd, digits)} {unit}".strip()
    return {"label": label, "value": text, "how": _plain(taken.how.get(name, ""))}


def _plain(how: str) -> str:
    """Return how a figure was taken with other figures by their labels, not their keys."""
    for key, label, *_ in (*FIGURES, _DIAMETER_PX):
        if "_" in key:
            how = how.replace(key, label[:1].lower() + label[1:])
    return how


def _text(value: Any, digits: int) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " × ".join(_text(v, digits) for v in value)
    return _ZONING.get(value, value) if isinstance(value, str) else f"{value:.{digits}f}"


def _error(sd: float | None, digits: int) -> str:
    """Return one standard deviation; nothing where it is less than the last digit shown."""
    shown = f"{sd or 0:.{digits}f}"
    return f" ± {shown}" if float(shown) else ""
