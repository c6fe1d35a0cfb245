"""Reports whose images come from files, and structured results as text, for the tests of them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from pydicom import config, dcmread, uid
from pydicom.dataset import Dataset

from calcilens.imaging.candidates import candidate
from calcilens.imaging.images import Image, Volume
from calcilens.imaging.measure import Measurement
from calcilens.imaging.records import Skipped
from calcilens.imaging.sources import Source
from calcilens.inference.change import Change, Kind, Level
from calcilens.inference.export.objects import make
from calcilens.inference.lesions import Answer, Concern, Finding, Lesion, OutOfDomain, Patterns
from calcilens.inference.report import StudyReport
from calcilens.vocabulary import PATTERN_KEYS, ConcernLevel
from tests import dicom_factory as factory
from tests.inference.made import ct, film
from tests.inference.reports import comparison, reported

NAME = "山田^太郎"


def source(image: Image, **tags: Any) -> Source:
    """The header of a file that an image could come from."""
    solid = isinstance(image, Volume)
    kind = uid.CTImageStorage if solid else uid.DigitalXRayImageStorageForPresentation
    header = factory.new_object(kind, sop_uid=image.planes[0].sop_uid, modality=image.modality)
    header.StudyInstanceUID, header.SeriesInstanceUID = image.study_uid, image.series_uid
    header.SpecificCharacterSet, header.PatientName = "ISO_IR 192", NAME
    for keyword in ("PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyTime"):
        setattr(header, keyword, "")
    header.ReferringPhysicianName = ""
    header.ContentDate, header.ContentTime = "20260102", "112233.5"
    header.Laterality, header.ImageType = "L", ["ORIGINAL", "PRIMARY", "AXIAL"]
    stack = image.hu if isinstance(image, Volume) else image.pixels
    header.Rows, header.Columns = stack.shape[-2:]
    header.SliceThickness, header.BodyPartExamined = "2.5", image.body_part or "LEG"
    header.PatientOrientation = ["L", "F"]
    factory.set_tags(header, tags)
    return Source(header)


def sourced(report: StudyReport, **tags: Any) -> StudyReport:
    """The same report with the headers of its images."""
    found = {i.planes[0].sop_uid: source(i, **tags) for i in report.study.images}
    return replace(report, study=replace(report.study, sources=found))


def files(report: StudyReport, name: str) -> list[bytes]:
    """The objects of a format: of structured reports first that of CT."""
    made = make(report, [name])
    assert made.failed == ()
    return [data for _, data in made.files]


def written(report: StudyReport, name: str) -> bytes:
    """The first of them."""
    return files(report, name)[0]


def read(data: bytes) -> Dataset:
    return dcmread(BytesIO(data))


def strict(data: bytes) -> Dataset:
    """Read a file and refuse every value that does not fit its representation."""
    before = config.settings.reading_validation_mode
    config.settings.reading_validation_mode = config.RAISE
    try:
        found = read(data)
        assert [element.value for element in found.iterall()]
    finally:
        config.settings.reading_validation_mode = before
    return found


def items(dataset: Dataset) -> list[Dataset]:
    """All content items below one."""
    below = list(dataset.get("ContentSequence", []))
    return below + [deeper for item in below for deeper in items(item)]


def named(dataset: Dataset, code: str) -> list[Dataset]:
    """Content items of that concept."""
    return [x for x in items(dataset) if x.ConceptNameCodeSequence[0].CodeValue == code]


def dump(dataset: Dataset, depth: int = 0) -> str:
    """A document as text, without what differs between two versions of the program."""
    lines = [f"{'  ' * depth}{_line(item)}\n{dump(item, depth + 1)}" for item in _below(dataset)]
    return re.sub(r"2\.25\.\d+", "UID", "".join(lines))


def _below(dataset: Dataset) -> list[Dataset]:
    return list(dataset.get("ContentSequence", []))


def _line(item: Dataset) -> str:
    name = item.ConceptNameCodeSequence[0]
    if name.CodeValue in ("111003", "121016"):
        return f"{item.RelationshipType} {item.ValueType} {name.CodeMeaning}"
    return f"{item.RelationshipType} {item.ValueType} {_code(name)}{_value(item)}"


def _value(item: Dataset) -> str:
    kind = item.ValueType
    if kind == "NUM":
        value = item.MeasuredValueSequence[0]
        return (
            f" = {float(value.NumericValue):.4g} {value.MeasurementUnitsCodeSequence[0].CodeValue}"
        )
    if kind == "IMAGE":
        return f" = {item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID}"
    if kind == "SCOORD":
        return f" = {item.GraphicType} {[float(v) for v in item.GraphicData]}"
    if kind == "CONTAINER":
        return ""
    if kind == "CODE":
        return f" = {_code(item.ConceptCodeSequence[0])}"
    return f" = {item.get('TextValue', item.get('UID'))}"


def _code(code: Dataset) -> str:
    return f"({code.CodeValue}, {code.CodingSchemeDesignator}, {code.CodeMeaning})"


def program(name: str) -> str:
    """The path of a program that the tests compare with; the test is skipped without it."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name}")
    return found


def said(*command: object) -> str:
    """What a program prints."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False, errors="replace")
    return done.stdout + done.stderr


def faults(path: Path) -> set[str]:
    """Errors that dciodvfy finds in a file."""
    lines = said(program("dciodvfy"), path).splitlines()
    return {line for line in lines if line.startswith("Error")}


SOLID, FLAT = reported(ct()).lesions[0], reported(film(spacing=(0.2, 0.3))).lesions[0]
TEXTS = st.text(max_size=40) | st.sampled_from(["x" * 5000, "a\\b\x1b$B", "–×µ\n山田"])
SHARES = st.floats(0, 1)
SIZES = st.none() | st.floats(-1e30, 1e30) | st.integers(0, 10**12).map(float)


def _measurements() -> st.SearchStrategy[Measurement]:
    numbers = ("max_diameter_mm", "diameter_px", "volume_mm3", "spread_mm", "mean_hu", "max_hu",
               "p95_hu", "agatston", "mass_mg", "skin_distance_mm", "fascia_distance_mm",
               "bone_distance_mm", "soft_tissue_mm", "rim_ratio")  # fmt: skip
    return st.builds(
        Measurement,
        **{name: SIZES for name in numbers},
        axes_mm=st.none() | st.lists(st.floats(0, 1e6), min_size=2, max_size=3),
        members=st.none() | st.integers(1, 10**6),
        depth=st.sampled_from([None, "subcutaneous", "deep"]),
        compartment=st.sampled_from([None, "muscle", "intra-articular", "other"]),
        zoning=st.sampled_from([None, "zonal", "reverse-zonal", "even"]),
        bone_erosion=st.sampled_from([None, True, False]),
        uncertainty=st.dictionaries(st.sampled_from(numbers), st.floats(0, 1e30)),
    )


def _answers() -> st.SearchStrategy[Answer]:
    keys = st.lists(st.sampled_from(PATTERN_KEYS), unique=True, max_size=5)
    reasons = st.none() | TEXTS
    patterns = st.builds(
        lambda named, coverage, abstained, why: Patterns(
            dict.fromkeys(named, 1 / max(len(named), 1)), named, coverage, abstained, why
        ),
        keys, st.none() | SHARES, st.booleans(), reasons,
    )  # fmt: skip
    levels = st.sampled_from([level.value for level in ConcernLevel])
    rules = st.lists(st.fixed_dictionaries({k: TEXTS for k in ("rule", "evidence", "source")}))
    return st.builds(
        Answer,
        st.builds(Finding, st.none() | SHARES, st.booleans(), reasons),
        patterns,
        st.builds(Concern, st.none() | SHARES, levels, st.lists(TEXTS, max_size=2), rules),
        st.builds(OutOfDomain, st.none() | SHARES, st.sampled_from([None, True, False])),
        st.sampled_from([None, "fake"]),
    )


def _changes() -> st.SearchStrategy[Change]:
    interval = st.none() | st.lists(st.floats(0, 1e6), min_size=2, max_size=2)
    days = st.none() | st.integers(-(10**4), 10**5)
    kind, level = st.sampled_from(list(Kind)), st.sampled_from(list(Level))
    return st.builds(Change, st.just("1.2.826.7"), kind, level, SIZES, interval, SIZES, SIZES, days)


@st.composite
def lesions(draw: st.DrawFn) -> Lesion:
    """Any lesion, on the CT or on the film."""
    base = draw(st.sampled_from([SOLID, FLAT]))
    stop = [5, 90, 80] if base is SOLID else [1, 90, 80]
    start = [draw(st.integers(0, n - 1)) for n in stop]
    place = candidate(base.image, [start, stop], None, draw(TEXTS))
    change = draw(st.none() | _changes())
    return replace(
        base,
        candidate=place,
        measured=draw(_measurements()),
        answer=draw(_answers()),
        change=change,
    )


@st.composite
def any_reports(draw: st.DrawFn) -> StudyReport:
    """Any report on a CT and a film."""
    base = reported(SOLID.image, FLAT.image)
    skipped = tuple(Skipped("1.2.3", draw(TEXTS)) for _ in range(draw(st.integers(0, 2))))
    compared = comparison(*draw(st.lists(TEXTS, max_size=2)), gone=draw(st.booleans()))
    found = tuple(draw(st.lists(lesions(), max_size=4)))
    told = draw(st.sampled_from([None, compared]))
    return sourced(replace(base, lesions=found, skipped=skipped, comparison=told))
