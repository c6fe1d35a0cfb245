from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import uid
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_windowing

from calcilens.imaging.display import windowed
from calcilens.imaging.images import Radiograph
from calcilens.imaging.radiographs import calibrated_spacing
from calcilens.imaging.study import Study, read_study
from tests import dicom_factory as factory

STORED = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
"""Every 12-bit value once."""


def read(ds: Dataset, folder: Path) -> Study:
    return read_study(factory.save(ds, folder / "image.dcm"))


def radiograph_of(ds: Dataset, folder: Path) -> Radiograph:
    (image,) = read(ds, folder).images
    assert isinstance(image, Radiograph)
    return image


def lut(entries: np.ndarray, bits: int, first: int = 0) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item["LUTData"] = DataElement(0x00283006, "OW", entries.astype("<u2").tobytes())
    return item


def test_monochrome1_is_turned_so_that_bright_means_dense(tmp_path: Path) -> None:
    window: dict[str, Any] = {"WindowCenter": 2048, "WindowWidth": 4096}
    plain = radiograph_of(factory.radiograph(STORED, **window), tmp_path)
    turned = radiograph_of(
        factory.radiograph(4095 - STORED, photometric="MONOCHROME1", **window), tmp_path
    )
    np.testing.assert_array_equal(plain.pixels, STORED)
    np.testing.assert_array_equal(turned.pixels, plain.pixels)
    difference = turned.display.astype(int) - plain.display
    assert abs(difference).max() <= 1  # the linear window is not symmetric by half a value
    assert (np.diff(turned.display.ravel().astype(int)) >= 0).all()


def test_the_modality_rescale_is_applied_to_the_pixels(tmp_path: Path) -> None:
    ds = factory.radiograph(STORED, RescaleSlope=0.5, RescaleIntercept=-100, RescaleType="US")
    np.testing.assert_allclose(radiograph_of(ds, tmp_path).pixels, STORED * 0.5 - 100)


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian])
def test_a_modality_lut_is_applied_to_the_pixels_and_the_voi_lut_only_to_the_display(
    syntax: uid.UID, tmp_path: Path
) -> None:
    squares = (np.arange(4096) // 64) ** 2
    modality = lut(squares, 16)
    modality.ModalityLUTType = "US"
    voi = lut(np.minimum(np.arange(4096), 255), 8)
    ds = factory.radiograph(STORED, ModalityLUTSequence=[modality], VOILUTSequence=[voi])
    ds.file_meta.TransferSyntaxUID = syntax
    image = radiograph_of(ds, tmp_path)
    np.testing.assert_array_equal(image.pixels, squares[STORED])
    np.testing.assert_array_equal(image.display, np.minimum(squares[STORED], 255))
    assert "VOI LUT" in image.notes[0]


@given(
    centre=st.integers(0, 4095),
    width=st.integers(2, 5000),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
def test_windows_agree_with_pydicom(centre: int, width: int, function: str) -> None:
    ds = factory.radiograph(STORED, WindowCenter=centre, WindowWidth=width, VOILUTFunction=function)
    expected = np.clip(apply_windowing(STORED, ds) / 4095, 0, 1)
    ours = np.clip(windowed(STORED.astype(np.float32), centre, width, function), 0, 1)
    np.testing.assert_allclose(ours, expected, atol=1e-4)


@pytest.mark.parametrize("window", [{}, {"WindowCenter": 5, "WindowWidth": 0}, {"WindowCenter": 1}])
def test_without_a_usable_window_the_robust_range_is_shown(window: dict, tmp_path: Path) -> None:
    stored = STORED // 8 + 1000
    stored[0, 0], stored[-1, -1] = 0, 4095
    image = radiograph_of(factory.radiograph(stored, **window), tmp_path)
    assert image.display[1:-1].min() <= 5
    assert image.display[1:-1].max() >= 250
    assert "robust range" in image.notes[0]


IMAGER = {"ImagerPixelSpacing": [0.2, 0.3]}
SAME = {"PixelSpacing": [0.2, 0.3]}


@pytest.mark.parametrize(
    ("tags", "expected", "how"),
    [
        ({}, None, "no pixel spacing is given"),
        (SAME, None, "without a calibration"),
        (IMAGER, None, "only the detector's spacing"),
        (IMAGER | SAME, None, "only the detector's spacing"),
        (IMAGER | {"EstimatedRadiographicMagnificationFactor": 1.25}, (0.16, 0.24), "divided by"),
        (IMAGER | SAME | {"EstimatedRadiographicMagnificationFactor": 1.25}, (0.16, 0.24), "1.25"),
        (IMAGER | {"EstimatedRadiographicMagnificationFactor": 0}, None, "only the detector's"),
        (IMAGER | {"PixelSpacing": [0.15, 0.2]}, (0.15, 0.2), "differs from the detector's"),
        (SAME | {"PixelSpacingCalibrationType": "FIDUCIAL"}, (0.2, 0.3), "fiducial"),
        (SAME | {"PixelSpacingCalibrationType": "GEOMETRY"}, (0.2, 0.3), "geometry"),
        ({"PixelSpacing": [0, 1], "PixelSpacingCalibrationType": "FIDUCIAL"}, None, "no pixel"),
    ],
)
def test_spacing_is_given_only_where_it_is_calibrated(tags: dict, expected: Any, how: str) -> None:
    spacing, said = calibrated_spacing(factory.radiograph(STORED, **tags))
    assert spacing == (None if expected is None else pytest.approx(expected))
    assert how in said


@pytest.mark.parametrize("modality", ["CR", "DX", "RG", "MG", "RF"])
def test_every_kind_of_radiograph_is_read(modality: str, tmp_path: Path) -> None:
    image = radiograph_of(factory.radiograph(STORED, Modality=modality), tmp_path)
    assert (image.modality, image.body_part) == (modality, "KNEE")


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"NumberOfFrames": 2, "PixelData": bytes(4 * 64 * 64)}, "several frames"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "a colour capture"),
        ({"Modality": "US"}, "modality US is not read"),
        ({"Modality": "PR"}, "a presentation state"),
        ({"PixelData": None}, "holds no image pixels"),
        ({"PixelData": bytes(100)}, "found 100: the file is cut short"),
        ({"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31}, "8 or 16 bits"),
        ({"RescaleSlope": "1e400", "RescaleIntercept": 0}, "a finite rescale"),
    ],
)
def test_what_is_no_plain_radiograph_is_left_out_with_its_reason(
    tags: dict, reason: str, tmp_path: Path
) -> None:
    study = read(factory.radiograph(STORED, **tags), tmp_path)
    assert study.images == ()
    assert reason in study.skipped[0].reason
    assert study.series[0].why_not == study.skipped[0].reason


@pytest.mark.parametrize(
    ("modality", "sop_class", "reason"),
    [
        ("SR", uid.XRayRadiationDoseSRStorage, "a structured report"),
        ("SEG", uid.SegmentationStorage, "a segmentation"),
        ("RTSTRUCT", uid.RTStructureSetStorage, "a structure set"),
        ("KO", uid.KeyObjectSelectionDocumentStorage, "a key object selection"),
    ],
)
def test_objects_that_are_no_images_are_named(
    modality: str, sop_class: str, reason: str, tmp_path: Path
) -> None:
    study = read(factory.new_object(sop_class, modality=modality), tmp_path)
    assert reason in study.skipped[0].reason
    assert study.modalities == (modality,)
