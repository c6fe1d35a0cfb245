"""What the page says of a comparison beside its lesions: against what, what is gone, notes."""

from __future__ import annotations

from typing import Any

from calcilens.imaging.images import Volume
from calcilens.imaging.study import Study
from calcilens.inference.export.words import date, image_name, sentence
from calcilens.inference.report import Comparison, PriorLesion, StudyReport

_THERE = "Not among the lesions of this report"


def compared(report: StudyReport) -> dict[str, Any] | None:
    """Return what the page's template shows; None where no earlier study was given."""
    found = report.comparison
    if found is None:
        return None
    return {
        "with": _with(found),
        "date": date(found.prior_study_date) if found.prior_study_date else "an undated study",
        "prior_study_uid": found.prior_study_uid,
        "lost": [
            {"what": what, "rows": [_row(lesion, report.study) for lesion in lesions]}
            for what, lesions in (("No longer there", found.gone), (_THERE, found.not_found))
            if lesions
        ],
        "notes": [sentence(note) for note in found.notes],
    }


def _with(found: Comparison) -> str | None:
    """Name the earlier study; None where nothing could be compared."""
    if found.prior_study_uid is None:
        return None
    day = date(found.prior_study_date) if found.prior_study_date else "undated"
    return day if found.days is None else f"{day}, {found.days} days before"


def _row(lesion: PriorLesion, study: Study) -> dict[str, str]:
    volume = lesion.prior_volume_mm3
    return {
        "where": _where(lesion, study),
        "volume": "–" if volume is None else f"{volume:.0f} mm³",
        "why": sentence(lesion.why),
    }


def _where(lesion: PriorLesion, study: Study) -> str:
    """Return the place in this study: its slice, where that is in the scan, and LPS mm."""
    image = next(i for i in study.images if i.series_uid == lesion.series_uid)
    place = "x {:.0f}, y {:.0f}, z {:.0f} mm (LPS)".format(*lesion.centroid_mm)
    if not isinstance(image, Volume):
        return place
    plane = round(float(image.affine.to_voxel(lesion.centroid_mm)[0]))
    slices = f"Slice {plane + 1}" if 0 <= plane < len(image.hu) else None
    return ", ".join(filter(None, (slices, image_name(image, study), place)))
