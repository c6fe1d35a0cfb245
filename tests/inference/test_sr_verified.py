from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from highdicom.sr import ComprehensiveSR, MeasurementReport
from pydicom.dataset import Dataset

from calcilens import DISCLAIMER
from calcilens.errors import InputError
from calcilens.inference.export.objects import make
from calcilens.inference.export.sr_verified import build_verified
from calcilens.inference.export.verdicts import Outline, Verdict, Verification
from calcilens.inference.report import StudyReport
from tests.inference.structured import faults, items, named, program, read, said
from tests.inference.test_results_conformance import _FALSE_ALARM, _JARS, _LIMITS
from tests.inference.test_sr import full

READER, OTHER, HEAD = "dr.ito", "dr.weber", "ab" * 32
SQUARE = ((20.0, 20.0), (30.0, 20.0), (30.0, 34.0), (20.0, 34.0), (20.0, 20.0))
DRAWN = (Outline("1.2.826.1.1.4", None, SQUARE), Outline("1.2.826.1.1.5", None, SQUARE))
MISSED = Verdict(
    "A1", "2.25.77", (READER,), True, ("stippled",), "high", 4, outlines=DRAWN, added=True
)
NAMES = ["sr-1", "sr-2", "sr-plain-1", "sr-plain-2"]


def verdicts(report: StudyReport) -> tuple[Verdict, ...]:
    """The pattern of the CT's lesion changed, the film's rejected, a missed one added."""
    first, second = report.lesions
    changed = Verdict(
        first.id, first.tracking_uid, (READER, OTHER), True, ("laminated",), "low", 5, "sure",
        ("pattern", "concern"),
    )  # fmt: skip
    rejected = Verdict(
        second.id, second.tracking_uid, (READER,), False, comment="overlap", changed=("finding",)
    )
    return changed, rejected, MISSED


def verification(*told: Verdict) -> Verification:
    observers = (
        (READER, "2026-03-04T05:06:07.123+00:00"),
        (OTHER, "2026-03-05T01:02:03.000+00:00"),
    )
    return Verification(observers, "not stated", HEAD, told)


def folder(report: StudyReport, root: Path) -> Path:
    (root / "dicom").mkdir(parents=True)
    for name in ("sr", "sr-plain"):
        for number, (_, data) in enumerate(make(report, [name]).files, 1):
            (root / "dicom" / f"{name}-{number}.dcm").write_bytes(data)
    return root


@pytest.fixture(scope="module")
def preliminary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(full(), tmp_path_factory.mktemp("report"))


def built(preliminary: Path, *told: Verdict) -> dict[str, Dataset]:
    made = build_verified(preliminary, verification(*(told or verdicts(full()))))
    return {name: read(data) for name, data in made}


@pytest.fixture(scope="module")
def files(preliminary: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("verified")
    found = {}
    for name, data in build_verified(preliminary, verification(*verdicts(full()))):
        found[name.removeprefix("verified-").removesuffix(".dcm")] = out / name
        (out / name).write_bytes(data)
    assert list(found) == NAMES
    return found


def groups(document: Dataset) -> list[Dataset]:
    return named(document, "125007")


def value(item: Dataset) -> str:
    return str(item.ConceptCodeSequence[0].CodeValue)


def observers(item: Dataset) -> list[str]:
    return [
        str(x.PersonName).rstrip("^")
        for x in item.get("ContentSequence", [])
        if x.ValueType == "PNAME"
    ]


def test_it_is_verified_and_final_and_names_what_it_replaces(preliminary: Path) -> None:
    for name, document in built(preliminary).items():
        before = read((preliminary / "dicom" / name.removeprefix("verified-")).read_bytes())
        assert (document.VerificationFlag, document.PreliminaryFlag) == ("VERIFIED", "FINAL")
        assert document.CompletionFlag == before.CompletionFlag
        told = document.VerifyingObserverSequence
        assert [x.VerifyingObserverName for x in told] == [f"{READER}^", f"{OTHER}^"]
        assert told[0].VerificationDateTime == "20260304050607+0000"
        assert told[0].VerifyingOrganization == "not stated"
        assert (document.ContentDate, document.ContentTime) == ("20260305", "010203")
        series = document.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
        assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == before.SOPInstanceUID
        assert document.SOPInstanceUID != before.SOPInstanceUID
        assert document.SeriesInstanceUID != before.SeriesInstanceUID
        assert (document.PatientID, document.StudyInstanceUID) == (
            before.PatientID,
            before.StudyInstanceUID,
        )


def test_it_says_that_it_is_research(preliminary: Path) -> None:
    for document in built(preliminary).values():
        assert DISCLAIMER in [x.TextValue for x in named(document, "NOTICE")]
        assert "RESEARCH" in document.SeriesDescription


def test_program_and_who_verified_last_are_observers(preliminary: Path) -> None:
    for document in built(preliminary).values():
        context = [x for x in document.ContentSequence if x.RelationshipType == "HAS OBS CONTEXT"]
        assert [value(x) for x in context if x.ValueType == "CODE"] == ["121007", "121006"]
        assert observers(document) == [OTHER]


def test_the_answer_of_the_model_stays_marked_beside_that_of_the_reader(preliminary: Path) -> None:
    group = groups(built(preliminary)["verified-sr-1.dcm"])[0]
    (theirs,) = named(group, "PATTERN_SET")
    assert value(theirs) == "POPCORN"
    assert [value(x) for x in named(theirs, "121005")] == ["121007"]
    (ours,) = named(group, "READER_PATTERN")
    assert (value(ours), observers(ours)) == ("LAMINATED", [READER, OTHER])
    assert [value(x) for x in named(group, "READER_ACTION")] == [
        "CHANGED_PATTERN",
        "CHANGED_CONCERN",
    ]
    assert [value(x) for x in named(group, "READER_CONCERN")] == ["LOW"]
    (verdict,) = named(group, "READER_VERDICT")
    assert float(named(verdict, "CONFIDENCE")[0].MeasuredValueSequence[0].NumericValue) == 5
    assert named(verdict, "121106")[0].TextValue == "sure"


def test_a_public_code_of_a_pattern_is_that_of_the_reader(preliminary: Path) -> None:
    group = groups(built(preliminary)["verified-sr-1.dcm"])[0]
    assert named(group, "111009") == []
    (told,) = named(group, "112030")
    assert (value(told), observers(told)) == ("88446008", [READER, OTHER])


def test_a_rejected_place_is_no_finding_and_is_told_with_what_the_model_said(
    preliminary: Path,
) -> None:
    document, lesion = built(preliminary)["verified-sr-2.dcm"], full().lesions[1]
    assert groups(document) == []
    (told,) = named(document, "REJECTED")
    assert (value(told), observers(told)) == ("NOT_CALCIFIED", [READER])
    assert lesion.tracking_uid == named(told, "112040")[0].UID
    assert named(told, "121106")[0].TextValue == "overlap"
    assert value(named(told, "VERDICT")[0]) == "NO_ANSWER"


def test_lesions_keep_their_tracking_uids_and_an_added_one_has_its_own(preliminary: Path) -> None:
    document = built(preliminary)["verified-sr-1.dcm"]
    uids = [named(g, "112040")[0].UID for g in groups(document)]
    assert uids == [full().lesions[0].tracking_uid, "2.25.77"]
    added = groups(document)[1]
    assert value(named(added, "READER_ACTION")[0]) == "ADDED"
    places = [x.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for x in named(added, "121324")]
    shown = places or [
        x.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        for x in items(added)
        if x.ValueType == "IMAGE"
    ]
    assert shown == ["1.2.826.1.1.4", "1.2.826.1.1.5"]


def test_where_a_reader_drew_anew_no_figure_of_the_old_outline_is_left(preliminary: Path) -> None:
    first, second, missed = verdicts(full())
    made = built(preliminary, replace(first, outlines=DRAWN), second, missed)
    for name in ("verified-sr-1.dcm", "verified-sr-plain-1.dcm"):
        group = groups(made[name])[0]
        assert named(group, "118565006") == named(group, "121191") == []
        assert [len(named(group, "111030")), value(named(group, "REDRAWN")[0])] == [2, "373066001"]
        assert value(named(group, "PATTERN_SET")[0]) == "POPCORN"


def test_a_reader_who_cannot_say_leaves_a_lesion_that_is_called_no_calcification(
    preliminary: Path,
) -> None:
    first, second, _ = verdicts(full())
    unsure = replace(first, calcified=None, patterns=(), concern=None)
    group = groups(built(preliminary, unsure, second)["verified-sr-1.dcm"])[0]
    assert value(named(group, "121071")[0]) == "52988006"
    assert value(named(group, "READER_VERDICT")[0]) == "CANNOT_SAY"
    assert value(named(group, "VERDICT")[0]) == "CALCIFIED"


def test_the_same_input_gives_the_same_bytes_and_another_answer_or_head_another_uid(
    preliminary: Path,
) -> None:
    told = verification(*verdicts(full()))
    assert build_verified(preliminary, told) == build_verified(preliminary, told)
    first, *rest = told.verdicts
    others = [
        replace(told, head="cd" * 32),
        replace(told, verdicts=(replace(first, concern="high"), *rest)),
    ]
    uids = {read(build_verified(preliminary, x)[0][1]).SOPInstanceUID for x in [told, *others]}
    assert len(uids) == 3


def test_highdicom_reads_it_back(preliminary: Path) -> None:
    document = ComprehensiveSR.from_dataset(built(preliminary)["verified-sr-plain-1.dcm"])
    content = document.content
    assert isinstance(content, MeasurementReport)
    found = content.get_volumetric_roi_measurement_groups()
    assert [g.tracking_uid for g in found] == [full().lesions[0].tracking_uid, "2.25.77"]
    types = [x.observer_type.value for x in content.get_observer_contexts()]
    assert types == ["121007", "121006"]


def test_a_report_without_a_structured_one_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no structured report; run `calcilens predict` with"):
        build_verified(tmp_path, verification())


def test_a_lesion_without_a_verdict_is_named(preliminary: Path) -> None:
    with pytest.raises(InputError, match=r"sr-2\.dcm: expected a verdict on every lesion"):
        build_verified(preliminary, verification(verdicts(full())[0]))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "dicom").mkdir()
    (tmp_path / "dicom" / "sr-1.dcm").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=r"sr-1\.dcm: expected a structured report"):
        build_verified(tmp_path, verification())


@pytest.mark.parametrize("name", NAMES)
def test_dicom3tools_and_dcmtk_find_no_error(files: dict[str, Path], name: str) -> None:
    assert faults(files[name]) == set()
    text = said(program("dsrdump"), "+Pl", files[name])
    assert not re.search(r"^[EF]: ", text, re.MULTILINE)
    assert "VERIFIED" in text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sr-1", "sr-plain-1"])  # each takes ten seconds
def test_pixelmed_finds_the_templates_followed(files: dict[str, Path], name: str) -> None:
    if not (_JARS / "pixelmed.jar").exists():
        pytest.skip("needs libpixelmed-java")
    validator = "com.pixelmed.validate.DicomSRValidator"
    text = said(program("java"), *_LIMITS, "-cp", f"{_JARS}/*", validator, files[name])
    assert "Found Root Template TID_1500" in text
    assert "Root Template Validation Complete" in text
    errors = [line for line in text.splitlines() if line.startswith("Error")]
    assert [line for line in errors if not _FALSE_ALARM.search(line)] == []
