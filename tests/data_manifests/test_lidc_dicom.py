"""The join with pylidc, on made series that carry the UIDs and positions of real scans."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calcilens.data_manifests.builders import lidc_dicom
from calcilens.data_manifests.builders.lidc_dicom import NOT_ANNOTATED, build_lidc_dicom
from calcilens.data_manifests.pixels import load_stack
from calcilens.data_manifests.schema import box_of
from calcilens.data_manifests.validate import validate
from calcilens.errors import ManifestError, UsageError
from calcilens.imaging.images import Volume
from calcilens.imaging.study import read_study
from tests import dicom_factory as factory

pytest.importorskip("pkg_resources", reason="pylidc needs setuptools below 81")
pytest.importorskip("pylidc", exc_type=ImportError)
MARGIN = 4
BRIGHT = 3000


class Scan:
    """One scan of pylidc's database: what the test needs to know, by pylidc's own account."""

    def __init__(self, patient: str) -> None:
        pylidc = lidc_dicom._pylidc()
        scan = pylidc.query(pylidc.Scan).filter(pylidc.Scan.patient_id == patient).first()
        self.series_uid = scan.series_instance_uid
        self.study_uid = scan.study_instance_uid
        self.z_mm = scan.slice_zvals
        self.spacing_mm = scan.pixel_spacing
        with lidc_dicom._numpy_of_its_time():
            clusters = scan.cluster_annotations(verbose=False)
            self.boxes = [[a.bbox() for a in cluster] for cluster in clusters]
        self.votes = [[a.malignancy for a in cluster] for cluster in clusters]

    def slices(self, planes: Sequence[int]) -> list[Any]:
        """Make CT slices; every voxel that a reader of the first nodule boxed is bright."""
        stored = np.full((len(planes), 512, 512), 1000, np.uint16)
        for rows, columns, levels in self.boxes[0]:
            for place, plane in enumerate(planes):
                if levels.start <= plane < levels.stop:
                    stored[place, rows, columns] = BRIGHT
        objects = factory.ct_slices(stored, spacing=(self.spacing_mm, self.spacing_mm))
        for ds, plane in zip(objects, planes, strict=True):
            ds.SeriesInstanceUID, ds.StudyInstanceUID = self.series_uid, self.study_uid
            ds.ImagePositionPatient = [-180, -170, factory.decimal(self.z_mm[plane])]
        return objects

    def around(self, nodule: int) -> list[int]:
        """Return the plane numbers of a nodule and some beside it, as pylidc counts."""
        first = min(levels.start for _, _, levels in self.boxes[nodule])
        last = max(levels.stop for _, _, levels in self.boxes[nodule])
        return list(range(max(first - MARGIN, 0), min(last + MARGIN, len(self.z_mm))))


@pytest.fixture(scope="module")
def scan() -> Scan:
    return Scan("LIDC-IDRI-0001")


@pytest.mark.parametrize("backwards", [False, True], ids=["rising z", "falling z"])
def test_the_box_is_what_the_readers_outlined_whatever_the_order_of_files(
    scan: Scan, backwards: bool, tmp_path: Path
) -> None:
    objects = scan.slices(scan.around(0))
    shuffled = np.random.default_rng(1).permutation(len(objects)).tolist()
    order = list(reversed(range(len(objects)))) if backwards else shuffled
    factory.save_all([objects[i] for i in order], tmp_path / "P" / "date" / "series")
    built = build_lidc_dicom(tmp_path)
    row = built.manifest.frame.iloc[0]
    bright = np.argwhere(load_stack(built.manifest, row) == BRIGHT - 1024)
    box = box_of(row)
    outer = np.stack([bright.min(0), bright.max(0) + 1])
    readers = len(scan.boxes[0])
    assert row["concern_votes"] == scan.votes[0]
    assert row["readers"] == readers
    sizes = [[s.stop - s.start for s in (k, i, j)] for i, j, k in scan.boxes[0]]
    np.testing.assert_allclose(box[1] - box[0], np.median(sizes, axis=0), atol=1)
    assert (outer[0] <= box[0]).all()
    assert (box[1] <= outer[1]).all()
    assert validate(built.manifest) == []


def test_the_study_and_series_of_the_archive_are_kept_and_the_patient_is_not(
    scan: Scan, tmp_path: Path
) -> None:
    factory.save_all(scan.slices(scan.around(0)), tmp_path / "a" / "b")
    built = build_lidc_dicom(tmp_path)
    row = built.manifest.frame.iloc[0]
    assert (row["series_uid"], row["study_uid"]) == (scan.series_uid, scan.study_uid)
    assert row["image"] == "a/b"
    assert row["spacing_x_mm"] == pytest.approx(scan.spacing_mm)
    assert row["spacing_z_mm"] == pytest.approx(2.5)
    assert "LIDC-IDRI" not in built.manifest.frame.to_csv()


def test_series_that_no_reader_annotated_are_left_out_and_counted(
    scan: Scan, tmp_path: Path
) -> None:
    factory.save_all(scan.slices(scan.around(0)), tmp_path / "lidc")
    factory.save_all(factory.ct_slices(factory.ramp()), tmp_path / "other")
    (tmp_path / "notes.txt").write_text("no DICOM")
    built = build_lidc_dicom(tmp_path)
    assert len(built.manifest) == 1
    assert [fault.message for fault in built.refused] == [NOT_ANNOTATED]


def test_a_series_without_the_planes_of_its_nodule_is_refused(scan: Scan, tmp_path: Path) -> None:
    away = [p for p in range(len(scan.z_mm)) if p not in scan.around(0)][:6]
    factory.save_all(scan.slices(away), tmp_path / "lidc")
    with pytest.raises(ManifestError, match="expected CT series of LIDC-IDRI, found 1 series"):
        build_lidc_dicom(tmp_path)


def test_without_pylidc_the_way_to_get_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pylidc", None)
    with pytest.raises(UsageError, match=r"pip install 'calcilens\[lidc\]'"):
        build_lidc_dicom(tmp_path)


def test_numpy_is_left_as_it_was() -> None:
    with lidc_dicom._numpy_of_its_time():
        assert vars(np)["int"] is int
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert not hasattr(np, "int")


def test_rows_and_columns_of_the_reader_are_as_stored(scan: Scan, tmp_path: Path) -> None:
    """What `_box` relies on, beside the direction of z, which it looks up."""
    factory.save_all(scan.slices(scan.around(0)), tmp_path)
    (volume,) = read_study(tmp_path).images
    assert isinstance(volume, Volume)
    rows, columns, _ = scan.boxes[0][0]
    assert (volume.hu[MARGIN + 2] == BRIGHT - 1024)[rows, columns].any()
