"""How well whole CT are searched: recall by size, and false candidates a study.

Run: python benchmarks/candidates.py [--seeds 2000 2040] [--model calcilens-ct] [--json]
     python benchmarks/candidates.py --speed 300

Every seed is a simulated study of the next site: of even seeds as `calcilens phantoms study`
makes it, with two lesions of 10 to 35 mm; of odd ones with three small lesions, 3 to 8 mm, diffuse
or phleboliths, in half of the trunks with contrast medium in the vessels. A lesion is found where a
candidate holds a voxel of its mask; a candidate is false where it holds no voxel of any. With
--model, those are left out that the model is sure of, as `calcilens predict` does.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from calcilens.imaging.anatomy import anatomy
from calcilens.imaging.candidates import Candidate, propose
from calcilens.imaging.geometry import Affine
from calcilens.imaging.images import Plane, Volume
from calcilens.imaging.measure import diameter_mm
from calcilens.inference.absent import is_absent
from calcilens.inference.predictor import answer, patch_input
from calcilens.models.loading import LoadedModel, load_model
from calcilens.phantoms.anatomy import SITES, draw_segment
from calcilens.phantoms.patterns import PATTERN_KINDS, draw_lesion
from calcilens.phantoms.person import depth_mm, mineral
from calcilens.phantoms.scan import Scan, draw_scan
from calcilens.phantoms.scene import Lesion, Scene
from calcilens.phantoms.segment import Rng, Segment
from calcilens.phantoms.study import Plan, visits
from calcilens.phantoms.truth import fine_model

SMALL = ("diffuse", "phlebolith")
SMALL_MM, SMALL_LESIONS = (3.0, 8.0), 3
BINS_MM = (0, 3, 5, 8, 12, 20, 1000)
APART_MM, BONE_MM, SKIN_MM, REACH_MM, TRIES = 12.0, 3.0, 0.8, 60.0, 400


@dataclass(frozen=True, eq=False)
class Case:
    """One simulated study, its truth and what was found in it."""

    seed: int
    site: str
    contrast: bool
    sizes_mm: list[float]
    kinds: list[str]
    candidates: list[int]
    false: int
    seconds: float


def run(seed: int, model: LoadedModel | None) -> Case:
    """Make a study and search it."""
    site = SITES[seed // 2 % len(SITES)]
    scan, rng = small(seed, site) if seed % 2 else usual(seed, site)
    image = scan.render(rng)
    planes = tuple(Plane(f"1.2.3.{i}") for i in range(len(image.hu)))
    volume = Volume(image.hu, scan.affine(image), "1.2", f"1.2.{seed}", None, planes)
    start = time.perf_counter()
    anatomy(volume)
    found = propose(volume)
    seconds = time.perf_counter() - start
    if model is not None:
        found = [c for c in found if not absent(volume, c, model)]
    hits = [[bool((mask[box(c)] & c.mask).any()) for c in found] for mask in image.masks]
    return Case(
        seed,
        site,
        any(t.tissue == "contrast_blood" for t in scan.scene.segment.tubes),
        [longest_mm(lesion, scan.scene.segment) for lesion in scan.scene.lesions],
        ["+".join(lesion.patterns) for lesion in scan.scene.lesions],
        [sum(row) for row in hits],
        sum(not any(column) for column in zip(*hits, strict=True)),
        seconds,
    )


def usual(seed: int, site: str) -> tuple[Scan, Rng]:
    """Make what `calcilens phantoms study --seed SEED --site SITE` makes."""
    visit = visits(Plan(seed, site=site))[0]
    if not isinstance(visit.taken, Scan):
        raise TypeError("expected a CT")
    return visit.taken, visit.tissue_rng()


def small(seed: int, site: str) -> tuple[Scan, Rng]:
    """Make a study with small lesions, in half of the trunks with contrast medium."""
    rng = np.random.default_rng([seed, 1])
    wanted = site in ("pelvis", "thorax") and seed // 2 // len(SITES) % 2 == 0
    while True:
        segment = draw_segment(rng, site)
        if wanted == any(t.tissue == "contrast_blood" for t in segment.tubes):
            break
    lesions: list[Lesion] = []
    names = [n for n in SMALL if site in PATTERN_KINDS[n].sites]
    for _ in range(TRIES):
        lesion = draw_lesion(rng, segment, (str(rng.choice(names)),), rng.uniform(*SMALL_MM))
        if len(lesions) < SMALL_LESIONS and fits(segment, lesion, lesions):
            lesions.append(lesion)
    return draw_scan(rng, Scene(segment, tuple(lesions))), rng


def fits(segment: Segment, lesion: Lesion, others: Iterable[Lesion]) -> bool:
    """Say whether a lesion lies in the body, clear of bone and of others."""
    dense = mineral(lesion)
    low, high = dense.box()
    clear = all(
        ((low >= stop + APART_MM) | (high <= start - APART_MM)).any()
        for start, stop in (mineral(o).box() for o in others)
    )
    ends = dense.axes * dense.radii[:, :, None]
    tips = np.concatenate([dense.centre[:, None] + ends, dense.centre[:, None] - ends], 1)
    tips = tips.reshape(-1, 3)
    return bool(
        clear
        and low[0] > -REACH_MM
        and high[0] < REACH_MM
        and depth_mm(segment.skin, tips).min() >= SKIN_MM
        and all((-depth_mm(bone, tips)).min() >= BONE_MM for bone in segment.bones)
    )


def longest_mm(lesion: Lesion, segment: Segment) -> float:
    model = fine_model(lesion, segment)
    return diameter_mm(model.mineral, model.grid.step) if model.mineral.any() else 0.0


def box(candidate: Candidate) -> tuple[slice, ...]:
    return tuple(slice(a, b) for a, b in candidate.box.T.tolist())


def absent(volume: Volume, candidate: Candidate, model: LoadedModel) -> bool:
    cut = patch_input(volume, candidate, model.spec)
    return not isinstance(cut, str) and is_absent(answer(model, cut))


def summary(cases: list[Case]) -> dict[str, Any]:
    """Return recall by size, false candidates a study and seconds."""
    sizes = np.array([s for c in cases for s in c.sizes_mm])
    counts = np.array([n for c in cases for n in c.candidates])
    bins = {
        f"{low}-{high} mm" if high < 1000 else f"from {low} mm": recall(
            counts[(sizes >= low) & (sizes < high)]
        )
        for low, high in pairwise(BINS_MM)
    }
    limbs = [c for c in cases if c.site not in ("pelvis", "thorax")]
    groups = {
        "limbs": limbs,
        "pelvis and thorax": [c for c in cases if c not in limbs],
        "contrast": [c for c in cases if c.contrast],
    }
    return {
        "studies": len(cases),
        "recall_from_3_mm": recall(counts[sizes >= 3]),
        "recall_by_size": bins,
        "lesions_in_several_candidates": int((counts > 1).sum()),
        "false_per_study": statistics.fmean(c.false for c in cases),
        "by_group": {
            name: {
                "studies": len(group),
                "recall": recall(np.array([n for c in group for n in c.candidates])),
                "false_per_study": statistics.fmean(c.false for c in group),
            }
            for name, group in groups.items()
            if group
        },
        "seconds_median": statistics.median(c.seconds for c in cases),
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "missed": [
            {"seed": c.seed, "site": c.site, "kind": kind, "mm": round(size, 1)}
            for c in cases
            for kind, size, n in zip(c.kinds, c.sizes_mm, c.candidates, strict=True)
            if not n
        ],
        "false": {c.seed: c.false for c in cases if c.false},
    }


def recall(counts: np.ndarray) -> dict[str, float | int | None]:
    share = float((counts > 0).mean()) if len(counts) else None
    return {"lesions": len(counts), "found": int((counts > 0).sum()), "recall": share}


def speed(planes: int) -> dict[str, float]:
    """Return processor seconds by stage on a CT of `planes` x 512 x 512: a thorax, mirrored on."""
    scan, rng = usual(500, "thorax")
    few = scan.render(rng).hu
    side = 512 - few.shape[1]
    wide = np.pad(few, ((0, 0), (0, side), (0, side)), constant_values=-1000)
    hu = np.pad(wide, ((0, planes - len(wide)), (0, 0), (0, 0)), mode="reflect")
    affine = Affine.from_dicom((0, 0, 0), (1, 0, 0, 0, 1, 0), (0.8, 0.8), (0, 0, 1.5))
    volume = Volume(hu, affine, "1.2", "1.2.3", None, tuple(Plane(f"1.{i}") for i in range(planes)))
    times = [time.process_time()]
    for stage in (anatomy, propose):
        stage(volume)
        times.append(time.process_time())
    return {"anatomy": times[1] - times[0], "candidates": times[2] - times[1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--seeds", nargs=2, type=int, default=(2000, 2040), help="first, after last"
    )
    parser.add_argument("--model", help="leave out what this model is sure holds no calcification")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--speed", type=int, metavar="PLANES", help="seconds on so many planes")
    given = parser.parse_args()
    if given.speed:
        with threadpool_limits(1):
            seconds = speed(given.speed)
        gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(json.dumps({"processor_seconds": seconds, "peak_gb": gb}, indent=2))
        return
    model = load_model(given.model) if given.model else None
    with threadpool_limits(1):
        cases = [run(seed, model) for seed in range(*given.seeds)]
    figures = summary(cases)
    if given.json:
        print(json.dumps(figures, indent=2))
        return
    for name, value in figures.items():
        for key, part in value.items() if isinstance(value, dict) else [("", value)]:
            print(f"{name:<30}{key:<20}{part}")


if __name__ == "__main__":
    main()
