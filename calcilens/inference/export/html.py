"""report.html: one file that opens offline, for a radiologist to read in seconds."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from calcilens import DISCLAIMER, __version__
from calcilens.imaging.images import Image
from calcilens.inference.export.figures import figures
from calcilens.inference.export.overview import overview
from calcilens.inference.export.table import table
from calcilens.inference.export.viewer import payload
from calcilens.inference.export.words import changed, date, headline, percent, sentence, where
from calcilens.inference.lesions import Lesion, Patterns
from calcilens.inference.report import StudyReport, model_facts
from calcilens.vocabulary import pattern

_PAGE = Path(__file__).with_name("page")
_SHOWN_PATTERNS = 5
_EMPTY = (
    "No lesion is reported. On CT, nothing denser than tissue, contrast medium and noise was "
    "found outside bone. On a radiograph, the finder saw no calcification."
)
_UNREAD = "No image of this study could be read; the reasons are listed below."


def build(report: StudyReport) -> str:
    """Return the page as text."""
    style, script = ((_PAGE / n).read_text(encoding="utf-8") for n in ("style.css", "script.js"))
    environment = Environment(
        loader=FileSystemLoader(_PAGE), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["percent"] = percent
    environment.filters["capfirst"] = lambda text: text[:1].upper() + text[1:]
    comparison = report.comparison
    prior_date = "" if comparison is None else date(comparison.prior_study_date)
    return environment.get_template("report.html.j2").render(
        csp=_policy(style, script),
        style=Markup(style),  # noqa: S704 our own file
        script=Markup(script),  # noqa: S704 our own file
        payload=_embedded(payload(report.lesions, prior_date)),
        disclaimer=DISCLAIMER,
        version=__version__,
        study=report.study,
        date=date(report.study.study_date),
        comparison=comparison,
        prior_date=prior_date,
        lesions=[_lesion(x, report.study.images) for x in report.lesions],
        overview=overview(report.lesions),
        table=table(report),
        models=[model_facts(m) for m in report.models],
        series=[_series(s) for s in report.study.series],
        skipped=report.skipped,
        empty=_EMPTY if report.study.images else _UNREAD,
    )


def _policy(style: str, script: str) -> str:
    """Return a policy that lets nothing in but this page's own style, script and pictures."""
    own = [_source(text) for text in (style, script)]
    return (
        f"default-src 'none'; img-src data:; style-src {own[0]}; script-src {own[1]}; "
        "base-uri 'none'; form-action 'none'"
    )


def _source(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _embedded(value: Any) -> Markup:
    """Return JSON that cannot end the script element it stands in."""
    text = json.dumps(value, separators=(",", ":"))
    safe = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Markup(safe)  # noqa: S704 escaped above


def _series(series: Any) -> dict[str, str]:
    shape = " × ".join(str(n) for n in reversed(series.shape)) if series.shape else "–"
    spacing = " × ".join(f"{s:.3g}" for s in reversed(series.spacing_mm or ()) if s is not None)
    used = "yes" if series.used else f"no: {series.why_not}"
    return {
        "series_uid": series.series_uid,
        "modality": series.modality,
        "shape": shape,
        "spacing": spacing or "not calibrated",
        "used": used,
    }


def _lesion(lesion: Lesion, images: Sequence[Image]) -> dict[str, Any]:
    said = lesion.answer
    return {
        "id": lesion.id,
        "where": where(lesion, images),
        "level": said.concern.level,
        "level_text": "no answer" if said.concern.probability is None else said.concern.level,
        "headline": headline(lesion),
        "size": _size(lesion),
        "judged": said.finding.probability is not None,
        "abstained": sentence(said.finding.why) if said.finding.abstained else None,
        "finding": said.finding.probability,
        "concern": said.concern.probability,
        "reasons": [sentence(r) for r in said.concern.model_reasons],
        **_patterns(lesion),
        "measurements": figures(lesion),
        "profile": _profile(lesion.measured.radial_profile),
        "saliency": _saliency(lesion),
        "origin": sentence(lesion.candidate.why).rstrip("."),
        "strange": _strange(lesion),
        "flagged": bool(said.out_of_domain.flag),
        "change": lesion.change,
        "changed": changed(lesion),
    }


def _size(lesion: Lesion) -> str:
    diameter, peak = lesion.measured.max_diameter_mm, lesion.measured.max_hu
    if diameter is None:
        (x0, y0), (x1, y1) = lesion.box_px or [[0, 0], [0, 0]]
        return f"{x1 - x0} × {y1 - y0} pixels"
    return f"{diameter:.1f} mm" + ("" if peak is None else f" · up to {peak:.0f} HU")


def _patterns(lesion: Lesion) -> dict[str, Any]:
    said = lesion.answer.pattern
    ranked = sorted(said.probabilities.items(), key=lambda kv: -kv[1])
    shown, rest = ranked[:_SHOWN_PATTERNS], ranked[_SHOWN_PATTERNS:]
    others = sum(p for _, p in rest)
    return {
        "pattern_why": (said.why or "none").rstrip(".") if said.abstained else None,
        "pattern_set": _set(said),
        "patterns": [
            {"label": pattern(k).label, "look": pattern(k).look, "value": p} for k, p in shown
        ],
        "pattern_rest": f"{len(rest)} others together {percent(others)}." if rest else None,
    }


def _set(said: Patterns) -> str | None:
    """Say which patterns cannot be ruled out, where that is calibrated."""
    if said.coverage is None or not said.probabilities:
        return None
    named = ", ".join(pattern(key).label for key in said.set) or "none"
    return (
        f"Not ruled out: {named}. Of held-out lesions that truly showed a pattern, "
        f"{percent(said.coverage)} had it in their set."
    )


def _profile(values: list[float] | None) -> Markup | None:
    """Draw the mean density by depth; nothing for fewer than three shells."""
    if values is None or len(values) < 3:
        return None
    low, span = min(values), max(max(values) - min(values), 1.0)
    points = [
        (40 + 340 * i / (len(values) - 1), 66 - 54 * (v - low) / span) for i, v in enumerate(values)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"></circle>' for x, y in points)
    ends = f'<text x="0" y="16">{max(values):.0f}</text><text x="0" y="68">{low:.0f}</text>'
    feet = f'<text x="40" y="86">rim</text><text x="340" y="86">{len(values) - 1} mm in</text>'
    svg = '<svg class="profile" viewBox="0 0 400 90" role="img" aria-label="Mean HU by depth">'
    return Markup(  # noqa: S704 numbers only
        f'{svg}<polyline points="{line}"></polyline>{dots}{ends}{feet}</svg>'
    )


def _saliency(lesion: Lesion) -> str:
    seen = lesion.saliency
    if seen is None:
        return "None: the model gave no answer."
    if not seen.shown:
        return f"Not shown: {seen.why}."
    return (
        f"{seen.method}. Trust {seen.trust:.2f}: how much the map differs from that of the same "
        "network with shuffled weights. It shows where the model looked, not what is ill."
    )


def _strange(lesion: Lesion) -> str | None:
    seen = lesion.answer.out_of_domain
    if seen.score is None or seen.flag is None:
        return None
    near = "Unlike what" if seen.flag else "Within what"
    return f"{near} the model was trained on (distance {seen.score:.1f})."
