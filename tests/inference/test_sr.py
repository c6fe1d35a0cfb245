"""Structured reports: what they say is what the report says, and they are always valid."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
import pytest
from highdicom import sr
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from calcilens.imaging.candidates import candidate
from calcilens.imaging.decode import quiet
from calcilens.imaging.images import Plane
from calcilens.imaging.records import SeriesInfo, Skipped
from calcilens.imaging.study import read_study
from calcilens.inference.change import Change, Kind, Level
from calcilens.inference.export.facts import figures_of
from calcilens.inference.export.objects import make
from calcilens.inference.lesions import Concern, Finding, OutOfDomain, Patterns
from calcilens.inference.pipeline import Models, run_study
from calcilens.inference.report import StudyReport
from tests import dicom_factory as factory
from tests.inference import structured
from tests.inference.made import STUDY_UID, ct, film
from tests.inference.reports import PRIOR_UID, comparison, judged, reported
from tests.inference.structured import (
    dump,
    faults,
    files,
    items,
    named,
    read,
    sourced,
    strict,
    written,
)

GOLDEN = Path(__file__).with_name("golden")
CHANGE = Change(
    PRIOR_UID, Kind.GROWN, Level.RAPID, 1.5, [1.2, 1.9], 157.3, -0.4, days=92, why="mineral × 1.50"
)
DOCUMENTS = ["sr", "sr-plain"]


def full() -> StudyReport:
    """A CT lesion with everything that can be said of one, and a film without calibration."""
    report = judged(
        reported(ct(), film()),
        finding=Finding(0.97, False),
        pattern=Patterns({"popcorn": 0.9, "diffuse": 0.1}, ["popcorn"], 0.9, False),
        concern=Concern(0.71, "high", ["above the limit"]),
        out_of_domain=OutOfDomain(0.2, False),
    )
    first, second = report.lesions
    unsure = replace(
        second.answer,
        finding=Finding(0.55, True, "undecided"),
        pattern=Patterns(abstained=True, why="too many"),
        out_of_domain=OutOfDomain(9.0, True),
        concern=Concern(),
    )
    lesions = (replace(first, change=CHANGE), replace(second, answer=unsure))
    return sourced(replace(report, lesions=lesions, comparison=comparison("look again", gone=True)))


def groups(data: bytes) -> list[Dataset]:
    return named(read(data), "125007")


def text(name: str) -> str:
    """The documents of a report as one text."""
    return "\n".join(dump(read(data)) for data in files(full(), name))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_highdicom_reads_back_the_figures_of_every_lesion(name: str) -> None:
    report = full()
    solid, flat = (sr.srread(BytesIO(data)) for data in files(report, name))
    found = solid.content.get_volumetric_roi_measurement_groups()
    found += flat.content.get_planar_roi_measurement_groups()
    assert [g.tracking_uid for g in found] == [x.tracking_uid for x in report.lesions]
    assert [g.tracking_identifier for g in found] == [x.id for x in report.lesions]
    for group, lesion in zip(found, report.lesions, strict=True):
        stated = [(f.name.value, f.unit.value, f.value) for f in figures_of(lesion)]
        back = [(m.name.value, m.unit.value, m.value) for m in group.get_measurements()]
        assert back == stated


def test_an_uncertainty_is_a_property_of_its_figure_and_a_standard_deviation() -> None:
    report = full()
    (volume,) = named(groups(written(report, "sr"))[0], "118565006")
    (error,) = named(volume, "371884006")
    stated = report.lesions[0].measured.uncertainty["volume_mm3"]
    assert float(error.MeasuredValueSequence[0].NumericValue) == pytest.approx(stated, abs=1e-3)
    assert error.ContentSequence[0].ConceptCodeSequence[0].CodeMeaning == "Standard Deviation"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_document_is_the_fixed_text(name: str) -> None:
    assert text(name) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_same_report_gives_the_same_bytes(name: str) -> None:
    assert files(full(), name) == files(full(), name)


def test_a_ct_gives_a_3d_report_and_films_or_the_plain_one_a_flat_report() -> None:
    solid, flat = "Comprehensive 3D SR Storage", "Comprehensive SR Storage"
    made = {name: [read(data) for data in files(full(), name)] for name in DOCUMENTS}
    kinds = {name: [one.SOPClassUID.name for one in found] for name, found in made.items()}
    assert kinds == {"sr": [solid, flat], "sr-plain": [flat, flat]}
    for found in made.values():
        assert [one.InstanceNumber for one in found] == [1, 2]
        assert len({one.SeriesInstanceUID for one in found}) == 1
        assert len({one.SOPInstanceUID for one in found}) == 2


def test_a_lesion_of_a_ct_is_the_segment_of_the_same_run() -> None:
    report = sourced(reported(ct()))
    made = dict(make(report, ["seg", "sr"]).files)
    seg, document = read(made["seg"]), read(made["sr"])
    (segment,) = named(document, "121191")
    reference = segment.ReferencedSOPSequence[0]
    assert reference.ReferencedSOPInstanceUID == seg.SOPInstanceUID
    number = reference.ReferencedSegmentNumber
    assert seg.SegmentSequence[number - 1].TrackingUID == report.lesions[0].tracking_uid
    files = [x.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for x in named(document, "121233")]
    assert files == report.lesions[0].sop_uids
    evidence = document.CurrentRequestedProcedureEvidenceSequence[0]
    assert evidence.StudyInstanceUID == STUDY_UID
    assert seg.SeriesInstanceUID in {s.SeriesInstanceUID for s in evidence.ReferencedSeriesSequence}


def test_the_plain_report_needs_no_segmentation_and_shows_the_key_plane_first() -> None:
    report = sourced(reported(ct()))
    document = read(written(report, "sr-plain"))
    assert named(document, "121191") == []
    regions = named(document, "111030")
    start, stop = report.lesions[0].candidate.box[:, 0]
    assert len(regions) == stop - start
    image = regions[0].ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert image == report.lesions[0].image.planes[report.lesions[0].key_plane].sop_uid


def test_frames_of_one_file_are_named() -> None:
    report = reported(ct())
    planes = tuple(Plane("1.2.3", frame) for frame in range(12))
    image = replace(report.study.images[0], planes=planes)
    study = replace(report.study, images=(image,))
    lesions = tuple(replace(x, image=image) for x in report.lesions)
    moved = sourced(replace(report, study=study, lesions=lesions), NumberOfFrames=12)
    (place,) = named(read(written(moved, "sr")), "121233")
    assert list(place.ReferencedSOPSequence[0].ReferencedFrameNumber) == [4, 5, 6, 7, 8]


def test_it_is_never_final_or_verified_and_says_that_it_is_research() -> None:
    for name in DOCUMENTS:
        document = read(written(full(), name))
        assert document.PreliminaryFlag == "PRELIMINARY"
        assert document.VerificationFlag == "UNVERIFIED"
        assert "RESEARCH" in document.SeriesDescription
        assert "Not for diagnosis" in named(document, "NOTICE")[0].TextValue


def test_a_calcification_is_called_one_only_where_the_model_says_so() -> None:
    def finding(**answer: object) -> str:
        report = sourced(judged(reported(ct()), **answer))
        (group,) = groups(written(report, "sr"))
        return str(named(group, "121071")[0].ConceptCodeSequence[0].CodeMeaning)

    assert finding(finding=Finding(0.9, False)) == "Abnormal calcifications"
    for other in (Finding(0.9, True, "strange"), Finding(0.1, False), Finding()):
        assert finding(finding=other) == "Lesion"


def test_no_probability_and_no_low_concern_stands_where_there_is_no_verdict() -> None:
    answer = {"finding": Finding(0.9, True, "out of domain"), "concern": Concern(0.1, "low")}
    report = sourced(judged(reported(ct()), pattern=Patterns(), **answer))
    (group,) = groups(written(report, "sr"))
    assert named(group, "122157") == []
    assert named(group, "CONCERN")[0].ConceptCodeSequence[0].CodeValue == "UNKNOWN"
    (verdict,) = named(group, "VERDICT")
    assert verdict.ConceptCodeSequence[0].CodeMeaning == "No answer"
    assert [x.get("TextValue") for x in verdict.ContentSequence][-1] == "out of domain"


def test_every_pattern_that_is_not_ruled_out_is_said_and_a_public_code_only_of_one_alone() -> None:
    chances = {"popcorn": 0.6, "laminated": 0.4}
    for keys, public in ((["popcorn"], 1), (["popcorn", "laminated"], 0)):
        answer = Patterns(chances, keys, 0.9, False)
        (group,) = groups(written(sourced(judged(reported(ct()), pattern=answer)), "sr"))
        told = [x.ConceptCodeSequence[0].CodeValue for x in named(group, "PATTERN_SET")]
        assert told == [key.upper() for key in keys]
        assert len(named(group, "111009")) == public


def test_a_study_without_a_lesion_says_so_and_what_was_searched() -> None:
    report = replace(sourced(reported(ct(), film())), lesions=())
    for data, planes in zip(files(report, "sr"), (len(ct().planes), 1), strict=True):
        assert groups(data) == []
        document = read(data)
        (result,) = named(document, "SEARCH")
        assert result.ConceptCodeSequence[0].CodeValue == "NONE_PROPOSED"
        assert any("does not exclude" in x.TextValue for x in named(document, "NOTICE"))
        assert len([x for x in items(document) if x.ValueType == "IMAGE"]) == planes


def test_what_was_not_used_is_said_with_its_reason_and_makes_it_partial() -> None:
    whole = sourced(reported(ct()))
    assert read(written(whole, "sr")).CompletionFlag == "COMPLETE"
    unused = SeriesInfo("1.2.77", STUDY_UID, "MR", None, None, False, "MR is not read")
    study = replace(whole.study, series=(*whole.study.series, unused))
    skipped = (Skipped("1.2.77", "MR is not read"), Skipped("file 12ab", "damaged"))
    document = read(written(replace(whole, study=study, skipped=skipped), "sr"))
    assert document.CompletionFlag == "PARTIAL"
    (series,) = named(document, "NOT_USED")
    assert series.TextValue == "MR series 1.2.77: MR is not read"
    assert [x.TextValue for x in named(document, "LEFT_OUT")] == ["file 12ab: damaged"]


def test_a_lesion_whose_file_has_no_header_is_not_lost_without_a_word() -> None:
    report = sourced(reported(ct(), film()))
    known = {ct().planes[0].sop_uid: report.study.sources[ct().planes[0].sop_uid]}
    document = read(written(replace(report, study=replace(report.study, sources=known)), "sr"))
    (told,) = named(document, "LEFT_OUT")
    assert report.lesions[1].id in told.TextValue


def test_patient_and_study_are_those_of_the_source_in_any_script() -> None:
    document = read(written(full(), "sr"))
    assert str(document.PatientName) == structured.NAME
    assert document.PatientID == "SECRET-ID"
    assert (document.ContentDate, document.ContentTime) == ("20260102", "112233")


def test_the_change_since_the_prior_study_is_measured_and_told() -> None:
    (group,) = groups(written(full(), "sr"))
    ratio, days = named(group, "VOLUME_RATIO")[0], named(group, "DOUBLING_TIME")[0]
    assert ratio.MeasuredValueSequence[0].NumericValue == 1.5
    assert days.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue == "d"
    (change,) = named(group, "CHANGE")
    assert change.ConceptCodeSequence[0].CodeMeaning == "Rapid growth"
    ends = [x.MeasuredValueSequence[0].NumericValue for x in change.ContentSequence[:2]]
    assert ends == [1.2, 1.9]


def test_the_model_is_named_with_the_hash_of_its_weights() -> None:
    (group,) = groups(written(full(), "sr"))
    (told,) = named(group, "111002")
    assert told.TextValue == f"model fake version 1 sha256 {'0' * 64}"


def test_the_side_of_the_body_is_told_where_it_is_known() -> None:
    image = replace(ct(), body_part="LEG")
    document = read(written(sourced(reported(image)), "sr"))
    (place,) = named(document, "363698007")
    assert place.ConceptCodeSequence[0].CodeMeaning == "Lower leg"
    assert place.ContentSequence[0].ConceptCodeSequence[0].CodeMeaning == "Left"


def test_an_outline_on_a_film_is_in_its_pixels() -> None:
    report = sourced(reported(film()))
    (region,) = named(read(written(report, "sr")), "111030")
    line = np.reshape(region.GraphicData, (-1, 2))
    assert [line.min(0).tolist(), line.max(0).tolist()] == report.lesions[0].box_px


@settings(max_examples=20)
@given(structured.any_reports(), st.sampled_from(DOCUMENTS))
def test_whatever_a_report_holds_the_document_is_valid(report: StudyReport, name: str) -> None:
    told = []
    for data in files(report, name):
        told += [g.ContentSequence[0].TextValue for g in named(strict(data), "125007")]
        with NamedTemporaryFile(suffix=".dcm") as file:
            file.write(data)
            file.flush()
            assert faults(Path(file.name)) == set()
    assert sorted(told) == sorted(lesion.id for lesion in report.lesions)


@pytest.mark.parametrize(
    "tags",
    [
        {"PatientSex": "UNKNOWN", "PatientBirthDate": "hash", "StudyTime": "25"},
        {"PatientName": "no caret", "StudyID": "longer than the 16 characters of it"},
        {"PatientName": None, "PatientID": None, "StudyDate": None, "SpecificCharacterSet": "?"},
        {"PatientName": "a=b=c=d", "AccessionNumber": ["1", "2"], "SeriesInstanceUID": "1.2.003"},
    ],
)
def test_headers_as_archives_have_them_still_give_results(
    tags: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 4095, (90, 80)).astype(np.uint16)
    with quiet():
        factory.save(factory.radiograph(pixels, **tags), tmp_path / "film.dcm")
    study = read_study(tmp_path)
    place = candidate(study.images[0], [[0, 20, 10], [1, 60, 40]], None, "given in a test")
    report = run_study(study, Models(), [(study.images[0], place)])
    made = make(report, [*DOCUMENTS, "key-objects"])
    assert made.failed == ()
    assert len(made.files) == 3
    assert "no caret" not in "".join(capfd.readouterr())


def test_titles_are_those_that_viewers_look_for() -> None:
    document = read(written(full(), "sr"))
    title = document.ConceptNameCodeSequence[0]
    expected = codes.DCM.ImagingMeasurementReport
    assert (title.CodeValue, title.CodeMeaning) == (expected.value, expected.meaning)
    assert document.ContentTemplateSequence[0].TemplateIdentifier == "1500"
