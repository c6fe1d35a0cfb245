"""Saliency as DICOM: values come back as they were, and nothing that failed its test is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
from pydicom.dataset import Dataset

from calcilens.imaging.images import Radiograph, Volume
from calcilens.imaging.patches import PatchLocation
from calcilens.inference.export import lesion_seg, saliency
from calcilens.inference.export.identity import NOTICE
from calcilens.inference.export.objects import Shown
from calcilens.models.saliency import ATTENTION, HIRESCAM
from tests import dicom_factory as factory
from tests.inference.shown import SHAPE, as_bytes, film, made, reread, stored


def changed(image: Shown, **facts: Any) -> Shown:
    """Return the image with another map on its first lesion."""
    first, *rest = image.lesions
    assert first.saliency is not None
    lesions = (replace(first, saliency=replace(first.saliency, **facts)), *rest)
    return replace(image, lesions=lesions, report=replace(image.report, lesions=lesions))


def values_of(built: Dataset) -> np.ndarray:
    frames = np.frombuffer(built.FloatPixelData, "<f4")
    return frames.reshape(-1, built.Rows, built.Columns)


def test_a_map_is_cropped_to_its_patch_and_has_each_plane_once(tmp_path: Path) -> None:
    image = made(tmp_path)
    built = reread(saliency.build(image)[0])
    seen = image.lesions[0].saliency
    assert seen is not None
    y, x = (max(v, 0) for v in seen.location.origin)
    whole = seen.in_plane(SHAPE[1:])
    assert built.NumberOfFrames == len(set(seen.location.planes)) < len(seen.location.planes)
    for frame in values_of(built):
        np.testing.assert_array_equal(frame, whole[y : y + built.Rows, x : x + built.Columns])
    assert (built.Rows, built.Columns) != SHAPE[1:]


def test_highdicom_reads_the_values_of_a_map(tmp_path: Path) -> None:
    built = reread(saliency.build(made(tmp_path))[0])
    volume = highdicom.pm.ParametricMap.from_dataset(built).get_volume()
    np.testing.assert_allclose(np.sort(volume.array.ravel()), np.sort(values_of(built).ravel()))


def test_a_map_that_failed_its_test_is_not_written(tmp_path: Path) -> None:
    image = made(tmp_path, factory.ct_slices(stored(number=2)), 2)
    assert len(saliency.build(image)) == 2
    (built,) = saliency.build(changed(image, shown=False, why="alike"))
    assert built.TrackingUID == image.lesions[1].tracking_uid


@pytest.mark.parametrize(("method", "code"), [(ATTENTION, "130404"), (HIRESCAM, "130403")])
@pytest.mark.parametrize("flat", [False, True], ids=["ct", "radiograph"])
def test_the_method_has_its_public_code(flat: bool, method: str, code: str, tmp_path: Path) -> None:
    image = changed(film(tmp_path) if flat else made(tmp_path), method=method)
    (built,) = saliency.build(image)
    if flat:
        stated = built.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0]
    else:
        mapping = built.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
        stated = mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0]
        assert mapping.LUTExplanation == method[:64]
    assert (stated.CodeValue, stated.CodingSchemeDesignator) == (code, "DCM")


def test_a_map_says_where_in_the_body_it_lies(tmp_path: Path) -> None:
    objects = factory.ct_slices(stored(), BodyPartExamined="LEG", Laterality="R")
    anatomy = saliency.build(made(tmp_path, objects))[0].SharedFunctionalGroupsSequence[0]
    item = anatomy.FrameAnatomySequence[0]
    assert item.AnatomicRegionSequence[0].CodeValue == "30021000"  # lower leg
    assert item.FrameLaterality == "R"


def test_a_part_of_the_body_that_is_not_known_is_not_made_up(tmp_path: Path) -> None:
    objects = factory.ct_slices(stored(), BodyPartExamined="SOMETHING")
    anatomy = saliency.build(made(tmp_path, objects))[0].SharedFunctionalGroupsSequence[0]
    item = anatomy.FrameAnatomySequence[0]
    assert item.AnatomicRegionSequence[0].CodeValue == "123037004"  # body structure
    assert item.FrameLaterality == "U"


def test_map_and_segmentation_name_the_same_lesion(tmp_path: Path) -> None:
    image = made(tmp_path)
    seg, built = lesion_seg.build(image)[0], saliency.build(image)[0]
    assert seg.SegmentSequence[0].TrackingUID == built.TrackingUID
    assert seg.FrameOfReferenceUID == built.FrameOfReferenceUID
    assert built.ContentQualification == "RESEARCH"
    assert built.SeriesDescription.endswith(NOTICE)


def test_a_film_has_its_map_as_shares_of_a_segmentation(tmp_path: Path) -> None:
    image = film(tmp_path)
    seg = highdicom.seg.Segmentation.from_dataset(reread(saliency.build(image)[0]))
    seen = image.lesions[0].saliency
    assert seen is not None
    assert seg.SegmentationFractionalType == "PROBABILITY"
    found = seg.get_pixels_by_source_instance(
        [image.image.planes[0].sop_uid], rescale_fractional=True, ignore_spatial_locations=True
    )
    whole = seen.in_plane(SHAPE[1:])
    assert np.abs(found[0, ..., 0] - whole).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("flat", [False, True], ids=["ct", "radiograph"])
def test_the_same_map_gives_the_same_bytes(flat: bool, tmp_path: Path) -> None:
    image = film(tmp_path) if flat else made(tmp_path)
    first, again = (as_bytes(saliency.build(image)[0]) for _ in range(2))
    assert first == again


def test_a_map_at_the_corner_of_the_image_is_cut_there(tmp_path: Path) -> None:
    image = made(tmp_path)
    built = saliency.build(changed(image, location=PatchLocation((1,), (-3, 18), 12)))[0]
    assert (built.Rows, built.Columns, built.NumberOfFrames) == (9, 6, 1)
    place = built.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0]
    assert isinstance(image.image, Volume)
    stated = image.image.affine.to_mm((1, 0, 18))
    assert [float(v) for v in place.ImagePositionPatient] == pytest.approx(stated.tolist())


def test_the_whole_film_is_the_frame(tmp_path: Path) -> None:
    image = film(tmp_path, number=2)
    assert isinstance(image.image, Radiograph)
    built = saliency.build(image)
    assert [(b.Rows, b.Columns) for b in built] == [image.image.pixels.shape] * 2
    assert [b.InstanceNumber for b in built] == [1, 2]
    assert len({b.SeriesInstanceUID for b in built}) == 1


@pytest.mark.parametrize("enhanced", [False, True], ids=["a file a plane", "one file"])
def test_the_whole_ct_has_every_plane_and_the_highest_of_all_maps(
    enhanced: bool, tmp_path: Path
) -> None:
    values = stored(number=2)
    objects = [factory.enhanced_ct(values)] if enhanced else factory.ct_slices(values)
    image = made(tmp_path, objects, 2)
    (built,) = saliency.build_whole(image)
    assert isinstance(image.image, Volume)
    highest = np.zeros((len(image.image.planes), built.Rows, built.Columns), np.float32)
    for lesion in image.lesions:
        assert lesion.saliency is not None
        for plane in set(lesion.saliency.location.planes):
            seen = lesion.saliency.in_plane((built.Rows, built.Columns))
            highest[plane] = np.maximum(highest[plane], seen)
    assert (built.Rows, built.Columns) == SHAPE[1:]
    for values, frame in zip(
        values_of(reread(built)), built.PerFrameFunctionalGroupsSequence, strict=True
    ):
        where = frame.PlanePositionSequence[0].ImagePositionPatient
        plane = round(float(image.image.affine.to_voxel([float(v) for v in where])[0]))
        np.testing.assert_array_equal(values, highest[plane])
        (source,) = frame.DerivationImageSequence[0].SourceImageSequence
        assert source.ReferencedSOPInstanceUID == image.image.planes[plane].sop_uid
    uids = {plane.sop_uid for plane in image.image.planes}
    assert {item.ReferencedSOPInstanceUID for item in built.SourceImageSequence} == uids
    assert built.SeriesInstanceUID != saliency.build(image)[0].SeriesInstanceUID
    assert saliency.build_whole(film(tmp_path / "film")) == []
