"""The finder on whole radiographs: what it finds, what it takes for a lesion, how long it takes.

Run: python benchmarks/finder.py --seeds 2000-2039 [--finder NAME|PATH] [--json]

Every seed gives one simulated study (`calcilens phantoms study --modality radiograph --seed N`, a
view from the front and one from the side) with two lesions in the next part of the body. Seeds
1000-1999 are for tuning; judge on others. A lesion is found where the box of a candidate and its
own overlap by at least a fifth of what both cover, or together the candidates that lie on it do.
A candidate is false where less than half of its box lies on the box of a lesion.

With --folder, real radiographs are searched instead, and their candidates listed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from calcilens.imaging.images import Radiograph
from calcilens.imaging.study import read_studies
from calcilens.inference.film_finder import search_film
from calcilens.models.finder_file import LoadedFinder, load_finder
from calcilens.models.registry import FINDER
from calcilens.phantoms.anatomy import SITES
from calcilens.phantoms.study import Plan
from calcilens.phantoms.write import write_study

OVERLAP, OWN = 0.2, 0.5
BINS_MM = ((0, 12), (12, 20), (20, 99))


def films(seed: int, site: str | None, folder: Path) -> Iterator[tuple[Radiograph, list[Any]]]:
    """Yield the films of a study with their lesions."""
    out = folder / str(seed)
    out.mkdir()
    write_study(out, Plan(seed, "radiograph", site))
    truth = json.loads((out / "truth.json").read_text())
    for study in read_studies([out / "dicom"], workers=0):
        for image in study.images:
            if not isinstance(image, Radiograph):
                raise TypeError("expected a radiograph")
            uid = image.planes[0].sop_uid
            seen = ((one, view) for one in truth["lesions"] for view in one["views"].values())
            yield image, [pair for pair in seen if pair[1]["sop_uid"] == uid]


def area(box: np.ndarray) -> float:
    return float(np.prod(np.clip(box[1] - box[0], 0, None)))


def shared(a: np.ndarray, b: np.ndarray) -> float:
    return area(np.stack([np.maximum(a[0], b[0]), np.minimum(a[1], b[1])]))


def is_found(lesion: np.ndarray, boxes: list[np.ndarray]) -> bool:
    own = [b for b in boxes if shared(b, lesion) >= OWN * area(b)]
    if own:
        boxes = [*boxes, np.stack([np.min([b[0] for b in own], 0), np.max([b[1] for b in own], 0)])]
    both = [(shared(b, lesion), area(b)) for b in boxes]
    return any(s >= OVERLAP * (area(lesion) + a - s) for s, a in both)


def judge(seeds: list[int], finder: LoadedFinder) -> dict[str, Any]:
    """Search the studies of some seeds."""
    by: dict[str, Counter[str]] = defaultdict(Counter)
    false, seconds = [], []
    for number, seed in enumerate(seeds):
        site = tuple(SITES)[number % len(SITES)]
        with tempfile.TemporaryDirectory() as temp:
            for image, lesions in films(seed, site, Path(temp)):
                start = time.perf_counter()
                boxes = [c.box[:, 1:] for c in search_film(image, finder).candidates]
                seconds.append(time.perf_counter() - start)
                known = []
                for lesion, view in lesions:
                    x0, y0, x1, y1 = view["box_px"]
                    box = np.array([[y0, x0], [y1, x1]])
                    known.append(box)
                    hit = is_found(box, boxes)
                    size = next(f"{a}-{b} mm" for a, b in BINS_MM if lesion["max_diameter_mm"] < b)
                    for key in ("all", size, site, *lesion["patterns"]):
                        by[key].update(n=1, found=int(hit))
                wrong = sum(max(shared(b, k) for k in known) < OWN * area(b) for b in boxes)
                false.append(wrong)
    return {
        "finder": finder.name,
        "sha256": finder.sha256,
        "studies": len(seeds),
        "films": len(false),
        "recall": {k: [c["found"], c["n"], round(c["found"] / c["n"], 3)] for k, c in by.items()},
        "false_a_film": round(float(np.mean(false)), 3),
        "false_a_study": round(2 * float(np.mean(false)), 3),
        "most_false_on_a_film": max(false),
        "seconds_a_film": round(float(np.median(seconds)), 2),
    }


def search(folder: Path, finder: LoadedFinder) -> dict[str, Any]:
    """List the candidates of real radiographs; copies of one image count once."""
    found: dict[str, list[str]] = {}
    for study in read_studies([folder], workers=0):
        for image in study.images:
            if isinstance(image, Radiograph):
                key = f"{image.body_part} {image.pixels.shape} {image.pixels.sum():.0f}"
                found[key] = [
                    f"{c.box[:, 1:].tolist()} {c.why}"
                    for c in search_film(image, finder).candidates
                ]
    return {"films": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="2000-2039", help="first-last")
    parser.add_argument("--finder", default=FINDER)
    parser.add_argument("--folder", type=Path, help="real radiographs instead")
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    finder = load_finder(wanted.finder)
    first, last = (int(n) for n in wanted.seeds.split("-"))
    result = (
        search(wanted.folder, finder)
        if wanted.folder
        else judge(list(range(first, last + 1)), finder)
    )
    if wanted.json:
        json.dump(result, sys.stdout, indent=1)
        return
    for name, value in result.items():
        lines = value.items() if isinstance(value, dict) else [("", value)]
        for key, one in lines:
            print(name, key, one)


if __name__ == "__main__":
    main()
