"""report.html: one file that opens offline, for a radiologist to read in seconds."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from calcilens import DISCLAIMER, __version__
from calcilens.imaging.images import Radiograph
from calcilens.inference.export.article import article
from calcilens.inference.export.compared import compared
from calcilens.inference.export.empty import empty
from calcilens.inference.export.overview import overview
from calcilens.inference.export.table import table
from calcilens.inference.export.viewer import payload
from calcilens.inference.export.words import SIDES, date, percent, tally
from calcilens.inference.report import StudyReport, model_facts

_UNKNOWN = "not stated"
PAGE = Path(__file__).with_name("page")


def build(report: StudyReport) -> str:
    """Return the page as text."""
    style, script = ((PAGE / n).read_text(encoding="utf-8") for n in ("style.css", "script.js"))
    study, told = report.study, compared(report)
    then = "" if told is None else told["date"]
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            csp=policy(style, script),
            style=Markup(style),  # noqa: S704 our own file
            script=Markup(script),  # noqa: S704 our own file
            payload=_embedded(payload(report.lesions, date(study.study_date), then)),
            disclaimer=DISCLAIMER,
            version=__version__,
            study=study,
            date=date(study.study_date),
            compared=told,
            lesions=[article(x, n, study) for n, x in enumerate(report.lesions, 1)],
            tally=tally(report.lesions) if study.images else "nothing was searched",
            overview=overview(report.lesions, study),
            table=table(report),
            models=[model_facts(m) for m in report.models],
            series=[_series(s) for s in study.series],
            films=[_film(n, i) for n, i in enumerate(study.images, 1) if isinstance(i, Radiograph)],
            skipped=report.skipped,
            empty=None if report.lesions else empty(report),
            guidance=report.guidance,
            rules={one["lesion"]: one for one in report.guidance.get("lesions", [])},
        )
    )


def environment() -> Environment:
    """Return what turns the templates of page/ into text."""
    made = Environment(loader=FileSystemLoader(PAGE), autoescape=True, undefined=StrictUndefined)
    made.filters["percent"] = percent
    made.tests["match"] = lambda text, start: text.startswith(start)
    made.filters["capfirst"] = lambda text: text[:1].upper() + text[1:]
    return made


def policy(style: str, script: str | None = None) -> str:
    """Return a policy that lets nothing in but a page's own style, script and pictures."""
    scripts = "'none'" if script is None else _source(script)
    return (
        f"default-src 'none'; img-src data:; style-src {_source(style)}; script-src {scripts}; "
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


def _film(number: int, film: Radiograph) -> dict[str, Any]:
    own = film.planes[0].number
    return {
        "number": number,
        "image_number": _UNKNOWN if own is None else own,
        "body_part": film.body_part or _UNKNOWN,
        "side": SIDES.get(film.side or "", _UNKNOWN),
        "view": film.view or _UNKNOWN,
        "spacing": film.spacing_how,
    }


def _series(series: Any) -> dict[str, Any]:
    shape = " × ".join(str(n) for n in reversed(series.shape)) if series.shape else "–"
    spacing = " × ".join(f"{s:.3g}" for s in reversed(series.spacing_mm or ()) if s is not None)
    used = "yes" if series.used else f"no: {series.why_not}"
    return {
        "series_uid": series.series_uid,
        "number": _UNKNOWN if series.series_number is None else series.series_number,
        "modality": series.modality,
        "shape": shape,
        "spacing": spacing or ("not calibrated" if series.shape else "–"),
        "used": used,
    }
