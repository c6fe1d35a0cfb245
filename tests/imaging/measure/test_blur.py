"""Blur: what the skin tells is what the image was blurred with."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from calcilens.imaging.measure.blur import blur
from tests.imaging.measure.solids import diagonal, volume


@pytest.mark.parametrize("sd_mm", [0.4, 0.6, 0.9])
@pytest.mark.parametrize("pixel_mm", [0.4, 0.7, 1.0])
def test_blur_is_read_off_the_skin(sd_mm: float, pixel_mm: float) -> None:
    n, fine = round(70 / pixel_mm), 4
    axis = ((np.arange(n * fine) + 0.5) / fine - n / 2) * pixel_mm
    limb = (np.hypot(axis[:, None], axis[None] / 1.2) < 26).astype(float)
    limb = limb.reshape(n, fine, n, fine).mean((1, 3))
    hu = ndimage.gaussian_filter(1040 * limb, sd_mm / pixel_mm) - 1000
    noise = np.random.default_rng(0).normal(0, 8, (6, n, n))
    found = blur(volume((hu + noise).astype(np.int16), diagonal((2.0, pixel_mm, pixel_mm))))
    assert found.plane_mm == pytest.approx(sd_mm, rel=0.15)
    assert found.thickness_mm == 2.0


def test_without_skin_the_usual_blur_is_said_to_be_assumed() -> None:
    inside = volume(np.full((4, 40, 40), 50, np.int16), diagonal((1.0, 1.0, 1.0)), thickness_mm=1.5)
    found = blur(inside)
    assert found.plane_mm == 0.55
    assert found.thickness_mm == 1.5
    assert "too little skin" in found.how


@pytest.mark.parametrize(("said", "used"), [(1.5, 1.5), (None, 1.0), (7.0, 1.0), (0.01, 1.0)])
def test_a_thickness_that_cannot_be_true_is_not_used(said: float | None, used: float) -> None:
    hu = np.full((4, 40, 40), 50, np.int16)
    found = blur(volume(hu, diagonal((1.0, 1.0, 1.0)), thickness_mm=said))
    assert found.thickness_mm == used
    assert ("taken to be" in found.how) == (used != said)
