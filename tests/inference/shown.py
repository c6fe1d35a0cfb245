"""Images that were read from DICOM files, with lesions on them, for tests of DICOM objects."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset

from calcilens.imaging.candidates import candidate
from calcilens.imaging.images import Image, Radiograph
from calcilens.imaging.measure import Measurement
from calcilens.imaging.patches import PatchLocation
from calcilens.imaging.study import Study, read_study
from calcilens.inference.export.objects import Shown, shown_images
from calcilens.inference.lesions import Answer, Concern, Finding, Lesion, Patterns, SaliencyMap
from calcilens.inference.report import StudyReport
from calcilens.models.saliency import ATTENTION
from tests import dicom_factory as factory
from tests.inference.made import FakeModel

SHAPE = (7, 20, 24)
DENSE = 1600
"""Stored value of what is a lesion in the made images."""
ANSWER = Answer(
    Finding(0.9, abstained=False),
    Patterns({"diffuse": 0.8, "central": 0.2}, ["diffuse"], 0.9, abstained=False),
    Concern(0.7, "high"),
    model="fake",
)


def stored(shape: tuple[int, int, int] = SHAPE, number: int = 1) -> np.ndarray:
    """Stored values with lesions that no rotation or mirror maps onto themselves."""
    values = np.full(shape, 1064, np.uint16)
    for k in range(number):
        y, x = 3 + 8 * k, 5 + 9 * k
        values[1, y : y + 4, x] = values[2, y + 3, x : x + 5] = DENSE
        values[3, y + 3, x + 4] = values[4, y + 2, x + 4] = DENSE
    return values


def read(objects: Sequence[Dataset], folder: Path) -> Study:
    """Read objects as files in a folder."""
    return read_study(factory.save_all(objects, folder), workers=0)


def lesions_in(image: Image, number: int = 1) -> list[Lesion]:
    """Return what is dense in a made image, with a map each."""
    stack = image.pixels[None] if isinstance(image, Radiograph) else image.hu
    dense = stack > (1300 if isinstance(image, Radiograph) else 300)
    found = []
    for k in range(number):
        mask = dense.copy()
        if number > 1:  # they lie in halves of the image
            half = mask.shape[2] // 2
            mask[:, :, half:] &= k == 1
            mask[:, :, :half] &= k == 0
        voxels = np.argwhere(mask)
        box = np.stack([voxels.min(0), voxels.max(0) + 1])
        inside = mask[tuple(slice(a, b) for a, b in box.T)]
        found.append(lesion_on(image, box, inside))
    return found


def lesion_on(image: Image, box: np.ndarray, mask: np.ndarray | None, **changes: Any) -> Lesion:
    """Return a lesion with a map that has a different value in each pixel."""
    size = 12
    values = np.linspace(0, 1, size * size, dtype=np.float32).reshape(size, size)
    z, y, x = (int(v) for v in box[0])
    flat = isinstance(image, Radiograph)
    planes = (0,) if flat else tuple(range(z, int(box[1, 0])))
    place = PatchLocation((planes[0], *planes), (y - 4, x - 6), size)
    seen = SaliencyMap(values, place, ATTENTION, 0.9, True)
    facts: dict[str, Any] = {
        "measured": Measurement(max_diameter_mm=12.34),
        "answer": ANSWER,
        "saliency": seen,
    }
    return Lesion(image, candidate(image, box, mask, "2 dense pieces"), **(facts | changes))


def report(study: Study, lesions: Sequence[Lesion]) -> StudyReport:
    """Return the report of a study."""
    return StudyReport(study, tuple(lesions), (), (FakeModel(),))


def shown(study: Study, lesions: Sequence[Lesion]) -> Shown:
    """Return the first image of a study with its lesions."""
    return next(shown_images(report(study, lesions)))


def made(folder: Path, objects: Sequence[Dataset] | None = None, number: int = 1) -> Shown:
    """Return a CT, or other objects, with the lesions in it."""
    study = read(factory.ct_slices(stored()) if objects is None else objects, folder)
    return shown(study, lesions_in(study.images[0], number))


def film(folder: Path, number: int = 1, **tags: Any) -> Shown:
    """Return a radiograph with the lesions in it."""
    return made(folder, [factory.radiograph(stored(number=number).max(0), **tags)], number)


def as_bytes(built: Dataset) -> bytes:
    """Return an object as its file would be."""
    stream = io.BytesIO()
    built.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def reread(built: Dataset) -> Dataset:
    """Write an object and read it."""
    return dcmread(io.BytesIO(as_bytes(built)))


def dcmqi(name: str) -> str | None:
    """Return a program of dcmqi: of this environment, or of the machine."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def errors(path: Path) -> list[str]:
    """Return what dciodvfy finds wrong with a file."""
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    return sorted(x for x in (done.stdout + done.stderr).splitlines() if x.startswith("Error"))
