"""The report that readers verified: it replaces the preliminary one and names it (PS3.3 C.17.2).

What the program had said stays in it and is marked as the program's; what readers say stands
beside it and is marked as theirs. A place that they reject is told as rejected, and is no
measurement group any more, so that no viewer shows it as a finding.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID

from calcilens import __version__
from calcilens.errors import InputError, compose
from calcilens.inference.export import concepts as c
from calcilens.inference.export.identity import SERIES_NUMBERS, description
from calcilens.inference.export.reader_items import (
    device,
    person_name,
    persons,
    rejected,
    with_items,
)
from calcilens.inference.export.remarks import clean
from calcilens.inference.export.sr_items import container, text_item
from calcilens.inference.export.verdicts import Verdict, Verification
from calcilens.inference.export.verified_group import added_group, read_group, what_model_said
from calcilens.vocabulary import Code

_MEASUREMENTS = Code("126010", "DCM", "Imaging Measurements")
_EVALUATIONS = "C0034375"
_TRACKING, _DEVICE_SERIAL = "112040", "121016"
_LO = 64
"""Characters of a value LO (PS3.5 6.2)."""


def build_verified(folder: Path, verification: Verification) -> list[tuple[str, bytes]]:
    """Make the verified report of each preliminary one.

    Args:
        folder: Of the study's report, as `calcilens predict` wrote it.
        verification: What the readers say.

    Returns:
        Name and bytes of each file: the same input gives the same bytes.

    Raises:
        InputError: There is no preliminary report, it cannot be read, or a lesion of it has no
            verdict.
    """
    paths = sorted((folder / "dicom").glob("sr-*.dcm"))
    if not paths:
        where, fix = f"report {folder.name}", "run `calcilens predict` with --formats sr"
        raise InputError(compose("dicom/sr-1.dcm", "no structured report", where=where, fix=fix))
    made = []
    for number, path in enumerate(paths, 1):
        document = _verified(path.read_bytes(), path.name, verification, number)
        stream = BytesIO()
        document.save_as(stream, enforce_file_format=True)
        made.append((f"verified-{path.name}", stream.getvalue()))
    return made


def _verified(data: bytes, name: str, verification: Verification, number: int) -> Dataset:
    try:
        before, document = dcmread(BytesIO(data)), dcmread(BytesIO(data))
        evaluations = _found(document, _EVALUATIONS)
    except Exception as error:  # pydicom raises anything on a damaged file
        found = type(error).__name__
        raise InputError(compose("a structured report", found, where=name)) from error
    digest = _digest(data, verification)
    _head(document, before, verification, digest, number)
    _fill(document, evaluations, verification, name)
    return document


def _digest(data: bytes, verification: Verification) -> str:
    content = json.dumps(asdict(verification), sort_keys=True)
    return hashlib.sha256(b"\n".join((__version__.encode(), data, content.encode()))).hexdigest()


def _uid(*part: str) -> str:
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, ':'.join(('calcilens', 'verified', *part))).int}"


def _head(
    document: Dataset, before: Dataset, verification: Verification, digest: str, number: int
) -> None:
    """Say who verified it, when, and which document it replaces."""
    last = max(_moment(time) for _, time in verification.observers)
    document.SOPInstanceUID = _uid(digest)
    document.file_meta.MediaStorageSOPInstanceUID = UID(document.SOPInstanceUID)
    document.SeriesInstanceUID = _uid(before.SeriesInstanceUID, verification.head)
    document.SeriesNumber, document.InstanceNumber = SERIES_NUMBERS["sr-verified"], number
    document.SeriesDescription = description("sr-verified")
    for group in ("Content", "InstanceCreation", "Series"):
        setattr(document, f"{group}Date", last[:8])
        setattr(document, f"{group}Time", last[8:14])
    document.PreliminaryFlag, document.VerificationFlag = "FINAL", "VERIFIED"
    document.VerifyingObserverSequence = [
        _observer(name, time, verification.organisation) for name, time in verification.observers
    ]
    document.PredecessorDocumentsSequence = [_reference(before)]


def _moment(time: str) -> str:
    """Return ISO 8601 in UTC as DICOM writes a moment."""
    return "".join(x for x in time[:19] if x.isdigit())


def _observer(name: str, time: str, organisation: str) -> Dataset:
    item = Dataset()
    item.VerifyingObserverName = person_name(name)
    item.VerifyingOrganization = clean(organisation)[:_LO]
    item.VerificationDateTime = f"{_moment(time)}+0000"
    item.VerifyingObserverIdentificationCodeSequence = []
    return item


def _reference(before: Dataset) -> Dataset:
    instance, series, study = Dataset(), Dataset(), Dataset()
    instance.ReferencedSOPClassUID = before.SOPClassUID
    instance.ReferencedSOPInstanceUID = before.SOPInstanceUID
    series.ReferencedSOPSequence = [instance]
    series.SeriesInstanceUID = before.SeriesInstanceUID
    study.ReferencedSeriesSequence = [series]
    study.StudyInstanceUID = before.StudyInstanceUID
    return study


def _fill(document: Dataset, evaluations: Dataset, verification: Verification, name: str) -> None:
    """Put what the readers say into the content tree."""
    names = [observer for observer, _ in verification.observers]
    files = _files(document)
    mine = [v for v in verification.verdicts if v.added and v.outlines[0].sop_uid in files]
    before = _groups(document)
    known = {v.tracking_uid: v for v in verification.verdicts}
    missing = [uid for uid, _ in before if uid not in known]
    if missing:
        raise InputError(compose("a verdict on every lesion", f"none on {missing[0]}", where=name))
    kept, dropped = [], []
    for uid, group in before:
        verdict = known[uid]
        if verdict.calcified is False:
            dropped.append(rejected(verdict, what_model_said(group)))
        else:
            kept.append(read_group(group, verdict, files))
    kept += [added_group(verdict, files) for verdict in mine]
    told = [known[uid] for uid, _ in before] + mine
    with_items(evaluations, [_read(told, names), *dropped], first=True)
    _replace_groups(document, kept)
    _mark(evaluations)
    _add_person(document, verification)


def _read(verdicts: Sequence[Verdict], names: Sequence[str]) -> Any:
    places = [v for v in verdicts if not v.added]
    count = [sum(v.calcified is word for v in places) for word in (True, False, None)]
    text = (
        f"Of {len(places)} places that the program proposed, readers call {count[0]} a "
        f"calcification and {count[1]} none, and cannot say of {count[2]}; "
        f"they added {len(verdicts) - len(places)}."
    )
    return with_items(text_item(c.own("READ"), text), persons(names))


def _mark(evaluations: Dataset) -> None:
    """Mark the result of the search as the program's; its tally of findings no longer holds."""
    items = [x for x in evaluations.ContentSequence if not _is_tally(x)]
    for item in items:
        if _name(item) == "SEARCH":
            with_items(item, device())
    evaluations.ContentSequence = items


def _is_tally(item: Dataset) -> bool:
    return _name(item) == "NOTICE" and str(item.TextValue).startswith("Found: ")


def _add_person(document: Dataset, verification: Verification) -> None:
    """Add who verified last as an observer of the whole, after the program.

    Templates take one person there; what each one says names them.
    """
    name, _ = max(verification.observers, key=lambda observer: _moment(observer[1]))
    items = list(document.ContentSequence)
    last = max(n for n, item in enumerate(items) if item.RelationshipType == "HAS OBS CONTEXT")
    document.ContentSequence = [*items[: last + 1], *persons([name]), *items[last + 1 :]]


def _files(document: Dataset) -> dict[str, str]:
    """Return the class of every file that the document is about, by its UID."""
    return {
        instance.ReferencedSOPInstanceUID: instance.ReferencedSOPClassUID
        for study in document.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }


def _groups(document: Dataset) -> list[tuple[str, Dataset]]:
    """Return the measurement groups with their tracking UIDs."""
    held = [x for x in document.ContentSequence if _name(x) == _MEASUREMENTS.value]
    groups = [group for item in held for group in item.get("ContentSequence", [])]
    return [
        (str(next(x.UID for x in g.ContentSequence if _name(x) == _TRACKING)), g) for g in groups
    ]


def _replace_groups(document: Dataset, groups: Sequence[Any]) -> None:
    items = [x for x in document.ContentSequence if _name(x) != _MEASUREMENTS.value]
    if groups:
        place = next(n for n, x in enumerate(items) if _name(x) == _EVALUATIONS)
        items.insert(place, with_items(container(_MEASUREMENTS, ()), groups))
    document.ContentSequence = items


def _found(document: Dataset, name: str) -> Dataset:
    found: Dataset = next(x for x in document.ContentSequence if _name(x) == name)
    return found


def _name(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeValue)
