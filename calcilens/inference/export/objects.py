"""DICOM objects of a report: which builder makes which format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from pydicom.dataset import Dataset

from calcilens.imaging.images import Image
from calcilens.imaging.sources import Source
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


Builder = Callable[[Shown], list[Dataset]]
BUILDERS = {"seg": "calcilens.inference.export.lesion_seg"}
"""Module of each format; its `build` makes the objects of one image."""


def objects(report: StudyReport, name: str) -> Iterator[Dataset]:
    """Yield the DICOM objects of a format."""
    build = cast(Builder, import_module(BUILDERS[name]).build)
    for shown in shown_images(report):
        yield from build(shown)


def shown_images(report: StudyReport) -> Iterator[Shown]:
    """Yield the images from which objects can be made, also those without a lesion."""
    identity = Identity.of(report)
    for image in report.study.images:
        source = report.study.sources.get(image.planes[0].sop_uid)
        if source is not None:
            lesions = tuple(x for x in report.lesions if x.image is image)
            yield Shown(image, source, lesions, report, identity)
