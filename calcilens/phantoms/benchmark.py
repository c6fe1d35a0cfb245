"""The open benchmark: what stands beside the set of lesions that models are judged on."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from calcilens import DISCLAIMER, __version__
from calcilens.files import whole, write_whole
from calcilens.phantoms.drafts import Job
from calcilens.phantoms.patches import FORMAT
from calcilens.vocabulary import PATTERN_KEYS

PREDICTION_COLUMNS = ("row_id", "finding", "concern", *(f"pattern_{k}" for k in PATTERN_KEYS))
MEASURED = ("contrast_hu", "visible")
"""Measured on the image, so that their last digit may differ between kinds of processors."""


def describe(job: Job) -> dict[str, Any]:
    """Return what a written set holds, with digests to compare it by.

    `truth_sha256` is over the lines of truth.jsonl without what was measured on the images, and
    is the same on every machine. `images_sha256` is over all images in order of their names;
    where it differs, processors rounded differently.
    """
    truth = (job.out / "truth.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in truth.splitlines()]
    kinds = Counter(pattern for line in lines for pattern in line["patterns"])
    return {
        "benchmark": "calcilens-phantoms",
        "format": FORMAT,
        "calcilens": __version__,
        "modality": job.modality,
        "domain": job.domain,
        "seed": job.seed,
        "lesions": len(lines),
        "people": len({line["person"] for line in lines}),
        "calcified": sum(line["finding"] for line in lines),
        "concerning": sum(line["concern"] for line in lines),
        "lesions_by_pattern": {key: kinds[key] for key in PATTERN_KEYS},
        "truth_sha256": _digest(_stable(line) for line in lines),
        "images_sha256": _digest((job.out / line["image"]).read_bytes() for line in lines),
    }


def _stable(line: dict[str, Any]) -> bytes:
    kept = {key: value for key, value in line.items() if key not in MEASURED}
    return json.dumps(kept, sort_keys=True).encode()


def _digest(parts: Iterable[bytes]) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(hashlib.sha256(part).digest())
    return total.hexdigest()


def write_template(path: Path, row_ids: Sequence[str]) -> None:
    """Write the CSV that other programs fill in: a line a lesion, its cells empty."""
    with whole(path) as part, part.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(PREDICTION_COLUMNS)
        empty = [""] * (len(PREDICTION_COLUMNS) - 1)
        table.writerows([row_id, *empty] for row_id in row_ids)


def write_readme(path: Path, found: dict[str, Any]) -> None:
    """Write how the benchmark is used, with its figures."""
    patterns = "\n".join(f"| `{k}` | {n} |" for k, n in found["lesions_by_pattern"].items())
    text = _README.format(**found, patterns=patterns, disclaimer=DISCLAIMER)
    write_whole(path, text.encode())


_README = """\
# Calcification benchmark on phantoms: {modality}, seed {seed}

{lesions} simulated lesions of {people} simulated people, {calcified} calcified and {concerning} of
concern, with exact truth, imaged in the domain `{domain}`: other tube voltages, kernels or
processing, and other people than any set for training. Made by calcilens {calcilens} (format
{format}) with:

    calcilens phantoms benchmark --modality {modality} --seed {seed} --n {lesions} --out DIR

## Judge a model of Calcilens

    calcilens evaluate --manifest manifest.parquet --model NAME_OR_PATH --out evaluation

## Judge the predictions of any program

Fill in `predictions-template.csv`: a line for every `row_id`; `finding`, `concern` and
`pattern_<key>` are probabilities from 0 to 1. The patterns of a line say which pattern it is, given
that it is a calcification, and sum to 1. A column may be left out, and an empty cell is a missing
prediction, which is counted. Then:

    calcilens evaluate --manifest manifest.parquet --predictions predictions.csv --out evaluation

## What is here

- `manifest.parquet`: rows with box, key plane, spacing, truth, site, kVp and kernel
- `images/`: CT as NIfTI in HU, five planes; radiographs as 16-bit PNG, bright is dense
- `masks/`: the mineral, in the grid of the image
- `truth.jsonl`: all that is known of each lesion, a line a lesion
- `BENCHMARK.json`: counts and digests

Whoever has the same `truth_sha256` in `BENCHMARK.json` has the same lesions. The same
`images_sha256` means the same pixels; on another kind of processor single pixels may be rounded
differently.

## Rules of a fair result

Train on anything but this domain: the sets of `calcilens phantoms patches --domain usual`, real
data, or both. Say the version, the seed and both digests with the figures. Phantoms show whether a
program tells patterns apart whose truth is certain. They do not show how it fares on patients.

## Lesions by pattern

A lesion may show several patterns.

| pattern | lesions |
| --- | --- |
{patterns}

{disclaimer}
"""
