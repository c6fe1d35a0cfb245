"""CT series: geometry, Hounsfield units, and what is left out with which reason."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom import uid

from calcilens.imaging import volumes
from calcilens.imaging.images import Volume
from calcilens.imaging.study import Study, read_study
from tests import dicom_factory as factory
from tests.strategies import PERMUTATIONS, ct_series, stored_values


def read(objects: list, folder: Path) -> Study:
    return read_study(factory.save_all(objects, folder))


def volume_of(objects: list) -> Volume:
    with tempfile.TemporaryDirectory() as folder:
        study = read(objects, Path(folder))
    assert study.skipped == ()
    (volume,) = study.images
    assert isinstance(volume, Volume)
    return volume


def reasons(study: Study) -> str:
    return " | ".join(s.reason for s in study.skipped)


@given(ct_series())
def test_every_voxel_lands_at_its_place_whatever_the_order_and_orientation(series: tuple) -> None:
    objects, stored, matrix = series
    volume = volume_of(objects)
    for index in [(0, 0, 0), (len(stored) - 1, 4, 6), (1, 2, 3)]:
        place = (matrix @ [*index, 1])[:3]
        voxel = volume.affine.to_voxel(place)
        np.testing.assert_allclose(voxel, np.rint(voxel), atol=1e-3)
        assert volume.hu[tuple(np.rint(voxel).astype(int))] == int(stored[index]) - 1024


@pytest.mark.parametrize("number", range(48))
def test_all_48_axis_permutations_and_flips_keep_a_marked_voxel_in_place(number: int) -> None:
    x, y, z = PERMUTATIONS[number]
    stored = np.full((3, 4, 5), 1024, np.uint16)
    stored[2, 1, 3] = 2024
    objects = factory.ct_slices(stored, orientation=(*x, *y), step=z * 2, spacing=(0.5, 0.75))
    volume = volume_of(objects[::-1])
    (found,) = np.argwhere(volume.hu == 1000)
    expected = np.array([-10, -20, 30]) + 2 * 2 * z + 1 * 0.5 * y + 3 * 0.75 * x
    np.testing.assert_allclose(volume.affine.to_mm(found), expected, atol=1e-6)
    np.testing.assert_allclose(volume.spacing_mm, (2.0, 0.5, 0.75))


@given(st.permutations(range(5)))
def test_shuffled_files_give_the_same_study(order: list[int]) -> None:
    objects = factory.ct_slices(factory.ramp((5, 4, 4)))
    one, other = volume_of(objects), volume_of([objects[i] for i in order])
    np.testing.assert_array_equal(one.hu, other.hu)
    np.testing.assert_array_equal(one.affine.matrix, other.affine.matrix)
    assert [p.sop_uid for p in one.planes] == [p.sop_uid for p in other.planes]


@given(stored_values(), st.sampled_from([1, 2, 0.5, -1]), st.sampled_from([0, -1024, -1000.5]))
def test_hounsfield_units_are_slope_times_stored_plus_intercept(
    values: tuple, slope: float, intercept: float
) -> None:
    stored, bits = values
    objects = factory.ct_slices(
        stored, bits_stored=bits, RescaleSlope=slope, RescaleIntercept=intercept
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(volumes, "check_hu", lambda _: None)  # random values are no body
        volume = volume_of(objects)
    expected = stored.astype(np.float64) * slope + intercept
    np.testing.assert_array_equal(volume.hu, expected.astype(np.float32))
    whole = float(slope).is_integer() and float(intercept).is_integer()
    fits = whole and expected.min() >= -32768 and expected.max() <= 32767
    assert volume.hu.dtype == (np.int16 if fits else np.float32)


def test_each_plane_has_its_own_rescale() -> None:
    objects = factory.ct_slices(factory.ramp())
    objects[2].RescaleIntercept = -24
    hu = volume_of(objects).hu
    np.testing.assert_array_equal(hu[2] - hu[1], np.full((6, 8), 1000 + 48))


@pytest.mark.parametrize("tag", ["KVP", "SliceThickness"])
def test_what_all_planes_were_taken_with_is_known_and_what_differs_or_is_nonsense_is_not(
    tag: str,
) -> None:
    stored = factory.ramp((4, 5, 6))
    name = {"KVP": "kvp", "SliceThickness": "thickness_mm"}[tag]
    for values, expected in (([2.5] * 4, 2.5), ([2.5, 2.5, 3, 2.5], None), ([0] * 4, None)):
        objects = factory.ct_slices(stored)
        for ds, value in zip(objects, values, strict=True):
            setattr(ds, tag, value)
        assert getattr(volume_of(objects), name) == expected


def test_bits_beyond_the_stored_ones_are_no_part_of_the_value() -> None:
    stored = factory.ramp()
    objects = factory.ct_slices(stored | 0xF000)
    np.testing.assert_array_equal(volume_of(objects).hu, stored.astype(int) - 1024)


@pytest.mark.parametrize(("padding", "expected"), [(-2000, -1024), (1500, 476)])
@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian])
def test_padding_becomes_air_unless_it_may_be_tissue(
    padding: int, expected: int, syntax: uid.UID
) -> None:
    stored = factory.ramp().astype(np.int16)
    stored[:, 0, 0] = padding
    objects = factory.ct_slices(stored, bits_stored=16, PixelPaddingValue=padding)
    for ds in objects:
        ds.file_meta.TransferSyntaxUID = syntax
    hu = volume_of(objects).hu
    assert (hu[:, 0, 0] == expected).all()
    np.testing.assert_array_equal(hu[:, 1:], stored[:, 1:].astype(int) - 1024)


@pytest.mark.parametrize(
    "syntax",
    [
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.DeflatedExplicitVRLittleEndian,
        uid.RLELossless,
        uid.JPEG2000Lossless,
        uid.JPEGLSLossless,
    ],
)
@pytest.mark.parametrize("signed", [False, True])
def test_every_transfer_syntax_gives_the_same_volume(syntax: str, signed: bool) -> None:
    stored = factory.ramp((2, 40, 40), start=0)
    if signed:
        stored = (stored.astype(int) - 1600).astype(np.int16)
    objects = factory.ct_slices(stored)
    for ds, plane in zip(objects, stored, strict=True):
        if uid.UID(syntax).is_encapsulated:
            ds.compress(syntax, generate_instance_uid=False)
        else:
            ds.file_meta.TransferSyntaxUID = uid.UID(syntax)
            factory.set_pixels(ds, plane)
    np.testing.assert_array_equal(volume_of(objects).hu, stored.astype(int) - 1024)


def test_an_enhanced_object_gives_the_volume_of_its_frames_by_position(tmp_path: Path) -> None:
    stored = factory.ramp((5, 6, 8))
    study = read([factory.enhanced_ct(stored)], tmp_path)
    (volume,) = study.images
    assert isinstance(volume, Volume)
    np.testing.assert_array_equal(volume.hu, stored.astype(int) - 1024)
    np.testing.assert_allclose(volume.spacing_mm, (2.0, 0.5, 0.75))
    np.testing.assert_allclose(volume.affine.to_mm((0, 0, 0)), (-10, -20, 30))
    frames = [plane.frame for plane in volume.planes]
    assert sorted(frames) == [0, 1, 2, 3, 4]
    assert frames != sorted(frames)


def test_a_compressed_enhanced_object_reads_the_same(tmp_path: Path) -> None:
    stored = factory.ramp((4, 16, 16))
    ds = factory.enhanced_ct(stored)
    ds.compress(uid.RLELossless, generate_instance_uid=False)
    (volume,) = read([ds], tmp_path).images
    assert isinstance(volume, Volume)
    np.testing.assert_array_equal(volume.hu, stored.astype(int) - 1024)


def test_gantry_tilt_is_kept_exactly_and_said() -> None:
    tilted = factory.ct_slices(factory.ramp(), step=(0, 0.8, 2.0))
    volume = volume_of(tilted)
    assert "gantry tilt" in volume.notes[0]
    np.testing.assert_allclose(volume.affine.to_mm((3, 0, 0)), (-10, -17.6, 36))


def test_a_missing_plane_leaves_the_longest_run_and_is_said(tmp_path: Path) -> None:
    objects = factory.ct_slices(factory.ramp((9, 4, 4)))
    study = read(objects[:3] + objects[4:], tmp_path)
    (volume,) = study.images
    assert isinstance(volume, Volume)
    assert [p.sop_uid for p in volume.planes] == [o.SOPInstanceUID for o in objects[4:]]
    np.testing.assert_allclose(volume.affine.to_mm((0, 0, 0))[2], 30 + 4 * 2)
    assert "longest even run of 5 is used, 3 left out" in reasons(study)
    assert study.series[0].used


def test_positions_rounded_to_a_decimal_are_one_even_stack(tmp_path: Path) -> None:
    objects = factory.ct_slices(factory.ramp((40, 4, 4)))
    for index, ds in enumerate(objects):
        ds.ImagePositionPatient = [0, 0, round(index * 0.625, 1)]
    study = read(objects, tmp_path)
    assert study.skipped == ()
    assert study.series[0].shape == (40, 4, 4)
    assert study.series[0].spacing_mm == pytest.approx((0.625, 0.5, 0.75), abs=2e-3)


def test_planes_at_random_places_are_refused(tmp_path: Path) -> None:
    objects = factory.ct_slices(factory.ramp((6, 4, 4)))
    for ds, z in zip(objects, (0, 1, 3, 7, 15, 31), strict=True):
        ds.ImagePositionPatient = [0, 0, z]
    study = read(objects, tmp_path)
    assert study.images == ()
    assert "evenly spaced planes" in reasons(study)


def test_planes_shifted_sideways_at_random_are_refused(tmp_path: Path) -> None:
    objects = factory.ct_slices(factory.ramp((6, 4, 4)))
    objects[2].ImagePositionPatient = [5, 0, 34]
    study = read(objects, tmp_path)
    assert study.images == ()
    assert "evenly spaced on one line" in reasons(study)


def test_phases_at_the_same_place_are_told_apart_not_mixed(tmp_path: Path) -> None:
    first = factory.ct_slices(factory.ramp(), AcquisitionNumber=1)
    second = factory.ct_slices(factory.ramp(start=2000), AcquisitionNumber=2)
    for ds in second:
        ds.SOPInstanceUID = uid.UID(ds.SOPInstanceUID + ".2")
    study = read([*second, *first], tmp_path)
    (volume,) = study.images
    assert isinstance(volume, Volume)
    np.testing.assert_array_equal(volume.hu, factory.ramp().astype(int) - 1024)
    assert "told apart by AcquisitionNumber" in reasons(study)


def test_a_doubled_position_is_said_and_the_first_is_used(tmp_path: Path) -> None:
    objects = factory.ct_slices(factory.ramp((5, 4, 4)))
    (again,) = factory.ct_slices(factory.ramp((1, 4, 4), start=3000))
    again.SOPInstanceUID = uid.UID(f"{factory.SERIES_UID}.99")
    again.InstanceNumber = 99
    study = read([again, *objects], tmp_path)
    (volume,) = study.images
    assert isinstance(volume, Volume)
    np.testing.assert_array_equal(volume.hu, factory.ramp((5, 4, 4)).astype(int) - 1024)
    assert "lie where another does already" in reasons(study)


def test_mixed_orientations_use_the_largest_stack(tmp_path: Path) -> None:
    axial = factory.ct_slices(factory.ramp((4, 4, 4)))
    coronal = factory.ct_slices(factory.ramp((2, 4, 4)), orientation=(1, 0, 0, 0, 0, -1))
    for ds in coronal:
        ds.SOPInstanceUID = uid.UID(ds.SOPInstanceUID + ".7")
    study = read([*coronal, *axial], tmp_path)
    assert study.series[0].shape == (4, 4, 4)
    assert "2 orientations or sizes in one series" in reasons(study)


def test_a_localiser_among_slices_is_left_out(tmp_path: Path) -> None:
    objects = factory.ct_slices(factory.ramp((5, 4, 4)))
    objects[0].ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    study = read(objects, tmp_path)
    assert study.series[0].shape == (4, 4, 4)
    assert "1 of 5 objects left out: a localiser" in reasons(study)


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"ImagePositionPatient": None}, "numbers in ImagePositionPatient, found none"),
        ({"ImageOrientationPatient": None}, "numbers in ImageOrientationPatient, found none"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "at right angles"),
        ({"PixelSpacing": None}, "numbers in PixelSpacing"),
        ({"PixelSpacing": [0, 1]}, "a PixelSpacing from 0.01 to 10 mm"),
        ({"RescaleSlope": None}, "numbers in RescaleSlope"),
        ({"RescaleSlope": 0}, "a RescaleSlope other than 0"),
        ({"RescaleType": "Z_EFF"}, "another unit than Hounsfield"),
        ({"StudyInstanceUID": ""}, "a StudyInstanceUID of digits and dots, found none"),
        ({"SeriesInstanceUID": None}, "a SeriesInstanceUID of digits and dots, found none"),
        ({"BitsAllocated": None}, "expected BitsAllocated beside the pixels, found none"),
        ({"Modality": "MR"}, "modality MR is not read"),
        ({"Modality": "SECRET"}, "another modality, or none, is not read"),
        ({"ImageType": ["DERIVED", "SECONDARY", "MPR"]}, "a reformat"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "a localiser"),
        ({"SOPClassUID": uid.SecondaryCaptureImageStorage}, "a secondary capture"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "a colour capture"),
    ],
)
def test_what_cannot_be_used_is_left_out_with_its_reason(
    tags: dict, reason: str, tmp_path: Path
) -> None:
    good = factory.radiograph(factory.ramp((8, 8)), SeriesInstanceUID=f"{factory.ROOT}.2")
    study = read([*factory.ct_slices(factory.ramp(), **tags), good], tmp_path)
    assert [image.modality for image in study.images] == ["DX"]
    assert reason in reasons(study)
    assert all("\n" not in s.reason for s in study.skipped)
    assert "secret" not in f"{reasons(study)} {study.modalities} {study.series}".lower()


def test_images_marked_derived_are_read_where_they_are_no_reformat() -> None:
    objects = factory.ct_slices(factory.ramp(), ImageType=["DERIVED", "SECONDARY", "AXIAL"])
    assert volume_of(objects).hu.shape == (4, 6, 8)


def test_one_unreadable_plane_leaves_the_rest_of_the_series(tmp_path: Path) -> None:
    objects = factory.ct_slices(factory.ramp((6, 8, 8)))
    folder = factory.save_all(objects, tmp_path)
    bad = folder / "001.dcm"
    bad.write_bytes(bad.read_bytes()[:-60])
    study = read_study(folder)
    (volume,) = study.images
    assert isinstance(volume, Volume)
    np.testing.assert_array_equal(volume.hu, factory.ramp((6, 8, 8))[2:].astype(int) - 1024)
    np.testing.assert_allclose(volume.affine.to_mm((0, 0, 0))[2], 34)
    assert study.skipped[0].what == "001.dcm"
    assert "the file is cut short" in study.skipped[0].reason


def test_a_single_plane_is_as_deep_as_it_is_thick(tmp_path: Path) -> None:
    study = read(factory.ct_slices(factory.ramp((1, 4, 4)), thickness=5), tmp_path)
    assert study.series[0].spacing_mm == (5.0, 0.5, 0.75)
    assert "SliceThickness is taken as its depth" in study.images[0].notes[0]


@example(7.0)
@given(st.floats(0.1, 50))
def test_slice_thickness_has_no_say_in_a_stack(thickness: float) -> None:
    assert volume_of(factory.ct_slices(factory.ramp(), thickness=thickness)).spacing_mm[0] == 2.0
