"""Manifest of the LIDC-IDRI archive in its own DICOM layout.

Series are found by their SeriesInstanceUID in folders nested in any way, and joined to the
readers' annotations that the package `pylidc` carries (Hancock and Magnan, J Med Imaging 2016).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from calcilens.data_manifests.builders.build import (
    Advance,
    Built,
    box_cells,
    median_box,
    row_id,
    spacing_cells,
)
from calcilens.data_manifests.builders.dicom_folders import find_series
from calcilens.data_manifests.faults import Fault
from calcilens.data_manifests.pixels import digest, read_series
from calcilens.data_manifests.rows import count_readers
from calcilens.data_manifests.schema import new_manifest
from calcilens.errors import InputError, ManifestError, SeriesError, UsageError, compose
from calcilens.imaging.images import Volume
from calcilens.patients import LIDC_SALT, patient_key
from calcilens.vocabulary import ABSENT, LIDC_CALCIFICATION

SOURCE = "lidc-dicom"
NOT_ANNOTATED = "a series that the LIDC-IDRI readers did not annotate is left out"
NO_NODULE = "a series in which no reader outlined a nodule has no row"

Box = NDArray[np.int64]


def build_lidc_dicom(root: Path, advance: Advance | None = None) -> Built:
    """Build the manifest of a downloaded archive, whole or in part.

    Args:
        root: Folder with DICOM files of the archive, nested in any way.
        advance: Told how many series are done.

    Raises:
        UsageError: The package pylidc is not installed.
        ManifestError: No series of the archive is below `root`, or none has a nodule.
    """
    pylidc = _pylidc()
    series = find_series(root)
    rows: list[dict[str, Any]] = []
    refused: list[Fault] = []
    for done, (series_uid, folder) in enumerate(sorted(series.items()), start=1):
        try:
            rows += _series_rows(pylidc, series_uid, folder, root)
        except InputError as error:
            refused.append(Fault(None, None, str(error)))
        if advance:
            advance(done, len(series))
    if not rows:
        found = f"{len(series)} series, none with a nodule that can be used"
        raise ManifestError(compose("CT series of LIDC-IDRI", found, where="--root"))
    return Built(new_manifest(rows, root), tuple(refused))


def _series_rows(
    pylidc: ModuleType, series_uid: str, folder: Path, root: Path
) -> list[dict[str, Any]]:
    scan = pylidc.query(pylidc.Scan).filter_by(series_instance_uid=series_uid).first()
    if scan is None:
        raise SeriesError(NOT_ANNOTATED)
    with _numpy_of_its_time():
        clusters = scan.cluster_annotations(verbose=False)
        nodules = [[_Outline(annotation) for annotation in cluster] for cluster in clusters]
    if not nodules:
        raise SeriesError(NO_NODULE)
    volume = read_series(folder, series_uid)
    if not isinstance(volume, Volume):
        raise SeriesError(compose("a CT", volume.modality, where=series_uid))
    shared = {
        "image": folder.relative_to(root).as_posix(),
        "image_kind": "dicom",
        "modality": "CT",
        "study_uid": volume.study_uid,
        "series_uid": series_uid,
        "patient_key": patient_key(scan.patient_id, LIDC_SALT),
        "source": SOURCE,
        "contrast": None if scan.contrast_used is None else bool(scan.contrast_used),
        "sha256": digest(folder),
        **spacing_cells(volume.spacing_mm),
    }
    return [shared | _nodule_row(volume, nodule) for nodule in nodules]


class _Outline:
    """What one reader said of one nodule, out of pylidc's hands.

    Attributes:
        corners: (2, 2) first and last (row, column).
        z_mm: Lowest and highest z of the outlined slices, patient coordinates.
    """

    def __init__(self, annotation: Any) -> None:
        rows, columns, slices = annotation.bbox()
        levels = annotation.scan.slice_zvals[[slices.start, slices.stop - 1]]
        self.corners = np.array(
            [[rows.start, columns.start], [rows.stop - 1, columns.stop - 1]], np.int64
        )
        self.z_mm = (float(levels.min()), float(levels.max()))
        self.calcification = int(annotation.calcification)
        self.malignancy = int(annotation.malignancy)
        self.diameter_mm = float(annotation.diameter)


def _nodule_row(volume: Volume, nodule: Sequence[_Outline]) -> dict[str, Any]:
    box = median_box([_box(volume, outline) for outline in nodule])
    patterns = [LIDC_CALCIFICATION[outline.calcification] for outline in nodule]
    diameter = float(np.median([outline.diameter_mm for outline in nodule]))
    row = {
        "row_id": row_id(SOURCE, volume.series_uid, *box.ravel()),
        "finding_votes": [int(pattern != ABSENT) for pattern in patterns],
        "pattern_votes": patterns,
        "concern_votes": [outline.malignancy for outline in nodule],
        "diameter_mm": round(diameter, 2) if diameter > 0 else None,
        **box_cells(box),
    }
    return row | {"readers": count_readers(row)}


def _box(volume: Volume, outline: _Outline) -> Box:
    """Put a reader's outline into the voxels of the volume: (2, 3), half-open (z, y, x).

    pylidc counts slices by rising z of the whole series; the volume may run the other way or
    lack slices, so planes are matched by where they lie. Rows and columns are as stored.
    """
    planes = np.arange(volume.hu.shape[0])
    lies_at = volume.affine.to_mm(np.stack([planes, 0 * planes, 0 * planes], axis=-1))[:, 2]
    tolerance = volume.spacing_mm[0] / 2
    low, high = outline.z_mm
    inside = np.flatnonzero((lies_at > low - tolerance) & (lies_at < high + tolerance))
    if not len(inside):
        fix = "download the series again"
        found = f"z of {lies_at.min():g} to {lies_at.max():g} mm"
        raise SeriesError(
            compose(f"planes around z {low:g} mm", found, where=volume.series_uid, fix=fix)
        )
    first, last = outline.corners
    return np.array([[inside[0], *first], [inside[-1] + 1, *(last + 1)]], np.int64)


def _pylidc() -> ModuleType:
    """Import pylidc, which is silent about nothing but its age.

    Raises:
        UsageError: It is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pylidc
    except ImportError as error:
        raise UsageError(
            compose(
                "the package pylidc",
                f"{error.name} is missing",
                fix="pip install 'calcilens[lidc]'",
            )
        ) from error
    module: ModuleType = pylidc
    return module


@contextmanager
def _numpy_of_its_time() -> Iterator[None]:
    """Lend pylidc 0.2.3 the name `np.int`, which numpy 1.24 took away."""
    with mock.patch.object(np, "int", int, create=True):
        yield
