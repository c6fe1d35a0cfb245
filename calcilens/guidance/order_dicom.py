"""An order as the requested procedure of a DICOM Modality Worklist (PS3.4 K.6.1.2).

A worklist item is an answer to a query, not a stored object: so it is a dataset in the DICOM JSON
Model (PS3.18 F). What only the ordering system knows (patient, accession number, identifiers,
station, time) is not in it.
"""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset

from calcilens.guidance.order import NOTICE, SCOPE, Order, said
from calcilens.guidance.order_text import BABY_YEARS, HEADINGS, told
from calcilens.vocabulary import CODES_UID, PRIVATE_SCHEME, Code

_SEX = {"female": "F", "male": "M"}
_MOST_YEARS = 999


def worklist_item(order: Order) -> Dataset:
    """Return the requested procedure and its one scheduled step."""
    item = Dataset()
    item.SpecificCharacterSet = "ISO_IR 192"
    if order.sex in _SEX:
        item.PatientSex = _SEX[order.sex]
    if order.age is not None:
        item.PatientAge = _age(order.age)
    item.AdditionalPatientHistory = _block(*told(order))
    item.RequestedProcedureDescription = order.title
    item.RequestedProcedureCodeSequence = [_code(order.procedure)]
    item.ReasonForTheRequestedProcedure = order.reason
    item.RequestedProcedureComments = _block(
        NOTICE, *_said(order, "questions", "reasons", "missing", "notes"), SCOPE
    )
    item.ScheduledProcedureStepSequence = [_step(order)]
    item.CodingSchemeIdentificationSequence = [_scheme()]
    return item


def dicom_json(order: Order) -> list[dict[str, Any]]:
    """Return the item as DICOMweb sends it: a list of one dataset."""
    return [worklist_item(order).to_json_dict()]


def _step(order: Order) -> Dataset:
    step = Dataset()
    step.Modality = order.modality
    place = f": {order.place}" if order.place else ""
    step.ScheduledProcedureStepDescription = f"{order.short}{place}"
    step.ScheduledProtocolCodeSequence = [_code(order.protocol_code)]
    comments = _said(order, "protocol")
    if comments:
        step.CommentsOnTheScheduledProcedureStep = _block(*comments)
    return step


def _said(order: Order, *parts: str) -> list[str]:
    """Return what parts of an order say, each under its heading."""
    lines = []
    for part in parts:
        rules = said(getattr(order, part))
        lines += [f"{HEADINGS[part]}:", *(f"- {line}" for line in rules)] if rules else []
    return lines


def _block(*lines: str) -> str:
    return "\r\n".join(lines)


def _age(years: float) -> str:
    """Return an age as AS (PS3.5 6.2): small children in days."""
    if years < BABY_YEARS:
        return f"{int(years * 365.25):03d}D"
    return f"{min(int(years), _MOST_YEARS):03d}Y"


def _code(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue = code.value
    item.CodingSchemeDesignator = code.scheme
    item.CodeMeaning = code.meaning
    return item


def _scheme() -> Dataset:
    item = Dataset()
    item.CodingSchemeDesignator = PRIVATE_SCHEME
    item.CodingSchemeUID = CODES_UID
    item.CodingSchemeName = "Calcilens"
    return item
