"""A day's studies with their reports, made in a few seconds: what the review page is tried on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import UID

from calcilens.imaging.candidates import candidate
from calcilens.imaging.images import Image, Radiograph
from calcilens.imaging.study import read_study
from calcilens.inference.export.objects import make
from calcilens.inference.guided import guided
from calcilens.inference.output import write_study
from calcilens.inference.pipeline import Models, run_study
from calcilens.inference.stopwatch import Stopwatch
from tests import dicom_factory as factory
from tests.inference.made import FakeModel, FakeNetwork, card

SHAPE = (16, 128, 144)
"""Planes, rows, columns of each CT."""
LESIONS = (((5, 50, 40), 5), ((10, 70, 100), 7))
"""Voxel (z, y, x) of each lesion's middle, and its radius in pixels."""
FORMATS = ("json", "html", "sr", "sr-plain", "seg")


@dataclass(frozen=True)
class Day:
    """Where the studies and their reports lie.

    Args:
        studies: Folder of DICOM, one folder a study.
        reports: As `calcilens predict --out` writes it.
        uids: Of the studies: CT, and one radiograph as the last.
    """

    studies: Path
    reports: Path
    uids: tuple[str, ...]


def make_day(folder: Path, count: int = 5) -> Day:
    """Make `count` studies of two lesions each; the last one is a radiograph."""
    day = Day(folder / "studies", folder / "reports", tuple(f"1.2.826.5.{k}" for k in range(count)))
    day.reports.mkdir(parents=True)
    for number, uid in enumerate(day.uids):
        _add(day, uid, number, flat=number == count - 1)
    return day


def _add(day: Day, uid: str, number: int, *, flat: bool) -> None:
    tags: dict[str, Any] = {
        "StudyInstanceUID": uid,
        "SeriesInstanceUID": f"{uid}.1",
        "PatientID": f"SECRET-{number}",
    }
    values = stored(number)
    if flat:
        objects = [factory.radiograph(values.max(0), SOPInstanceUID=f"{uid}.1.1", **tags)]
    else:
        objects = factory.ct_slices(values, spacing=(0.8, 0.8), **tags)
        for k, one in enumerate(objects):
            one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = UID(f"{uid}.1.{k + 1}")
    study = read_study(factory.save_all(objects, day.studies / f"study-{number}"), workers=0)
    model = FakeModel(network=FakeNetwork(inside=("diffuse", "central")), card=card())
    image = study.images[0]
    found = [(image, candidate(image, box, None, "given in a test")) for box in boxes(image)]
    report = guided(run_study(study, Models(ct=model, radiograph=model), found))
    write_study(report, day.reports, FORMATS, {}, Stopwatch(), make(report, FORMATS[2:]))


def boxes(image: Image) -> list[list[list[int]]]:
    """Return the lesions' boxes, first and one after the last voxel."""
    found = []
    for (z, y, x), r in LESIONS:
        planes = (0, 1) if isinstance(image, Radiograph) else (z - 2, z + 3)
        found.append([[planes[0], y - r, x - r], [planes[1], y + r + 1, x + r + 1]])
    return found


def stored(number: int) -> NDArray[np.uint16]:
    """Return stored values (Z, Y, X): tissue in air, and the lesions, denser in later studies."""
    z, y, x = np.indices(SHAPE)
    values = np.full(SHAPE, 24, np.uint16)
    values[:, 10:-10, 12:-12] = 1064
    rng = np.random.default_rng(number)
    for (cz, cy, cx), r in LESIONS:
        inside = (z - cz) ** 2 * 6 + (y - cy) ** 2 + (x - cx) ** 2 < r * r
        values[inside] = 1064 + 300 + 100 * number
    return np.asarray(values + rng.integers(0, 12, SHAPE), np.uint16)
