"""What a structured result says of a whole study: what it is, what was not used, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from calcilens import DISCLAIMER
from calcilens.inference.export import concepts as c
from calcilens.inference.export.words import tally
from calcilens.inference.lesions import Lesion
from calcilens.inference.report import Comparison, StudyReport, model_facts
from calcilens.vocabulary import Code

_NONE = (
    "No calcification was proposed on the images that were searched. "
    "This does not exclude one: the search misses some."
)
_UNREAD = "Nothing was searched: no image of this study could be read."


class Remark(NamedTuple):
    """A text of a study: what it is about, and the text."""

    name: Code
    text: str


def remarks(report: StudyReport, lesions: Sequence[Lesion]) -> list[Remark]:
    """Return the texts of a study, in the order of their weight; `lesions` are those told of."""
    found = f"Found: {tally(lesions)}." if lesions else _NONE
    if not report.study.images:
        found = _UNREAD
    return [
        Remark(c.own("NOTICE"), DISCLAIMER),
        Remark(c.own("NOTICE"), found),
        *(Remark(c.own("LEFT_OUT"), text) for text in _without_header(report)),
        *left_out(report),
        *_compared(report.comparison),
        *_limits(report),
    ]


def left_out(report: StudyReport) -> list[Remark]:
    """Return what of a study was not used, with the reason; empty where all was."""
    unused = [
        Remark(c.own("NOT_USED"), f"{s.modality} series {s.series_uid}: {s.why_not}")
        for s in report.study.series
        if not s.used
    ]
    told = {(s.series_uid, s.why_not) for s in report.study.series}
    rest = [s for s in report.skipped if (s.what, s.reason) not in told]
    return unused + [Remark(c.own("LEFT_OUT"), f"{s.what}: {s.reason}") for s in rest]


def _without_header(report: StudyReport) -> list[str]:
    """Name lesions on images whose header cannot be read: no DICOM object can refer to them."""
    known = report.study.sources
    return [
        f"lesion {x.id} on series {x.image.series_uid}: the header of its file cannot be read; "
        "report.json has it"
        for x in report.lesions
        if x.image.planes[0].sop_uid not in known
    ]


def _compared(comparison: Comparison | None) -> list[Remark]:
    if comparison is None:
        return []
    told = list(comparison.notes)
    if comparison.prior_study_uid is not None:
        since = f", {comparison.days} days before" if comparison.days is not None else ""
        told.insert(0, f"Compared with study {comparison.prior_study_uid}{since}.")
    told += [f"Gone since then, at {_place(x.centroid_mm)}: {x.why}" for x in comparison.gone]
    told += [f"Not found now, at {_place(x.centroid_mm)}: {x.why}" for x in comparison.not_found]
    return [Remark(c.own("COMPARED"), text) for text in told]


def _place(centroid_mm: list[float]) -> str:
    return ", ".join(f"{v:.0f}" for v in centroid_mm) + " mm (LPS)"


def _limits(report: StudyReport) -> list[Remark]:
    facts = [model_facts(model) for model in report.models]
    return [
        Remark(c.own("LIMITS"), f"{m['name']}: {limit}") for m in facts for limit in m["limits"]
    ]


def models_of(report: StudyReport, name: str | None) -> list[str]:
    """Say what the model of that name is: version and hash of its weights."""
    facts = [model_facts(model) for model in report.models]
    return [
        f"model {m['name']} version {m['version']} sha256 {m['sha256']}"
        for m in facts
        if m["name"] == name
    ]


def clean(text: str) -> str:
    """Return text without control characters, which neither DICOM nor FHIR allows."""
    return "".join(x for x in text if x.isprintable() or x == "\n").strip() or "none"
