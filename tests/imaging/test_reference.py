"""SimpleITK reads the same voxels and puts them at the same places."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - its usual name
from hypothesis import given, settings

from calcilens.imaging.images import Volume
from calcilens.imaging.study import read_study
from tests import dicom_factory as factory
from tests.strategies import ct_series


def agree_with_simpleitk(folder: Path) -> None:
    (volume,) = read_study(folder).images
    assert isinstance(volume, Volume)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    reference = sitk.GetArrayFromImage(image)
    count, rows, columns = volume.hu.shape
    corners = [
        (0, 0, 0),
        (count - 1, rows - 1, columns - 1),
        (count // 2, 1, 2),
        (0, 0, columns - 1),
    ]
    for z, y, x in corners:
        point = image.TransformIndexToPhysicalPoint((x, y, z))
        voxel = volume.affine.to_voxel(point)
        np.testing.assert_allclose(voxel, np.rint(voxel), atol=2e-3)
        assert volume.hu[tuple(np.rint(voxel).astype(int))] == reference[z, y, x]
    if np.allclose(volume.affine.to_voxel(image.GetOrigin()), 0, atol=1e-3):
        np.testing.assert_array_equal(volume.hu, reference)
    else:  # SimpleITK may order planes the other way round
        np.testing.assert_array_equal(volume.hu[::-1], reference)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=15)
@given(ct_series(tilted=False))
def test_series_in_any_orientation_agree_with_simpleitk(series: tuple) -> None:
    objects, *_ = series
    with tempfile.TemporaryDirectory() as folder:
        agree_with_simpleitk(factory.save_all(objects, Path(folder)))


@pytest.mark.real
def test_the_real_ct_agrees_with_simpleitk(real_data: Path) -> None:
    agree_with_simpleitk(real_data / "dicom" / "ct-kits00072")
