"""What the page gets is what was read from the files, and a folder's troubles stay its own."""

from __future__ import annotations

import base64
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calcilens.errors import InputError, NotThere, ReviewError, StudyError
from calcilens.imaging.images import Radiograph, Volume
from calcilens.imaging.measure import lesion_mask
from calcilens.imaging.study import Study, read_study
from calcilens.inference.lesions import Lesion
from calcilens.inference.report import StudyReport
from calcilens.review.described import film_window, pyramid, stored_film, whole_hu
from calcilens.review.grids import mask_box, mask_json, saliency_json
from calcilens.review.library import Library
from calcilens.review.links import links
from calcilens.review.pictures import Pictures
from calcilens.review.reports import Place, Report
from calcilens.review.store import Store
from tests.review.folders import STUDY_UID, make_dicom, make_report


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Study, StudyReport]:
    folder = tmp_path_factory.mktemp("made")
    dicom, reports = make_dicom(folder / "dicom"), folder / "reports"
    return dicom, reports, *make_report(dicom, reports)


@pytest.fixture
def pictures(made: tuple[Path, ...], tmp_path: Path) -> Iterator[Pictures]:
    opened = Pictures([made[0]], tmp_path / "cache")
    opened.files.search()
    yield opened
    opened.close()


@pytest.fixture
def report(made: tuple[Path, ...]) -> Report:
    return Library(made[1]).get(STUDY_UID)


def wait(pictures: Pictures, uid: str = STUDY_UID) -> None:
    for _ in range(600):
        state = pictures.ready(uid)
        if state.ready:
            return
        assert state.error is None
        time.sleep(0.05)
    raise AssertionError("the images were never ready")


def test_planes_are_those_of_the_study_bit_for_bit(
    pictures: Pictures, report: Report, made: tuple[Any, ...]
) -> None:
    wait(pictures)
    volume = made[2].images[0]
    (shown, _) = pictures.images(report)
    got = np.frombuffer(pictures.planes(report, 0, 0, 64), "<i2").reshape(shown["shape"])
    assert np.array_equal(got, volume.hu)
    part = np.frombuffer(pictures.planes(report, 0, 3, 2), "<i2").reshape(2, *shown["shape"][1:])
    assert np.array_equal(part, volume.hu[3:5])
    assert np.allclose(shown["affine"], volume.affine.matrix)
    assert shown["numbers"] == list(range(1, 11))


def test_a_film_is_whole_and_each_level_is_the_mean_of_the_one_before(
    pictures: Pictures, report: Report, made: tuple[Any, ...]
) -> None:
    wait(pictures)
    film, (_, shown) = made[2].images[1], pictures.images(report)
    assert shown["levels"] == [[700, 530], [350, 265]]
    full = np.frombuffer(pictures.film(report, 1, 0), "<u2").reshape(700, 530)
    assert np.array_equal(full + film.pixels.min(), film.pixels)
    half = np.frombuffer(pictures.film(report, 1, 1), "<u2").reshape(350, 265)
    assert half[3, 4] == round(float(full[6:8, 8:10].mean()) + 1e-6)
    grey = (full - shown["window"]["center"]) / shown["window"]["width"] + 0.5
    assert np.abs(np.rint(np.clip(grey, 0, 1) * 255) - film.display).max() <= 1


def paired(report: Report, written: StudyReport) -> list[tuple[Place, Lesion]]:
    """Return each lesion as it is read with what was written: they are in another order."""
    known = {lesion.id: lesion for lesion in written.lesions}
    assert len(known) == len(report.lesions)
    return [(place, known[place.id]) for place in report.lesions]


def test_what_is_not_there_is_said(pictures: Pictures, report: Report) -> None:
    wait(pictures)
    asks: tuple[Callable[[], bytes], ...] = (
        lambda: pictures.planes(report, 0, 10),
        lambda: pictures.planes(report, 0, -1),
        lambda: pictures.planes(report, 0, 0, 65),
        lambda: pictures.planes(report, 0, 0, 0),
        lambda: pictures.planes(report, 1, 0),
        lambda: pictures.planes(report, 2, 0),
        lambda: pictures.film(report, 0),
        lambda: pictures.film(report, 1, 2),
        lambda: pictures.prior_planes(report, 0, 0),
    )
    for ask in asks:
        with pytest.raises(NotThere, match=r"expected .* found"):
            ask()


def test_before_it_is_ready_there_is_progress_and_no_image(
    pictures: Pictures, report: Report
) -> None:
    assert pictures.images(report) == []
    assert not pictures.ready(STUDY_UID).ready
    with pytest.raises(NotThere, match="image"):
        pictures.planes(report, 0, 0)
    wait(pictures)
    assert pictures.ready(STUDY_UID).total == 11


def test_a_study_prepared_ahead_is_ready_when_asked_for(pictures: Pictures) -> None:
    pictures.prepare([STUDY_UID])
    wait(pictures)


def test_files_that_move_are_found_again(
    made: tuple[Any, ...], report: Report, tmp_path: Path
) -> None:
    shutil.copytree(made[0], tmp_path / "in" / "a")
    pictures = Pictures([tmp_path / "in"], tmp_path / "cache")
    pictures.files.search()
    wait(pictures)
    (tmp_path / "in" / "a").rename(tmp_path / "in" / "b")
    pictures.files.search()
    wait(pictures)
    (shown, _) = pictures.images(report)
    got = np.frombuffer(pictures.planes(report, 0, 0, 64), "<i2").reshape(shown["shape"])
    assert np.array_equal(got, made[2].images[0].hu)
    pictures.close()


def test_broken_files_lose_nothing_else(
    made: tuple[Any, ...], report: Report, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(made[0], tmp_path / "in"))
    (folder / "zeros.dcm").write_bytes(bytes(100_000))
    (folder / "cut.dcm").write_bytes((folder / "film.dcm").read_bytes()[:300])
    (folder / "preamble.dcm").write_bytes(bytes(128) + b"DICM" + bytes(50_000))
    (folder / "notes.txt").write_text("nothing")
    (folder / "lost").symlink_to(folder / "nowhere")
    pictures = Pictures([folder], tmp_path / "cache")
    pictures.files.search()
    wait(pictures)
    assert len(pictures.images(report)) == 2
    pictures.close()


def test_a_study_without_files_or_with_others_says_so(
    made: tuple[Any, ...], report: Report, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(made[0], tmp_path / "in"))
    pictures = Pictures([folder], tmp_path / "cache")
    assert "searched" in str(pictures.why_not(STUDY_UID))
    pictures.files.search()
    assert pictures.why_not(STUDY_UID) is None
    assert "none" in str(pictures.why_not("1.2.3.4"))
    assert "none" in str(pictures.ready("1.2.3.4").error)
    next((folder / "DOE^JANE").glob("*.dcm")).unlink()
    pictures.files.search()
    wait(pictures)
    with pytest.raises(ReviewError, match="image 1 as the report has it"):
        pictures.images(report)
    pictures.close()
    with pytest.raises(StudyError, match="--studies"):
        Pictures([tmp_path / "nowhere"], tmp_path / "cache")


def test_a_zip_archive_is_a_source_too(
    made: tuple[Any, ...], report: Report, tmp_path: Path
) -> None:
    packed = shutil.make_archive(str(tmp_path / "study"), "zip", made[0])
    pictures = Pictures([Path(packed)], tmp_path / "cache")
    pictures.files.search()
    wait(pictures)
    assert len(pictures.images(report)) == 2
    pictures.close()


def test_nothing_of_the_patient_is_written_and_only_the_owner_may_read(
    pictures: Pictures, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        wait(pictures)
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert len(kept) == 4  # two images, their list, what is remembered of files
    for path in kept:
        assert path.stat().st_mode & 0o077 == 0
        content = path.read_bytes() + str(path).encode() + caplog.text.encode()
        assert not [word for word in (b"Secret", b"SECRET", b"DOE", b"JANE") if word in content]


def test_two_programs_may_share_the_cache(
    made: tuple[Any, ...], report: Report, tmp_path: Path
) -> None:
    both = [Pictures([made[0]], tmp_path / "cache") for _ in range(2)]
    for one in both:
        one.files.search()
        one.ready(STUDY_UID)
    for one in both:
        wait(one)
    assert both[0].planes(report, 0, 2) == both[1].planes(report, 0, 2)
    for one in both:
        one.close()


def filled(store: Store, name: str, size: int, used: float) -> str:
    key = name * 40
    store.put(key, {"images": []}, {"0.raw": [np.zeros(size, np.uint8)]})
    os.utime(store.folder / key / "images.json", (used, used))
    return key


def test_the_cache_keeps_its_size_and_what_was_used_last(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache", 1000)
    a, b = filled(store, "a", 400, 10.0), filled(store, "b", 400, 20.0)
    assert store.listed(a) is not None  # notes its use
    c = filled(store, "c", 500, time.time())
    assert [key for key in (a, b, c) if store.listed(key)] == [a, c]
    assert store.read(b, "0.raw", 0, 1) is None
    with pytest.raises(ReviewError, match="a study of at most"):
        filled(store, "d", 1001, 0)
    assert store.read(c, "0.raw", 0, 500) == bytes(500)


def test_an_unfinished_entry_of_a_killed_program_is_cleared(tmp_path: Path) -> None:
    left = tmp_path / "cache" / f".part-x-{'a' * 40}"
    left.mkdir(parents=True)
    store = Store(tmp_path / "cache", 1000)
    assert not left.exists()
    assert store.listed("a" * 40) is None


def test_masks_and_maps_lie_on_the_voxels_of_the_report(
    report: Report, made: tuple[Any, ...]
) -> None:
    for place, lesion in paired(report, made[3]):
        image = lesion.image
        shape = image.hu.shape if isinstance(image, Volume) else (1, *image.pixels.shape)
        assert [list(side) for side in place.box] == lesion.candidate.box.tolist()
        assert place.key_plane == lesion.key_plane
        assert place.mask is not None
        whole = np.zeros(shape, bool)
        whole[tuple(slice(a, b) for a, b in lesion.candidate.box.T)] = lesion_mask(
            image, lesion.candidate
        )[0]
        told = mask_json(place.mask, shape)
        (low, high) = np.array(told["box"])
        bits = np.frombuffer(base64.b64decode(told["bits"]), np.uint8)
        got = np.zeros(shape, bool)
        size = high - low
        got[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = np.unpackbits(
            bits, count=int(size.prod())
        ).reshape(size)
        assert np.array_equal(got, whole)


def test_a_map_lies_where_the_model_looked(report: Report, made: tuple[Any, ...]) -> None:
    for place, lesion in paired(report, made[3]):
        assert place.saliency is not None
        assert lesion.saliency is not None
        assert place.mask is not None
        assert lesion.saliency is not None
        told = saliency_json(place.saliency, place.mask)
        (z0, y0, x0), (z1, y1, x1) = told["box"]
        image = lesion.image
        plane = image.hu.shape[1:] if isinstance(image, Volume) else image.pixels.shape
        got = np.zeros(plane)
        values = np.frombuffer(base64.b64decode(told["values"]), np.uint8)
        got[y0:y1, x0:x1] = values.reshape(y1 - y0, x1 - x0)
        assert np.abs(got / 255 - lesion.saliency.in_plane(plane)).max() <= 0.5 / 255 + 1e-6
        assert (z0, z1) == (lesion.key_plane, lesion.key_plane + 1)


def test_a_mask_of_another_grid_is_refused(report: Report) -> None:
    path = report.lesions[0].mask
    assert path is not None
    with pytest.raises(ReviewError, match="a mask in the grid"):
        mask_json(path, (1, 2, 3))
    flat = next(p for p in report.lesions if p.image == 1)
    assert flat.mask is not None
    assert report.lesions[0].saliency is not None
    solid = next(p for p in report.lesions if p.image == 0)
    assert solid.saliency is not None
    with pytest.raises(ReviewError, match="a map in the grid"):
        saliency_json(solid.saliency, flat.mask)


def test_a_damaged_mask_costs_that_mask_alone(report: Report, tmp_path: Path) -> None:
    path = report.lesions[0].mask
    assert path is not None
    bad = tmp_path / "mask.nii.gz"
    for content in (b"", b"no gzip", path.read_bytes()[:-40]):
        bad.write_bytes(content)
        with pytest.raises(ReviewError, match="expected"):
            mask_json(bad)


def test_an_older_report_gets_its_boxes_from_the_masks(
    made: tuple[Any, ...], tmp_path: Path
) -> None:
    reports = Path(shutil.copytree(made[1], tmp_path / "reports"))
    path = reports / STUDY_UID / "report.json"
    content = json.loads(path.read_bytes())
    for lesion in content["lesions"]:
        del lesion["box"], lesion["key_plane"]
    path.write_text(json.dumps(content))
    for place, lesion in paired(Library(reports).get(STUDY_UID), made[3]):
        assert place.mask is not None
        assert (place.box, place.key_plane) == mask_box(place.mask)
        low, high = lesion.candidate.box
        assert (np.array(place.box[0]) >= low).all()
        assert (np.array(place.box[1]) <= high).all()


@given(hnp.arrays(np.uint16, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40)))
def test_a_pyramid_keeps_the_range_of_its_film(film: np.ndarray) -> None:
    wide = np.repeat(np.repeat(film, 30, 0), 30, 1)
    levels = pyramid(wide)
    assert max(levels[-1].shape) <= 512
    for level, next_one in pairwise(levels):
        assert next_one.shape == tuple(-(-side // 2) for side in level.shape)
        assert level.min() <= next_one.min() <= next_one.max() <= level.max()


@given(st.floats(50, 3000), st.floats(1000, 3000))
def test_a_straight_display_gives_back_its_window(width: float, center: float) -> None:
    stored = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    display = np.rint(np.clip((stored - center) / width + 0.5, 0, 1) * 255).astype(np.uint8)
    found = film_window(stored, display)
    assert found["center"] == pytest.approx(center, abs=2 + width / 200)
    assert found["width"] == pytest.approx(width, abs=4 + width / 50)


def radiograph_of(pixels: np.ndarray) -> Radiograph:
    display = np.zeros(pixels.shape, np.uint8)
    return Radiograph(pixels, display, None, "", "1", "2", None, ())


def test_values_that_are_no_whole_numbers_keep_their_order() -> None:
    pixels = np.linspace(-3.3, 8.1, 500, dtype=np.float32).reshape(20, 25)
    stored = stored_film(radiograph_of(pixels))
    assert (np.diff(stored.ravel().astype(int)) > 0).all()
    assert (stored.min(), stored.max()) == (0, 65535)
    assert stored_film(radiograph_of(np.full((4, 4), 7.5, np.float32))).max() == 0


def test_a_resampled_series_is_rounded_to_whole_units(made: tuple[Any, ...]) -> None:
    volume = made[2].images[0]
    values = volume.hu.astype(np.float32) + 0.3
    values[0, 0, 0] = 1e6
    whole = whole_hu(Volume(values, volume.affine, "1", "2", None, volume.planes))
    assert whole.dtype == np.int16
    assert whole[0, 0, 0] == 32767
    assert np.array_equal(whole[1:], volume.hu[1:])


def test_a_link_is_the_registration_or_the_same_frame_or_none() -> None:
    here = [{"series_uid": "1", "frame_of_reference_uid": "9"}]
    there = [{"series_uid": "5", "frame_of_reference_uid": "9"}]
    entry: dict[str, Any] = {"series_uid": "1", "prior_series_uid": "5", "why_not": None}
    turn = np.diag([1.0, -1.0, -1.0, 1.0]).tolist()
    assert links([{**entry, "to_prior": turn}], here, there)[0]["matrix"] == turn
    assert links([entry], here, there)[0]["matrix"] == np.eye(4).tolist()
    there[0]["frame_of_reference_uid"] = "8"
    (none,) = links([{**entry, "to_prior": None, "why_not": "nowhere alike"}], here, there)
    assert (none["matrix"], none["how"]) == (None, "nowhere alike")
    assert links([{**entry, "series_uid": "7"}], here, there) == []


def test_a_real_ct_is_served_bit_for_bit(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "dicom" / "ct-kits00072"
    study = read_study(folder)
    volume = study.images[0]
    assert isinstance(volume, Volume)
    pictures = Pictures([folder], tmp_path / "cache")
    pictures.files.search()
    wait(pictures, study.study_uid)
    (image,) = pictures._listed(study.study_uid)
    got = pictures._planes(study.study_uid, image, 0, 8)
    assert got == np.ascontiguousarray(volume.hu[:8], "<i2").tobytes()
    pictures.close()


def test_no_folder_of_reports_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a folder of reports"):
        Library(tmp_path / "nowhere")
