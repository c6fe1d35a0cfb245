"""FHIR resources for tests, full of a patient's name wherever FHIR has room for a text."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from calcilens.guidance.terms import data

NAME = "Xaveria Quintessenza"
LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
ICD, ICD_CM = "http://hl7.org/fhir/sid/icd-10", "http://hl7.org/fhir/sid/icd-10-cm"
SYSTEMS = {"icd-10": ICD, "icd-10-cm": ICD_CM, "snomed": SNOMED}
UCUM = "http://unitsofmeasure.org"
Resource = dict[str, Any]


def concept(code: str, system: str) -> Resource:
    return {"coding": [{"system": system, "code": code, "display": NAME}], "text": NAME}


def patient(**fields: Any) -> Resource:
    named = {"name": [{"family": NAME, "text": NAME}], "identifier": [{"value": NAME}]}
    return {"resourceType": "Patient", "id": "p1", **named, **fields}


def condition(code: str, system: str = ICD_CM, **fields: Any) -> Resource:
    subject = {"reference": "Patient/p1", "display": NAME}
    note = [{"text": NAME}]
    kept = {"code": concept(code, system), "subject": subject, "note": note}
    return {"resourceType": "Condition", **kept, **fields}


def state(verification: str, clinical: str = "active") -> Resource:
    base = "http://terminology.hl7.org/CodeSystem/condition-"
    return {
        "verificationStatus": concept(verification, f"{base}ver-status"),
        "clinicalStatus": concept(clinical, f"{base}clinical"),
    }


def observation(code: str, value: Any = None, unit: str = "mmol/L", **fields: Any) -> Resource:
    made: Resource = {
        "resourceType": "Observation",
        "status": "final",
        "code": concept(code, LOINC),
        "subject": {"reference": "Patient/p1", "display": NAME},
        "note": [{"text": NAME}],
        "effectiveDateTime": "2026-05-04",
    }
    if value is not None:
        made["valueQuantity"] = {"value": value, "unit": unit, "system": UCUM, "code": unit}
    return made | fields


def bundle(*resources: Resource) -> Resource:
    entries = [{"fullUrl": f"urn:uuid:{NAME}", "resource": resource} for resource in resources]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def known_codes() -> list[tuple[str, str, str]]:
    """Word, system and code of every condition that is understood."""
    return [
        (word, SYSTEMS[name], code)
        for word, spec in data("fhir")["conditions"].items()
        for name, codes in spec.items()
        for code in codes
    ]


STRANGE = st.sampled_from([("E78.5", ICD_CM), ("38341003", SNOMED), (NAME, ICD), (NAME, NAME)])


@st.composite
def bundles(draw: st.DrawFn) -> Resource:
    """A bundle of one patient: understood and strange codes, statuses, dates and values."""
    dates = st.sampled_from(["2026-05-04", "2024", "2025-11", "2026-05-04T10:00:00+02:00"])
    made = [patient(gender=draw(st.sampled_from(["female", "other"])), birthDate="1961-02-03")]
    for _ in range(draw(st.integers(0, 4))):
        pairs = st.sampled_from([(code, system) for _, system, code in known_codes()])
        code, system = draw(pairs | STRANGE)
        verified = draw(st.sampled_from(["confirmed", "refuted", "provisional", NAME]))
        clinical = draw(st.sampled_from(["active", "resolved"]))
        made.append(condition(code, system, **state(verified, clinical), onsetDateTime=draw(dates)))
    analytes = data("fhir")["laboratory"]
    for _ in range(draw(st.integers(0, 4))):
        code = draw(st.sampled_from([c for codes in analytes.values() for c in codes] + ["1-8"]))
        value = draw(st.none() | st.floats(0, 5))
        status = draw(st.sampled_from(["final", "cancelled", NAME]))
        made.append(observation(code, value, effectiveDateTime=draw(dates), status=status))
    return bundle(*draw(st.permutations(made)))
