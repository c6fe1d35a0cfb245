"""Rows of the page: value with its uncertainty, or the reason why there is none."""

from __future__ import annotations

from dataclasses import replace

from calcilens.imaging.measure import FIGURES as MEASURED
from calcilens.imaging.measure import Measurement
from calcilens.inference.export.figures import FIGURES, figures
from calcilens.inference.pipeline import Models, run_study
from tests.inference.made import FakeModel, ct, film, lesion_in, study


def rows(taken: Measurement, *, of_film: bool = False) -> dict[str, str | None]:
    image = film(1) if of_film else ct()
    report = run_study(study(image), Models(ct=FakeModel()), [(image, lesion_in(image))])
    lesion = replace(report.lesions[0], measured=taken)
    return {row["label"]: row["value"] for row in figures(lesion)}


def test_a_value_stands_with_its_uncertainty_unless_that_is_below_its_last_digit() -> None:
    taken = Measurement()
    taken.set("volume_mm3", 412.3, "a test", 24.6)
    taken.set("mean_hu", 511.0, "a test", 0.2)
    taken.set("axes_mm", [12.04, 8.0, 3.5], "a test", 0.71)
    taken.set("depth", "deep", "a test")
    taken.set("bone_erosion", False, "a test")
    taken.set("soft_tissue_mm", 0.0, "a test", 0.8)
    taken.set("zoning", "zonal", "a test")
    shown = rows(taken)
    assert shown["Volume"] == "412 ± 25 mm³"
    assert shown["Mean density"] == "511 HU"
    assert shown["Axes"] == "12.0 × 8.0 × 3.5 ± 0.7 mm"
    assert (shown["Depth"], shown["Bone erosion"]) == ("deep", "no")
    assert (shown["Soft tissue around it"], shown["Densest part"]) == (
        "0.0 ± 0.8 mm",
        "rim (zonal)",
    )
    assert shown["Distance to skin"] is None


def test_every_measured_figure_is_shown_somewhere() -> None:
    elsewhere = {"radial_profile", "diameter_px"}
    assert {name for name, *_ in FIGURES} == set(MEASURED) - elsewhere


def test_a_radiograph_without_calibration_has_its_diameter_in_pixels() -> None:
    taken = Measurement()
    taken.set("diameter_px", 41.2, "a test", 1.0)
    assert rows(taken, of_film=True)["Largest diameter"] == "41 ± 1 pixels"
    taken.set("diameter_px", None, "a test")
    taken.set("max_diameter_mm", 8.25, "a test", 0.2)
    assert rows(taken, of_film=True)["Largest diameter"] == "8.2 ± 0.2 mm"
