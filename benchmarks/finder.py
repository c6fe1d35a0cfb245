"""The finder on whole radiographs: what it finds, what it takes for a lesion, how long it takes.

Run: python benchmarks/finder.py --seeds 2000-2039 [--finder NAME|PATH] [--judged] [--json]

Every seed gives one simulated study (`calcilens phantoms study --modality radiograph --seed N`, a
view from the front and one from the side) with two lesions in the next part of the body. Seeds
1000-1999 are for tuning; judge on others. A lesion is found in a view where the box of a candidate
and its own overlap by at least a fifth of what both cover, or together the candidates that lie on
it do; in a study, where it is found in a view. A candidate is false where less than half of its
box lies on the box of a lesion. With --judged, only those candidates count that the report keeps
after the model of lesions has judged them. Where a single candidate finds a lesion, its largest
length is held against that of the lesion's true mask.

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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from calcilens.imaging.candidates import Candidate
from calcilens.imaging.images import Radiograph
from calcilens.imaging.measure.borders import faces
from calcilens.imaging.measure.extent import farthest
from calcilens.imaging.study import Study, read_studies
from calcilens.inference.film_finder import search_film
from calcilens.inference.pipeline import Models, run_study
from calcilens.models.finder_file import LoadedFinder, load_finder
from calcilens.models.loading import LoadedModel, load_model
from calcilens.models.registry import DEFAULT, FINDER
from calcilens.phantoms.anatomy import SITES
from calcilens.phantoms.study import Plan
from calcilens.phantoms.whole_films import LEAST_SEEN
from calcilens.phantoms.write import write_study

OVERLAP, OWN = 0.2, 0.5
BINS_MM = ((0, 12), (12, 20), (20, 99))


@dataclass(frozen=True)
class Searcher:
    """Searches films, with or without the model of lesions.

    Args:
        finder: What looks.
        judge: What judges, or None.
    """

    finder: LoadedFinder
    judge: LoadedModel | None

    def candidates(self, study: Study, image: Radiograph) -> list[Candidate]:
        if self.judge is None:
            return list(search_film(image, self.finder).candidates)
        models = Models(None, self.judge, self.finder)
        report = run_study(replace(study, images=(image,)), models)
        return [lesion.candidate for lesion in report.lesions]


@dataclass(frozen=True)
class Shown:
    """A lesion as a film shows it: its truth, and its largest length, pixels."""

    truth: dict[str, Any]
    view: dict[str, Any]
    length_px: float

    @property
    def box(self) -> np.ndarray:
        x0, y0, x1, y1 = self.view["box_px"]
        return np.array([[y0, x0], [y1, x1]])


def films(seed: int, site: str, folder: Path) -> Iterator[tuple[Study, Radiograph, list[Shown]]]:
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
            seen = (
                Shown(one, view, length_px(nibabel.load(out / view["mask"]).get_fdata() > 0))
                for one in truth["lesions"]
                for view in one["views"].values()
                if view["sop_uid"] == uid
            )
            yield study, image, list(seen)


def length_px(mask: np.ndarray) -> float:
    """Return the largest distance within a mask in 2 or 3 dimensions, pixels."""
    flat = mask.squeeze()
    at = faces(np.pad(flat[None], 1))[:, 1:]
    first, last = farthest(at)
    return float(np.linalg.norm(last - first))


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


def judge(seeds: list[int], searcher: Searcher) -> dict[str, Any]:
    """Search the studies of some seeds."""
    by: dict[str, Counter[str]] = defaultdict(Counter)
    anywhere: dict[str, bool] = {}
    false, seconds, ratios = [], [], []
    for number, seed in enumerate(seeds):
        site = tuple(SITES)[number % len(SITES)]
        with tempfile.TemporaryDirectory() as temp:
            for study, image, lesions in films(seed, site, Path(temp)):
                start = time.perf_counter()
                candidates = searcher.candidates(study, image)
                seconds.append(time.perf_counter() - start)
                boxes, known = [c.box[:, 1:] for c in candidates], [one.box for one in lesions]
                for lesion in lesions:
                    hit = is_found(lesion.box, boxes)
                    ratios += [
                        length_px(c.mask) / lesion.length_px
                        for c, box in zip(candidates, boxes, strict=True)
                        if c.mask is not None and is_found(lesion.box, [box])
                    ]
                    name = f"{seed} {lesion.truth['id']}"
                    anywhere[name] = anywhere.get(name, False) or hit
                    for key in keys(lesion.truth, lesion.view, site):
                        by[key].update(n=1, found=int(hit))
                wrong = (max(shared(b, k) for k in known) < OWN * area(b) for b in boxes)
                false.append(sum(wrong))
    found = {k: [c["found"], c["n"], round(c["found"] / c["n"], 3)] for k, c in by.items()}
    return {
        "finder": searcher.finder.name,
        "sha256": searcher.finder.sha256,
        "studies": len(seeds),
        "films": len(false),
        "recall_of_lesions": round(float(np.mean(list(anywhere.values()))), 3),
        "recall_in_views": found,
        "false_a_film": round(float(np.mean(false)), 3),
        "most_false_on_a_film": max(false),
        "length_over_true": {
            "n": len(ratios),
            "median": round(float(np.median(ratios)), 3),
            "sd_of_log": round(float(np.log(ratios).std()), 3),
        },
        "seconds_a_film": round(float(np.median(seconds)), 2),
    }


def keys(lesion: dict[str, Any], view: dict[str, Any], site: str) -> list[str]:
    """Return what a lesion counts for."""
    size = next(f"{a}-{b} mm" for a, b in BINS_MM if lesion["max_diameter_mm"] < b)
    seen = "well seen" if view["visible"] >= LEAST_SEEN else "hardly seen"
    return ["all", seen, size, site, *lesion["patterns"]]


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
    parser.add_argument("--judged", action="store_true")
    parser.add_argument("--folder", type=Path, help="real radiographs instead")
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    finder = load_finder(wanted.finder)
    judging = load_model(DEFAULT["radiograph"]) if wanted.judged else None
    first, last = (int(n) for n in wanted.seeds.split("-"))
    if wanted.folder:
        result = search(wanted.folder, finder)
    else:
        result = judge(list(range(first, last + 1)), Searcher(finder, judging))
    if wanted.json:
        json.dump(result, sys.stdout, indent=1)
        return
    for name, value in result.items():
        lines = value.items() if isinstance(value, dict) else [("", value)]
        for key, one in lines:
            print(name, key, one)


if __name__ == "__main__":
    main()
