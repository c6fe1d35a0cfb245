"""Rim against centre, and depth, beside the truth of phantoms: how often right, wrong, not told.

Run: OMP_NUM_THREADS=1 python -m benchmarks.zones [--seeds 2000-2023] [--json FILE]

Every seed is a person with one lesion of each of `PATTERNS` in a limb, in turn through `SITES`,
with planes of another distance each time (`PLANES_MM`). A person without room for all of them is
left out. Lesions are measured from the candidate that `propose` finds at their place. A central
lesion is truly reverse-zonal where it was drawn to fade outwards.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import PLANES_MM, overlap, scanned
from calcilens.errors import InputError
from calcilens.imaging.candidates import propose
from calcilens.imaging.measure import measure
from calcilens.phantoms.study import Plan, visits

PATTERNS = ("peripheral_zonal", "central", "diffuse", "laminated", "popcorn")
SITES = ("thigh", "hip", "calf")
"""With room for so many lesions."""
Row = tuple[str, str, str]


def rows(seed: int, number: int) -> Iterator[Row]:
    """Yield what of a lesion (kind, zoning, depth) was told."""
    (visit,) = visits(Plan(seed, "ct", SITES[number % len(SITES)], PATTERNS))
    volume, masks = scanned(visit, PLANES_MM[number % len(PLANES_MM)])
    proposed = propose(volume)
    drawn = visit.taken.scene.lesions
    for lesion, truth, mask in zip(drawn, visit.lesions, masks, strict=True):
        best = max(proposed, key=lambda c: overlap(c, mask), default=None)
        if best is None or not overlap(best, mask):
            continue
        found = measure(volume, best)
        kind = f"{lesion.kind}{', fading outwards' if lesion.reversed_zones else ''}"
        right = "right" if found.depth == truth["depth"] else f"wrong: {truth['depth']}"
        yield kind, found.zoning or "not told", right if found.depth else "not told"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="2000-2023", help="first-last, both included")
    parser.add_argument("--json", type=Path, help="file for the counts")
    given = parser.parse_args()
    first, last = (int(n) for n in given.seeds.split("-"))
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for number, seed in enumerate(range(first, last + 1)):
        try:
            for kind, zoning, depth in rows(seed, number):
                counts[kind][zoning] += 1
                counts["depth"][depth] += 1
        except InputError as none:
            print(f"seed {seed} left out: {none}")
    for kind, told in sorted(counts.items()):
        print(f"{kind:30}", ", ".join(f"{name} {n}" for name, n in sorted(told.items())))
    if given.json:
        given.json.write_text(json.dumps(counts, indent=1))


if __name__ == "__main__":
    main()
