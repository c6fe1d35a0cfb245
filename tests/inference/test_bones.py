"""Bones drawn elsewhere come into the grid of their CT, or are refused in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import highdicom
import nibabel
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.sr.codedict import codes

from calcilens.errors import RoiError
from calcilens.imaging.images import Volume
from calcilens.imaging.study import read_study
from calcilens.inference.pipeline import Models, run_study
from calcilens.inference.roi.bones import fit_bones, read_bones
from tests import dicom_factory as factory
from tests.inference.made import SERIES_UID, ct, film, study
from tests.inference.test_roi import complete

RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
BALL = (slice(4, 7), slice(56, 65), slice(86, 95))
"""Inside the dense ball of `ct`."""


def nifti(
    path: Path, mask: np.ndarray, volume: Volume, stride: tuple[int, ...] = (1, 1, 1)
) -> Path:
    """Write every n-th voxel of a mask (Z, Y, X) in the grid of a volume."""
    few = mask[tuple(slice(None, None, s) for s in stride)]
    matrix = volume.affine.matrix @ np.diag([*stride, 1.0])
    picture = nibabel.Nifti1Image(
        few.astype(np.uint8).transpose(2, 1, 0), RAS @ matrix[:, [2, 1, 0, 3]]
    )
    nibabel.save(picture, path)
    return path


def drawn(*box: slice) -> np.ndarray:
    mask = np.zeros(ct().hu.shape, bool)
    mask[box] = True
    return mask


def test_a_nifti_of_the_same_grid_comes_back_voxel_for_voxel(tmp_path: Path) -> None:
    image = ct()
    path = nifti(tmp_path / "bones.nii.gz", drawn(*BALL), image)
    fit = fit_bones(read_bones(path), [image, film()])
    assert np.array_equal(fit.bones[SERIES_UID], drawn(*BALL))
    assert fit.others == ()


def test_a_nifti_of_another_grid_is_resampled_to_the_nearest_voxel(tmp_path: Path) -> None:
    image = ct()
    path = nifti(tmp_path / "bones.nii.gz", drawn(*BALL), image, (1, 2, 2))
    found = fit_bones(read_bones(path), [image]).bones[SERIES_UID]
    truth = drawn(*BALL)
    assert (found ^ truth).sum() < 0.3 * truth.sum()
    assert found[5, 60, 90]
    assert not found[5, 75, 90]


def test_of_several_ct_only_that_of_the_grid_gets_the_bones(tmp_path: Path) -> None:
    image = ct()
    other = replace(ct((12, 160, 150)), series_uid="1.2.826.1.7")
    path = nifti(tmp_path / "bones.nii", drawn(*BALL), image)
    fit = fit_bones(read_bones(path), [other, image])
    assert list(fit.bones) == [SERIES_UID]
    assert fit.others == ("1.2.826.1.7",)


def test_what_is_given_as_bone_is_no_lesion(tmp_path: Path) -> None:
    image = ct()
    assert len(run_study(study(image), Models()).lesions) == 1
    given = fit_bones(read_bones(nifti(tmp_path / "b.nii", image.hu > 130, image)), [image]).bones
    assert run_study(study(ct()), Models(), bones=given).lesions == ()


def seg_of(planes: list[Dataset], masks: np.ndarray, names: tuple[str, ...]) -> Dataset:
    """Return a SEG of masks (Z, Y, X, N), one a name."""
    made: Dataset = highdicom.seg.Segmentation(
        source_images=planes,
        pixel_array=masks,
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[
            highdicom.seg.SegmentDescription(
                segment_number=n,
                segment_label=name,
                segmented_property_category=codes.SCT.AnatomicalStructure,
                segmented_property_type=codes.SCT.Organ,
                algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.MANUAL,
            )
            for n, name in enumerate(names, 1)
        ],
        series_instance_uid="1.2.826.7.1",
        series_number=9,
        sop_instance_uid="1.2.826.7.1.1",
        instance_number=1,
        manufacturer="test",
        manufacturer_model_name="test",
        software_versions="1",
        device_serial_number="1",
    )
    return made


def test_bones_are_picked_from_a_seg_by_their_names(tmp_path: Path) -> None:
    stored = np.full((6, 20, 24), 1064, np.uint16)
    stored[1:4, 5:9, 10:17] = 1700
    objects = factory.ct_slices(stored, PatientID="x", PatientName="", StudyDate="20260102")
    image = read_study(factory.save_all(objects, tmp_path / "ct")).images[0]
    by_uid = {ds.SOPInstanceUID: ds for ds in map(dcmread, (tmp_path / "ct").iterdir())}
    masks = np.zeros((6, 20, 24, 3), np.uint8)
    masks[1:4, 5:9, 10:14, 0] = masks[1:4, 5:9, 12:17, 1] = masks[:, 15:, :5, 2] = 1
    names = ("rib_left_4", "vertebrae_T5", "liver")
    seg = seg_of([complete(by_uid[p.sop_uid]) for p in image.planes], masks, names)
    seg.save_as(tmp_path / "bones.dcm")
    fit = fit_bones(read_bones(tmp_path / "bones.dcm"), [image])
    assert np.array_equal(fit.bones[image.series_uid], masks[..., :2].any(-1))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RoiError, match="expected a NIfTI or DICOM SEG of bones, found no file"):
        read_bones(tmp_path / "none.nii")


@pytest.mark.parametrize("name", ["bones.nii.gz", "bones.nii"])
def test_a_broken_nifti_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no picture")
    with pytest.raises(RoiError, match="expected a whole NIfTI"):
        read_bones(tmp_path / name)


def test_an_empty_mask_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RoiError, match=r"bones\.nii: .* with bone other than 0, found only 0"):
        read_bones(nifti(tmp_path / "bones.nii", np.zeros_like(drawn()), ct()))


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bones.txt").write_text("rib")
    with pytest.raises(RoiError, match="expected a NIfTI or DICOM SEG, found another file"):
        read_bones(tmp_path / "bones.txt")


def test_a_mask_of_soft_tissue_is_no_mask_of_bones(tmp_path: Path) -> None:
    image = ct()
    path = nifti(tmp_path / "liver.nii", drawn(slice(2, 9), slice(90, 120), slice(20, 60)), image)
    with pytest.raises(RoiError, match="expected a mask of bones, of at least 80 HU"):
        fit_bones(read_bones(path), [image])


def test_a_mask_beside_the_ct_is_refused(tmp_path: Path) -> None:
    image = ct()
    away = replace(image, affine=image.affine.shifted([400, 0, 0]))
    path = nifti(tmp_path / "bones.nii", drawn(*BALL), away)
    with pytest.raises(RoiError, match="expected bones inside the CT, found none"):
        fit_bones(read_bones(path), [image])


def test_a_nifti_that_could_be_of_several_ct_is_refused(tmp_path: Path) -> None:
    path = nifti(tmp_path / "bones.nii", drawn(*BALL), ct(), (1, 2, 2))
    others = [ct(), replace(ct(), series_uid="1.2.826.1.7")]
    with pytest.raises(RoiError, match="expected one CT of its grid, found none among 2"):
        fit_bones(read_bones(path), others)


def test_nan_is_no_bone(tmp_path: Path) -> None:
    mask = np.where(drawn(*BALL), 1, np.nan).astype(np.float32)
    picture = nibabel.Nifti1Image(mask.transpose(2, 1, 0), np.diag([1.0, 1, 1, 1]))
    nibabel.save(picture, tmp_path / "bones.nii")
    assert np.array_equal(read_bones(tmp_path / "bones.nii").mask, drawn(*BALL))


@pytest.mark.parametrize(
    ("start", "content", "found"),
    [
        (70, np.int16(999), "whole NIfTI, found HeaderDataError"),
        (40, np.array([77, 4, 4, 4, 1, 1, 1, 1], np.int16), "whole NIfTI, found HeaderDataError"),
        (40, np.array([3, -4, 4, 4, 1, 1, 1, 1], np.int16), "whole NIfTI, found "),
        (40, np.array([3, *[32767] * 3, 1, 1, 1, 1], np.int16), "to 1073741824 voxels"),
        (40, np.array([2, 4, 4, 1, 1, 1, 1, 1], np.int16), "three axes, found shape"),
        (70, np.array([128, 24], np.int16), "plain numbers, found voxels of type V"),
        (280, np.zeros(12, np.float32), "affine with three directions"),
        (280, np.full(12, np.nan, np.float32), "affine with three directions"),
    ],
)
def test_a_damaged_header_is_one_line_with_the_name_of_the_file(
    start: int, content: np.ndarray, found: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    picture = nibabel.Nifti1Image(np.ones((4, 4, 12), np.uint8), np.eye(4))
    picture.set_sform(np.eye(4), code=1)
    nibabel.save(picture, tmp_path / "bones.nii")
    raw = bytearray((tmp_path / "bones.nii").read_bytes())
    raw[start : start + content.nbytes] = content.tobytes()
    (tmp_path / "bones.nii").write_bytes(raw + bytes(1000))
    with pytest.raises(RoiError, match=rf"^--bone-mask bones\.nii: expected .*{found}") as said:
        read_bones(tmp_path / "bones.nii")
    assert "\n" not in str(said.value)
    assert capfd.readouterr().err == ""


def test_a_seg_of_one_of_two_ct_in_its_frame_gives_that_its_bones(tmp_path: Path) -> None:
    stored = np.full((6, 20, 24), 1064, np.uint16)
    stored[1:4, 5:9, 10:17] = 1700
    near = factory.ct_slices(stored, PatientID="x", PatientName="", StudyDate="20260102")
    far = factory.ct_slices(stored, origin=(-10, -20, 530), SeriesInstanceUID=f"{factory.ROOT}.8")
    for number, plane in enumerate(far):
        plane.SOPInstanceUID = f"{factory.ROOT}.8.{number}"
    factory.save_all([*far, *near], tmp_path / "ct")
    images = read_study(tmp_path / "ct").images
    mask = (stored > 1600).astype(np.uint8)[..., None]
    seg_of([complete(plane) for plane in near], mask, ("femur",)).save_as(tmp_path / "bones.dcm")
    fit = fit_bones(read_bones(tmp_path / "bones.dcm"), images)
    assert np.array_equal(fit.bones[factory.SERIES_UID], mask[..., 0])
    assert fit.others == (f"{factory.ROOT}.8",)
    alone = [i for i in images if i.series_uid != factory.SERIES_UID]
    with pytest.raises(RoiError, match=r"bones\.dcm: expected bones inside the CT, found none"):
        fit_bones(read_bones(tmp_path / "bones.dcm"), alone)


def test_an_empty_seg_is_refused_by_its_name(tmp_path: Path) -> None:
    planes = factory.ct_slices(factory.ramp(), PatientID="x", PatientName="")
    seg = seg_of([complete(p) for p in planes], np.ones((4, 6, 8, 1), np.uint8), ("femur",))
    seg.PixelData = bytes(len(seg.PixelData))
    seg.save_as(tmp_path / "bones.dcm")
    with pytest.raises(
        RoiError, match=r"^--bone-mask bones\.dcm: expected a segment with at least"
    ):
        read_bones(tmp_path / "bones.dcm")
