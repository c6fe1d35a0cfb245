from __future__ import annotations

import io

import highdicom
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from calcilens.inference.export.seg import SegIdentity, Segment, build_seg
from calcilens.vocabulary import PRIVATE_SCHEME, Code
from tests import dicom_factory as factory
from tests.inference.test_roi import complete

SHAPE = (4, 12, 16)
IDENTITY = SegIdentity(
    series_uid="1.2.3",
    sop_uid="1.2.4",
    dimension_uid="1.2.5",
    date="20250102",
    time="101112",
    algorithm="Test",
    family=Code("SIMULATION", PRIVATE_SCHEME, "Simulation"),
    description="Masks",
)


def segments(shape: tuple[int, ...]) -> list[Segment]:
    """Two lesions that touch."""
    masks = np.zeros((2, *shape), bool)
    masks[0, :2, 3:6, 4:9] = True
    masks[1, :2, 6:8, 4:9] = True
    return [Segment(f"lesion-{i}", "a lesion", f"1.3.{i}", mask) for i, mask in enumerate(masks)]


def ct_sources() -> list[Dataset]:
    return [complete(ds) for ds in factory.ct_slices(np.full(SHAPE, 1064, np.uint16))]


def radiograph_sources() -> list[Dataset]:
    pixels = np.full(SHAPE[1:], 100, np.uint16)
    film = factory.radiograph(pixels, FrameOfReferenceUID=None, PixelSpacing=[0.2, 0.2])
    film.PatientOrientation = ["L", "F"]
    return [complete(film)]


def built(sources: list[Dataset]) -> bytes:
    stream = io.BytesIO()
    masks = segments((len(sources), *SHAPE[1:]))
    build_seg(sources, masks, IDENTITY).save_as(stream, enforce_file_format=True)
    return stream.getvalue()


@pytest.mark.parametrize("sources", [ct_sources(), radiograph_sources()], ids=["ct", "radiograph"])
def test_masks_come_back_from_the_file_with_their_names(sources: list[Dataset]) -> None:
    seg = highdicom.seg.Segmentation.from_dataset(dcmread(io.BytesIO(built(sources))))
    stated = segments((len(sources), *SHAPE[1:]))
    uids = [ds.SOPInstanceUID for ds in sources]
    for number, segment in enumerate(stated, 1):
        found = seg.get_pixels_by_source_instance(
            uids, segment_numbers=[number], combine_segments=True, ignore_spatial_locations=True,
            assert_missing_frames_are_empty=True,
        )  # fmt: skip
        np.testing.assert_array_equal(np.asarray(found) > 0, segment.mask)
        described = seg.get_segment_description(number)
        assert described.segment_label == segment.label
        assert described.tracking_uid == segment.tracking_uid


def test_the_same_arguments_give_the_same_bytes() -> None:
    assert built(ct_sources()) == built(ct_sources())


def test_a_seg_names_study_date_and_frame_of_reference_of_its_source() -> None:
    seg = dcmread(io.BytesIO(built(ct_sources())))
    source = ct_sources()[0]
    assert seg.StudyInstanceUID == source.StudyInstanceUID
    assert seg.FrameOfReferenceUID == source.FrameOfReferenceUID
    assert (seg.ContentDate, seg.ContentTime) == (IDENTITY.date, IDENTITY.time)


def test_a_seg_of_a_radiograph_keeps_its_orientation() -> None:
    seg = dcmread(io.BytesIO(built(radiograph_sources())))
    assert list(seg.PatientOrientation) == ["L", "F"]
    assert "FrameOfReferenceUID" not in seg
