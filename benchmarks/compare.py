"""Change between two CTs of simulated people: growth, ratios, matches, registration.

Run: python benchmarks/compare.py --seeds 2000 2030 [--json]     makes the pairs
     python benchmarks/compare.py --folder PAIRS [--json]        takes those of `phantoms study`

Each pair is one person on two days, with factors 1.0, 1.3 and 2.0 of the lesions' volume in turn,
and another pose, field of view, kernel and tube voltage. A lesion of the truth is held against
the largest lesion of the report within its box. Seconds are those of one core for comparing
alone: the search of the prior study, registration, matching, measuring.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from calcilens.imaging.study import read_study
from calcilens.inference.change import Level
from calcilens.inference.pipeline import Models, run_study
from calcilens.inference.report import StudyReport
from calcilens.phantoms.anatomy import SITES
from calcilens.phantoms.study import Plan
from calcilens.phantoms.write import write_study

FACTORS = (1.0, 1.3, 2.0, 1.0, 1.3)
SIZES_MM = (0.0, 8.0, 15.0, 25.0, np.inf)
BOX_MARGIN_MM = 3.0


@dataclass(frozen=True)
class Row:
    """One true lesion."""

    pair: str
    factor: float
    size_mm: float
    ratio: float | None
    interval: tuple[float, float] | None
    level: str
    kind: str
    off_mm: float | None
    found: bool


def made(seeds: range, folder: Path) -> Iterator[Path]:
    for seed in seeds:
        out = folder / f"s{seed}"
        out.mkdir()
        site, factor = SITES[seed % len(SITES)], FACTORS[seed % len(FACTORS)]
        write_study(out, Plan(seed, "ct", site, (), factor))
        yield out


def rows(folder: Path) -> tuple[list[Row], dict[str, Any]]:
    prior, current = (read_study(folder / name, workers=0) for name in ("dicom", "follow-up/dicom"))
    run_study(
        current, Models()
    )  # what both studies need anyway is worked out before the clock runs
    run_study(prior, Models())
    start = process_time()
    report = run_study(current, Models(), priors=(prior,))
    seconds = process_time() - start
    before = json.loads((folder / "truth.json").read_text())["lesions"]
    after = json.loads((folder / "follow-up" / "truth.json").read_text())
    found = [
        _row(folder.name, report, *pair, after["change"])
        for pair in zip(before, after["lesions"], strict=True)
    ]
    comparison = report.comparison
    if comparison is None:
        raise TypeError("expected a comparison")
    facts = {
        "pair": folder.name,
        "site": after["phantom"],
        "quality": comparison.series[0]["quality"],
        "done": comparison.done,
        "gone": len(comparison.gone),
        "seconds": round(seconds, 1),
    }
    return found, facts


def _row(
    pair: str,
    report: StudyReport,
    before: dict[str, Any],
    after: dict[str, Any],
    change: dict[str, Any],
) -> Row:
    number = int(after["id"].split("-")[1]) - 1
    low, high = np.array(after["box_mm"]) + np.array([[-BOX_MARGIN_MM], [BOX_MARGIN_MM]])
    inside = [
        x
        for x in report.lesions
        if x.centroid_mm is not None
        and ((np.array(x.centroid_mm) >= low) & (np.array(x.centroid_mm) <= high)).all()
    ]
    true = {
        "pair": pair,
        "factor": change["volume_ratio"][number],
        "size_mm": before["max_diameter_mm"],
    }
    if not inside:
        return Row(**true, ratio=None, interval=None, level="", kind="", off_mm=None, found=False)
    # Of a lesion that the search took for several, the largest part speaks.
    lesion = max(inside, key=lambda x: x.measured.volume_mm3 or 0.0)
    told = lesion.change
    if told is None:
        return Row(**true, ratio=None, interval=None, level="", kind="", off_mm=None, found=False)
    off = None
    if told.prior_centroid_mm is not None:
        back = np.linalg.inv(np.array(change["transform_mm"]))
        want = back[:3, :3] @ np.array(lesion.centroid_mm) + back[:3, 3]
        off = float(np.linalg.norm(want - told.prior_centroid_mm))
    interval = (
        None if told.volume_ratio_ci is None else (told.volume_ratio_ci[0], told.volume_ratio_ci[1])
    )
    return Row(
        **true,
        ratio=told.volume_ratio,
        interval=interval,
        level=str(told.level),
        kind=str(told.kind),
        off_mm=off,
        found=True,
    )


def figures(found: list[Row]) -> dict[str, Any]:
    """Sensitivity, false alarms, ratios and matches of some lesions."""
    seen = [r for r in found if r.found]
    measured = [r for r in seen if r.ratio is not None]
    same = [r for r in seen if abs(r.factor - 1) < 0.02]
    grown = [r for r in seen if r.factor >= 1.25]
    claims = {str(Level.GROWN), str(Level.RAPID)}
    errors = np.array([np.log(r.ratio / r.factor) for r in measured])
    covered = [r.interval[0] <= r.factor <= r.interval[1] for r in measured if r.interval]
    off = [r.off_mm for r in seen if r.off_mm is not None]
    repeat = [r.ratio for r in same if r.ratio is not None]
    return {
        "lesions": len(found),
        "found": len(seen),
        "measured": len(measured),
        "grown": len(grown),
        "sensitivity": _share([r.level in claims for r in grown]),
        "unchanged": len(same),
        "false_alarms": _share([r.level in claims for r in same]),
        "false_new": _share([r.kind == "new" for r in seen]),
        "within_15_percent": _share([1 / 1.15 <= r <= 1.15 for r in repeat]),
        "ratio_rms_percent": round(100 * float(np.sqrt((errors**2).mean())), 1)
        if len(errors)
        else None,
        "interval_holds": _share(covered),
        "off_mm_median": round(float(np.median(off)), 2) if off else None,
        "off_mm_95": round(float(np.quantile(off, 0.95)), 2) if off else None,
    }


def _share(values: list[bool]) -> float | None:
    return round(float(np.mean(values)), 3) if values else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs=2, default=(2000, 2030), metavar=("FROM", "TO"))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    found: list[Row] = []
    pairs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temp:
        given = wanted.folder and sorted(p.parent for p in wanted.folder.glob("*/follow-up"))
        for folder in given or made(range(*wanted.seeds), Path(temp)):
            some, facts = rows(folder)
            found += some
            pairs.append(facts)
            if not wanted.json:
                print(facts, *some, sep="\n  ", flush=True)
    large = [r for r in found if r.size_mm >= 8]
    result = {"from_8_mm": figures(large)}
    for low, high in pairwise(SIZES_MM):
        part = [r for r in found if low <= r.size_mm < high]
        if part:
            result[f"{low:g}-{high:g}_mm"] = figures(part)
    seconds = [p["seconds"] for p in pairs]
    result["pairs"] = {
        "n": len(pairs),
        "compared": sum(p["done"] for p in pairs),
        "gone_though_there": sum(p["gone"] for p in pairs),
        "lowest_quality": min(p["quality"] for p in pairs),
        "seconds_median": float(np.median(seconds)),
        "seconds_most": max(seconds),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
