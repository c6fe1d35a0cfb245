"""The report as FHIR R4: a Bundle of DiagnosticReport, Observations and Device.

It holds what the structured report holds, laid out as in HL7's mapping of measurement reports: a
lesion is an Observation, and its figures and statements are members of it. Patient and study are
named by their identifiers alone: the patient's name is not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from calcilens import DISCLAIMER, MANUFACTURER, MODEL_NAME, __version__
from calcilens.inference.export import concepts as c
from calcilens.inference.export.facts import (
    Figure,
    Statement,
    figures_of,
    finding_of,
    procedure_of,
    site_of,
    statements_of,
)
from calcilens.inference.export.identity import (
    DEVICE_UID,
    Identity,
    date_time,
)
from calcilens.inference.export.remarks import clean, models_of, remarks
from calcilens.inference.lesions import Lesion
from calcilens.inference.report import StudyReport, model_facts
from calcilens.vocabulary import FHIR_SYSTEMS, Code

Resource = dict[str, Any]
_UCUM = "http://unitsofmeasure.org"
_DICOM_UID = "urn:dicom:uid"
_IMAGING = {
    "system": "http://terminology.hl7.org/CodeSystem/observation-category",
    "code": "imaging",
    "display": "Imaging",
}
_RADIOLOGY = {
    "system": "http://terminology.hl7.org/CodeSystem/v2-0074",
    "code": "RAD",
    "display": "Radiology",
}


@dataclass(frozen=True)
class _Context:
    """What all resources of a report share.

    Args:
        report: What is written.
        identity: Of its objects.
        common: Status, subject, date, device and category of an Observation.
    """

    report: StudyReport
    identity: Identity
    common: Resource

    def entry(self, resource: Resource, *part: object) -> Resource:
        """Return an entry of the bundle, found under the UUID of that part of the report."""
        return {"fullUrl": self.identity.urn("fhir", *part), "resource": resource}

    def refer(self, *part: object) -> Resource:
        """Return a reference to such an entry."""
        return {"reference": self.identity.urn("fhir", *part)}


def bundle(report: StudyReport) -> Resource:
    """Return the content of fhir.json; the same report gives the same content."""
    header = _header(report)
    identity = Identity.of(report)
    context = _Context(report, identity, _common(report, header, identity))
    entries = [context.entry(_diagnostic_report(context), "report")]
    entries.append(context.entry(_device(report), "device"))
    for lesion in report.lesions:
        entries += _lesion(context, lesion)
    return {
        "resourceType": "Bundle",
        "identifier": _uid(identity.uid("fhir")),
        "type": "collection",
        "entry": entries,
    }


def _header(report: StudyReport) -> Dataset | None:
    """Return the header of the study's first image that has one."""
    uids = [image.planes[0].sop_uid for image in report.study.images]
    return next((report.study.sources[u].header for u in uids if u in report.study.sources), None)


def _common(report: StudyReport, header: Dataset | None, identity: Identity) -> Resource:
    found: Resource = {
        "status": "preliminary",
        "category": [{"coding": [_IMAGING]}],
        "device": {"reference": identity.urn("fhir", "device")},
    }
    day = report.study.study_date or (date_time(header)[0] if header is not None else None)
    if day is not None:
        found["effectiveDateTime"] = f"{day[:4]}-{day[4:6]}-{day[6:]}"
    number = clean(str(header.get("PatientID") or "")) if header is not None else "none"
    if number != "none":
        found["subject"] = {"type": "Patient", "identifier": {"value": number}}
    return found


def _diagnostic_report(context: _Context) -> Resource:
    report, common = context.report, context.common
    return {
        "resourceType": "DiagnosticReport",
        "identifier": [_uid(context.identity.uid("fhir", "report"))],
        "status": "preliminary",
        "category": [{"coding": [_RADIOLOGY]}],
        "code": _concept(procedure_of(report.study.images)),
        **{k: common[k] for k in ("subject", "effectiveDateTime") if k in common},
        "imagingStudy": [_study(report)],
        **({"result": results} if (results := _results(context)) else {}),
        "conclusion": clean("\n".join(remark.text for remark in remarks(report, report.lesions))),
    }


def _results(context: _Context) -> list[Resource]:
    return [context.refer(lesion.id) for lesion in context.report.lesions]


def _device(report: StudyReport) -> Resource:
    models = [text for m in report.models for text in models_of(report, model_facts(m)["name"])]
    return {
        "resourceType": "Device",
        "identifier": [_uid(DEVICE_UID)],
        "manufacturer": MANUFACTURER,
        "deviceName": [{"name": MODEL_NAME, "type": "model-name"}],
        "version": [{"value": clean(__version__)}],
        "note": [{"text": clean(text)} for text in (DISCLAIMER, *models)],
    }


def _lesion(context: _Context, lesion: Lesion) -> list[Resource]:
    """Return the Observation of a lesion and those of its figures and statements."""
    made = [_figure(figure) for figure in figures_of(lesion)]
    made += [_statement(said) for said in statements_of(lesion)]
    parts = [(lesion.id, number) for number in range(len(made))]
    source = context.report.study.sources.get(lesion.image.planes[0].sop_uid)
    site = site_of(lesion.image, None if source is None else source.header)
    models = models_of(context.report, lesion.answer.model)
    group = {
        "resourceType": "Observation",
        "identifier": [_uid(lesion.tracking_uid), {"value": lesion.id}],
        **context.common,
        "code": _concept(finding_of(lesion)),
        **({} if site is None else {"bodySite": _site(*site)}),
        "derivedFrom": [_study(context.report)],
        "hasMember": [context.refer(*part) for part in parts],
        "note": [{"text": clean(text)} for text in (lesion.candidate.why, *models)],
    }
    members = [{"resourceType": "Observation", **context.common, **one} for one in made]
    entries = [context.entry(one, *part) for one, part in zip(members, parts, strict=True)]
    return [context.entry(group, lesion.id), *entries]


def _figure(figure: Figure) -> Resource:
    how = [code for code in (figure.derivation, figure.method) if code is not None]
    made = _component(figure)
    if how:
        made["method"] = {"coding": [_coding(code) for code in how]}
    if figure.uncertainty is not None:
        error = Figure(c.STANDARD_DEVIATION, figure.uncertainty, figure.unit)
        made["component"] = [_component(error)]
    return made


def _statement(said: Statement) -> Resource:
    made: Resource = {"code": _concept(said.name), "valueCodeableConcept": _concept(said.value)}
    if said.figures:
        made["component"] = [_component(figure) for figure in said.figures]
    if said.why:
        made["note"] = [{"text": clean(said.why)}]
    return made


def _component(figure: Figure) -> Resource:
    return {"code": _concept(figure.name), "valueQuantity": _quantity(figure)}


def _quantity(figure: Figure) -> Resource:
    unit = figure.unit
    return {"value": figure.value, "unit": unit.meaning, "system": _UCUM, "code": unit.value}


def _concept(code: Code) -> Resource:
    return {"coding": [_coding(code)], "text": code.meaning}


def _coding(code: Code) -> Resource:
    return {"system": FHIR_SYSTEMS[code.scheme], "code": code.value, "display": code.meaning}


def _site(place: Code, side: Code | None) -> Resource:
    if side is None:
        return _concept(place)
    text = f"{side.meaning} {place.meaning.lower()}"
    return {"coding": [_coding(place), _coding(side)], "text": text}


def _study(report: StudyReport) -> Resource:
    return {"type": "ImagingStudy", "identifier": _uid(report.study.study_uid)}


def _uid(uid: str) -> Resource:
    return {"system": _DICOM_UID, "value": f"urn:oid:{uid}"}
