"""Image-like objects of whole reports: what the validators and other readers say of them."""

from __future__ import annotations

import json
import shutil
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
import SimpleITK
from pydicom import dcmread
from pydicom.dataset import Dataset

from calcilens.imaging.study import read_study
from calcilens.inference.chosen import Chosen, Names
from calcilens.inference.export.identity import NOTICE, description
from calcilens.inference.export.objects import BUILDERS, make
from calcilens.inference.pipeline import run_study
from calcilens.inference.report import StudyReport
from tests import dicom_factory as factory
from tests.inference.made import lesion_in
from tests.inference.shown import (
    dcmqi,
    errors,
    film,
    lesions_in,
    made,
    read,
    report,
    stored,
)

KINDS = ("seg", "saliency", "presentation", "capture")
needs_dciodvfy = pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dicom3tools")
needs_dcmqi = pytest.mark.skipif(dcmqi("segimage2itkimage") is None, reason="needs dcmqi")
REAL = ["ct-kits00072", *(f"radiographs/{n}.dcm" for n in ("RG2_UNC", "RG3_UNC"))]
REAL += [f"radiographs/{n}.dcm" for n in ("chest_DX_J2KR", "hand_J2KR")]


def written(whole: StudyReport, folder: Path) -> dict[str, list[Path]]:
    """Write the objects of a report, none of which may fail."""
    done = make(whole, KINDS)
    assert done.failed == ()
    folder.mkdir(exist_ok=True)
    files: dict[str, list[Path]] = {}
    for number, (kind, data) in enumerate(done.files):
        path = folder / f"{kind}-{number}.dcm"
        path.write_bytes(data)
        files.setdefault(kind, []).append(path)
    return files


def made_report(kind: str, folder: Path) -> StudyReport:
    objects: dict[str, list[Dataset]] = {
        "ct": factory.ct_slices(stored(), BodyPartExamined="LEG"),
        "bare ct": factory.ct_slices(stored(), FrameOfReferenceUID=None, PatientID=None),
        "enhanced": [factory.enhanced_ct(stored())],
        "tilted": factory.ct_slices(stored(), step=(0.0, 0.5, 2.0)),
        "radiograph": [factory.radiograph(stored().max(0), PatientOrientation=["L", "F"])],
        "bare radiograph": [
            factory.radiograph(stored().max(0), FrameOfReferenceUID=None, BodyPartExamined=None)
        ],
    }
    study = read(objects[kind], folder)
    return report(study, lesions_in(study.images[0]))


MADE = ["ct", "bare ct", "enhanced", "tilted", "radiograph", "bare radiograph"]


@needs_dciodvfy
@pytest.mark.parametrize("kind", MADE)
def test_dciodvfy_finds_no_error(kind: str, tmp_path: Path) -> None:
    files = written(made_report(kind, tmp_path / "in"), tmp_path / "out")
    assert set(files) == set(KINDS)
    assert [e for paths in files.values() for path in paths for e in errors(path)] == []


@pytest.mark.parametrize("kind", MADE)
def test_objects_belong_to_patient_and_study_of_their_source(kind: str, tmp_path: Path) -> None:
    files = written(made_report(kind, tmp_path / "in"), tmp_path / "out")
    source = dcmread(next((tmp_path / "in").iterdir()))
    for path in (p for paths in files.values() for p in paths):
        built = dcmread(path)
        assert built.PatientName == source.PatientName
        assert built.StudyInstanceUID == source.StudyInstanceUID
        assert "Secret" not in path.name
        assert "RESEARCH" in built.SeriesDescription
    uids = [dcmread(p).SOPInstanceUID for paths in files.values() for p in paths]
    assert len(set(uids)) == len(uids)


def test_the_series_of_every_format_is_told_from_the_others_by_its_description() -> None:
    told = [description(name) for name in BUILDERS]
    assert len(set(told)) == len(BUILDERS)
    assert all(len(text) <= 64 and text.endswith(NOTICE) for text in told)


@pytest.mark.parametrize("kind", ["ct", "radiograph"])
def test_a_series_has_the_description_of_its_format(kind: str, tmp_path: Path) -> None:
    files = written(made_report(kind, tmp_path / "in"), tmp_path / "out")
    for name, paths in files.items():
        assert {dcmread(p).SeriesDescription for p in paths} == {description(name)}


NAMES = {
    "Yamada^Tarou=山田^太郎=やまだ^たろう": ["", "ISO 2022 IR 87"],
    "Hong^Gildong=洪^吉洞=홍^길동": ["", "ISO 2022 IR 149"],
    "Wang^X=王^小东": "GB18030",
    "Müller^Jörg": "ISO_IR 100",
}
"""Names and the character sets that they are written in (PS3.5 annexes H to K)."""


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_any_script_stays_that_of_the_source(name: str, tmp_path: Path) -> None:
    order = factory.item(RequestingPhysician=name)
    objects = factory.ct_slices(
        stored(),
        SpecificCharacterSet=NAMES[name],
        PatientName=name,
        RequestAttributesSequence=[order],
    )
    done = make(made(tmp_path, objects).report, list(BUILDERS))
    assert done.failed == ()
    assert {kind for kind, _ in done.files} == set(BUILDERS)
    assert {str(dcmread(BytesIO(data)).PatientName) for _, data in done.files} == {name}


@pytest.mark.parametrize("keyword", ["PatientBirthDate", "StudyDate", "ContentDate"])
def test_a_day_that_no_calendar_has_costs_no_object(keyword: str, tmp_path: Path) -> None:
    wrong: dict[str, Any] = {keyword: "20230230"}
    objects = factory.ct_slices(stored(), **wrong)
    done = make(made(tmp_path, objects).report, list(BUILDERS))
    assert done.failed == ()
    assert all(b"20230230" not in data for _, data in done.files)


@pytest.mark.slow
@needs_dciodvfy
@pytest.mark.real
@pytest.mark.parametrize("name", REAL)
def test_objects_of_real_studies_have_no_error_of_their_own(
    name: str, real_data: Path, tmp_path: Path
) -> None:
    """The source's own faults in patient and study, which its objects must share, do not count."""
    path = real_data / "dicom" / name
    study = read_study(path, workers=0)
    models = Chosen.for_studies([study], Names(), search=True).loaded
    found = run_study(study, models, None)
    if not found.lesions:
        found = run_study(study, models, [(study.images[0], lesion_in(study.images[0]))])
    files = written(found, tmp_path)
    sample = path if path.is_file() else next(p for p in sorted(path.rglob("*")) if p.is_file())
    known = set(errors(sample))
    own = [e for paths in files.values() for p in paths for e in errors(p) if e not in known]
    assert own == []
    before = sorted(p.read_bytes() for paths in files.values() for p in paths)
    assert sorted(data for _, data in make(found, KINDS).files) == before


@needs_dcmqi
def test_dcmqi_reads_the_voxels_of_a_segmentation(tmp_path: Path) -> None:
    image = made(tmp_path / "in", factory.ct_slices(stored(number=2)), 2)
    files = written(image.report, tmp_path / "out")
    converted(files["seg"][0], "segimage2itkimage", tmp_path / "itk", "--mergeSegments")
    (path,) = (tmp_path / "itk").glob("*.nii.gz")
    labels = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    for number, lesion in enumerate(image.lesions, 1):
        mask = lesion.candidate.mask
        assert mask is not None
        assert (labels == number).sum() == mask.sum()
    said = json.loads((tmp_path / "itk" / "meta.json").read_text())["segmentAttributes"][0][0]
    assert said["TrackingUniqueIdentifier"] == image.lesions[0].tracking_uid
    assert said["SegmentedPropertyTypeCodeSequence"]["CodeValue"] == "18115005"


@needs_dcmqi
def test_dcmqi_reads_the_values_and_the_meaning_of_a_map(tmp_path: Path) -> None:
    image = made(tmp_path / "in")
    files = written(image.report, tmp_path / "out")
    converted(files["saliency"][0], "paramap2itkimage", tmp_path / "itk")
    (path,) = (tmp_path / "itk").glob("*.nii.gz")
    values = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    built = dcmread(files["saliency"][0])
    stated = np.frombuffer(built.FloatPixelData, "<f4")
    assert np.sort(values.ravel()).tolist() == np.sort(stated).tolist()
    said = json.loads((tmp_path / "itk" / "meta.json").read_text())
    assert said["QuantityValueCode"]["CodeValue"] == "130404"
    assert said["MeasurementUnitsCode"]["CodeValue"] == "1"


def converted(path: Path, program: str, out: Path, *more: str) -> None:
    out.mkdir()
    command = [dcmqi(program) or program, "--inputDICOM", path, "--outputDirectory", out, "-t"]
    subprocess.run([*map(str, command), "nii", *more], check=True, capture_output=True)


def test_highdicom_reads_every_object_that_it_knows(tmp_path: Path) -> None:
    files = written(made(tmp_path / "in").report, tmp_path / "out")
    assert highdicom.seg.segread(str(files["seg"][0])).number_of_segments == 1
    assert highdicom.imread(str(files["saliency"][0])).number_of_frames == 4


def test_all_objects_of_a_lesion_share_its_tracking_uid(tmp_path: Path) -> None:
    for number, image in enumerate((made(tmp_path / "ct"), film(tmp_path / "film"))):
        files = written(image.report, tmp_path / str(number))
        for path in (p for paths in files.values() for p in paths):
            held = {e.value for e in dcmread(path).iterall() if e.keyword == "TrackingUID"}
            assert held == {image.lesions[0].tracking_uid}, path.name


def test_the_same_report_gives_the_same_files(tmp_path: Path) -> None:
    whole = made(tmp_path).report
    first = make(whole, KINDS)
    assert {kind for kind, _ in first.files} == set(KINDS)
    assert make(whole, KINDS) == first


def test_a_name_that_libraries_dislike_is_not_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    objects = factory.ct_slices(stored(), PatientName="SECRETNAME")
    written(made(tmp_path / "in", objects).report, tmp_path / "out")
    assert "SECRETNAME" not in "".join(capfd.readouterr())
    assert [w for w in recwarn if "SECRETNAME" in str(w.message)] == []


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_every_model_is_named_among_what_contributed(name: str, tmp_path: Path) -> None:
    """IHE AI Results, RAD TF-3 6.5.3.1."""
    whole = made(tmp_path).report
    done = make(whole, [name])
    assert done.files
    for _, data in done.files:
        items = dcmread(BytesIO(data)).ContributingEquipmentSequence
        processing = [
            item.ContributionDescription
            for item in items
            if item.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
        ]
        assert any(whole.models[0].sha256 in words for words in processing)
