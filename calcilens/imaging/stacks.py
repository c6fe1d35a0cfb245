"""From the planes of a CT series to one regular stack, by position and orientation only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from calcilens.errors import SeriesError, compose
from calcilens.imaging.geometry import Affine
from calcilens.imaging.planes import MOMENTS, CtPlane

SAME_PLACE_MM = 0.005
STEP_TOLERANCE = 0.25
"""Steps within this share of the usual one belong to one run: positions are often written
with a single decimal, so steps of 0.625 mm come as 0.6 and 0.7; a lost plane doubles one."""
PLACE_TOLERANCE_MM = 0.1
_TILT_DEGREES = 0.1
STEP_MM = (0.01, 50.0)
"""From plane to plane: from scanners of specimens to single planes through vertebrae."""
_FINE_MM, _FINE_RATIO = 0.05, 5.0
"""The finest scanner of patients has pixels of 0.061 mm (XtremeCT II; Manske et al., Bone 2015).
Below the first, only a specimen has so fine ones, and its planes are hardly farther apart; where
they are farther than that many pixels, the pixels were written in another unit."""

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Stack:
    """Planes in order along their common normal, evenly spaced.

    Args:
        affine: Voxel to LPS mm; sheared where the gantry was tilted, which is exact.
        notes: What was done or left out, in words.
    """

    planes: tuple[CtPlane, ...]
    affine: Affine
    notes: tuple[str, ...] = field(default=())


def build_stack(planes: Sequence[CtPlane]) -> Stack:
    """Choose and order the planes of one series.

    Several orientations, sizes or time points in one series: the largest set of planes is
    used. Missing planes: the longest run without a gap. Both are said in the notes.

    Raises:
        SeriesError: No regular stack can be made.
    """
    notes: list[str] = []
    chosen = _largest_group(planes, notes)
    chosen = _one_plane_a_place(_sorted(chosen), notes)
    first, last = longest_run(chosen)
    if (first, last) != (0, len(chosen)):
        left = len(chosen) - (last - first)
        notes.append(
            f"planes are missing or unevenly spaced: the longest even run of {last - first} "
            f"is used, {left} left out"
        )
    return regular_stack(chosen[first:last], notes)


def regular_stack(planes: Sequence[CtPlane], notes: Sequence[str] = ()) -> Stack:
    """Give ordered planes their affine.

    Raises:
        SeriesError: The planes are not evenly spaced on one line, or closer or farther apart
            than any scanner makes them.
    """
    step = _step(planes)
    plane = planes[0]
    _check_step(float(np.linalg.norm(step)), min(plane.spacing))
    affine = Affine.from_dicom(plane.position, plane.orientation, plane.spacing, step)
    straight = abs(float(step @ plane.normal)) / float(np.linalg.norm(step))
    tilt = float(np.degrees(np.arccos(min(1.0, straight))))
    said = list(notes)
    if len(planes) == 1:
        said.append("a single plane: its SliceThickness is taken as its depth")
    elif tilt > _TILT_DEGREES:
        said.append(f"planes are shifted by {tilt:.1f} degrees (gantry tilt): kept as they lie")
    return Stack(tuple(planes), affine, tuple(said))


def _check_step(step_mm: float, pixel_mm: float) -> None:
    least, most = STEP_MM
    if not least <= round(step_mm, 6) <= most:
        fix = "look whether positions were written in another unit than mm"
        expected = f"planes from {least:g} to {most:g} mm apart"
        raise SeriesError(compose(expected, f"{step_mm:g}", fix=fix))
    if pixel_mm < _FINE_MM and step_mm > _FINE_RATIO * pixel_mm:
        fix = "look whether PixelSpacing was written in another unit than mm"
        expected = f"pixels from {_FINE_MM:g} mm where planes are {step_mm:g} mm apart"
        raise SeriesError(compose(expected, f"{pixel_mm:g}", fix=fix))


def longest_run(planes: Sequence[CtPlane]) -> tuple[int, int]:
    """Return start and stop of the longest run of evenly spaced planes.

    Args:
        planes: Planes in order along their normal, no two at the same place.

    Raises:
        SeriesError: Planes are so unevenly spaced that no three follow each other evenly.
    """
    if len(planes) < 3:
        return 0, len(planes)
    steps = np.diff(_along(planes))
    close = np.abs(steps[:, None] - steps) <= STEP_TOLERANCE * steps
    usual = steps[int(close.sum(axis=0).argmax())]  # the step that most others resemble
    even = np.abs(steps - usual) <= STEP_TOLERANCE * usual
    breaks = np.flatnonzero(~even)
    edges = np.concatenate([[-1], breaks, [len(steps)]])
    longest = int(np.diff(edges).argmax())
    first, last = int(edges[longest]) + 1, int(edges[longest + 1]) + 1
    if last - first < 3:
        raise SeriesError(compose("evenly spaced planes", f"steps of {_listed(steps)} mm"))
    return first, last


def _largest_group(planes: Sequence[CtPlane], notes: list[str]) -> list[CtPlane]:
    """Keep the planes that share size, orientation, spacing and frame of reference."""
    groups: list[list[CtPlane]] = []
    for plane in sorted(planes, key=lambda p: p.order):
        for group in groups:
            if _belong_together(group[0], plane):
                group.append(plane)
                break
        else:
            groups.append([plane])
    if not groups:
        raise SeriesError("no plane of it can be placed")
    largest = max(groups, key=len)  # the first of equals
    if len(groups) > 1:
        left = len(planes) - len(largest)
        notes.append(
            f"{len(groups)} orientations or sizes in one series: the largest of "
            f"{len(largest)} planes is used, {left} left out"
        )
    return largest


def _belong_together(a: CtPlane, b: CtPlane) -> bool:
    return (
        (a.source.rows, a.source.columns) == (b.source.rows, b.source.columns)
        and a.frame_of_reference == b.frame_of_reference
        and np.allclose(a.orientation, b.orientation, rtol=0, atol=1e-3)
        and np.allclose(a.spacing, b.spacing, rtol=1e-3, atol=0)
    )


def _along(planes: Sequence[CtPlane]) -> Float:
    """Return the planes' places along the first one's normal, mm."""
    return np.array([p.position for p in planes], np.float64) @ planes[0].normal


def _sorted(planes: Sequence[CtPlane]) -> list[CtPlane]:
    normal = min(planes, key=lambda p: p.order).normal
    return sorted(planes, key=lambda p: (round(float(np.dot(p.position, normal)), 3), *p.order))


def _one_plane_a_place(planes: list[CtPlane], notes: list[str]) -> list[CtPlane]:
    """Keep one plane where several lie at the same place (phases, or repeats)."""
    if not _doubled(planes).any():
        return planes
    for index, keyword in enumerate(MOMENTS):
        parts: dict[str, list[CtPlane]] = {}
        for plane in planes:
            parts.setdefault(plane.moments[index], []).append(plane)
        if len(parts) > 1 and not any(_doubled(part).any() for part in parts.values()):
            largest = max((parts[key] for key in sorted(parts)), key=len)
            notes.append(
                f"{len(parts)} stacks at the same place, told apart by {keyword}: the largest "
                f"of {len(largest)} planes is used, {len(planes) - len(largest)} left out"
            )
            return largest
    doubled = _doubled(planes)
    notes.append(
        "planes lie where another does already: the first by InstanceNumber is used, "
        f"{int(doubled.sum())} left out"
    )
    return [plane for plane, twice in zip(planes, doubled, strict=True) if not twice]


def _doubled(planes: Sequence[CtPlane]) -> NDArray[np.bool_]:
    """Mark planes that lie at the place of the one before (planes in order)."""
    along = _along(planes)
    return np.concatenate([[False], np.diff(along) < SAME_PLACE_MM])


def _step(planes: Sequence[CtPlane]) -> Float:
    """Return the vector from one plane to the next, mm."""
    if len(planes) == 1:
        thickness = planes[0].thickness
        if not thickness or not thickness > 0:
            raise SeriesError(
                compose("two planes, or a SliceThickness", "one plane of unknown depth")
            )
        return planes[0].normal * thickness
    places = np.array([p.position for p in planes], np.float64)
    step = (places[-1] - places[0]) / (len(planes) - 1)
    off = np.linalg.norm(places - (places[0] + np.arange(len(planes))[:, None] * step), axis=1)
    allowed = max(PLACE_TOLERANCE_MM, 0.1 * float(np.linalg.norm(step)))
    if off.max() > allowed:
        raise SeriesError(
            compose("planes evenly spaced on one line", f"one {off.max():.2f} mm beside it")
        )
    return np.asarray(step, np.float64)


def _listed(steps: Float) -> str:
    shown = sorted({round(float(s), 2) for s in steps})
    return ", ".join(map(str, shown[:5])) + (" ..." if len(shown) > 5 else "")
