"""How long image-like DICOM objects of a large CT take: `python benchmarks/image_objects.py`.

A made CT of 300 planes of 512 x 512 pixels with 20 lesions, of which some are long. The first
object of a process also loads highdicom's tables, which is timed apart. Prints seconds and sizes.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from calcilens.imaging.study import read_study
from calcilens.inference.export.objects import make
from tests import dicom_factory as factory
from tests.inference.shown import lesion_on, report

SHAPE, LESIONS = (300, 512, 512), 20
KINDS = ("seg", "saliency", "presentation", "capture")


def main() -> None:
    stored = np.full(SHAPE, 1064, np.uint16)
    stored[:, :9] = 24  # air
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, ds in enumerate(factory.ct_slices(stored)):
            factory.save(ds, folder / f"{number:03d}.dcm")
        study = read_study(folder, workers=0)
    image = study.images[0]
    random = np.random.default_rng(1)
    lesions = []
    for number in range(LESIONS):
        size = np.array([60 if number % 5 == 0 else 12, 30, 30])
        start = random.integers(0, np.subtract(SHAPE, size))
        lesions.append(lesion_on(image, np.stack([start, start + size]), random.random(size) < 0.6))
    whole = report(study, lesions)
    begun = time.perf_counter()
    make(report(study, lesions[:1]), KINDS)
    print(f"first of the process, 1 lesion: {time.perf_counter() - begun:.2f} s")
    for kind in KINDS:
        begun = time.perf_counter()
        made = make(whole, [kind])
        seconds, size_mb = time.perf_counter() - begun, sum(len(d) for _, d in made.files) / 1e6
        print(f"{kind}: {len(made.files)} files, {size_mb:.1f} MB, {seconds:.2f} s")


if __name__ == "__main__":
    main()
