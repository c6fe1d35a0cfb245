"""The table of all lesions of a study: one row each, to compare them at a glance."""

from __future__ import annotations

from typing import Any

from calcilens.inference.export.figures import COMPARED
from calcilens.inference.export.words import changed, named_pattern, verdict, where
from calcilens.inference.lesions import Lesion
from calcilens.inference.report import StudyReport
from calcilens.vocabulary import ConcernLevel

NONE = "–"
FIGURES = (
    ("max_diameter_mm", "Largest diameter, mm", 1),
    ("diameter_px", "Largest diameter, pixels", 0),
    ("volume_mm3", "Volume, mm³", 0),
    ("mean_hu", "Mean, HU", 0),
    ("max_hu", "Highest, HU", 0),
    ("skin_distance_mm", "To skin, mm", 1),
    ("bone_distance_mm", "To bone, mm", 1),
)


def table(report: StudyReport) -> dict[str, Any]:
    """Return the heads of the columns and a row for each lesion; no column without a value."""
    taken = [x.measured for x in report.lesions]
    kept = [f for f in FIGURES if any(getattr(m, f[0]) is not None for m in taken)]
    compared = report.comparison is not None
    heads = ["Place", *(label for _, label, _ in kept), *(["Change"] if compared else [])]
    heads += ["Calcified", "Pattern", "Concern"]
    rows = [
        {"id": x.id, "level": x.level.value, "cells": _cells(x, report, kept)}
        for x in report.lesions
    ]
    return {"heads": heads, "rows": rows}


def _cells(lesion: Lesion, report: StudyReport, kept: list[tuple[str, str, int]]) -> list[str]:
    return [
        where(lesion, report.study),
        *(_figure(lesion, name, digits) for name, _, digits in kept),
        *([] if report.comparison is None else [changed(lesion) or NONE]),
        verdict(lesion) or NONE,
        named_pattern(lesion) or NONE,
        NONE if lesion.level is ConcernLevel.UNKNOWN else lesion.level.value,
    ]


def _figure(lesion: Lesion, name: str, digits: int) -> str:
    """Return a figure; where the prior scan has it too, that one and an arrow before it."""
    then = getattr(lesion.change, COMPARED[name], None) if name in COMPARED else None
    now = getattr(lesion.measured, name)
    if now is None:
        return NONE
    return " → ".join(f"{value:.{digits}f}" for value in (then, now) if value is not None)
