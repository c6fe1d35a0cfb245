"""DICOM Segmentations: voxels, names and references come back; the same input, the same bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pytest
from highdicom.color import CIELabColor
from pydicom.dataset import Dataset

from calcilens.imaging.images import Volume
from calcilens.inference.export import lesion_seg
from calcilens.inference.export.frames import Stamp, depth_mm
from calcilens.inference.export.identity import NOTICE
from calcilens.inference.export.labels import COLOURS
from calcilens.inference.export.objects import Shown
from calcilens.inference.export.seg import About, Segment, build_seg
from calcilens.inference.lesions import Answer
from calcilens.inference.roi.reading import read_rois
from calcilens.inference.roi.region import place
from calcilens.vocabulary import PRIVATE_SCHEME, Code, ConcernLevel
from tests import dicom_factory as factory
from tests.inference.shown import (
    SHAPE,
    as_bytes,
    film,
    lesion_on,
    lesions_in,
    made,
    read,
    reread,
    shown,
    stored,
)
from tests.inference.test_roi import complete

ABOUT = About("Test", Code("SIMULATION", PRIVATE_SCHEME, "Simulation"), "Masks")
STAMP = Stamp("1.2.3", "1.2.4", "1.2.5", "20250102", "101112")


def segments(shape: tuple[int, ...] = SHAPE, overlap: bool = False) -> list[Segment]:
    """Two lesions that touch, or share voxels."""
    masks = np.zeros((2, *shape), bool)
    masks[0, :2, 3:6, 4:9] = True
    masks[1, :2, 5 if overlap else 6 : 8, 4:9] = True
    return [
        Segment(f"lesion-{i}", "a lesion", (f"L{i}", f"1.3.{i}"), m) for i, m in enumerate(masks)
    ]


def ct_sources() -> list[Dataset]:
    return [complete(ds) for ds in factory.ct_slices(stored())]


def radiograph_sources() -> list[Dataset]:
    pixels = np.full(SHAPE[1:], 100, np.uint16)
    flat = factory.radiograph(pixels, FrameOfReferenceUID=None, PixelSpacing=[0.2, 0.2])
    flat.PatientOrientation = ["L", "F"]
    return [complete(flat)]


@pytest.mark.parametrize("overlap", [False, True], ids=["apart", "overlapping"])
@pytest.mark.parametrize("sources", [ct_sources(), radiograph_sources()], ids=["ct", "radiograph"])
def test_masks_come_back_from_the_file_with_their_names(
    sources: list[Dataset], overlap: bool
) -> None:
    stated = segments((len(sources), *SHAPE[1:]), overlap)
    built = build_seg(sources, stated, ABOUT, STAMP)
    seg = highdicom.seg.Segmentation.from_dataset(reread(built))
    uids = [ds.SOPInstanceUID for ds in sources]
    for number, segment in enumerate(stated, 1):
        found = seg.get_pixels_by_source_instance(
            uids[:2], segment_numbers=[number], combine_segments=True,
            ignore_spatial_locations=True, assert_missing_frames_are_empty=True,
        )  # fmt: skip
        np.testing.assert_array_equal(np.asarray(found) > 0, segment.mask[:2])
        described = seg.get_segment_description(number)
        assert described.segment_label == segment.label
        assert (described.tracking_id, described.tracking_uid) == segment.tracking


def test_a_seg_names_study_date_and_frame_of_reference_of_its_source() -> None:
    source, seg = ct_sources()[0], reread(build_seg(ct_sources(), segments(), ABOUT, STAMP))
    assert seg.StudyInstanceUID == source.StudyInstanceUID
    assert seg.FrameOfReferenceUID == source.FrameOfReferenceUID
    assert (seg.ContentDate, seg.ContentTime) == (STAMP.date, STAMP.time)


def test_a_seg_of_a_radiograph_keeps_its_orientation() -> None:
    built = build_seg(radiograph_sources(), segments((1, *SHAPE[1:])), ABOUT, STAMP)
    assert list(built.PatientOrientation) == ["L", "F"]
    assert "FrameOfReferenceUID" not in built


def seg_of(image: Shown) -> Dataset:
    (built,) = lesion_seg.build(image)
    return reread(built)


def test_only_planes_with_a_mask_are_written(tmp_path: Path) -> None:
    seg = seg_of(made(tmp_path))
    assert seg.NumberOfFrames == 4
    assert seg.pixel_array.any((1, 2)).all()
    assert len(seg.SourceImageSequence) == 4


def test_frames_of_an_enhanced_ct_are_named_by_their_number(tmp_path: Path) -> None:
    source = factory.enhanced_ct(stored())
    image = made(tmp_path, [source])
    seg = seg_of(image)
    for frame in seg.PerFrameFunctionalGroupsSequence:
        (item,) = frame.DerivationImageSequence[0].SourceImageSequence
        assert item.ReferencedSOPInstanceUID == source.SOPInstanceUID
        assert item.ReferencedSOPClassUID == source.SOPClassUID
        there = source.PerFrameFunctionalGroupsSequence[item.ReferencedFrameNumber - 1]
        stated = there.PlanePositionSequence[0].ImagePositionPatient
        place = frame.PlanePositionSequence[0].ImagePositionPatient
        assert [float(v) for v in place] == pytest.approx([float(v) for v in stated])
    assert [x.ReferencedSOPInstanceUID for x in seg.SourceImageSequence] == [source.SOPInstanceUID]
    assert len(seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 1


def test_a_segment_says_what_it_is_who_made_it_and_how_it_should_look(tmp_path: Path) -> None:
    seg = seg_of(made(tmp_path))
    (segment,) = seg.SegmentSequence
    assert segment.SegmentLabel == "1: Calcified 90 % - Diffuse"
    assert "12.3 mm" in segment.SegmentDescription
    assert segment.SegmentDescription.endswith(f"{NOTICE}")
    algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
    assert "fake 1" in algorithm.AlgorithmParameters
    assert "0" * 64 in algorithm.AlgorithmParameters
    colour = CIELabColor.from_dicom_value(segment.RecommendedDisplayCIELabValue).to_rgb()
    assert np.abs(np.subtract(colour, COLOURS[ConcernLevel.HIGH])).max() <= 1
    assert (seg.ContentQualification, seg.SeriesDescription[-len(NOTICE) :]) == ("RESEARCH", NOTICE)


def test_what_the_model_gives_no_verdict_on_is_called_a_lesion(tmp_path: Path) -> None:
    image = made(tmp_path)
    unsure = replace(image.lesions[0], answer=Answer.abstain("undecided"))
    unsaid = replace(image, lesions=(unsure,), report=replace(image.report, lesions=(unsure,)))
    kinds = [
        seg_of(one).SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeMeaning
        for one in (image, unsaid)
    ]
    assert kinds == ["Pathologic calcification", "Lesion"]


def test_what_a_person_drew_is_not_said_to_be_our_work(tmp_path: Path) -> None:
    image = made(tmp_path)
    given = replace(image.lesions[0].candidate, why="given in roi.json entry 1")
    lesion = replace(image.lesions[0], candidate=given)
    seg = seg_of(replace(image, lesions=(lesion,), report=replace(image.report, lesions=(lesion,))))
    assert seg.SegmentSequence[0].SegmentAlgorithmType == "MANUAL"
    assert "SegmentationAlgorithmIdentificationSequence" not in seg.SegmentSequence[0]


def test_a_lesion_that_is_only_a_box_has_the_voxels_of_its_mask_file(tmp_path: Path) -> None:
    study = read(factory.ct_slices(stored()), tmp_path)
    image = study.images[0]
    box = lesions_in(image)[0].candidate.box
    seg = seg_of(shown(study, [lesion_on(image, box, None)]))
    assert isinstance(image, Volume)
    assert seg.pixel_array.sum() == (image.hu > 300).sum()


def test_two_lesions_are_two_segments(tmp_path: Path) -> None:
    image = made(tmp_path, factory.ct_slices(stored(number=2)), 2)
    seg = highdicom.seg.Segmentation.from_dataset(seg_of(image))
    assert seg.number_of_segments == 2
    assert [s.TrackingUID for s in seg.SegmentSequence] == [x.tracking_uid for x in image.lesions]


def test_a_ct_without_a_frame_of_reference_still_has_a_place(tmp_path: Path) -> None:
    objects = factory.ct_slices(stored(), FrameOfReferenceUID=None)
    (first, again) = (seg_of(made(tmp_path, objects)) for _ in range(2))
    assert first.FrameOfReferenceUID == again.FrameOfReferenceUID
    assert "PlanePositionSequence" in first.PerFrameFunctionalGroupsSequence[0]


def test_a_radiograph_with_a_frame_of_reference_has_no_place(tmp_path: Path) -> None:
    seg = seg_of(film(tmp_path, PatientOrientation=["L", "F"]))
    assert "FrameOfReferenceUID" not in seg
    assert (seg.Rows, seg.Columns) == SHAPE[1:]


def test_depth_is_the_distance_of_planes_along_their_normal(tmp_path: Path) -> None:
    objects = factory.ct_slices(stored(), step=(0.0, 1.0, 2.0))
    seg = seg_of(made(tmp_path, objects))
    measures = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert float(measures.SpacingBetweenSlices) == pytest.approx(2.0)
    image = made(tmp_path, objects).image
    assert isinstance(image, Volume)
    assert depth_mm(image) == pytest.approx(2.0)


@pytest.mark.parametrize("kind", ["ct", "radiograph"])
def test_the_same_image_gives_the_same_bytes(kind: str, tmp_path: Path) -> None:
    image = made(tmp_path) if kind == "ct" else film(tmp_path)
    first, again = (as_bytes(lesion_seg.build(image)[0]) for _ in range(2))
    assert first == again


def test_without_a_lesion_there_is_no_object(tmp_path: Path) -> None:
    assert lesion_seg.build(shown(read(ct_sources(), tmp_path), [])) == []


@pytest.mark.parametrize("kind", ["ct", "enhanced", "tilted", "radiograph"])
def test_a_seg_given_back_as_roi_is_the_same_lesions(kind: str, tmp_path: Path) -> None:
    values = stored(number=2)
    objects = {
        "ct": factory.ct_slices(values),
        "enhanced": [factory.enhanced_ct(values)],
        "tilted": factory.ct_slices(values, step=(0.0, 0.5, 2.0)),
        "radiograph": [factory.radiograph(values.max(0), FrameOfReferenceUID=None)],
    }[kind]
    image = made(tmp_path / "in", objects, 2)
    path = factory.save(lesion_seg.build(image)[0], tmp_path / "seg.dcm")
    regions, refused = read_rois(path)
    assert not refused
    found, refused = place(regions, [image.image])
    assert not refused
    for (_, given), lesion in zip(found, image.lesions, strict=True):
        np.testing.assert_array_equal(given.box, lesion.candidate.box)
        np.testing.assert_array_equal(given.mask, lesion.candidate.mask)
