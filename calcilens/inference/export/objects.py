"""DICOM objects of a report: which builder makes which format."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pkgutil import resolve_name

from pydicom.dataset import Dataset

from calcilens.errors import unexpected
from calcilens.imaging.decode import quiet
from calcilens.imaging.images import Image
from calcilens.imaging.records import Skipped
from calcilens.imaging.sources import Source
from calcilens.inference.export.contributors import name_models
from calcilens.inference.export.identity import Identity
from calcilens.inference.lesions import Lesion
from calcilens.inference.report import StudyReport


@dataclass(frozen=True, eq=False)
class Shown:
    """An image of a study with its lesions: what one object is about.

    Args:
        image: CT or radiograph.
        source: Header of its first file.
        lesions: On it, in the order of the report.
        report: Of the whole study.
        identity: Of all objects of the report.
    """

    image: Image
    source: Source
    lesions: tuple[Lesion, ...]
    report: StudyReport
    identity: Identity

    def uid(self, *part: object) -> str:
        """Return a UID of this image's objects."""
        return self.identity.uid(self.image.planes[0].sop_uid, *part)

    def number(self, lesion: Lesion) -> int:
        """Return the place of a lesion in the report, from 1."""
        return self.report.lesions.index(lesion) + 1


_HERE = "calcilens.inference.export."
IMAGE_BUILDERS = {
    "seg": "lesion_seg:build",
    "saliency": "saliency:build",
    "saliency-whole": "saliency:build_whole",
    "presentation": "presentation:build",
    "capture": "capture:build",
}
"""Formats that have objects of their own for each image: function of a `Shown`."""
STUDY_BUILDERS = {
    "sr": "sr:build",
    "sr-plain": "sr:build_plain",
    "key-objects": "key_objects:build",
}
"""Formats that gather a study: function of all its `Shown`."""
BUILDERS = IMAGE_BUILDERS | STUDY_BUILDERS


@dataclass(frozen=True)
class Made:
    """Objects of a report, and images that some of them could not be made of.

    Args:
        files: Format and bytes of each.
        failed: Which format could not be made of which series.
    """

    files: tuple[tuple[str, bytes], ...] = ()
    failed: tuple[Skipped, ...] = ()


def make(report: StudyReport, formats: Sequence[str]) -> Made:
    """Make the DICOM objects of a report; what fails takes nothing else with it."""
    images = tuple(shown_images(report))
    files: list[tuple[str, bytes]] = []
    failed = []
    for name, part, of in _parts(images, formats):
        build: Callable[..., list[Dataset]] = resolve_name(_HERE + BUILDERS[name])
        try:
            with quiet():  # highdicom prints patients' names in warnings
                for dataset in build(part):
                    name_models(dataset, report)
                    files.append((name, _bytes(dataset)))
        except Exception as error:  # highdicom raises anything on headers that it dislikes
            if os.environ.get("CALCILENS_DEBUG"):
                raise
            failed.append(Skipped(of, f"no {name} could be made: {unexpected(error)}"))
    return Made(tuple(files), tuple(failed))


def _parts(
    images: tuple[Shown, ...], formats: Sequence[str]
) -> Iterator[tuple[str, Shown | tuple[Shown, ...], str]]:
    """Yield each format with what an object of it is made of, and the UID of that."""
    for name in formats if images else ():
        if name in IMAGE_BUILDERS:
            yield from ((name, shown, shown.image.series_uid) for shown in images)
        else:
            yield name, images, images[0].report.study.study_uid


def _bytes(dataset: Dataset) -> bytes:
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def shown_images(report: StudyReport) -> Iterator[Shown]:
    """Yield the images from which objects can be made, also those without a lesion."""
    identity = Identity.of(report)
    for image in report.study.images:
        source = report.study.sources.get(image.planes[0].sop_uid)
        if source is not None:
            lesions = tuple(x for x in report.lesions if x.image is image)
            yield Shown(image, source, lesions, report, identity)
