"""Lesions in real images: what is added is mineral, what is there stays, nobody is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from calcilens.commands.phantom_sets import Domain, Modality, write_set
from calcilens.data_manifests.builders.phantoms import build_phantoms
from calcilens.data_manifests.schema import read_manifest
from calcilens.errors import UsageError
from calcilens.imaging.images import Volume
from calcilens.imaging.study import read_study
from calcilens.patients import default_salt_path, patient_key, read_salt
from calcilens.phantoms.backgrounds import ANYWHERE, draw_guest, list_backgrounds
from calcilens.phantoms.ct_settings import CTSettings
from calcilens.phantoms.ct_transplants import edge_blur_mm, ground, implanted, moved
from calcilens.phantoms.drafts import Job
from calcilens.phantoms.patches import write_patches
from tests.dicom_factory import ct_slices, radiograph, save

SPACING = (2.0, 0.8, 0.8)
TAGS: dict[str, Any] = {"KVP": 100, "ConvolutionKernel": "B30s", "BodyPartExamined": "THIGH"}


def thigh(blur_mm: float = 0.6, noise_hu: float = 10.0) -> np.ndarray:
    """Return (12, 160, 160) HU: muscle in fat around a bone, in air."""
    y, x = (np.indices((160, 160)) - 79.5) * SPACING[1]
    radius = np.hypot(y, x)
    plane = np.select([radius < 6, radius < 11, radius < 44, radius < 54], [-60, 1200, 55, -100])
    plane = ndimage.gaussian_filter(np.where(radius < 54, plane, -1000.0), blur_mm / SPACING[1])
    noise = np.random.default_rng(0).normal(0, noise_hu, (12, *plane.shape))
    return np.asarray(np.rint(plane + ndimage.gaussian_filter(noise, (0, 0.6, 0.6)) * 2), np.int16)


def save_ct(folder: Path, hu: np.ndarray) -> Path:
    stored = np.maximum(hu.astype(int) + 1024, 0).astype(np.uint16)
    for i, ds in enumerate(ct_slices(stored, spacing=SPACING[1:], **TAGS)):
        save(ds, folder / f"{i}.dcm")
    return folder


@pytest.fixture(scope="module", autouse=True)
def salt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[bytes]:
    """Return a salt that is not the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield read_salt(default_salt_path())


@pytest.fixture(scope="module")
def ct_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_ct(tmp_path_factory.mktemp("thigh"), thigh())


@pytest.fixture(scope="module")
def volume(ct_folder: Path) -> Volume:
    (image,) = read_study(ct_folder, workers=0).images
    assert isinstance(image, Volume)
    return image


@pytest.fixture(scope="module")
def ct_set(ct_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("set")
    write_patches(Job("ct", 4, "usual", out, ct_folder), 16, workers=1)
    return out


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "truth.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("seed", range(8))
def test_all_but_the_lesion_stays_as_it_is(volume: Volume, seed: int) -> None:
    rng, place = np.random.default_rng(seed), ground(volume)
    lesion, plane = moved(
        rng, draw_guest(rng, float(place.room_mm.max()), ["nothing"]).lesion, place
    )
    settings = CTSettings(100, SPACING[1], SPACING[0], SPACING[0], "B30s", 0.6, 0.0, 10.0)
    piece = implanted(rng, lesion, plane, place, settings)
    real = volume.hu[piece.window]
    start = np.array([part.start for part in piece.window])
    reach = np.array([[-1], [1]]) * (4 + lesion.rough_mm * 3)
    low, high = (lesion.parts.box() + reach) / SPACING - start
    at = np.indices(real.shape).reshape(3, -1).T
    away = ((at < low) | (at > high)).any(1).reshape(real.shape)
    np.testing.assert_array_equal(piece.hu[away], real[away])
    if lesion.patterns:
        assert (piece.hu[piece.mask] > real[piece.mask]).mean() > 0.9
        assert piece.mask[piece.key_plane].any()
        assert not (piece.mask & place.found.bone[piece.window]).any()
    elif lesion.kind == "nothing":
        np.testing.assert_array_equal(piece.hu, real)


def test_noise_stays_inside_a_lesion_too(volume: Volume) -> None:
    place = ground(volume)
    settings = CTSettings(100, SPACING[1], SPACING[0], SPACING[0], "B30s", 0.6, 0.0, 10.0)
    for seed in range(40):
        rng = np.random.default_rng(seed)
        lesion = draw_guest(rng, float(place.room_mm.max()), ["plain_mass"]).lesion
        if lesion.kind == "plain_mass" and lesion.size_mm > 15:
            break
    lesion, plane = moved(rng, lesion, place)
    piece = implanted(rng, lesion, plane, place, settings)
    real = volume.hu[piece.window].astype(float)
    key = piece.key_plane
    changed = ndimage.binary_erosion(np.abs(piece.hu[key] - real[key]) > 1, iterations=2)
    rough = [ndimage.laplace(p[key].astype(float))[changed] for p in (piece.hu, real)]
    assert changed.sum() > 30
    assert np.corrcoef(np.stack(rough))[0, 1] > 0.9


@pytest.mark.parametrize("blur_mm", [0.6, 0.8, 1.1])
def test_blur_is_measured_at_the_skin(tmp_path: Path, blur_mm: float) -> None:
    (image,) = read_study(save_ct(tmp_path, thigh(blur_mm)), workers=0).images
    assert isinstance(image, Volume)
    assert edge_blur_mm(image) == pytest.approx(blur_mm, rel=0.2)


def test_rows_tell_how_the_series_was_acquired_and_whose_it_is(ct_set: Path) -> None:
    manifest = build_phantoms(ct_set)
    frame = manifest.frame
    assert set(frame["source"]) == {"phantom-ct-in-real"}
    assert set(frame["site"]) == {"thigh"}
    assert set(frame["kvp"]) == {100.0}
    assert set(frame["kernel"]) == {"B30s"}
    assert frame["patient_key"].nunique() == 1
    np.testing.assert_allclose(frame["spacing_y_mm"], SPACING[1])
    assert {key for keys in frame["pattern"].dropna() for key in keys} <= set(ANYWHERE)
    assert {line["background"] for line in lines(ct_set)} == {"real"}


def test_a_person_is_the_same_in_every_set(ct_folder: Path, ct_set: Path, tmp_path: Path) -> None:
    write_patches(Job("ct", 9, "unseen", tmp_path, ct_folder), 1, workers=1)
    keys = [set(build_phantoms(folder).frame["patient_key"]) for folder in (ct_set, tmp_path)]
    assert keys[0] == keys[1]


def test_patients_are_told_apart_by_their_id_and_else_by_study(tmp_path: Path, salt: bytes) -> None:
    studies = (("1.2.1", "A"), ("1.2.2", "A "), ("1.2.3", "B"), ("1.2.4", ""), ("1.2.5", None))
    for study, patient in studies:
        tags: dict[str, Any] = {"StudyInstanceUID": study, "PatientID": patient}
        (plane,) = ct_slices(np.zeros((1, 8, 8), np.uint16), **tags)
        save(plane, tmp_path / f"{study}.dcm")
    persons = [background.person for background in list_backgrounds(tmp_path, "ct")]
    assert persons == [patient_key(p, salt) for p in ("A", "A", "B", "1.2.4", "1.2.5")]


def test_a_set_goes_on_with_the_same_images_only(
    ct_folder: Path, ct_set: Path, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(ct_folder, tmp_path / "elsewhere"))
    job = Job("ct", 4, "usual", ct_set, moved)
    before = {p: p.stat().st_mtime_ns for p in (ct_set / "images").iterdir()}
    write_patches(job, 16, workers=1)
    (plane,) = ct_slices(np.zeros((1, 8, 8), np.uint16), SOPInstanceUID="1.2.3")
    save(plane, moved / "more.dcm")
    list_backgrounds.cache_clear()
    with pytest.raises(
        UsageError, match=r"expected backgrounds [0-9a-f]{16}, .*name another --out"
    ):
        write_patches(job, 16, workers=1)
    with pytest.raises(UsageError, match="found backgrounds False"):
        write_patches(replace(job, backgrounds=None), 16, workers=1)
    assert {p: p.stat().st_mtime_ns for p in (ct_set / "images").iterdir()} == before


def test_a_row_has_the_key_of_the_same_patients_own_lesions(ct_set: Path, salt: bytes) -> None:
    assert set(build_phantoms(ct_set).frame["patient_key"]) == {patient_key("SECRET-ID", salt)}


def test_absent_rows_are_places_in_the_same_series(ct_set: Path) -> None:
    absent = [line for line in lines(ct_set) if not line["finding"]]
    assert absent
    assert len(absent) < 16
    assert {line["kind"] for line in absent} <= {"nothing", "plain_mass"}
    assert all(line["mask"] is None for line in absent)


def test_mask_and_box_agree(ct_set: Path) -> None:
    for line in lines(ct_set):
        image = np.asarray(nibabel.load(ct_set / line["image"]).dataobj).T
        box = np.array(line["box"])
        assert (box[1] > box[0]).all()
        assert line["key_plane"] < len(image)
        if line["mask"]:
            mask = np.asarray(nibabel.load(ct_set / line["mask"]).dataobj).T.astype(bool)
            assert mask.shape == image.shape
            inside = np.argwhere(mask[line["key_plane"]])
            assert (inside >= box[0, 1:] - 4).all()
            assert (inside < box[1, 1:] + 4).all()


def test_no_file_names_the_patient(ct_set: Path) -> None:
    for path in ct_set.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"SECRET" not in content
            assert b"Secret" not in content
            assert b"1.2.826" not in content


def test_the_same_seed_gives_the_same_set(ct_folder: Path, ct_set: Path, tmp_path: Path) -> None:
    write_patches(Job("ct", 4, "usual", tmp_path, ct_folder), 4, workers=1)
    assert lines(tmp_path) == lines(ct_set)[:4]
    for name in ("000000.nii", "000003.nii"):
        assert (tmp_path / "images" / name).read_bytes() == (ct_set / "images" / name).read_bytes()


def test_radiographs_only_grow_brighter_where_mineral_is(tmp_path: Path) -> None:
    y, x = np.indices((600, 500))
    body = 3000 * np.exp(-(((x - 250) / 150.0) ** 8)) + 700 * (np.abs(x - 250) < 40)
    noise = np.random.default_rng(1).normal(0, 25, body.shape)
    stored = np.clip(300 + body + 0.3 * y + noise, 0, 4095).astype(np.uint16)
    save(radiograph(stored), tmp_path / "film" / "a.dcm")
    out = tmp_path / "set"
    write_patches(Job("radiograph", 2, "usual", out, tmp_path / "film"), 12, workers=1)
    frame = build_phantoms(out).frame
    assert set(frame["source"]) == {"phantom-radiograph-in-real"}
    assert set(frame["site"]) == {"knee"}
    assert frame["spacing_y_mm"].isna().all()
    for line in lines(out):
        if line["mask"]:
            pixels = np.asarray(Image.open(out / line["image"])).astype(float)
            mask = np.asarray(Image.open(out / line["mask"])) > 0
            near = ndimage.binary_dilation(mask, iterations=12) & ~ndimage.binary_dilation(
                mask, iterations=4
            )
            assert line["visible"] > 1
            assert np.median(pixels[mask]) > np.median(pixels[near])


@pytest.mark.parametrize("modality", ["ct", "radiograph"])
def test_a_folder_without_such_images_is_named(tmp_path: Path, modality: str) -> None:
    with pytest.raises(UsageError, match="--backgrounds: expected DICOM of"):
        list_backgrounds(tmp_path, modality)
    with pytest.raises(UsageError, match="--backgrounds: expected a folder"):
        list_backgrounds(tmp_path / "missing", modality)


def test_a_set_with_real_images_says_so(ct_folder: Path, tmp_path: Path) -> None:
    summary = write_set(tmp_path, 2, Modality.CT, 0, Domain.USUAL, 1, backgrounds=ct_folder)
    assert read_manifest(str(summary["manifest"])).metadata["backgrounds"] == "real"


def test_a_wrong_folder_leaves_nothing_behind(tmp_path: Path) -> None:
    job = Job("ct", 0, "usual", tmp_path / "out", tmp_path / "missing")
    with pytest.raises(UsageError, match="--backgrounds"):
        write_patches(job, 1, workers=1)
    assert not (tmp_path / "out").exists()
