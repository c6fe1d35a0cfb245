"""A case from FHIR R4 or R5: Patient, Condition and Observation, by their codes alone.

No name, text or identifier is read: what comes out holds none. What is not in the bundle stays
unknown. Which code means what stands in rules/fhir.yaml.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from calcilens.errors import CaseError, compose
from calcilens.guidance.fhir_fields import Node, kind
from calcilens.guidance.fhir_labs import laboratory_of
from calcilens.guidance.fhir_remarks import known, listed, unused
from calcilens.guidance.terms import data

KINDS = ("Patient", "Condition", "Observation")
_CONFIRMED = "confirmed"
_PAST = ("inactive", "remission", "resolved", "unknown")
_ENDED = tuple(f"abatement{kind}" for kind in ("DateTime", "Age", "Period", "Range", "String"))
_BABY_YEARS = 2
"""Below this an age is given in days."""


@dataclass(frozen=True)
class Imported:
    """A case made from FHIR.

    Args:
        case: As case.json holds it.
        remarks: What was not used, and why; codes only.
    """

    case: dict[str, Any]
    remarks: tuple[str, ...]


def is_fhir(content: Any) -> bool:
    """Return whether JSON holds FHIR resources, not a case of ours."""
    first = content[0] if isinstance(content, list) and content else content
    return isinstance(first, dict) and "resourceType" in first


def case_of(bundle: Any, on: date | None = None) -> Imported:
    """Turn FHIR resources of one patient into a case.

    Args:
        bundle: A Bundle, a list of resources, or one resource.
        on: Day of the case; what is later does not count. By default the latest day in it.

    Raises:
        CaseError: A resource is broken, or they are of several patients; the field is named.
    """
    found: dict[str, list[Node]] = {name: [] for name in KINDS}
    others: list[str] = []
    for name, node in _resources(bundle):
        found[name].append(node) if name in found else others.append(name)
    _one_patient(found)
    day = on.isoformat() if on else _latest(found)
    remarks = [f"resources that are not used: {listed(others)}"] if others else []
    case: dict[str, Any] = {"date": day} if day else {}
    parts = {
        "patient": _patient(found["Patient"], day, remarks),
        "conditions": _conditions(found["Condition"], day, remarks),
        "laboratory": laboratory_of(found["Observation"], day, remarks),
    }
    return Imported(case | {name: part for name, part in parts.items() if part}, tuple(remarks))


def _resources(content: Any) -> list[tuple[str, Node]]:
    """Return the resources, each with its kind, numbered by kind in errors."""
    found: list[tuple[str, Node]] = []
    counted: Counter[str] = Counter()
    for number, (resource, url) in enumerate(_entries(content)):
        name = Node.of(resource, f"resource {number}").text("resourceType")
        if name is None:
            where = f"resource {number}.resourceType"
            raise CaseError(compose("the kind of resource", kind(None), where=where))
        called = name if name in KINDS else "resource"
        found.append((name, Node(resource, f"{called}[{counted[called]}]", url)))
        counted[called] += 1
    return found


def _entries(content: Any) -> list[tuple[Any, str | None]]:
    """Return the resources, each with the address that a bundle gives it."""
    if isinstance(content, dict) and content.get("resourceType") == "Bundle":
        entries = Node(content, "Bundle").children("entry")
        return [(e.value["resource"], e.text("fullUrl")) for e in entries if "resource" in e.value]
    return [(one, None) for one in (content if isinstance(content, list) else [content])]


def _one_patient(found: dict[str, list[Node]]) -> None:
    """Refuse resources of several patients. Their identifiers are compared, and never told."""
    subjects = [
        (node.where, subject)
        for name in ("Condition", "Observation")
        for node in found[name]
        if (subject := node.child("subject")) is not None
    ]
    named = {_tail(s.text("reference") or "", at) for at, s in subjects if "reference" in s.value}
    numbers = [n for _, s in subjects if (n := s.child("identifier"))]
    by_system: dict[str | None, set[str | None]] = {}
    for number in numbers:
        by_system.setdefault(number.text("system"), set()).add(number.text("value"))
    known = {_tail(name, "") for p in found["Patient"] for name in (p.text("id"), p.url) if name}
    strange = 1 if known and named - known else 0
    for count, where in (
        (len(found["Patient"]), "Patient"),
        (len(named), "subject"),
        (strange + 1, "subject"),
        (max(map(len, by_system.values()), default=0), "subject.identifier"),
    ):
        if count > 1:
            raise CaseError(compose("resources of one patient", f"{count}", where=where))


def _tail(reference: str, where: str) -> str:
    """Return what a reference calls the patient; one inside a resource goes with that."""
    if reference.startswith("#"):
        return f"{where}{reference}"
    return reference.partition("/_history/")[0].rsplit("/", 1)[-1].rsplit(":", 1)[-1]


def _latest(found: dict[str, list[Node]]) -> str | None:
    """Return the latest full day that a resource states."""
    keys = {
        "Condition": ("recordedDate", "onsetDateTime"),
        "Observation": ("effectiveDateTime", "effectiveInstant", "issued"),
    }
    days = [node.day(key) for name, named in keys.items() for node in found[name] for key in named]
    return max((day for day in days if day and len(day) == 10), default=None)


def _patient(nodes: list[Node], day: str | None, remarks: list[str]) -> dict[str, Any]:
    if not nodes:
        return {}
    node, case = nodes[0], {}
    gender = node.text("gender")
    if gender in ("female", "male"):
        case["sex"] = gender
    elif gender:
        remarks.append("Patient.gender: neither female nor male, so the sex is left unknown")
    born, died = node.day("birthDate"), node.day("deceasedDateTime")
    if born and day and died and died < day:
        remarks.append("Patient: died before the day of the case, so the age is left unknown")
    elif born and day is None:
        remarks.append("Patient.birthDate: no day of the case is known, so the age is left unknown")
    elif born and day:
        case["age"] = _age(born, day)
    return case


def _age(born: str, day: str) -> Any:
    """Return whole years, or days of a small child; a birthday that is not known is in July."""
    first, last = _middle(born), _middle(day)
    if day.startswith(born):  # born in the year or month of the case: not after it
        first = min(first, last)
    if first > last:
        raise CaseError(
            compose("a date before the day of the case", "a later one", where="Patient.birthDate")
        )
    years = last.year - first.year - ((last.month, last.day) < (first.month, first.day))
    return years if years >= _BABY_YEARS else {"value": (last - first).days, "unit": "days"}


def _middle(text: str) -> date:
    year, month, day = (*map(int, text.split("-")), None, None)[:3]
    return date(int(year or 0), month or 7, day or 1)


def _conditions(nodes: list[Node], day: str | None, remarks: list[str]) -> dict[str, Any]:
    """Return the conditions that are known to be there, or not to be."""
    present: dict[str, list[str | None]] = {}
    absent: set[str] = set()
    strange: list[tuple[str, str]] = []
    for node in nodes:
        codes = node.codes("code")
        words = _words(codes)
        state = _state(node)
        if state != "entered-in-error" and not words:
            strange += known(codes)
        elif state == _CONFIRMED:
            onset = _onset(node)
            if onset and day and onset > day:
                remarks.append(f"{node.where}: it began after the day of the case; not used")
                continue
            for word in words:
                present.setdefault(word, []).append(onset)
        elif state == "refuted":
            absent |= words
        elif state != "entered-in-error":
            remarks.append(f"{node.where}: {state}, so left unknown: {listed(words)}")
    remarks += unused("Condition", strange)
    there = {word: _dated(onsets) for word, onsets in present.items()}
    return there | {word: False for word in absent - set(present)}


def _words(codes: Iterable[tuple[str, str]]) -> set[str]:
    found = set()
    for word, spec in data("fhir")["conditions"].items():
        for system, code in codes:
            if any(_covers(system, wanted, code) for wanted in spec.get(system, [])):
                found.add(word)
    return found


def _covers(system: str, wanted: str, code: str) -> bool:
    """Return whether a code is the one that is wanted, or, in ICD-10, one below it."""
    if not system.startswith("icd-10"):
        return code == wanted
    return code.upper().replace(".", "").startswith(wanted.replace(".", ""))


def _state(node: Node) -> str:
    """Return "confirmed", "refuted", "entered-in-error", or why neither can be said."""
    verified = _status(node, "verificationStatus") or _CONFIRMED
    if verified != _CONFIRMED:
        said = verified in ("refuted", "entered-in-error", "provisional", "differential")
        return verified if said else "unconfirmed"
    clinical = _status(node, "clinicalStatus")
    if clinical is None and any(node.value.get(key) for key in _ENDED):
        return "resolved"
    return clinical if clinical in _PAST else _CONFIRMED


def _status(node: Node, key: str) -> str | None:
    """Return a status, which up to STU3 was a plain code."""
    if isinstance(node.value.get(key), str):
        return node.text(key)
    codes = node.codes(key)
    return codes[0][1] if codes else None


def _onset(node: Node) -> str | None:
    return node.day("onsetDateTime") or node.period_day("onsetPeriod", "start")


def _dated(onsets: list[str | None]) -> Any:
    first = min((onset for onset in onsets if onset), default=None)
    return {"present": True, "since": first} if first else True
