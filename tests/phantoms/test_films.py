from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest

from calcilens.commands.phantom_study import write_whole
from calcilens.imaging.images import Radiograph
from calcilens.imaging.study import read_study
from calcilens.inference.roi.reading import read_rois
from calcilens.inference.roi.region import place
from calcilens.phantoms.films import VIEWS, Films
from calcilens.phantoms.study import visits
from calcilens.phantoms.write import FOLLOW_UP, bounds
from tests.phantoms.conftest import Made


def truth_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "truth.json").read_text()))


def radiographs_of(folder: Path) -> dict[str, Radiograph]:
    """The images by the name of their view."""
    names = {pydicom.dcmread(p).SOPInstanceUID: p.stem for p in (folder / "dicom").iterdir()}
    read = read_study(folder / "dicom")
    assert not read.skipped
    found = {}
    for image in read.images:
        assert isinstance(image, Radiograph)
        found[names[image.planes[0].sop_uid]] = image
    return found


def digests(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_same_plan_gives_the_same_bytes(made_films: Made, tmp_path: Path) -> None:
    write_whole(tmp_path / "again", made_films.plan)
    assert digests(made_films.folder) == digests(tmp_path / "again")


def test_our_reader_gives_back_what_was_simulated_whichever_way_it_is_stored(
    made_films: Made,
) -> None:
    visit = visits(made_films.plan)[0]
    assert isinstance(visit.taken, Films)
    read = radiographs_of(made_films.folder)
    assert tuple(sorted(read)) == VIEWS
    for view in visit.taken.views:
        simulated = view.render(visit.tissue_rng()).pixels
        np.testing.assert_array_equal(read[view.name].pixels, simulated)
        assert read[view.name].spacing_mm == pytest.approx([view.xray.spacing_mm] * 2, rel=1e-5)


def test_one_view_is_monochrome1_and_says_so_in_every_way_that_the_standard_asks(
    made_films: Made,
) -> None:
    ap, lateral = (pydicom.dcmread(made_films.folder / "dicom" / f"{v}.dcm") for v in VIEWS)
    assert (ap.PhotometricInterpretation, ap.PresentationLUTShape) == ("MONOCHROME2", "IDENTITY")
    assert ap.PixelIntensityRelationshipSign == -1
    assert lateral.PhotometricInterpretation == "MONOCHROME1"
    assert lateral.PresentationLUTShape == "INVERSE"
    assert lateral.PixelIntensityRelationshipSign == 1
    bone = np.percentile(lateral.pixel_array, 2), np.percentile(ap.pixel_array, 98)
    assert bone[0] < 1500 < 2000 < bone[1]


def test_spacing_on_the_detector_is_that_of_the_limb_magnified(made_films: Made) -> None:
    for path in (made_films.folder / "dicom").iterdir():
        tags = pydicom.dcmread(path, stop_before_pixels=True)
        factor = float(tags.EstimatedRadiographicMagnificationFactor)
        assert factor > 1
        for detector, limb in zip(tags.ImagerPixelSpacing, tags.PixelSpacing, strict=True):
            assert float(detector) == pytest.approx(float(limb) * factor, rel=1e-4)
        away = float(tags.DistanceSourceToDetector) / float(tags.DistanceSourceToPatient)
        assert away == pytest.approx(factor, rel=1e-3)


@pytest.mark.parametrize("part", ["", FOLLOW_UP])
def test_masks_lie_in_the_image_and_agree_in_all_forms(made_films: Made, part: str) -> None:
    folder = made_films.folder / part
    images, (lesion,) = radiographs_of(folder), truth_of(folder)["lesions"]
    for name in ("roi.json", "seg"):
        placed, refused = place(read_rois(folder / name)[0], list(images.values()))
        assert not refused
        assert len(placed) == len(VIEWS)
        for image, given in placed:
            assert isinstance(image, Radiograph)
            (view,) = (v for v, known in images.items() if known is image)
            truth = lesion["views"][view]
            mask = np.asarray(nibabel.load(folder / truth["mask"]).dataobj).T > 0
            assert mask.shape == (1, *image.pixels.shape)
            assert given.box.tolist() == bounds(mask).tolist()
            x0, y0, x1, y1 = truth["box_px"]
            assert given.box[:, 1:].tolist() == [[y0, x0], [y1, x1]]
            if given.mask is not None:
                part_of = tuple(slice(a, b) for a, b in given.box.T)
                np.testing.assert_array_equal(given.mask, mask[part_of])


def test_mineral_is_brighter_than_what_lies_beside_it(made_films: Made) -> None:
    images, (lesion,) = radiographs_of(made_films.folder), truth_of(made_films.folder)["lesions"]
    brighter = []
    for name, view in lesion["views"].items():
        mask = np.asarray(nibabel.load(made_films.folder / view["mask"]).dataobj).T[0] > 0
        y, x = np.nonzero(mask)
        rows = slice(y.min(), y.max() + 1)
        beside = slice(max(x.min() - 25, 0), x.max() + 26)
        near, inside = images[name].pixels[rows, beside], mask[rows, beside]
        brighter.append(np.median(near[inside]) - np.median(near[~inside]))
    assert max(brighter) > 50


def test_a_lesion_is_as_large_in_projection_as_its_volume_says(made_films: Made) -> None:
    before, after = (truth_of(made_films.folder / part)["lesions"][0] for part in ("", FOLLOW_UP))
    assert after["volume_mm3"] / before["volume_mm3"] == pytest.approx(3, rel=0.02)
    for view in VIEWS:
        ratio = after["views"][view]["mask_area_mm2"] / before["views"][view]["mask_area_mm2"]
        assert ratio == pytest.approx(3 ** (2 / 3), rel=0.15)
        least = np.diff(np.reshape(before["views"][view]["box_px"], (2, 2)), axis=0).max()
        spacing = truth_of(made_films.folder)["acquisition"][view]["spacing_mm"][0]
        assert least * spacing <= before["max_diameter_mm"] * 1.1 + 1
    assert "mean_hu" not in before


def test_true_transform_is_rigid_and_carries_the_lesion_along(made_films: Made) -> None:
    later = truth_of(made_films.folder / FOLLOW_UP)
    moved = np.array(later["change"]["transform_mm"])
    np.testing.assert_allclose(moved[:3, :3] @ moved[:3, :3].T, np.eye(3), atol=1e-6)
    before = truth_of(made_films.folder)["lesions"][0]["centroid_mm"]
    carried = (moved @ [*before, 1])[:3]
    assert np.linalg.norm(carried - later["lesions"][0]["centroid_mm"]) < 2.0


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dicom3tools")
def test_an_independent_validator_finds_no_error(made_films: Made) -> None:
    for path in sorted(made_films.folder.rglob("*.dcm")):
        done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        assert "DXImageForPresentation" in said or "Segmentation" in said
        assert "Error" not in said
