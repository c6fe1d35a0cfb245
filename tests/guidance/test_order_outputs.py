"""An order as text, worklist item and ServiceRequest: the same content, valid, and no name."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydicom import config
from pydicom.dataset import Dataset

from calcilens.errors import CaseError, UsageError
from calcilens.guidance.cases import case_from
from calcilens.guidance.order import KINDS, PARTS, Order, order
from calcilens.guidance.order_dicom import dicom_json, worklist_item
from calcilens.guidance.order_fhir import service_request
from calcilens.guidance.order_text import text, to_json
from calcilens.guidance.terms import data
from tests.guidance.fhir_made import NAME, bundles
from tests.guidance.made import cases
from tests.guidance.test_order import COMPLETE, made


@st.composite
def orders(draw: st.DrawFn) -> Order:
    """Any order that is not refused."""
    content = draw(cases() | bundles())
    try:
        facts = case_from(content, date(2026, 6, 15)).facts
        return order(draw(st.sampled_from(KINDS)), facts)
    except (CaseError, UsageError):
        assume(False)
        raise


def statements(written: Order) -> list[str]:
    return [rule.say for part in PARTS for rule in getattr(written, part)]


def flat(words: str) -> str:
    return " ".join(words.split())


def values(part: Any) -> list[str]:
    """Every text in JSON."""
    if isinstance(part, dict):
        return [text for value in part.values() for text in values(value)]
    if isinstance(part, list):
        return [text for value in part for text in values(value)]
    return [part] if isinstance(part, str) else []


@given(orders())
def test_every_output_holds_every_statement_and_what_is_known(written: Order) -> None:
    outputs = (to_json(written), dicom_json(written), service_request(written), [text(written)])
    known = [words for _, told in written.told for words in told]
    for output in outputs:
        whole = flat(" ".join(values(output)))
        missing = [say for say in [*statements(written), *known] if flat(say) not in whole]
        assert missing == []


@given(orders())
def test_no_name_of_a_bundle_is_in_an_order(written: Order) -> None:
    outputs = [to_json(written), dicom_json(written), service_request(written), text(written)]
    assert NAME not in json.dumps(outputs, ensure_ascii=False)


@given(orders())
def test_every_output_says_that_it_is_a_draft_of_research(written: Order) -> None:
    outputs = (to_json(written), dicom_json(written), service_request(written), [text(written)])
    for output in outputs:
        whole = flat(" ".join(values(output)))
        assert "DRAFT of an order" in whole
        assert "Not for diagnosis" in whole


@given(orders())
def test_the_text_fits_a_page_and_names_the_documents_that_it_cites(written: Order) -> None:
    lines = text(written).splitlines()
    assert max(map(len, lines)) <= 100
    assert len(lines) <= 90
    cited = {source.document for source in written.sources()}
    assert {line[1:4] for line in lines if line.startswith("[")} == cited


def test_an_order_of_002_fits_a_page_of_sixty_lines() -> None:
    assert len(text(made("ultrasound", COMPLETE)).splitlines()) <= 60


@given(orders())
def test_the_worklist_item_is_valid_dicom_and_reads_back_the_same(written: Order) -> None:
    before = config.settings.reading_validation_mode
    config.settings.reading_validation_mode = config.RAISE
    try:
        (content,) = json.loads(json.dumps(dicom_json(written)))
        read = Dataset.from_json(content)
    finally:
        config.settings.reading_validation_mode = before
    assert read == worklist_item(written)
    step = read.ScheduledProcedureStepSequence[0]
    assert step.Modality == written.modality
    texts = [read.RequestedProcedureDescription, read.ReasonForTheRequestedProcedure]
    assert [t for t in [*texts, step.ScheduledProcedureStepDescription] if len(t) > 64] == []
    for long in (read.RequestedProcedureComments, read.AdditionalPatientHistory):
        assert len(long) <= 10240


@pytest.mark.parametrize("kind", KINDS)
def test_who_and_when_are_left_to_the_ordering_system(kind: str) -> None:
    item = worklist_item(made(kind, COMPLETE))
    theirs = ("PatientName", "PatientID", "PatientBirthDate", "AccessionNumber", "StudyInstanceUID")
    assert [name for name in theirs if name in item] == []
    assert (item.PatientAge, item.PatientSex) == ("058Y", "M")
    codes = (
        item.RequestedProcedureCodeSequence[0],
        (item.ScheduledProcedureStepSequence[0].ScheduledProtocolCodeSequence[0]),
    )
    assert [c.CodingSchemeDesignator for c in codes] == ["LN", "99CALCILENS"]
    assert all(len(c.CodeValue) <= 16 and len(c.CodeMeaning) <= 64 for c in codes)


@pytest.mark.parametrize(
    ("age", "written"),
    [
        (58, "058Y"),
        ({"value": 40, "unit": "days"}, "040D"),
        ({"value": 9, "unit": "months"}, "273D"),
    ],
)
def test_ages_are_written_as_dicom_has_them(age: Any, written: str) -> None:
    ordered = made("ct", {"patient": {"age": age}})
    assert worklist_item(ordered).PatientAge == written
    unit = {"Y": "years", "D": "days"}[written[-1]]
    assert f"Patient: {int(written[:3])} {unit}, sex not known" in text(ordered)


@given(orders())
def test_the_service_request_is_valid_fhir_and_only_a_proposal(written: Order) -> None:
    r4b = pytest.importorskip("fhir.resources.R4B.servicerequest", reason="needs fhir.resources")
    content = json.loads(json.dumps(service_request(written)))
    read = r4b.ServiceRequest.model_validate(content)
    assert (read.status, read.intent) == ("draft", "proposal")
    patient = content["contained"][0]
    assert set(patient) <= {"resourceType", "id", "gender"}
    assert content["subject"] == {"reference": f"#{patient['id']}"}


@given(orders())
def test_the_same_case_gives_the_same_order(written: Order) -> None:
    assert text(written) == text(written)
    assert written.sources() == list(dict.fromkeys(written.sources()))


def test_titles_of_orders_fit_a_code_meaning() -> None:
    specs = data("orders").values()
    assert [s["name"] for s in specs if len(s["name"]) > 64] == []
    places = [
        f"{side[1]} {region[1]}"
        for side in data("order_facts")["sides"].values()
        for region in data("order_facts")["regions"].values()
    ]
    longest = max(map(len, places))
    assert [s["short"] for s in specs if len(s["short"]) + len(": ") + longest > 64] == []
