"""The report of one study, and its form as report.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from calcilens import DISCLAIMER
from calcilens.imaging.images import Radiograph
from calcilens.imaging.records import Skipped
from calcilens.imaging.study import Study
from calcilens.inference.lesions import Lesion
from calcilens.inference.predictor import Described
from calcilens.inference.report_schema import SALIENCY, SCHEMA_VERSION

PICTURES = ("image", "saliency", "overlay")


@dataclass(frozen=True)
class PriorLesion:
    """A lesion of the prior study without a counterpart among those of this one.

    Args:
        id: Of the prior study's candidate.
        series_uid: The current series, in which the places below lie.
        centroid_mm: Where it would lie, (x, y, z) LPS; box_mm likewise.
        prior_centroid_mm: Where it lay in the prior series.
        volume_ratio: Mineral now over mineral then, and its 95 % interval; None where not taken.
        why: What this study shows of it.
    """

    id: str
    series_uid: str
    prior_series_uid: str
    centroid_mm: list[float]
    box_mm: list[list[float]]
    prior_centroid_mm: list[float]
    prior_volume_mm3: float | None
    volume_ratio: float | None
    volume_ratio_ci: list[float] | None
    why: str


@dataclass(frozen=True)
class Comparison:
    """How a study was compared with an earlier one.

    Args:
        prior_study_uid: None where nothing was compared; `notes` say why.
        prior_study_date: YYYYMMDD, or None.
        days: Between the studies, or None.
        series: Each current CT: which prior series it was registered to, and how well.
        gone: Lesions that are no longer there.
        not_found: Other lesions of the prior study without a counterpart: still there, or out of
            sight.
        notes: What the reader must know, one line each.
    """

    prior_study_uid: str | None
    prior_study_date: str | None
    days: int | None
    series: tuple[dict[str, Any], ...]
    gone: tuple[PriorLesion, ...]
    not_found: tuple[PriorLesion, ...]
    notes: tuple[str, ...]

    @property
    def done(self) -> bool:
        """Whether every CT of the study was compared."""
        return bool(self.series) and all(s["why_not"] is None for s in self.series)


@dataclass(frozen=True, eq=False)
class StudyReport:
    """Everything that a run says about one study; lesions in the order of concern.

    Args:
        guidance: What the clinical rules say, as `calcilens.guidance.document` makes it; empty
            where they say nothing.
    """

    study: Study
    lesions: tuple[Lesion, ...]
    skipped: tuple[Skipped, ...]
    models: tuple[Described, ...]
    comparison: Comparison | None = None
    guidance: Mapping[str, Any] = field(default_factory=dict)


def to_json(report: StudyReport, exports: list[dict[str, str]]) -> dict[str, Any]:
    """Return the content of report.json.

    Args:
        report: What to write.
        exports: Other files of the report: format, path and sha256 of each.
    """
    study = report.study
    return {
        "schema_version": SCHEMA_VERSION,
        "disclaimer": DISCLAIMER,
        "study": {
            "study_uid": study.study_uid,
            "study_date": study.study_date,
            "modalities": list(study.modalities),
        },
        "series": [_series(s) for s in study.series],
        "films": _films(study),
        "models": [model_facts(m) for m in report.models],
        "lesions": [_lesion(x) for x in report.lesions],
        "comparison": _comparison(report.comparison),
        "guidance": dict(report.guidance),
        "skipped": [skipped.to_json() for skipped in report.skipped],
        "exports": exports,
    }


def model_facts(model: Described) -> dict[str, Any]:
    """Return what a report says of a model: name, version, hash and limits."""
    card: Mapping[str, Any] = model.card
    limits = card.get("limits", [])
    return {
        "name": str(card.get("name", "unnamed")),
        "version": str(card.get("version", "unknown")),
        "modality": str(card.get("modality", "unknown")),
        "sha256": model.sha256,
        "limits": [limits] if isinstance(limits, str) else [str(x) for x in limits],
        "flags": _flags(card),
    }


def _flags(card: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return how well the model's levels of concern separate, as its card says of unseen data."""
    keys = ("sensitivity", "specificity")
    return {
        level: {**{key: figures[key] for key in keys}, "on": name}
        for name, found in card.get("evaluations", {}).items()
        for level, figures in (found.get("flags") or {}).items()
        if all(figures[key] is not None for key in keys)
    }


def _series(series: Any) -> dict[str, Any]:
    facts = {k: v for k, v in asdict(series).items() if k != "study_uid"}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in facts.items()}


def _films(study: Study) -> list[dict[str, Any]]:
    """Return what is known of each radiograph, under its number among the images."""
    return [
        {
            "image": number,
            "series_uid": film.series_uid,
            "sop_uid": film.planes[0].sop_uid,
            "image_number": film.planes[0].number,
            "body_part": film.body_part,
            "laterality": film.side,
            "view": film.view,
            "spacing_mm": None if film.spacing_mm is None else _rounded(list(film.spacing_mm)),
            "spacing_how": film.spacing_how,
        }
        for number, film in enumerate(study.images, 1)
        if isinstance(film, Radiograph)
    ]


def _lesion(lesion: Lesion) -> dict[str, Any]:
    said = lesion.answer
    return {
        "id": lesion.id,
        "tracking_uid": lesion.tracking_uid,
        "series_uid": lesion.image.series_uid,
        "sop_uids": lesion.sop_uids,
        "slices": None if lesion.slices is None else list(lesion.slices),
        "image_numbers": None if lesion.image_numbers is None else list(lesion.image_numbers),
        "centroid_mm": _rounded(lesion.centroid_mm),
        "box_mm": _rounded(lesion.box_mm),
        "box_px": lesion.box_px,
        "box": lesion.candidate.box.tolist(),
        "key_plane": lesion.key_plane,
        "origin": lesion.candidate.why,
        "model": said.model,
        "measurements": _rounded(asdict(lesion.measured)),
        "finding": asdict(said.finding),
        "pattern": asdict(said.pattern),
        "concern": asdict(said.concern),
        "out_of_domain": asdict(said.out_of_domain),
        "saliency": _saliency(lesion),
        "change": None if lesion.change is None else _rounded(lesion.change.to_json()),
    }


def _comparison(comparison: Comparison | None) -> dict[str, Any] | None:
    if comparison is None:
        return None
    facts = asdict(comparison)
    lists = {k: list(v) for k, v in facts.items() if isinstance(v, tuple)}
    return {**_rounded({**facts, **lists}), "series": list(comparison.series)}


def _saliency(lesion: Lesion) -> dict[str, Any]:
    seen = lesion.saliency
    if seen is None:
        why = lesion.answer.finding.why or "none was made"
        return {"method": None, "trust": None, "shown": False, "why": why, "files": []}
    names = (*(f"{name}.png" for name in PICTURES[1:]), SALIENCY) if seen.shown else ()
    files = [f"lesions/{lesion.id}/{name}" for name in names]
    return {
        "method": seen.method,
        "trust": round(seen.trust, 4),
        "shown": seen.shown,
        "why": seen.why,
        "files": files,
    }


def _rounded(value: Any) -> Any:
    """Round figures to what a person can use; text and counts stay."""
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return round(float(value), 3) if isinstance(value, float | np.floating) else value
