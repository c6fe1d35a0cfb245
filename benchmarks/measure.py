"""Measurements beside the exact truth of phantoms: bias, spread, shares within target, honesty.

Run: OMP_NUM_THREADS=1 python benchmarks/measure.py [--seeds 2000-2039] [--json FILE]

Every seed is a person with two lesions at one of all sites, scanned twice: another pose, scanner
setting, noise and distance of planes (`PLANES_MM`), the lesions unchanged. Each lesion is measured
twice: from the candidate that `propose` finds at its place, and from its true mask. Targets:
diameter within the larger of a voxel and 5 %, volume within 10 % from 5 mm up, skin within 2 mm,
95 % of volume ratios between the two scans within 15 %.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from calcilens.imaging.anatomy import MINERAL_HU, Mask
from calcilens.imaging.candidates import Candidate, candidate, propose
from calcilens.imaging.images import Plane, Volume
from calcilens.imaging.measure import Measurement, measure
from calcilens.phantoms.anatomy import SITES
from calcilens.phantoms.scan import Scan
from calcilens.phantoms.study import Plan, Visit, visits

PLANES_MM = (1.0, 1.5, 2.0, 3.0, 0.7)
"""Distances of planes, in turn."""
SMALL_MM = 5.0
TARGETS = {"max_diameter_mm": "1 voxel or 5 %", "volume_mm3": "10 %", "skin_distance_mm": "2 mm"}
FIGURES = (*TARGETS, "bone_distance_mm", "fascia_distance_mm", "mass_mg")


@dataclass(frozen=True, eq=False)
class Row:
    """One lesion, measured once."""

    seed: int
    visit: int
    source: str
    truth: dict[str, Any]
    found: Measurement
    voxel_mm: float
    seconds: float

    def error(self, name: str) -> float | None:
        """Return measured less true; None where either is missing."""
        value, true = getattr(self.found, name), self.truth.get(name)
        return None if value is None or true is None else float(value - true)

    def hits(self, name: str) -> bool | None:
        """Return whether a figure meets its target."""
        error, true = self.error(name), self.truth.get(name)
        if error is None or true is None:
            return None
        allowed = {
            "max_diameter_mm": max(self.voxel_mm, 0.05 * true),
            "volume_mm3": 0.1 * true,
            "skin_distance_mm": 2.0,
        }[name]
        return bool(abs(error) <= allowed)


def scanned(visit: Visit, spacing_mm: float) -> tuple[Volume, tuple[Mask, ...]]:
    """Render a visit with planes at that distance, as our reader would give it."""
    scan = visit.taken
    if not isinstance(scan, Scan):
        raise TypeError("expected a CT")
    planes = int(np.ceil(scan.shape[0] * scan.settings.interval_mm / spacing_mm))
    settings = replace(scan.settings, interval_mm=spacing_mm, thickness_mm=spacing_mm)
    scan = replace(scan, settings=settings, shape=(planes, *scan.shape[1:]))
    image = scan.render(visit.tissue_rng())
    origins = tuple(Plane(f"1.{i}") for i in range(planes))
    place = scan.affine(image)
    volume = Volume(
        image.hu, place, "1", "2", "3", origins, kvp=settings.kvp, thickness_mm=spacing_mm
    )
    return volume, image.masks


def from_truth(volume: Volume, mask: Mask) -> Candidate:
    """Return what a threshold finds of a lesion and nothing else, or its true mask if nothing."""
    dense = ndimage.binary_dilation(mask) & (volume.hu >= MINERAL_HU)
    return _cut(volume, dense if dense.any() else mask)


def _cut(volume: Volume, mask: Mask) -> Candidate:
    at = np.argwhere(mask)
    box = np.stack([at.min(0), at.max(0) + 1])
    return candidate(volume, box, mask[tuple(slice(*ends) for ends in box.T)], "truth")


def overlap(one: Candidate, mask: Mask) -> int:
    """Return how many voxels of a mask a candidate shares."""
    part = mask[tuple(slice(*ends) for ends in one.box.T)]
    return int((part if one.mask is None else part & one.mask).sum())


def rows(seed: int, number: int) -> Iterator[Row]:
    """Measure the lesions of a person at both visits."""
    site = list(SITES)[number % len(SITES)]
    for visit in visits(Plan(seed, "ct", site, (), 1.0)):
        spacing = PLANES_MM[(2 * number + visit.number) % len(PLANES_MM)]
        volume, masks = scanned(visit, spacing)
        proposed = propose(volume)
        for truth, mask in zip(visit.lesions, masks, strict=True):
            best = max(proposed, key=lambda c: overlap(c, mask), default=None)
            chosen = {"true mask": from_truth(volume, mask)}
            if best is not None and overlap(best, mask):
                chosen["candidate"] = best
            for source, one in chosen.items():
                begun = time.process_time()
                found = measure(volume, one)
                spent = time.process_time() - begun
                voxel = max(volume.spacing_mm)
                yield Row(seed, visit.number, source, truth, found, voxel, spent)


def summary(taken: list[Row]) -> dict[str, Any]:
    """Return bias, spread, shares within target and honesty of each figure."""
    out: dict[str, Any] = {"lesions": len(taken)}
    for name in FIGURES:
        with_truth = [r for r in taken if r.error(name) is not None]
        errors = np.array([r.error(name) for r in with_truth], float)
        true = np.array([r.truth[name] for r in with_truth], float)
        sd = np.array([r.found.uncertainty[name] for r in with_truth])
        if name in ("volume_mm3", "mass_mg"):
            ratio = np.log1p(errors / true)
            figures = {"bias": float(np.expm1(np.median(ratio))), "sd_log": float(ratio.std())}
        else:
            figures = {"bias": float(np.median(errors)), "sd": float(errors.std())}
        figures |= {"n": len(errors), "within_1_sd": _share(errors, sd)}
        figures["within_2_sd"] = _share(errors, 2 * sd)
        if name in TARGETS:
            large = [r for r in with_truth if r.truth["max_diameter_mm"] >= SMALL_MM]
            figures["within_target"] = float(np.mean([bool(r.hits(name)) for r in large]))
        out[name] = figures
    out["depth_right"] = _agreement(taken)
    out["seconds_of_processor"] = float(np.median([r.seconds for r in taken]))
    out["retest"] = retest(taken)
    return out


def _share(errors: NDArray[np.float64], limits: NDArray[np.float64]) -> float:
    return float((np.abs(errors) <= limits).mean())


def _agreement(taken: list[Row]) -> float:
    said = [r.found.depth == r.truth["depth"] for r in taken if r.found.depth is not None]
    return float(np.mean(said)) if said else float("nan")


def retest(taken: list[Row]) -> dict[str, float]:
    """Compare the volumes of the same lesion in both scans."""
    pairs: dict[tuple[int, str], list[Row]] = defaultdict(list)
    for row in taken:
        pairs[row.seed, str(row.truth["id"])].append(row)
    both = [p for p in pairs.values() if len(p) == 2 and all(r.found.volume_mm3 for r in p)]
    log = np.array([np.log(_ratio(b) / _ratio(a)) for a, b in both])
    sd = np.array([np.hypot(_again(a), _again(b)) for a, b in both])
    return {
        "pairs": len(both),
        "sd_log": float(log.std()),
        "within_15_percent": float((np.abs(log) <= np.log(1.15)).mean()),
        "within_1_sd": _share(log, sd),
        "within_2_sd": _share(log, 2 * sd),
    }


def _ratio(row: Row) -> float:
    return float((row.found.volume_mm3 or np.nan) / row.truth["volume_mm3"])


def _again(row: Row) -> float:
    return row.found.uncertainty["volume_repeat_mm3"] / float(row.found.volume_mm3 or np.nan)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="2000-2039", help="first-last, both included")
    parser.add_argument("--json", type=Path, help="file for the figures, and one row a lesion")
    given = parser.parse_args()
    first, last = (int(n) for n in given.seeds.split("-"))
    taken: list[Row] = []
    for number, seed in enumerate(range(first, last + 1)):
        taken += rows(seed, number)
    figures = {}
    for source in ("true mask", "candidate"):
        figures[source] = summary([r for r in taken if r.source == source])
        print(f"from the {source}:")
        for name, value in figures[source].items():
            print(f"  {name:20}", _text(value))
    if given.json:
        each = [_record(r) for r in taken]
        given.json.write_text(json.dumps({"summary": figures, "rows": each}, indent=1))


def _text(value: Any) -> str:
    if not isinstance(value, dict):
        return f"{value:.3g}"
    return ", ".join(f"{k} {v:.3g}" for k, v in value.items())


def _record(row: Row) -> dict[str, Any]:
    kept = ("id", "patterns", "volume_mm3", "max_diameter_mm", "skin_distance_mm", "depth")
    return {
        "seed": row.seed,
        "visit": row.visit,
        "source": row.source,
        "truth": {k: row.truth[k] for k in kept},
        "seconds": row.seconds,
        "found": {k: getattr(row.found, k) for k in (*FIGURES, "depth")},
        "uncertainty": row.found.uncertainty,
    }


if __name__ == "__main__":
    main()
