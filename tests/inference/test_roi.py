"""Lesion lists: what is drawn lands on the right voxels; a bad entry is one line."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.sr.codedict import codes

from calcilens.errors import RoiError
from calcilens.imaging.images import Image
from calcilens.imaging.study import read_study
from calcilens.inference.roi.reading import read_rois
from calcilens.inference.roi.region import place
from tests import dicom_factory as factory
from tests.inference.made import FRAME_UID, SERIES_UID, ct, film

BOX = [3, 54, 84, 8, 67, 97]


def placed(path: Path, *images: Image) -> tuple[list[Any], list[str]]:
    regions, bad = read_rois(path)
    found, refused = place(regions, images)
    return found, [f"{s.what}: {s.reason}" for s in (*bad, *refused)]


def written(path: Path, *entries: Any) -> Path:
    path.write_text(json.dumps({"lesions": list(entries)}))
    return path


def test_voxel_boxes_are_taken_as_they_are(tmp_path: Path) -> None:
    file = written(tmp_path / "roi.json", {"series_uid": SERIES_UID, "box": BOX}, {"box": BOX})
    found, bad = placed(file, ct())
    assert bad == []
    assert [c.box.ravel().tolist() for _, c in found] == [BOX, BOX]
    assert found[0][1].why == "given in roi.json entry 1"


@given(st.tuples(*[st.integers(0, 10)] * 3), st.tuples(*[st.integers(1, 9)] * 3))
def test_mm_boxes_of_a_report_come_back_to_their_voxels(
    tmp_path: Path, start: tuple[int, ...], size: tuple[int, ...]
) -> None:
    image = ct((20, 20, 20))
    box = np.array([start, np.add(start, size)])
    entry = {"series_uid": SERIES_UID, "box_mm": image.affine.box_mm(box).tolist(), "box_px": None}
    found, _ = placed(written(tmp_path / "report.json", entry), image)
    assert found[0][1].box.tolist() == box.tolist()


def test_pixel_boxes_name_their_radiograph_by_sop_or_series(tmp_path: Path) -> None:
    images = film(1), film(2)
    entries = (
        {"sop_uid": images[1].planes[0].sop_uid, "box_px": [5, 6, 25, 36]},
        {"series_uid": images[0].series_uid, "box_px": [[5, 6], [25, 36]]},
    )
    found, bad = placed(written(tmp_path / "roi.json", *entries), *images)
    assert bad == []
    assert [image for image, _ in found] == [images[1], images[0]]
    assert found[0][1].box.tolist() == [[0, 6, 5], [1, 36, 25]]


def test_csv_rows_are_the_same_boxes(tmp_path: Path) -> None:
    file = tmp_path / "roi.csv"
    with file.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["series_uid", "z0", "y0", "x0", "z1", "y1", "x1"])
        table.writerow([SERIES_UID, *BOX])
    found, bad = placed(file, ct())
    assert bad == []
    assert found[0][1].box.ravel().tolist() == BOX


BAD = {
    "numbers under box": {"box": ["a"] * 6},
    "6 numbers under box": {"box": [1, 2, 3]},
    "start before end": {"box": [8, 54, 84, 3, 67, 97]},
    "a box under box, box_px or box_mm": {"series_uid": SERIES_UID},
    "a box inside the image": {"series_uid": SERIES_UID, "box": [50, 1, 1, 60, 5, 5]},
    "one image of that UID": {"series_uid": "1.2.3.4", "box": BOX},
    "a sop_uid beside a pixel box": {"series_uid": SERIES_UID, "box_px": [1, 2, 3, 4]},
    "a box in pixels on a radiograph": {
        "series_uid": film().series_uid,
        "box_mm": [0, 0, 0, 1, 1, 1],
    },
    "a series_uid or sop_uid": {"box": BOX},
}


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_entry_is_one_line_and_the_good_ones_go_on(tmp_path: Path, reason: str) -> None:
    good = {"series_uid": SERIES_UID, "box": BOX}
    found, bad = placed(written(tmp_path / "roi.json", BAD[reason], good), ct(), film())
    assert len(found) == 1
    assert len(bad) == 1
    assert reason in bad[0]
    assert bad[0].startswith("roi.json entry 1: ")
    assert "\n" not in bad[0]


@pytest.mark.parametrize("number", ["1e300", "-1e300", "1e400", "NaN", "9" * 400])
def test_a_number_that_lies_on_no_image_is_refused(number: str, tmp_path: Path) -> None:
    path = tmp_path / "roi.json"
    path.write_text(f'[{{"box": [[0, 0, {number}], [1, 1, 2]]}}]')
    found, bad = placed(path, ct())
    assert found == []
    assert len(bad) == 1
    assert "numbers under box" in bad[0]
    assert len(bad[0]) < 300


def test_json_nested_without_end_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "roi.json"
    path.write_text("[" * 100_000)
    assert placed(path, ct()) == (
        [],
        ["roi.json: roi.json: expected a JSON file, found text that is none"],
    )


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_of_any_spreadsheet_is_read(separator: str, tmp_path: Path) -> None:
    lines = [["z0", "y0", "x0", "z1", "y1", "x1"], map(str, BOX)]
    path = tmp_path / "roi.csv"
    path.write_text("\ufeff" + "\r\n".join(separator.join(line) for line in lines), "utf-8")
    found, bad = placed(path, ct())
    assert bad == []
    assert [c.box.ravel().tolist() for _, c in found] == [BOX]


def test_an_empty_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "roi.csv"
    path.write_text("")
    assert "found an empty file" in placed(path, ct())[1][0]


def test_boxes_are_cut_to_the_image_and_that_is_said(tmp_path: Path) -> None:
    file = written(tmp_path / "roi.json", {"box": [-2, -5, 150, 3, 9, 999]}, {"box": BOX})
    found, said = placed(file, ct())
    assert found[0][1].box.tolist() == [[0, 0, 150], [3, 9, 160]]
    assert found[0][1].why == "given in roi.json entry 1, cut to the image"
    assert found[0][1].is_given
    assert said == [
        "roi.json entry 1: what of its box [[-2, -5, 150], [3, 9, 999]] lies outside the image "
        "(12, 160, 160) (z, y, x); the rest is reported"
    ]


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RoiError, match="expected a file or folder of lesions"):
        read_rois(tmp_path / "none.json")


@pytest.mark.parametrize("name", ["roi.json", "roi.dcm", "roi.txt"])
def test_a_file_of_another_kind_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("neither")
    regions, bad = read_rois(tmp_path)
    assert regions == []
    assert len(bad) == 1
    assert "expected" in bad[0].reason


@pytest.fixture
def slices(tmp_path: Path) -> Path:
    """Folder of a small CT series whose plane step is oblique to nothing: 6 planes of 20 x 24."""
    stored = np.random.default_rng(0).integers(1000, 1100, (6, 20, 24)).astype(np.uint16)
    objects = factory.ct_slices(stored, PatientID="x", PatientName="", StudyDate="20260102")
    return factory.save_all(objects, tmp_path / "ct")


MASK_AT = (slice(1, 4), slice(5, 9), slice(10, 17))


def test_a_seg_comes_back_voxel_for_voxel(slices: Path, tmp_path: Path) -> None:
    image = read_study(slices).images[0]
    by_uid = {ds.SOPInstanceUID: ds for ds in map(dcmread, slices.iterdir())}
    sources = [complete(by_uid[p.sop_uid]) for p in image.planes]
    mask = np.zeros((6, 20, 24), bool)
    mask[MASK_AT] = True
    mask[2, 6, 12] = False
    path = tmp_path / "roi.dcm"
    segmentation(sources, mask).save_as(path)
    found, bad = placed(path, image)
    assert bad == []
    box, inside = found[0][1].box, found[0][1].mask
    assert box.tolist() == [[1, 5, 10], [4, 9, 17]]
    assert np.array_equal(inside, mask[MASK_AT])


def complete(ds: Dataset) -> Dataset:
    """Add what highdicom wants of a source image."""
    for keyword in ("PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyTime"):
        if keyword not in ds:
            setattr(ds, keyword, "")
    ds.PatientID = ds.get("PatientID", "x")
    ds.PatientName = ds.get("PatientName", "")
    ds.ReferringPhysicianName = ""
    return ds


def segmentation(sources: list[Dataset], mask: np.ndarray) -> highdicom.seg.Segmentation:
    described = highdicom.seg.SegmentDescription(
        segment_number=1,
        segment_label="lesion",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Lesion,
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.MANUAL,
    )
    return highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=mask.astype(np.uint8),
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[described],
        series_instance_uid="1.2.826.7.1",
        series_number=9,
        sop_instance_uid="1.2.826.7.1.1",
        instance_number=1,
        manufacturer="test",
        manufacturer_model_name="test",
        software_versions="1",
        device_serial_number="1",
    )


def rtstruct(path: Path, frame: str, *contours: np.ndarray) -> Path:
    ds = factory.new_object("1.2.840.10008.5.1.4.1.1.481.3", modality="RTSTRUCT")
    roi, outline = Dataset(), Dataset()
    roi.ROINumber, roi.ReferencedFrameOfReferenceUID = 1, frame
    outline.ReferencedROINumber, outline.ContourSequence = 1, []
    for points in contours:
        item = Dataset()
        item.ContourGeometricType = "CLOSED_PLANAR"
        item.NumberOfContourPoints = len(points)
        item.ContourData = [f"{v:.4f}" for v in points.ravel()]
        outline.ContourSequence.append(item)
    ds.StructureSetROISequence, ds.ROIContourSequence = [roi], [outline]
    return factory.save(ds, path)


def square(image: Any, plane: int, lo: float, hi: float) -> np.ndarray:
    """Contour around pixels lo..hi of a plane, on their outer edges, LPS mm."""
    corners = [(lo, lo), (lo, hi), (hi, hi), (hi, lo)]
    edges = [[plane, y - 0.5, x - 0.5] for y, x in corners]
    return np.asarray(image.affine.to_mm(edges))


def test_contours_are_filled_and_inner_ones_are_holes(tmp_path: Path) -> None:
    image = ct()
    path = rtstruct(
        tmp_path / "rt.dcm", FRAME_UID, square(image, 3, 10, 20), square(image, 3, 13, 15)
    )
    found, bad = placed(path, image)
    assert bad == []
    assert found[0][1].box.tolist() == [[3, 10, 10], [4, 20, 20]]
    assert found[0][1].mask.sum() == 100 - 4


def test_contours_of_another_frame_of_reference_are_refused(tmp_path: Path) -> None:
    image = ct()
    found, bad = placed(rtstruct(tmp_path / "rt.dcm", "1.2.9.9", square(image, 3, 10, 20)), image)
    assert found == []
    assert bad == ["rt.dcm region 1: expected one image of that UID, found no image of 1.2.9.9"]


def test_contours_across_planes_are_refused(tmp_path: Path) -> None:
    image = ct()
    tilt = np.array([[0, 0, 0], [0, 0, 2], [0, 0, 2], [0, 0, 0]])
    tilted = square(image, 3, 10, 20) + tilt
    _, bad = placed(rtstruct(tmp_path / "rt.dcm", FRAME_UID, tilted), image)
    assert "contours in the planes of the image, found oblique ones" in bad[0]


def test_an_image_object_is_no_lesion_list(slices: Path) -> None:
    regions, bad = read_rois(next(slices.iterdir()))
    assert regions == []
    assert "expected a SEG or RTSTRUCT, found modality CT" in bad[0].reason
