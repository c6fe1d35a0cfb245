"""Structured results as other programs see them: dicom3tools, dcmtk, dcmqi and PixelMed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from calcilens.imaging.candidates import candidate
from calcilens.imaging.images import Image, Volume
from calcilens.imaging.study import Study, read_studies, read_study
from calcilens.inference.export.facts import figures_of, finding_of
from calcilens.inference.export.objects import make
from calcilens.inference.pipeline import Models, Placed, run_study
from tests.inference.made import FakeModel
from tests.inference.structured import faults, program, said
from tests.inference.test_sr import full

FORMATS = ["sr", "sr-plain", "key-objects"]
NAMES = ["sr-1", "sr-2", "sr-plain-1", "sr-plain-2", "key-objects-1"]
"""Of CT and of films, and of both."""
_JARS = Path("/usr/share/java")
_LIMITS = [f"-Djdk.xml.xpath{name}=0" for name in ("ExprGrpLimit", "ExprOpLimit", "TotalOpLimit")]
"""PixelMed's templates are larger than a recent JRE takes by default."""
_FALSE_ALARM = re.compile(
    r"Template (300|1419) .* NUM \*/\[Row \d+\] NUM \*: .*\(371884006,SCT,.*"
    r"expected INFERRED FROM - found HAS PROPERTIES"
)
"""It takes any NUM below a NUM for what a figure was inferred from (TID 300 row 9, 1419 row 13),
also the uncertainty that TID 310 row 5 makes a property."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("objects")
    found = {}
    for name in FORMATS:
        for number, (_, data) in enumerate(make(full(), [name]).files, 1):
            found[f"{name}-{number}"] = folder / f"{name}-{number}.dcm"
            found[f"{name}-{number}"].write_bytes(data)
    assert list(found) == NAMES
    return found


@pytest.mark.parametrize("name", NAMES)
def test_dicom3tools_finds_no_error(files: dict[str, Path], name: str) -> None:
    assert faults(files[name]) == set()


@pytest.mark.parametrize("name", NAMES)
def test_dcmtk_reads_the_whole_document(files: dict[str, Path], name: str) -> None:
    text = said(program("dsrdump"), "+Pl", files[name])
    assert not re.search(r"^[EF]: ", text, re.MULTILINE)
    told = [lesion.id in text for lesion in full().lesions]
    assert told == {"1": [True, name == "key-objects-1"], "2": [False, True]}[name[-1]]
    assert "PRELIMINARY" in text or name == "key-objects-1"


def test_dcmqi_reads_the_figures_of_a_ct_lesion(files: dict[str, Path], tmp_path: Path) -> None:
    report, out = full(), tmp_path / "read.json"
    reader = program("tid1500reader")
    said(reader, "--inputDICOM", files["sr-1"], "--outputMetadata", out)
    group, lesion = json.loads(out.read_text())["Measurements"][0], report.lesions[0]
    assert group["TrackingUniqueIdentifier"] == lesion.tracking_uid
    assert group["Finding"]["CodeValue"] == finding_of(lesion).value
    assert group["ReferencedSegment"] == 1
    stated = {f.name.value: f for f in figures_of(lesion)}
    for item in group["measurementItems"]:
        figure = stated.pop(item["quantity"]["CodeValue"])
        assert float(item["value"]) == pytest.approx(figure.value)
        assert item["units"]["CodeValue"] == figure.unit.value
        errors = item.get("measurementNumProperties", [])
        told = [float(error["numPropertyValue"]) for error in errors]
        assert told == ([] if figure.uncertainty is None else [figure.uncertainty])
    assert stated == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sr-1", "sr-2", "sr-plain-1"])
def test_pixelmed_finds_the_templates_followed(files: dict[str, Path], name: str) -> None:
    if not (_JARS / "pixelmed.jar").exists():
        pytest.skip("needs libpixelmed-java")
    validator = "com.pixelmed.validate.DicomSRValidator"
    text = said(program("java"), *_LIMITS, "-cp", f"{_JARS}/*", validator, files[name])
    assert "Found Root Template TID_1500" in text
    assert "Root Template Validation Complete" in text
    errors = [line for line in text.splitlines() if line.startswith("Error")]
    assert [line for line in errors if not _FALSE_ALARM.search(line)] == []


def middle(image: Image) -> Placed:
    """A lesion in the middle of an image, with a mask."""
    shape = np.array(image.hu.shape if isinstance(image, Volume) else (1, *image.pixels.shape))
    start, stop = shape // 2 - [1, 6, 9] * (shape > 1), shape // 2 + [1, 7, 10]
    mask = np.ones(stop - start, bool)
    mask[:, :2, :2] = False
    return image, candidate(image, [start, stop], mask, "given in a test")


def new_faults(study: Study, sources: list[Path], tmp_path: Path) -> set[str]:
    """Errors in the objects of a study that its own files have not."""
    own = {line for path in sources for line in faults(path)}
    given = [middle(image) for image in study.images]
    report = run_study(study, Models(ct=FakeModel()), given)
    made = make(report, FORMATS)
    assert made.failed == ()
    assert list(dict.fromkeys(name for name, _ in made.files)) == FORMATS
    found = set()
    for name, data in made.files:
        path = tmp_path / f"{name}.dcm"
        path.write_bytes(data)
        found |= faults(path)
        assert not re.search(r"^[EF]: ", said(program("dsrdump"), path), re.MULTILINE)
    return found - own


@pytest.mark.slow
def test_results_of_a_real_ct_have_no_error_that_its_files_have_not(
    real_data: Path, tmp_path: Path
) -> None:
    folder = real_data / "dicom" / "ct-kits00072"
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    assert new_faults(read_study(folder), files[:1], tmp_path) == set()


def test_results_of_real_radiographs_have_no_error_that_their_files_have_not(
    real_data: Path, tmp_path: Path
) -> None:
    folder = real_data / "dicom" / "radiographs"
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    studies = [study for study in read_studies(folder) if study.images]
    assert studies
    for study in studies:
        assert new_faults(study, files, tmp_path) == set()
