"""DICOM objects of a report: which builder makes which format."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from typing import cast

from pydicom.dataset import Dataset

from calcilens.errors import unexpected
from calcilens.imaging.images import Image
from calcilens.imaging.records import Skipped
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
    files: list[tuple[str, bytes]] = []
    failed = []
    for shown in shown_images(report):
        for name in formats:
            build = cast(Builder, import_module(BUILDERS[name]).build)
            try:
                files += [(name, _bytes(dataset)) for dataset in build(shown)]
            except Exception as error:  # highdicom raises anything on headers that it dislikes
                if os.environ.get("CALCILENS_DEBUG"):
                    raise
                why = f"no {name} could be made: {unexpected(error)}"
                failed.append(Skipped(shown.image.series_uid, why))
    return Made(tuple(files), tuple(failed))


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
