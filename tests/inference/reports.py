"""Reports, with and without an earlier study, for the tests of the page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from calcilens.imaging.images import Image
from calcilens.imaging.paired import Pair, PriorView
from calcilens.imaging.records import Skipped
from calcilens.imaging.registration import Registration
from calcilens.inference.change import Change, Kind, Level
from calcilens.inference.lesions import Lesion
from calcilens.inference.pipeline import Models, run_study
from calcilens.inference.report import Comparison, PriorLesion, StudyReport
from tests.inference.made import SERIES_UID, FakeModel, ct, lesion_in, study

PRIOR_UID = "1.2.826.7"


def reported(*images: Image, skipped: tuple[Skipped, ...] = ()) -> StudyReport:
    whole = study(*(images or (ct(),)), skipped=skipped)
    return run_study(whole, Models(ct=FakeModel()), [(i, lesion_in(i)) for i in whole.images])


def judged(report: StudyReport, **answer: Any) -> StudyReport:
    lesions = tuple(replace(x, answer=replace(x.answer, **answer)) for x in report.lesions)
    return replace(report, lesions=lesions)


def comparison(*notes: str, gone: bool = False, done: bool = True) -> Comparison:
    middle = [float(v) for v in ct().affine.to_mm([5, 60, 90])]
    place = (SERIES_UID, "1.2.7", middle, [middle, middle], middle, 412.3)
    lost = PriorLesion("L1", *place, None, None, "2 % is left")
    kept = PriorLesion("L2", *place, 0.9, [0.8, 1.1], "still there")
    return Comparison(
        prior_study_uid=PRIOR_UID if done else None,
        prior_study_date="20251002" if done else None,
        days=92 if done else None,
        series=(),
        gone=(lost,) if gone else (),
        not_found=(kept,) if gone else (),
        notes=notes,
    )


def against(report: StudyReport, level: Level, skin_mm: float | None = None) -> StudyReport:
    change = Change(PRIOR_UID, Kind.GROWN, level, 1.5, skin_distance_change_mm=skin_mm)
    lesions = tuple(replace(x, change=change) for x in report.lesions)
    return replace(report, lesions=lesions, comparison=comparison())


def beside(report: StudyReport, shift_mm: float) -> Lesion:
    """A lesion with a prior scan that is the current one, moved along x."""
    volume = ct()
    moved = np.eye(4)
    moved[0, 3] = shift_mm
    motion = Registration(moved, np.zeros((1, 1, 1, 3), np.float32), np.zeros(3), 1.0, 1.0, 1.0)
    middle = volume.affine.to_mm(np.array([5.0, 60.0, 90.0]))
    view = PriorView(Pair(volume, volume, motion), middle)
    return replace(report.lesions[0], prior=view)
